// SPDX-License-Identifier: Apache-2.0
// HTTP over the daemon's socket, with an end to all waiting. Private: who uses the client
// does not include Asio.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "ipvlanx/base/asio.h"
#include "ipvlanx/base/result.h"

namespace ipvlanx::wire {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using Request = http::request<http::string_body>;
using Parser = http::response_parser<http::string_body>;

constexpr std::chrono::seconds kPatience{30};

struct Answer {
  std::string asked;  // "GET /v1/version", for messages
  unsigned status;
  std::string body;
};

inline Request question(http::verb verb, const std::string& target, std::string body = {}) {
  Request request{verb, target, 11};
  request.set(http::field::host, "ipvlanx");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();
  return request;
}

// Owns one connection. Errors are as client.h says.
class Connection {
 public:
  explicit Connection(std::string path) : path_(std::move(path)) {}

  Result<void> open() {
    if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return fail(Errc::no_daemon, fmt::format("'{}' is too long for the path of a socket", path_));
    }
    socket_ = Local::socket{io_};
    unread_.clear();
    const auto error = patiently([&](auto done) { socket_.async_connect(Local::endpoint{path_}, done); });
    if (error) return absent(error);
    return {};
  }

  // The whole answer.
  Result<Answer> ask(const Request& request) {
    const bool used_before = still_open();
    if (!used_before) {
      if (auto opened = open(); !opened) return std::unexpected(opened.error());
    }
    Parser answer;
    if (const auto error = exchange(request, answer)) {
      // The daemon may have closed before it heard the question. A GET does no harm
      // when it is asked again, and this time on a connection of its own.
      if (used_before && hung_up(error) && request.method() == http::verb::get) return ask(request);
      return absent(error);
    }
    if (!answer.keep_alive()) hang_up();

    const auto method = request.method_string();
    const auto target = request.target();
    return Answer{fmt::format("{} {}", std::string_view{method.data(), method.size()},
                              std::string_view{target.data(), target.size()}),
                  answer.get().result_int(), std::move(answer.get().body())};
  }

  // The answer's head, on a new connection; what read_some() reads comes after it.
  Result<void> begin(const Request& request, Parser& answer) {
    if (auto opened = open(); !opened) return opened;
    answer.body_limit(kNoLimit);
    auto error = patiently([&](auto done) { http::async_write(socket_, request, done); });
    if (!error) {
      error = patiently([&](auto done) { http::async_read_header(socket_, unread_, answer, done); });
    }
    if (error) return absent(error);
    return {};
  }

  // Some more of the answer's body; nothing may come within `patience`, which is no error.
  Result<void> read_some(Parser& answer, std::chrono::milliseconds patience) {
    const auto error = patiently([&](auto done) { http::async_read_some(socket_, unread_, answer, done); },
                                 patience, AtTimeout::stay);
    if (error == asio::error::timed_out) return {};
    if (error) return absent(error);
    if (answer.is_done()) return absent(http::error::end_of_stream);
    return {};
  }

 private:
  // A list of 65533 slaves is long, and a stream has no end. (Not boost::none: 1.74 takes it
  // for a limit of 0.)
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
  enum class AtTimeout { hang_up, stay };

  static bool hung_up(const error_code& error) {
    return error == http::error::end_of_stream || error == http::error::partial_message ||
           error == asio::error::connection_reset || error == asio::error::broken_pipe;
  }

  error_code exchange(const Request& request, Parser& answer) {
    answer.body_limit(kNoLimit);
    const auto error = patiently([&](auto done) { http::async_write(socket_, request, done); });
    if (error) return error;
    return patiently([&](auto done) { http::async_read(socket_, unread_, answer, done); });
  }

  // Carries out one operation. Asynchronously, because Asio's synchronous ones wait
  // forever, whatever SO_RCVTIMEO says.
  template <class Start>
  error_code patiently(Start start, std::chrono::milliseconds patience = kPatience,
                       AtTimeout then = AtTimeout::hang_up) {
    error_code result;
    start([&](error_code error, auto&&...) { result = error; });
    io_.restart();
    io_.run_for(patience);
    if (io_.stopped()) {
      if (result) hang_up();
      return result;
    }
    if (then == AtTimeout::hang_up) {
      hang_up();
    } else {
      error_code ignored;
      socket_.cancel(ignored);
    }
    io_.run();  // the operation ends now: nothing of it may outlive this function
    if (then == AtTimeout::stay && !result) return result;  // it was over just then
    return asio::error::timed_out;
  }

  // Between two questions a daemon has nothing to say: what can be read is its end.
  bool still_open() {
    if (!socket_.is_open()) return false;
    char byte;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

  void hang_up() {
    error_code ignored;
    socket_.close(ignored);
  }

  // Why there is no answer, for a person.
  std::unexpected<Error> absent(const error_code& error) const {
    if (error == asio::error::timed_out) {
      return fail(Errc::no_daemon,
                  fmt::format("the daemon at '{}' did not answer within {} s", path_, kPatience.count()));
    }
    if (hung_up(error)) {
      return fail(Errc::no_daemon, fmt::format("the daemon at '{}' hung up", path_));
    }
    if (error.category() == make_error_code(http::error::end_of_stream).category()) {
      return fail(Errc::bad_json,
                  fmt::format("what listens at '{}' speaks no HTTP: {}", path_, error.message()));
    }
    return fail(Errc::no_daemon, fmt::format("no daemon at '{}': {}", path_, error.message()));
  }

  std::string path_;
  asio::io_context io_{1};
  Local::socket socket_{io_};
  boost::beast::flat_buffer unread_;
};

}  // namespace ipvlanx::wire
