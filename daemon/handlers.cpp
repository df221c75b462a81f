// SPDX-License-Identifier: Apache-2.0
#include "handlers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <optional>
#include <span>

#include "event_feed.h"
#include "ipvlanx/api/replies.h"
#include "ipvlanx/base/number.h"
#include "ipvlanx/control/apply.h"
#include "ipvlanx/control/netns_names.h"
#include "ipvlanx/control/trace.h"
#include "ipvlanx/netlink/host_check.h"

namespace ipvlanx::daemon {

namespace {

using nlohmann::json;

// The slave that the path's {id} names.
Result<const Slave*> named_slave(const Call& call) {
  const std::string& text = call.arguments[0];
  const auto id = whole_number<std::uint32_t>(text);
  const Slave* slave = id ? call.controller.state().slave(SlaveId{*id}) : nullptr;
  if (!slave) return fail(Errc::no_such_slave, fmt::format("there is no slave '{}'", text));
  return slave;
}

api::SlaveReply describe(Controller& controller, const Slave& slave) {
  return api::slave_reply(controller.state(), slave, controller.netns_name(slave));
}

// After a change: what the slave is now.
Result<api::SlaveReply> describe(Controller& controller, SlaveId id) {
  const Slave* slave = controller.state().slave(id);
  if (!slave) return fail(Errc::no_such_slave, fmt::format("slave {} is gone already", number(id)));
  return describe(controller, *slave);
}

api::PortReply describe(Controller& controller, const Port& port) {
  const XdpState xdp = controller.xdp(port);
  return api::port_reply(controller.state(), port,
                         {.wanted = std::string{to_string(port.xdp)},
                          .attached = std::string{to_string(xdp.attached)},
                          .why = xdp.why.empty() ? std::nullopt : std::optional{xdp.why}});
}

api::TrafficReply traffic_reply(const Traffic& traffic) {
  return {.packets = traffic.packets,
          .bytes = traffic.bytes,
          .multicast = traffic.multicast,
          .dropped = traffic.dropped};
}

// Whether the query asks for what has this value, or asks nothing of the kind.
bool wanted(const Call& call, const std::string& parameter, std::string_view value) {
  const auto asked = call.query.find(parameter);
  return asked == call.query.end() || asked->second == value;
}

// The address that the path names, with the length the slave has it with, if one is given.
Result<IpAddress> named_address(const Slave& slave, const std::string& text) {
  if (text.find('/') == text.npos) return IpAddress::parse(text);
  const auto prefix = Prefix::parse(text);
  if (!prefix) return std::unexpected(prefix.error());
  const Address* address = slave.find(prefix->address);
  if (!address || address->prefix != *prefix) {
    return fail(Errc::no_such_address, fmt::format("slave '{}' has no address '{}'", slave.name.str(), text));
  }
  return prefix->address;
}

api::VersionReply version() {
  utsname kernel{};
  ::uname(&kernel);
  return {.version = IPVLANX_VERSION, .api = "v1", .kernel = kernel.release};
}

// Whether the path's {master} may name one at all.
Result<IfName> named_master(const Call& call) {
  auto master = IfName::parse(call.arguments[0]);
  if (!master) return std::unexpected(std::move(master.error()).at("master"));
  return master;
}

std::string_view to_string(Fate::Kind kind) {
  switch (kind) {
    case Fate::Kind::slave:
      return "slave";
    case Fate::Kind::host:
      return "host";
    case Fate::Kind::routed:
      return "routed";
    case Fate::Kind::wire:
      return "wire";
    case Fate::Kind::dropped:
      break;
  }
  return "dropped";
}

std::string hex(std::span<const std::uint8_t> frame) {
  return fmt::format("{:02x}", fmt::join(frame, ""));
}

}  // namespace

Result<Reply> get_version(const Call&) {
  return json_reply(200, version());
}

Result<Reply> get_health(const Call&) {
  return json_reply(200, {{"status", "ok"}});
}

Result<Reply> get_check(const Call&) {
  json findings = json::array();
  for (const Finding& finding : check_host()) {
    findings.push_back(api::FindingReply{finding.id, std::string{to_string(finding.state)}, finding.detail});
  }
  return json_reply(200, findings);
}

Result<Reply> get_metrics(const Call& call) {
  const auto all = call.controller.all_stats();
  if (!all) return std::unexpected(all.error());
  return Reply{.status = 200,
               .content_type = "text/plain; version=0.0.4; charset=utf-8",
               .body = metrics(version(), call.controller.state(), *all, call.times)};
}

Result<Reply> list_ports(const Call& call) {
  const State& state = call.controller.state();
  json ports = json::array();
  for (const auto& [master, port] : state.ports()) ports.push_back(describe(call.controller, port));
  return json_reply(200, ports);
}

Result<Reply> get_port(const Call& call) {
  const State& state = call.controller.state();
  const Port* port = state.port_named(call.arguments[0]);
  if (!port) return fail(Errc::no_such_port, fmt::format("'{}' is no port", call.arguments[0]));
  return json_reply(200, describe(call.controller, *port));
}

Result<Reply> change_port(const Call& call) {
  const auto master = named_master(call);
  if (!master) return std::unexpected(master.error());
  const auto request = api::read_port_change(call.body);
  if (!request) return std::unexpected(request.error());
  const auto done = call.controller.change_port(*master, *request);
  if (!done) return std::unexpected(done.error());
  return get_port(call);
}

Result<Reply> delete_port(const Call& call) {
  const auto master = named_master(call);
  if (!master) return std::unexpected(master.error());
  const auto done = call.controller.delete_port(*master);
  if (!done) return std::unexpected(done.error());
  return no_content();
}

Result<Reply> flush_port(const Call& call) {
  const auto master = named_master(call);
  if (!master) return std::unexpected(master.error());
  if (auto nothing = api::read_nothing(call.body); !nothing) return std::unexpected(nothing.error());
  const auto done = call.controller.flush_port(*master);
  if (!done) return std::unexpected(done.error());
  return get_port(call);
}

Result<Reply> list_slaves(const Call& call) {
  const State& state = call.controller.state();
  NetnsNames netnses{call.controller};
  json slaves = json::array();
  for (const auto& [id, slave] : state.slaves()) {
    const Port* port = state.port(slave.master);
    if (!wanted(call, "master", port ? port->name.str() : "")) continue;
    if (!wanted(call, "name", slave.name.str())) continue;
    // Last: to find a namespace's name may take looking at all processes.
    const auto& netns = netnses.of(slave);
    if (wanted(call, "netns", netns.value_or(""))) slaves.push_back(api::slave_reply(state, slave, netns));
  }
  return json_reply(200, slaves);
}

Result<Reply> add_slave(const Call& call) {
  const auto request = api::read_new_slave(call.body);
  if (!request) return std::unexpected(request.error());
  const auto id = call.controller.add_slave(*request);
  if (!id) return std::unexpected(id.error());
  const auto slave = describe(call.controller, *id);
  if (!slave) return std::unexpected(slave.error());

  Reply reply = json_reply(201, *slave);
  reply.headers.emplace_back("Location", fmt::format("/v1/slaves/{}", number(*id)));
  return reply;
}

Result<Reply> get_slave(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  return json_reply(200, describe(call.controller, **slave));
}

Result<Reply> change_slave(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  const SlaveId id = (*slave)->id;
  const auto request = api::read_slave_change(call.body);
  if (!request) return std::unexpected(request.error());
  const auto done = call.controller.change_slave(id, *request);
  if (!done) return std::unexpected(done.error());

  const auto changed = describe(call.controller, id);
  if (!changed) return std::unexpected(changed.error());
  return json_reply(200, *changed);
}

Result<Reply> delete_slave(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  const auto done = call.controller.delete_slave((*slave)->id);
  if (!done) return std::unexpected(done.error());
  return no_content();
}

Result<Reply> get_slave_stats(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  const auto stats = call.controller.stats((*slave)->id);
  if (!stats) return std::unexpected(stats.error());
  return json_reply(
      200,
      api::StatsReply{.rx = traffic_reply(stats->rx), .tx = traffic_reply(stats->tx), .drops = stats->drops});
}

Result<Reply> get_drops(const Call& call) {
  auto all = call.controller.all_stats();
  if (!all) return std::unexpected(all.error());
  const State& state = call.controller.state();
  NetnsNames netnses{call.controller};
  api::DropsReply reply{.host = std::move(all->drops)};
  for (auto& [id, stats] : all->slaves) {
    const Slave* slave = state.slave(id);
    if (!slave || stats.drops.empty()) continue;
    const Port* port = state.port(slave->master);
    reply.slaves.push_back({.id = number(id),
                            .name = slave->name.str(),
                            .netns = netnses.of(*slave),
                            .master = port ? port->name.str() : "",
                            .drops = std::move(stats.drops)});
  }
  return json_reply(200, reply);
}

Result<Reply> trace_packet(const Call& call) {
  const auto request = api::read_trace(call.body);
  if (!request) return std::unexpected(request.error());
  const auto traced = trace(call.controller, *request);
  if (!traced) return std::unexpected(traced.error());
  const Fate& fate = traced->fate;

  api::TraceReply reply{.verdict = std::string{to_string(fate.kind)},
                        .copies = fate.copies,
                        .detail = traced->detail,
                        .before = hex(traced->frame),
                        .after = hex(fate.frame)};
  if (fate.kind == Fate::Kind::dropped) reply.reason = fate.reason;
  const Slave* slave = fate.slave ? call.controller.state().slave(*fate.slave) : nullptr;
  if (slave) {
    reply.slave = {
        .id = number(slave->id), .name = slave->name.str(), .netns = call.controller.netns_name(*slave)};
  }
  return json_reply(200, reply);
}

Result<Reply> add_address(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  const SlaveId id = (*slave)->id;
  const auto request = api::read_new_address(call.body);
  if (!request) return std::unexpected(request.error());
  const auto done = call.controller.add_address(id, *request);
  if (!done) return std::unexpected(done.error());

  const auto changed = describe(call.controller, id);
  if (!changed) return std::unexpected(changed.error());
  return json_reply(201, changed->addresses);
}

Result<Reply> delete_address(const Call& call) {
  const auto slave = named_slave(call);
  if (!slave) return std::unexpected(slave.error());
  const auto address = named_address(**slave, call.arguments[1]);
  if (!address) return std::unexpected(address.error());
  const auto done = call.controller.delete_address((*slave)->id, *address);
  if (!done) return std::unexpected(done.error());
  return no_content();
}

Result<Reply> save_document(const Call& call) {
  return Reply{.status = 200, .content_type = "application/json", .body = api::write(save(call.controller))};
}

Result<Reply> apply_document(const Call& call) {
  const auto document = api::read_document(call.body);
  if (!document) return std::unexpected(document.error());
  const auto applied = apply(call.controller, *document);
  if (!applied) return std::unexpected(applied.error());
  return json_reply(200, api::AppliedReply{.created = applied->created, .changed = applied->changed});
}

Result<Reply> reload_settings(const Call& call) {
  if (const auto nothing = api::read_nothing(call.body); !nothing) return std::unexpected(nothing.error());
  const auto change = call.reload();
  if (!change) return std::unexpected(change.error());
  return json_reply(200, api::ReloadedReply{.changed = change->at_once, .needs_restart = change->by_restart});
}

Result<Reply> follow_events(const Call& call) {
  Reply reply{.content_type = "application/x-ndjson", .then = Then::events};
  const auto since = call.query.find("since");
  if (since == call.query.end()) return reply;

  const auto seq = whole_number<std::uint64_t>(since->second);
  if (!seq) return fail(Errc::wrong_type, fmt::format("'{}' is not a number", since->second), "since");
  const auto past = call.controller.events().since(*seq);
  if (!past) return std::unexpected(past.error());
  for (const LoggedEvent& event : *past) reply.body += event_line(event);
  return reply;
}

}  // namespace ipvlanx::daemon
