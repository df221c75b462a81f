// SPDX-License-Identifier: Apache-2.0
// HTTP as the API reads it: its bounds, and what of a message the routes are told.
#pragma once

#include <cstdint>

#include "ipvlanx/base/asio.h"
#include "message.h"

namespace ipvlanx::daemon {

using HttpMessage = boost::beast::http::request<boost::beast::http::string_body>;

class HttpParser : public boost::beast::http::request_parser<boost::beast::http::string_body> {
 public:
  static constexpr std::uint32_t kMostHeaderBytes = 16 << 10;
  static constexpr std::uint64_t kMostBodyBytes = 1 << 20;

  HttpParser() {
    header_limit(kMostHeaderBytes);
    body_limit(kMostBodyBytes);
  }

  // Once the message is complete; takes its body. Who sent it, it does not say.
  Request take_request() {
    HttpMessage& message = get();
    return {.method = std::string{message.method_string()},
            .target = std::string{message.target()},
            .body = std::move(message.body()),
            .idempotency_key = std::string{message["Idempotency-Key"]}};
  }
};

}  // namespace ipvlanx::daemon
