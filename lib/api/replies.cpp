// SPDX-License-Identifier: Apache-2.0
// What the API says of a slave or a port: the state's values in the API's words.
#include "ipvlanx/api/replies.h"

namespace ipvlanx::api {

SlaveReply slave_reply(const State& state, const Slave& slave, std::optional<std::string> netns_name) {
  SlaveReply reply{.id = number(slave.id),
                   .name = slave.name.str(),
                   .netns = std::move(netns_name),
                   .mac = to_string(slave.mac),
                   .mtu = slave.mtu,
                   .up = slave.up,
                   .via = std::string{to_string(slave.via)},
                   .addr_policy = std::string{to_string(slave.addr_policy)},
                   .max_addresses = slave.max_addresses};
  if (slave.ends.container_end.ifindex != IfIndex{}) reply.ifindex = number(slave.ends.container_end.ifindex);
  if (const Port* port = state.port(slave.master)) {
    reply.master = port->name.str();
    reply.mode = to_string(port->mode);
    reply.flag = to_string(port->flag);
  }
  for (const Address& address : slave.addresses) {
    reply.addresses.push_back({.address = to_string(address.prefix),
                               .origin = std::string{to_string(address.origin)},
                               .state = std::string{to_string(state.state_of(slave, address))}});
  }
  return reply;
}

PortReply port_reply(const State& state, const Port& port, XdpReply xdp) {
  return {.master = port.name.str(),
          .ifindex = is_away(port.master) ? std::nullopt : std::optional{number(port.master)},
          .mode = std::string{to_string(port.mode)},
          .flag = std::string{to_string(port.flag)},
          .mac = to_string(port.mac),
          .mtu = port.mtu,
          .options = {.strict_private = port.strict_private, .announce = port.announce},
          .xdp = std::move(xdp),
          .slaves = static_cast<std::uint32_t>(state.count_slaves(port.master))};
}

}  // namespace ipvlanx::api
