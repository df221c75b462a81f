// SPDX-License-Identifier: Apache-2.0
#include "restore.h"

#include <algorithm>

#include "state_file.h"

namespace ipvlanx {

namespace {

// The addresses a slave had steered to it when the daemon before us ended come
// first, so that no conflict changes hands by a restart; those of the API next.
AddressList known_addresses(const SavedSlave& saved, const SlaveLink& link, const Tables& tables) {
  AddressList addresses;
  for (const Prefix& prefix : saved.addresses) addresses.push_back({prefix, Origin::api});
  if (saved.addr_policy == AddrPolicy::static_) return addresses;
  for (const Prefix& prefix : link.addresses) {
    const auto row = tables.addresses.find({saved.master, prefix.address});
    const bool ours = row != tables.addresses.end() && row->second.slave == saved.id;
    if (ours && !addresses.find(prefix.address)) addresses.push_back({prefix, Origin::learnt});
  }
  return addresses;
}

Slave known_slave(const SavedSlave& saved, IfIndex host_end, const SlaveLink& link, const Tables& tables) {
  return {.id = saved.id,
          .master = saved.master,
          .name = link.name,
          .ends = {host_end, link.place},
          .mac = link.mac,
          .mtu = link.mtu,
          .up = link.up,
          .slot = saved.slot,
          .addr_policy = saved.addr_policy,
          .max_addresses = saved.max_addresses,
          .addresses = known_addresses(saved, link, tables),
          .silent = link.silent};
}

// Whether the saved number is that master's still. Where the data path has a row its program
// is on the interface, whatever the interface is called by now.
Result<bool> is_here(Links& links, const SavedPort& port, const Tables& tables) {
  if (is_away(port.master)) return false;
  if (tables.ports.contains(port.master)) return true;
  const auto link = links.master(port.master);
  if (link) return link->name == port.name;
  if (link.error().code != Errc::no_such_master) return std::unexpected(link.error());
  return false;
}

// The ports as the data path was told of them last: what of a master changed since, the
// controller finds out next, and where one that is away may be. Returns their numbers, by
// the saved ones.
Result<std::map<IfIndex, IfIndex>> restore_ports(Links& links, const SavedState& saved, const Tables& tables,
                                                 State& state) {
  std::map<IfIndex, IfIndex> numbers;
  for (const SavedPort& port : saved.ports) {
    const auto here = is_here(links, port, tables);
    if (!here) return std::unexpected(here.error());
    const IfIndex master = *here ? port.master : state.free_away();
    numbers.emplace(port.master, master);
    const auto row = tables.ports.find(master);
    const bool known = row != tables.ports.end();
    state.put(Port{.master = master,
                   .name = port.name,
                   .mode = port.mode,
                   .flag = port.flag,
                   .mac = known ? row->second.mac : port.mac,
                   .mtu = known ? row->second.mtu : port.mtu,
                   .carrier = port.carrier,
                   .strict_private = port.strict_private,
                   .announce = port.announce,
                   .kept = port.kept});
  }
  return numbers;
}

}  // namespace

Result<Restored> restore(Links& links, Datapath& datapath, const std::string& state_path) {
  const auto saved = read_state(state_path);
  if (!saved) return std::unexpected(saved.error());
  auto tables = datapath.tables();
  if (!tables) return std::unexpected(tables.error());
  const auto routes = links.routes();
  if (!routes) return std::unexpected(routes.error());
  for (const RouteRow& route : *routes) tables->routes.emplace(route.key(), route);
  const auto host_ends = links.host_ends();
  if (!host_ends) return std::unexpected(host_ends.error());

  Restored restored;
  State& state = restored.state;
  const auto numbers = restore_ports(links, *saved, *tables, state);
  if (!numbers) return std::unexpected(numbers.error());

  for (SavedSlave slave : saved->slaves) {
    const auto host_end = host_ends->find(slave.id);
    const auto master = numbers->find(slave.master);
    if (master != numbers->end() && host_end != host_ends->end()) {
      slave.master = master->second;
      const auto link = links.look(host_end->second);
      if (link) {
        state.put(known_slave(slave, host_end->second, *link, *tables));
        continue;
      }
      if (link.error().code != Errc::no_such_slave) return std::unexpected(link.error());
    }
    restored.events.push_back({.type = EventType::slave_removed,
                               .slave = slave.id,
                               .detail = "it was gone when the daemon started"});
  }
  state.set_last_id(saved->last_id);
  for (const auto& [master, port] : std::map{state.ports()}) {
    if (!port.kept && state.count_slaves(master) == 0) state.drop_port(master);
  }

  const Tables wanted = tables_of(state);
  for (const auto& [master, row] : tables->ports) {
    if (wanted.ports.contains(master)) restored.in_force.emplace(master, row.mode);
  }
  Difference difference = ipvlanx::difference(*tables, wanted);
  restored.steps = std::move(difference.withdrawals);
  std::ranges::move(difference.entries, std::back_inserter(restored.steps));
  std::ranges::move(difference.closing, std::back_inserter(restored.steps));
  return restored;
}

}  // namespace ipvlanx
