// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace ipvlanx {

namespace {

// Somebody on the wire: a locally administered address that nobody has, and RFC 5737's and RFC
// 3849's.
constexpr MacAddress kStranger{{0x02, 0x69, 0x70, 0x76, 0x6c, 0x78}};
constexpr const char* kStranger4 = "192.0.2.1";
constexpr const char* kStranger6 = "2001:db8::1";
constexpr std::uint16_t kSport = 49152;  // RFC 6335: the first ephemeral one
constexpr std::uint16_t kDport = 9;      // discard

Result<const Port*> named_port(const State& state, const IfName& master) {
  const Port* port = state.port_named(master.str());
  if (!port) return fail(Errc::no_such_master, fmt::format("'{}' is no port", master.str()), "master");
  if (is_away(port->master)) {
    return fail(Errc::no_such_master, fmt::format("'{}' is not there: its port waits for it", master.str()),
                "master");
  }
  return port;
}

// Who sends it; null: somebody on the wire.
Result<const Slave*> sender(const State& state, const Port& port, const api::TraceRequest& request) {
  if (!request.slave) return nullptr;
  const Slave* slave = state.slave(*request.slave);
  if (!slave || slave->master != port.master) {
    return fail(Errc::no_such_slave,
                fmt::format("there is no slave {} on '{}'", number(*request.slave), port.name.str()),
                "slave");
  }
  return slave;
}

// One of the same scope, if there is one.
Result<IpAddress> source(const Slave* slave, const api::TraceRequest& request) {
  const Family family = request.dst.family();
  if (request.src) return *request.src;
  if (!slave) return IpAddress::parse(family == Family::ipv4 ? kStranger4 : kStranger6);
  const Address* best = nullptr;
  for (const Address& address : slave->addresses) {
    const IpAddress& ip = address.prefix.address;
    if (ip.family() != family) continue;
    if (!best || ip.is_link_local() == request.dst.is_link_local()) best = &address;
    if (ip.is_link_local() == request.dst.is_link_local()) break;
  }
  if (best) return best->prefix.address;
  return fail(Errc::missing_field,
              fmt::format("slave '{}' has no IPv{} address: 'src' has to be said", slave->name.str(),
                          family == Family::ipv4 ? 4 : 6),
              "src");
}

bool is_broadcast_to(const Slave& slave, const IpAddress& ip) {
  return std::ranges::any_of(slave.addresses,
                             [&](const Address& address) { return is_broadcast_of(address.prefix, ip); });
}

bool is_broadcast_to(const State& state, const Port& port, const IpAddress& ip) {
  return std::ranges::any_of(state.slaves_of(port.master),
                             [&](SlaveId id) { return is_broadcast_to(*state.slave(id), ip); });
}

// Somebody answers who has it: a slave that is up.
bool is_siblings(const State& state, const Port& port, const IpAddress& ip) {
  return std::ranges::any_of(state.claimants({port.master, ip}), [&](SlaveId id) {
    const Slave* slave = state.slave(id);
    return state.state_of(*slave, *slave->find(ip)) == AddressState::active;
  });
}

// In l3 and l3s the interface asks nobody (NOARP): its own address is on all that is no multicast.
MacAddress slaves_destination(const State& state, const Port& port, const Slave& slave, const IpAddress& ip) {
  if (port.mode != Mode::l2) return slave.mac;
  if (is_broadcast(ip) || is_broadcast_to(slave, ip)) return kBroadcastMac;
  return is_siblings(state, port, ip) ? port.mac : kStranger;
}

MacAddress destination(const State& state, const Port& port, const Slave* slave,
                       const api::TraceRequest& request) {
  const IpAddress& ip = request.dst;
  if (request.proto == Proto::arp) return kBroadcastMac;
  if (ip.is_multicast()) return group_mac(ip);
  if (slave) return slaves_destination(state, port, *slave, ip);
  return is_broadcast(ip) || is_broadcast_to(state, port, ip) ? kBroadcastMac : port.mac;
}

// Those of packets that a trace can be of.
std::string_view why_dropped(std::string_view reason) {
  if (reason == "private") return "the port's flag private keeps its slaves apart";
  if (reason == "group") return "in l3 and l3s a slave sends no broadcast or multicast";
  return reason;
}

std::string who(const State& state, SlaveId id) {
  const Slave* slave = state.slave(id);
  return slave ? fmt::format("slave '{}'", slave->name.str()) : fmt::format("slave {}", number(id));
}

std::string what_happens(const State& state, const Port& port, const Fate& fate) {
  switch (fate.kind) {
    case Fate::Kind::slave:
      return fmt::format("{} gets it", who(state, *fate.slave));
    case Fate::Kind::host:
      return "the host gets it";
    case Fate::Kind::routed:
      return fmt::format("the host routes it{}, if its netfilter lets it pass",
                         fate.slave ? " to " + who(state, *fate.slave) : "");
    case Fate::Kind::wire:
      return fmt::format("it leaves by '{}'", port.name.str());
    case Fate::Kind::dropped:
      break;
  }
  return fmt::format("it is dropped: {}", why_dropped(fate.reason));
}

std::string sentence(const State& state, const Port& port, const Fate& fate) {
  std::string text = what_happens(state, port, fate);
  if (fate.copies == 1) text += ", and one slave a copy";
  if (fate.copies > 1) text += fmt::format(", and {} slaves a copy each", fate.copies);
  return text;
}

}  // namespace

Result<Traced> trace(Controller& controller, const api::TraceRequest& request) {
  const State& state = controller.state();
  const auto named = named_port(state, request.master);
  if (!named) return std::unexpected(named.error());
  const Port& port = **named;
  const auto sent_by = sender(state, port, request);
  if (!sent_by) return std::unexpected(sent_by.error());
  const Slave* slave = *sent_by;
  const auto from = source(slave, request);
  if (!from) return std::unexpected(from.error());

  const auto frame = frame_of({.to_mac = destination(state, port, slave, request),
                               .from_mac = slave ? slave->mac : kStranger,
                               .to = request.dst,
                               .from = *from,
                               .proto = request.proto,
                               .from_port = static_cast<std::uint16_t>(request.sport.value_or(kSport)),
                               .to_port = static_cast<std::uint16_t>(request.dport.value_or(kDport))});
  auto fate = slave ? controller.trace(Entrance::host_end, slave->ends.host_end, frame)
                    : controller.trace(Entrance::master, port.master, frame);
  if (!fate) return std::unexpected(std::move(fate.error()));
  std::string detail = sentence(state, port, *fate);
  return Traced{frame, *std::move(fate), std::move(detail)};
}

}  // namespace ipvlanx
