// SPDX-License-Identifier: Apache-2.0
// Fields that more than one request has.
#pragma once

#include "ipvlanx/api/requests.h"
#include "json_object.h"

namespace ipvlanx::api {

inline constexpr Range kMtu{68, 65535};  // ETH_MIN_MTU, ETH_MAX_MTU
inline constexpr Range kMaxAddresses{1, 65536};

PortChange read_port_options(JsonObject& in);

}  // namespace ipvlanx::api
