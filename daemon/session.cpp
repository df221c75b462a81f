// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <fmt/format.h>

#include <array>

#include "into.h"
#include "log.h"

namespace ipvlanx::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

// What came was no HTTP that we serve, as opposed to the connection's end.
bool is_clients_mistake(const boost::system::error_code& error) {
  return error.category() == http::make_error_code(http::error::end_of_stream).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

template <class Body>
void set_head(http::response<Body>& response, const Reply& reply) {
  response.result(reply.status);
  if (!reply.content_type.empty()) response.set(http::field::content_type, reply.content_type);
  for (const auto& [name, value] : reply.headers) response.set(name, value);
}

}  // namespace

Session::Session(Socket socket, Routes& routes, EventFeed& feed, Worker& worker)
    : stream_(std::move(socket)),
      routes_(routes),
      feed_(feed),
      worker_(worker),
      wake_(stream_.get_executor()) {
  wake_.expires_at(asio::steady_timer::time_point::max());
}

asio::awaitable<void> Session::run() {
  const Peer peer = peer_of(stream_.socket().native_handle());
  while (true) {
    HttpParser parser;
    if (const ErrorCode error = co_await read(parser)) {
      if (is_clients_mistake(error)) co_await refuse(error, parser.get(), peer);
      co_return;
    }

    const HttpMessage& message = parser.get();
    const After after = message.keep_alive() ? After::next_request : After::close;
    Request request = parser.take_request();
    request.peer = peer;
    Reply reply;
    if (Routes::changes_something(request)) {
      reply = co_await worker_.run([&] { return routes_.answer(request); });
    } else {
      reply = routes_.answer(request);
    }
    log_request(request, reply);
    if (reply.then == Then::events) {
      co_await stream_events(std::move(reply));
      co_return;
    }
    const ErrorCode error = co_await write(reply, message, after);
    if (error || after == After::close) co_return;
  }
}

void Session::close() {
  if (reader_) reader_->end();
  ErrorCode ignored;
  stream_.socket().close(ignored);
}

asio::awaitable<Session::ErrorCode> Session::read(HttpParser& parser) {
  ErrorCode error;
  stream_.expires_after(kIdleTime);
  co_await http::async_read_header(stream_, buffer_, parser, into(error));
  if (error) co_return error;

  stream_.expires_after(kBodyTime);
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const http::response<http::empty_body> go_on{http::status::continue_, parser.get().version()};
    co_await http::async_write(stream_, go_on, into(error));
    if (error) co_return error;
  }
  co_await http::async_read(stream_, buffer_, parser, into(error));
  co_return error;
}

asio::awaitable<Session::ErrorCode> Session::write(const Reply& reply, const HttpMessage& request,
                                                   After after) {
  http::response<http::string_body> response;
  response.version(request.version());
  response.keep_alive(after == After::next_request);
  set_head(response, reply);
  if (request.method() != http::verb::head) response.body() = reply.body;
  if (response.result() != http::status::no_content) response.prepare_payload();

  ErrorCode error;
  stream_.expires_after(kWriteTime);
  co_await http::async_write(stream_, response, into(error));
  co_return error;
}

asio::awaitable<void> Session::refuse(ErrorCode mistake, const HttpMessage& request, const Peer& peer) {
  const Error problem = mistake == http::error::body_limit
                            ? Error{Errc::body_too_large, "the body is larger than 1 MiB"}
                            : Error{Errc::bad_request, fmt::format("not HTTP: {}", mistake.message())};
  const Reply reply = problem_reply(problem);
  log_request(
      {.method = std::string{request.method_string()}, .target = std::string{request.target()}, .peer = peer},
      reply);
  if (co_await write(reply, request, After::close)) co_return;

  // The client may still be writing. Closing now would break its pipe before it has
  // read why; so listen to the end, but not for long.
  ErrorCode error;
  stream_.socket().shutdown(Socket::shutdown_send, error);
  stream_.expires_after(std::chrono::seconds{5});
  std::array<char, 16 << 10> scrap;
  while (!error) co_await stream_.async_read_some(asio::buffer(scrap), into(error));
}

asio::awaitable<void> Session::stream_events(Reply reply) {
  // A reader that is too slow is cut off in the middle of a write.
  reader_ = feed_.follow([this] {
    wake_.cancel();
    if (reader_->ended()) close();
  });
  end_with_the_client();

  http::response<http::empty_body> response;
  set_head(response, reply);
  response.chunked(true);
  http::response_serializer<http::empty_body> serializer{response};
  ErrorCode error;
  stream_.expires_never();
  co_await http::async_write_header(stream_, serializer, into(error));

  std::string lines = std::move(reply.body);
  while (!error && !reader_->ended()) {
    if (lines.empty()) {
      ErrorCode cancelled;
      co_await wake_.async_wait(into(cancelled));
    } else {
      co_await asio::async_write(stream_, http::make_chunk(asio::buffer(lines)), into(error));
    }
    lines = reader_->take();
  }
}

// While there is no news nothing is written, and nothing would show that the client
// has hung up.
void Session::end_with_the_client() {
  stream_.socket().async_wait(Socket::wait_error, [gone = std::weak_ptr(reader_)](ErrorCode error) {
    const auto reader = gone.lock();
    if (reader && !error) reader->end();
  });
}

}  // namespace ipvlanx::daemon
