// SPDX-License-Identifier: Apache-2.0
// One connection to the API, from its first request to its end.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "event_feed.h"
#include "ipvlanx/base/asio.h"
#include "message.h"
#include "routes.h"

namespace ipvlanx::daemon {

// Owned by the loop's coroutine that runs it; borrows routes and feed.
class Session {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;

  static constexpr std::uint32_t kMostHeaderBytes = 16 << 10;
  static constexpr std::uint64_t kMostBodyBytes = 1 << 20;
  static constexpr std::chrono::seconds kIdleTime{60};  // until the next request's header is there
  static constexpr std::chrono::seconds kBodyTime{30};
  static constexpr std::chrono::seconds kWriteTime{30};

  Session(Socket socket, Routes& routes, EventFeed& feed);

  // Serves until the client has gone or misbehaves, or close().
  boost::asio::awaitable<void> run();
  void close();

 private:
  using ErrorCode = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Message = boost::beast::http::request<boost::beast::http::string_body>;
  enum class After { next_request, close };

  boost::asio::awaitable<ErrorCode> read(Parser& parser);
  boost::asio::awaitable<ErrorCode> write(const Reply& reply, const Message& request, After after);
  boost::asio::awaitable<void> refuse(ErrorCode mistake, const Message& request, const Peer& peer);
  boost::asio::awaitable<void> stream_events(Reply reply);
  void end_with_the_client();

  boost::beast::basic_stream<boost::asio::local::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  Routes& routes_;
  EventFeed& feed_;
  boost::asio::steady_timer wake_;       // never expires: cancelled when there is news
  std::shared_ptr<EventReader> reader_;  // once the client follows the events
};

}  // namespace ipvlanx::daemon
