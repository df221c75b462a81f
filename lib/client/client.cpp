// SPDX-License-Identifier: Apache-2.0
// One question, one answer: HTTP over the unix socket, and JSON to types.
#include "ipvlanx/client.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ipvlanx/api/problem.h"
#include "target.h"
#include "wire.h"

namespace ipvlanx {

namespace {

namespace http = boost::beast::http;
using wire::Answer;
using wire::question;

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

class Client::Connection : public wire::Connection {
 public:
  using wire::Connection::Connection;
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

Result<void> Client::health() {
  return success(connection_->ask(question(http::verb::get, "/v1/health")));
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

Result<api::TraceReply> Client::trace(const api::TraceRequest& request) {
  auto body = written(request);
  if (!body) return std::unexpected(std::move(body).error());
  return reply<api::TraceReply>(connection_->ask(question(http::verb::post, "/v1/trace", std::move(*body))));
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
