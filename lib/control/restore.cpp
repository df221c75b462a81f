// SPDX-License-Identifier: Apache-2.0
#include "restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace ipvlanx {

namespace {

// What the kernel and the data path hold.
struct Found {
  Tables tables;
  std::map<SlaveId, IfIndex> host_ends;
  std::set<SlaveId> served;  // by AF_XDP
};

Result<Found> look_around(Links& links, Datapath& datapath) {
  auto tables = datapath.tables();
  if (!tables) return std::unexpected(tables.error());
  const auto routes = links.routes();
  if (!routes) return std::unexpected(routes.error());
  for (const RouteRow& route : *routes) tables->routes.emplace(route.key(), route);
  auto host_ends = links.host_ends();
  if (!host_ends) return std::unexpected(host_ends.error());
  auto served = datapath.served();
  if (!served) return std::unexpected(served.error());
  return Found{
      .tables = *std::move(tables), .host_ends = *std::move(host_ends), .served = *std::move(served)};
}

// The slave behind the host end; nullopt: it is gone.
Result<std::optional<SlaveLink>> look(Links& links, IfIndex host_end) {
  auto link = links.look(host_end);
  if (link) return *std::move(link);
  if (link.error().code == Errc::no_such_slave) return std::nullopt;
  return std::unexpected(link.error());
}

// The same of a master.
Result<std::optional<MasterLink>> look_at_master(Links& links, IfIndex master) {
  auto link = links.master(master);
  if (link) return *std::move(link);
  if (link.error().code == Errc::no_such_master) return std::nullopt;
  return std::unexpected(link.error());
}

// -------------------------------------------------------------- by the state on disk

// The addresses a slave had steered to it when the daemon before us ended come
// first, so that no conflict changes hands by a restart; those of the API next.
AddressList known_addresses(const SavedSlave& saved, const SlaveLink& link, const Tables& tables) {
  AddressList addresses;
  for (const Prefix& prefix : saved.addresses) addresses.push_back({prefix, Origin::api});
  for (const Prefix& prefix : saved.held) addresses.push_back({prefix, Origin::learnt});
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
          .via = saved.via,
          .addr_policy = saved.addr_policy,
          .max_addresses = saved.max_addresses,
          .owner = saved.owner,
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
  for (const auto& [number, port] : saved.ports) {
    const auto here = is_here(links, port, tables);
    if (!here) return std::unexpected(here.error());
    const IfIndex master = *here ? number : state.free_away();
    numbers.emplace(number, master);
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
                   .xdp = port.xdp,
                   .kept = port.kept});
  }
  return numbers;
}

Result<void> restore_slaves(Links& links, const SavedState& saved, const std::map<IfIndex, IfIndex>& numbers,
                            const Found& found, Restored& restored) {
  State& state = restored.state;
  for (auto [id, slave] : saved.slaves) {
    const auto host_end = found.host_ends.find(id);
    const auto master = numbers.find(slave.master);
    if (master != numbers.end() && host_end != found.host_ends.end()) {
      const auto link = look(links, host_end->second);
      if (!link) return std::unexpected(link.error());
      if (*link) {
        slave.master = master->second;
        state.put(known_slave(slave, host_end->second, **link, found.tables));
        restored.places.emplace(id, slave.place);
        continue;
      }
    }
    restored.events.push_back({.type = EventType::slave_removed,
                               .slave = id,
                               .name = slave.name.str(),
                               .detail = "it was gone when the daemon started"});
  }
  for (const auto& [master, port] : std::map{state.ports()}) {
    if (!port.kept && state.count_slaves(master) == 0) state.drop_port(master);
  }
  return {};
}

std::vector<WaitingPort> all_waiting(const SavedState& saved) {
  std::vector<WaitingPort> waiting = saved.waiting;
  for (const auto& [master, port] : saved.ports) {
    WaitingPort& one = waiting.emplace_back(port);
    for (const auto& [id, slave] : saved.slaves) {
      if (slave.master == master) one.slaves.push_back(slave);
    }
  }
  return waiting;
}

// Interfaces of slaves that nobody was told of: the daemon before us was killed while it made
// slaves again after a reboot, which is on disk when all are there.
std::vector<IfIndex> unknown_host_ends(const State& state, const Found& found) {
  std::vector<IfIndex> unknown;
  for (const auto& [id, host_end] : found.host_ends) {
    if (!state.slave(id)) unknown.push_back(host_end);
  }
  return unknown;
}

// ------------------------------------------------------------------ by the tables

Result<void> rebuild_ports(Links& links, const Tables& tables, State& state) {
  for (const auto& [master, row] : tables.ports) {
    const auto link = look_at_master(links, master);
    if (!link) return std::unexpected(link.error());
    if (!*link) continue;
    // Kept: else its options would end with its last slave.
    state.put(Port{.master = master,
                   .name = (*link)->name,
                   .mode = row.mode,
                   .flag = row.flag,
                   .mac = row.mac,
                   .mtu = row.mtu,
                   .carrier = (*link)->carrier,
                   .strict_private = row.strict_private,
                   .xdp = row.xdp == Xdp::native || row.xdp == Xdp::generic ? row.xdp : Xdp::auto_,
                   .kept = true});
  }
  return {};
}

// In l3 and l3s only an address of the API has a route in the host's main table. In l2
// there is nothing to tell them by, and nothing that one of the API has and a learnt one
// has not.
AddressList steered_addresses(SlaveId id, Mode mode, const SlaveLink& link, const Tables& tables) {
  AddressList addresses;
  for (const auto& [key, row] : tables.addresses) {
    if (row.slave != id) continue;
    const auto on_interface = std::ranges::find(link.addresses, key.address, &Prefix::address);
    const bool by_api = mode == Mode::l2 || tables.routes.contains({row.host_end, key.address, std::nullopt});
    addresses.push_back({on_interface != link.addresses.end()
                             ? *on_interface
                             : Prefix{key.address, static_cast<std::uint8_t>(key.address.bits())},
                         by_api ? Origin::api : Origin::learnt});
  }
  return addresses;
}

// Of one that has no address, as the more frequent.
Via via_of(SlaveId id, const Found& found) {
  if (!found.served.contains(id)) return Via::veth;
  for (const auto& [key, row] : found.tables.addresses) {
    if (row.slave == id && row.way == Way::direct) return Via::direct;
  }
  return Via::afxdp;
}

Result<void> rebuild_slaves(Links& links, const Found& found, State& state) {
  std::map<SlaveId, std::uint32_t> slots;
  for (const auto& [key, row] : found.tables.members) slots.emplace(row.slave, row.slot);
  std::vector<Slave> without_slot;
  for (const auto& [host_end, row] : found.tables.slaves) {
    const auto known = found.host_ends.find(row.slave);
    const Port* port = state.port(row.master);
    if (!port || known == found.host_ends.end() || known->second != host_end) continue;
    const auto link = look(links, host_end);
    if (!link) return std::unexpected(link.error());
    if (!*link) continue;
    Slave slave{.id = row.slave,
                .master = row.master,
                .name = (*link)->name,
                .ends = {host_end, (*link)->place},
                .mac = (*link)->mac,
                .mtu = (*link)->mtu,
                .up = (*link)->up,
                .via = via_of(row.slave, found),
                .addr_policy = AddrPolicy::static_,
                .addresses = steered_addresses(row.slave, port->mode, **link, found.tables)};
    slave.max_addresses = std::max(kDefaultMaxAddresses, static_cast<std::uint32_t>(slave.addresses.size()));
    const auto slot = slots.find(slave.id);
    if (slot == slots.end()) {
      without_slot.push_back(std::move(slave));
      continue;
    }
    slave.slot = slot->second;
    state.put(std::move(slave));
  }
  for (Slave& slave : without_slot) {
    slave.slot = state.free_slot(slave.master);
    state.put(std::move(slave));
  }
  // Interfaces without rows are left alone, so their ids are, too.
  if (!found.host_ends.empty()) state.set_last_id(found.host_ends.rbegin()->first);
  return {};
}

}  // namespace

Result<Restored> restore(Links& links, Datapath& datapath, const StateFile& file) {
  const auto saved = file.read();
  if (!saved && saved.error().code != Errc::bad_json) return std::unexpected(saved.error());
  const auto found = look_around(links, datapath);
  if (!found) return std::unexpected(found.error());

  Restored restored;
  State& state = restored.state;
  if (saved && *saved) {
    if ((*saved)->boot == file.boot()) {
      restored.waiting = (*saved)->waiting;
      const auto numbers = restore_ports(links, **saved, found->tables, state);
      if (!numbers) return std::unexpected(numbers.error());
      if (auto done = restore_slaves(links, **saved, *numbers, *found, restored); !done) {
        return std::unexpected(done.error());
      }
    } else {
      restored.waiting = all_waiting(**saved);
    }
    state.set_last_id((*saved)->last_id);
  } else {
    if (auto done = rebuild_ports(links, found->tables, state); !done) return std::unexpected(done.error());
    if (auto done = rebuild_slaves(links, *found, state); !done) return std::unexpected(done.error());
    std::string why = "there is no state file";
    if (!saved) {
      const auto kept = file.keep_aside();
      if (!kept) return std::unexpected(kept.error());
      why = fmt::format("{}; it is kept as '{}'", saved.error().message, *kept);
    }
    if (!saved || !state.slaves().empty()) {
      restored.events.push_back(
          {.type = EventType::state_refused,
           .detail = fmt::format("{}; {} slaves go on with the addresses they have, and learn no others", why,
                                 state.slaves().size())});
    }
  }

  const Tables wanted = tables_of(state);
  for (const auto& [master, row] : found->tables.ports) {
    if (wanted.ports.contains(master)) restored.in_force.emplace(master, row.mode);
  }
  Difference difference = ipvlanx::difference(found->tables, wanted);
  restored.steps = std::move(difference.withdrawals);
  if (auto unknown = unknown_host_ends(state, *found); saved && *saved && !unknown.empty()) {
    restored.steps.emplace_back(step::RemoveManyLinks{std::move(unknown)});
  }
  std::ranges::move(difference.entries, std::back_inserter(restored.steps));
  std::ranges::move(difference.closing, std::back_inserter(restored.steps));
  return restored;
}

}  // namespace ipvlanx
