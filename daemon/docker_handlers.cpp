// SPDX-License-Identifier: Apache-2.0
// What each message of Docker's engine does. What the engine shall tell its user is an answer
// with a sentence in it, not an HTTP error.
#include "docker.h"
#include "handlers.h"
#include "ipvlanx/api/replies.h"

namespace ipvlanx::daemon {

namespace {

using nlohmann::json;

Reply told(const json& document) {
  return {.status = 200, .content_type = docker::kMimeType, .body = api::to_text(document) + "\n"};
}

Result<Reply> refused(const Error& error) {
  if (docker::is_undecodable(error)) return std::unexpected(error);
  Reply reply = told(docker::refusal(error));
  reply.refusal = error;
  return reply;
}

Result<Reply> whether(const Result<void>& done) {
  return done ? told(json::object()) : refused(done.error());
}

// To what needs nothing done.
Result<Reply> just_say(const Call& call, const json& document) {
  const auto understood = docker::read_anything(call.body);
  return understood ? told(document) : refused(understood.error());
}

}  // namespace

Result<Reply> docker_activate(const Call& call) {
  return just_say(call, {{"Implements", {"NetworkDriver"}}});
}

Result<Reply> docker_get_capabilities(const Call& call) {
  return just_say(call, {{"Scope", "local"}, {"ConnectivityScope", "local"}, {"GwAllocChecker", true}});
}

// Only in l2 do containers have a gateway; else no address of the pool is lost to one.
Result<Reply> docker_check_gateways(const Call& call) {
  const auto options = docker::read_network_options(call.body);
  if (!options) return refused(options.error());
  const bool none = options->mode != Mode::l2 || options->internal;
  return told({{"SkipIPv4", none}, {"SkipIPv6", none}});
}

Result<Reply> docker_create_network(const Call& call) {
  const auto network = docker::read_new_network(call.body);
  if (!network) return refused(network.error());
  return whether(call.docker.create_network(*network));
}

Result<Reply> docker_delete_network(const Call& call) {
  const auto id = docker::read_network(call.body);
  if (!id) return refused(id.error());
  return whether(call.docker.delete_network(*id));
}

Result<Reply> docker_create_endpoint(const Call& call) {
  const auto endpoint = docker::read_new_endpoint(call.body);
  if (!endpoint) return refused(endpoint.error());
  const auto created = call.docker.create_endpoint(*endpoint);
  return created ? told({{"Interface", json::object()}}) : refused(created.error());
}

Result<Reply> docker_delete_endpoint(const Call& call) {
  const auto endpoint = docker::read_endpoint(call.body);
  if (!endpoint) return refused(endpoint.error());
  return whether(call.docker.delete_endpoint(*endpoint));
}

Result<Reply> docker_describe_endpoint(const Call& call) {
  const auto endpoint = docker::read_endpoint(call.body);
  if (!endpoint) return refused(endpoint.error());
  return told({{"Value", json::object()}});
}

Result<Reply> docker_join(const Call& call) {
  const auto endpoint = docker::read_endpoint(call.body);
  if (!endpoint) return refused(endpoint.error());
  const auto joined = call.docker.join(*endpoint);
  return joined ? told(docker::to_json(*joined)) : refused(joined.error());
}

// The engine brings the interface back, and then deletes the endpoint.
Result<Reply> docker_leave(const Call& call) {
  const auto endpoint = docker::read_endpoint(call.body);
  if (!endpoint) return refused(endpoint.error());
  return told(json::object());
}

Result<Reply> docker_take_note(const Call& call) {
  return just_say(call, json::object());
}

}  // namespace ipvlanx::daemon
