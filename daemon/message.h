// SPDX-License-Identifier: Apache-2.0
// A request and its reply as the routes see them: HTTP's meaning without its wire.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "access.h"
#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

struct Request {
  std::string method;
  std::string target;  // as it came: still percent-encoded, with the query
  std::string body = {};
  std::string idempotency_key = {};  // of the header Idempotency-Key, or empty
  Peer peer = {};
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
};

// Whether the reply ends with its body, or goes on with the events to come.
enum class Then { done, events };

struct Reply {
  unsigned status = 200;
  std::string content_type = {};
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  Then then = Then::done;
  std::optional<Error> refusal = {};  // what the problem document says
};

Reply json_reply(unsigned status, const nlohmann::json& document);
Reply no_content();
Reply problem_reply(const Error& error);

}  // namespace ipvlanx::daemon
