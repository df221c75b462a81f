// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/tables.h"

namespace ipvlanx {

namespace {

// In l3s frames take the host's stack first, whoever they are for.
Xdp needed_xdp(const Port& port, const Crowd& slaves) {
  if (port.xdp != Xdp::auto_) return port.xdp;
  if (port.mode == Mode::l3s) return Xdp::off;
  if (slaves.direct) return Xdp::any;
  return slaves.afxdp ? Xdp::auto_ : Xdp::off;
}

}  // namespace

PortRow port_row(const Port& port, const Crowd& slaves) {
  return {.master = port.master,
          .mode = port.mode,
          .flag = port.flag,
          .strict_private = port.strict_private,
          .slots = slaves.slots,
          .mac = port.mac,
          .mtu = port.mtu,
          .xdp = needed_xdp(port, slaves)};
}

SlaveRow slave_row(const Port& port, const Slave& slave) {
  return {.host_end = slave.ends.host_end,
          .slave = slave.id,
          .master = port.master,
          .mode = port.mode,
          .flag = port.flag,
          .mac = port.mac};
}

MemberRow member_row(const Slave& slave) {
  return {.master = slave.master, .slot = slave.slot, .host_end = slave.ends.host_end, .slave = slave.id};
}

Way way_into(const Ends& ends, Via via) {
  if (via == Via::afxdp) return Way::to_sockets;
  if (via == Via::direct) return Way::direct;
  return ends.container_end.netns ? Way::by_peer : Way::by_host_end;
}

AddressRow address_row(const Port& port, const AddressKey& key, const Slave& slave) {
  return {.address = key,
          .slave = slave.id,
          .host_end = slave.ends.host_end,
          .container_end = slave.ends.container_end.ifindex,
          .mode = port.mode,
          .way = way_into(slave.ends, slave.via),
          .mac = port.mac};
}

void add_slave_rows(Tables& tables, const Port& port, const Slave& slave) {
  const SlaveRow row = slave_row(port, slave);
  tables.slaves.emplace(row.key(), row);
  if (!slave.up || port.mode != Mode::l2) return;
  const MemberRow member = member_row(slave);
  tables.members.emplace(member.key(), member);
}

void add_address_rows(Tables& tables, const Port& port, const AddressKey& key, const Slave& slave) {
  tables.addresses.emplace(key, address_row(port, key, slave));
  if (port.mode == Mode::l2 || key.address.is_link_local()) return;
  const auto enter = [&](const RouteRow& route) { tables.routes.emplace(route.key(), route); };
  if (port.mode == Mode::l3s) enter({slave.ends.host_end, key.address, port.master});
  if (slave.find(key.address)->origin == Origin::api) enter({slave.ends.host_end, key.address});
}

Tables tables_of(const State& state, const Port& port) {
  Tables tables;
  if (is_away(port.master)) return tables;
  const auto slaves = state.slaves_of(port.master);
  if (!slaves.empty())
    tables.ports.emplace(port.master, port_row(port, {.slots = state.slots(port.master),
                                                      .afxdp = state.has(port.master, Via::afxdp),
                                                      .direct = state.has(port.master, Via::direct)}));
  for (const SlaveId id : slaves) {
    const Slave& slave = *state.slave(id);
    add_slave_rows(tables, port, slave);
    for (const Address& address : slave.addresses) {
      if (state.state_of(slave, address) != AddressState::active) continue;
      add_address_rows(tables, port, {slave.master, address.prefix.address}, slave);
    }
  }
  return tables;
}

Tables tables_of(const State& state) {
  Tables tables;
  for (const auto& [master, port] : state.ports()) {
    Tables part = tables_of(state, port);
    tables.ports.merge(part.ports);
    tables.slaves.merge(part.slaves);
    tables.members.merge(part.members);
    tables.addresses.merge(part.addresses);
    tables.routes.merge(part.routes);
  }
  return tables;
}

}  // namespace ipvlanx
