// SPDX-License-Identifier: Apache-2.0
// One connection to the API, from its first request to its end.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "event_feed.h"
#include "http.h"
#include "ipvlanx/base/asio.h"
#include "routes.h"
#include "worker.h"

namespace ipvlanx::daemon {

// Owned by the loop's coroutine that runs it; borrows the rest.
class Session {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;

  static constexpr std::chrono::seconds kIdleTime{60};  // until the next request's header is there
  static constexpr std::chrono::seconds kBodyTime{30};
  static constexpr std::chrono::seconds kWriteTime{30};

  Session(Socket socket, Routes& routes, EventFeed& feed, Worker& worker);

  // Serves until the client has gone or misbehaves, or close().
  boost::asio::awaitable<void> run();
  void close();

 private:
  using ErrorCode = boost::system::error_code;
  enum class After { next_request, close };

  boost::asio::awaitable<ErrorCode> read(HttpParser& parser);
  boost::asio::awaitable<ErrorCode> write(const Reply& reply, const HttpMessage& request, After after);
  boost::asio::awaitable<void> refuse(ErrorCode mistake, const HttpMessage& request, const Peer& peer);
  boost::asio::awaitable<void> stream_events(Reply reply);
  void end_with_the_client();

  boost::beast::basic_stream<boost::asio::local::stream_protocol> stream_;
  boost::beast::flat_buffer buffer_;
  Routes& routes_;
  EventFeed& feed_;
  Worker& worker_;
  boost::asio::steady_timer wake_;       // never expires: cancelled when there is news
  std::shared_ptr<EventReader> reader_;  // once the client follows the events
};

}  // namespace ipvlanx::daemon
