// SPDX-License-Identifier: Apache-2.0
// One question, one answer: HTTP over the unix socket, and JSON to types.
#include "ipvlanx/client.h"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "ipvlanx/api/problem.h"
#include "ipvlanx/base/asio.h"
#include "target.h"

namespace ipvlanx {

namespace {

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

Request question(http::verb verb, const std::string& target, std::string body = {}) {
  Request request{verb, target, 11};
  request.set(http::field::host, "ipvlanx");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();
  return request;
}

bool hung_up(const error_code& error) {
  return error == http::error::end_of_stream || error == http::error::partial_message ||
         error == asio::error::connection_reset || error == asio::error::broken_pipe;
}

// The body of a request. nlohmann throws at text that is no UTF-8, which an
// interface name may well be.
template <class Body>
Result<std::string> written(const Body& body) {
  try {
    return api::write(body);
  } catch (const nlohmann::json::exception& problem) {
    return fail(Errc::bad_json, fmt::format("this cannot be said in JSON: {}", problem.what()));
  }
}

Result<void> success(const Result<Answer>& answer) {
  if (!answer) return std::unexpected(answer.error());
  if (answer->status / 100 != 2) return std::unexpected(api::read_problem(answer->body, answer->status));
  return {};
}

Result<std::string> text(Result<Answer> answer) {
  if (auto done = success(answer); !done) return std::unexpected(std::move(done.error()));
  return std::move(answer->body);
}

template <class Reply>
Result<Reply> reply(const Result<Answer>& answer) {
  if (auto done = success(answer); !done) return std::unexpected(std::move(done).error());
  try {
    return nlohmann::json::parse(answer->body).get<Reply>();
  } catch (const nlohmann::json::exception& problem) {
    return fail(Errc::bad_json, fmt::format("the daemon's answer to {} is not understood: {}", answer->asked,
                                            problem.what()));
  }
}

}  // namespace

class Client::Connection {
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

 private:
  error_code exchange(const Request& request, Parser& answer) {
    // A list of 65533 slaves is long. (Not boost::none: 1.74 takes it for a limit of 0.)
    answer.body_limit(std::numeric_limits<std::uint64_t>::max());
    const auto error = patiently([&](auto done) { http::async_write(socket_, request, done); });
    if (error) return error;
    return patiently([&](auto done) { http::async_read(socket_, unread_, answer, done); });
  }

  // Carries out one operation. Asynchronously, because Asio's synchronous ones wait
  // forever, whatever SO_RCVTIMEO says.
  template <class Start>
  error_code patiently(Start start) {
    error_code result;
    start([&](error_code error, auto&&...) { result = error; });
    io_.restart();
    io_.run_for(kPatience);
    if (io_.stopped()) {
      if (result) hang_up();
      return result;
    }
    hang_up();
    io_.run();  // the operation ends now: nothing of it may outlive this function
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

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(std::string path) {
  auto connection = std::make_unique<Connection>(std::move(path));
  if (auto opened = connection->open(); !opened) return std::unexpected(std::move(opened).error());
  return Client{std::move(connection)};
}

Result<api::VersionReply> Client::version() {
  return reply<api::VersionReply>(connection_->ask(question(http::verb::get, "/v1/version")));
}

Result<std::vector<api::PortReply>> Client::ports() {
  return reply<std::vector<api::PortReply>>(connection_->ask(question(http::verb::get, "/v1/ports")));
}

Result<api::PortReply> Client::port(const std::string& master) {
  return reply<api::PortReply>(connection_->ask(question(http::verb::get, target::port(master))));
}

Result<void> Client::change_port(const std::string& master, const api::PortChange& request) {
  auto body = written(request);
  if (!body) return std::unexpected(std::move(body).error());
  return success(connection_->ask(question(http::verb::patch, target::port(master), std::move(*body))));
}

Result<void> Client::delete_port(const std::string& master) {
  return success(connection_->ask(question(http::verb::delete_, target::port(master))));
}

Result<void> Client::flush_port(const std::string& master) {
  return success(connection_->ask(question(http::verb::post, target::port(master) + "/flush")));
}

Result<std::vector<api::SlaveReply>> Client::slaves(const SlaveFilter& filter) {
  return reply<std::vector<api::SlaveReply>>(
      connection_->ask(question(http::verb::get, target::slaves(filter))));
}

Result<api::SlaveReply> Client::slave(SlaveId id) {
  return reply<api::SlaveReply>(connection_->ask(question(http::verb::get, target::slave(id))));
}

Result<api::SlaveReply> Client::add_slave(const api::NewSlave& request) {
  auto body = written(request);
  if (!body) return std::unexpected(std::move(body).error());
  return reply<api::SlaveReply>(connection_->ask(question(http::verb::post, "/v1/slaves", std::move(*body))));
}

Result<void> Client::change_slave(SlaveId id, const api::SlaveChange& request) {
  auto body = written(request);
  if (!body) return std::unexpected(std::move(body).error());
  return success(connection_->ask(question(http::verb::patch, target::slave(id), std::move(*body))));
}

Result<void> Client::delete_slave(SlaveId id) {
  return success(connection_->ask(question(http::verb::delete_, target::slave(id))));
}

Result<void> Client::add_address(SlaveId id, const api::NewAddress& request) {
  auto body = written(request);
  if (!body) return std::unexpected(std::move(body).error());
  return success(connection_->ask(question(http::verb::post, target::addresses(id), std::move(*body))));
}

Result<void> Client::delete_address(SlaveId id, const IpAddress& address) {
  return success(connection_->ask(question(http::verb::delete_, target::address(id, address))));
}

Result<api::StatsReply> Client::stats(SlaveId id) {
  return reply<api::StatsReply>(connection_->ask(question(http::verb::get, target::stats(id))));
}

Result<api::DropsReply> Client::drops() {
  return reply<api::DropsReply>(connection_->ask(question(http::verb::get, "/v1/drops")));
}

Result<std::string> Client::metrics() {
  return text(connection_->ask(question(http::verb::get, "/metrics")));
}

Result<std::vector<api::FindingReply>> Client::check() {
  return reply<std::vector<api::FindingReply>>(connection_->ask(question(http::verb::get, "/v1/check")));
}

Result<std::string> Client::save() {
  return text(connection_->ask(question(http::verb::get, "/v1/save")));
}

Result<api::AppliedReply> Client::apply(std::string document) {
  return reply<api::AppliedReply>(
      connection_->ask(question(http::verb::post, "/v1/apply", std::move(document))));
}

Result<api::ReloadedReply> Client::reload() {
  return reply<api::ReloadedReply>(connection_->ask(question(http::verb::post, "/v1/reload")));
}

}  // namespace ipvlanx
