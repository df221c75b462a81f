// SPDX-License-Identifier: Apache-2.0
// Errors on the wire: RFC 9457 application/problem+json, and HTTP status by code.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx::api {

unsigned http_status(Errc code);
// {type, title, status, code, detail[, field]}
nlohmann::json problem(const Error& error);
// The client's way back. A body that is no problem document becomes bad_request.
Error read_problem(std::string_view body, unsigned status);

}  // namespace ipvlanx::api
