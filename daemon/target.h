// SPDX-License-Identifier: Apache-2.0
// What a request's target names: the path's segments and the query, decoded.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

struct Target {
  std::vector<std::string> path;  // /v1/slaves/7: v1, slaves, 7
  std::map<std::string, std::string> query = {};
};

// bad_request when the encoding is broken or a query's parameter is given twice.
Result<Target> parse_target(std::string_view text);

}  // namespace ipvlanx::daemon
