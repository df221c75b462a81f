// SPDX-License-Identifier: Apache-2.0
// Is this text one JSON object that means the same to every reader?
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx::api {

// Refuses what parsers disagree about: duplicate keys (nlohmann/json would take
// the last one), and nesting deeper than any of our documents has.
Result<nlohmann::json> parse_object(std::string_view text);

}  // namespace ipvlanx::api
