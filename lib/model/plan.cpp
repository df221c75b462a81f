// SPDX-License-Identifier: Apache-2.0
// Every "may I?" of ipvlan, and what follows from a yes. Rule numbers are those of
// SEMANTICS.md; the kernel's own are in drivers/net/ipvlan/ipvlan_main.c.
#include "ipvlanx/model/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>

namespace ipvlanx {

namespace {

constexpr std::uint32_t kMinMtu = 68;  // ETH_MIN_MTU

// ---------------------------------------------------------------------- may I?

Result<void> may_be_master(const MasterLink& link) {
  if (link.loopback || !link.ethernet) {
    return fail(Errc::bad_master,
                fmt::format("'{}' is the loopback or no Ethernet interface", link.name.str()), "master");
  }
  return {};
}

// Rule 54: mode and flag are the port's. A slave may say other ones only where no
// second slave would be surprised.
Result<void> may_set_mode(const Port& port, std::size_t other_slaves, Mode mode, Flag flag) {
  if ((mode == port.mode && flag == port.flag) || other_slaves == 0) return {};
  return fail(Errc::mode_conflict,
              fmt::format("port '{}' is in mode {} {} with other slaves", port.name.str(),
                          to_string(port.mode), to_string(port.flag)),
              mode != port.mode ? "mode" : "flag");
}

// In l3s the host's stack has a slave's frames first: a socket on the master would be before it.
Result<void> may_be_l3s(const State& state, IfIndex master, Mode mode) {
  if (mode != Mode::l3s || !state.has(master, Via::direct)) return {};
  return fail(Errc::mode_conflict,
              "a slave of this port is direct: in l3s the host's stack would not see its frames", "mode");
}

Result<void> may_be_direct(const Port& port, const Defaults& settings) {
  if (!settings.may_be_direct) {
    return fail(Errc::forbidden,
                "what a direct socket sends passes none of the rules: the settings do not allow it "
                "([afxdp] direct)",
                "via");
  }
  if (port.mode == Mode::l3s) {
    return fail(Errc::mode_conflict, "in l3s the host's stack has a slave's frames first: none can be direct",
                "via");
  }
  return {};
}

// Rule 8: a slave's MTU never exceeds its master's.
Result<void> may_set_mtu(std::uint32_t mtu, std::uint32_t master_mtu) {
  if (mtu >= kMinMtu && mtu <= master_mtu) return {};
  return fail(Errc::out_of_range,
              fmt::format("mtu {} is not between {} and the master's {}", mtu, kMinMtu, master_mtu), "mtu");
}

Place host_end_of(const Slave& slave) {
  return {.netns = std::nullopt, .ifindex = slave.ends.host_end};
}

step::SetMtu set_host_end_mtu(const Slave& before, std::uint32_t mtu) {
  return {before.id, host_end_of(before), host_end_mtu(before.mtu), host_end_mtu(mtu)};
}

bool is_reserved(const std::vector<IpAddress>& reserved, const IpAddress& address) {
  return std::ranges::find(reserved, address) != reserved.end();
}

// Rule 44: an address has one slave on a port, be that slave up or down.
Result<void> may_own(const State& state, const Slave& slave, const Prefix& prefix,
                     const std::vector<IpAddress>& reserved) {
  if (is_reserved(reserved, prefix.address)) {
    return fail(Errc::address_reserved,
                fmt::format("{} is the master's own or a default gateway's", to_string(prefix.address)));
  }
  const auto& owners = state.claimants({slave.master, prefix.address});
  if (!owners.empty() && owners.front() != slave.id) {
    const Slave& owner = *state.slave(owners.front());
    return fail(Errc::address_in_use,
                fmt::format("{} belongs to slave '{}' (id {})", to_string(prefix.address), owner.name.str(),
                            number(owner.id)));
  }
  if (slave.addresses.size() >= slave.max_addresses) {
    return fail(Errc::too_many_addresses,
                fmt::format("slave '{}' has its {} addresses", slave.name.str(), slave.max_addresses));
  }
  return {};
}

// --------------------------------------------------- from two images to a plan

// One slave and its port, before and after; null where there is none.
struct Image {
  const Port* port;
  const Slave* slave;
};

void enter(std::set<AddressKey>& keys, const Slave& slave, std::span<const Address> addresses) {
  for (const Address& address : addresses) keys.insert({slave.master, address.prefix.address});
}

std::set<AddressKey> addresses_of(const Image& image) {
  std::set<AddressKey> keys;
  if (image.slave) enter(keys, *image.slave, image.slave->addresses);
  return keys;
}

// Whether a row of an address that stays may differ.
bool steer_alike(const Image& before, const Image& after) {
  return before.slave && after.slave && *before.port == *after.port &&
         before.slave->ends == after.slave->ends && before.slave->up == after.slave->up;
}

// The addresses whose rows may differ between two images: where one address among thousands
// comes or goes, that one.
std::set<AddressKey> concerned(const Image& before, const Image& after) {
  if (!steer_alike(before, after)) {
    std::set<AddressKey> keys = addresses_of(before);
    keys.merge(addresses_of(after));
    return keys;
  }
  std::set<AddressKey> keys;
  const auto changed = AddressList::difference(before.slave->addresses, after.slave->addresses);
  enter(keys, *before.slave, changed.before);
  enter(keys, *after.slave, changed.after);
  std::vector<IpAddress> spoken_for;
  std::ranges::set_difference(before.slave->silent, after.slave->silent, std::back_inserter(spoken_for));
  for (const IpAddress& address : spoken_for) keys.insert({after.slave->master, address});
  return keys;
}

// Who an address steers to, when `slave` (of this id; null: gone) is as given.
const Slave* owner(const State& state, const AddressKey& key, SlaveId id, const Slave* slave) {
  const Address* own = slave ? slave->find(key.address) : nullptr;
  const bool claims = own && own->refusal == Refusal::none;
  for (const SlaveId claimant : state.claimants(key)) {
    if (claimant != id) return state.slave(claimant);
    if (claims) return slave;
  }
  return claims ? slave : nullptr;
}

// The rows this image asks for, of those that may differ between two images.
Tables rows(const State& state, SlaveId id, const Image& image, const std::set<AddressKey>& keys) {
  Tables rows;
  if (image.port && is_away(image.port->master)) return rows;
  const bool others = image.port && state.slots(image.port->master, id) > 0;
  if (image.port && (image.slave || others)) {
    const IfIndex master = image.port->master;
    Crowd slaves{.slots = state.slots(master, id),
                 .afxdp = state.has(master, Via::afxdp, id),
                 .direct = state.has(master, Via::direct, id)};
    if (image.slave) {
      slaves.slots = std::max(slaves.slots, image.slave->slot + 1);
      slaves.afxdp |= image.slave->via == Via::afxdp;
      slaves.direct |= image.slave->via == Via::direct;
    }
    rows.ports.emplace(image.port->master, port_row(*image.port, slaves));
  }
  if (image.slave) add_slave_rows(rows, *image.port, *image.slave);
  for (const AddressKey& key : keys) {
    const Slave* to = owner(state, key, id, image.slave);
    if (to && to->up) add_address_rows(rows, *image.port, key, *to);
  }
  return rows;
}

Event event(EventType type, const State& state, const Slave& slave) {
  const Port* port = state.port(slave.master);
  return {.type = type, .slave = slave.id, .name = slave.name.str(), .master = port ? port->name.str() : ""};
}

// What watchers are told of one slave's addresses: what came, went, or was refused.
void tell_addresses(Plan& plan, const State& state, const Slave* before, const Slave* after) {
  const auto tell = [&](EventType type, const Slave& slave, const IpAddress& address) -> Event& {
    plan.events.push_back(event(type, state, slave));
    plan.events.back().address = to_string(address);
    return plan.events.back();
  };
  static const AddressList none;
  const auto changed =
      AddressList::difference(before ? before->addresses : none, after ? after->addresses : none);
  if (before) {
    for (const Address& old : changed.before) {
      const IpAddress& ip = old.prefix.address;
      if (after && after->find(ip)) continue;
      tell(EventType::address_removed, *before, ip);
      const Slave* heir = owner(state, {before->master, ip}, before->id, nullptr);
      if (heir && owner(state, {before->master, ip}, before->id, before) == before) {
        tell(EventType::address_added, *heir, ip).detail = "its first owner gave it up";
      }
    }
  }
  if (!after) return;
  for (const Address& now : changed.after) {
    const IpAddress& ip = now.prefix.address;
    const Address* old = before ? before->find(ip) : nullptr;
    if (old && old->refusal == now.refusal) continue;
    if (now.refusal == Refusal::none) {
      const Slave* first = owner(state, {after->master, ip}, after->id, after);
      if (first == after) {
        tell(EventType::address_added, *after, ip);
      } else {
        Event& conflict = tell(EventType::address_conflict, *after, ip);
        conflict.owner = first->id;
        conflict.detail = fmt::format("{} stays with slave '{}' (id {})", to_string(ip), first->name.str(),
                                      number(first->id));
      }
    } else {
      tell(EventType::address_refused, *after, ip).detail =
          now.refusal == Refusal::reserved
              ? "it is the master's own or a default gateway's"
              : fmt::format("the slave has its {} addresses", after->max_addresses);
    }
  }
}

bool looks_the_same(const Slave& a, const Slave& b) {
  return a.name == b.name && a.ends == b.ends && a.mac == b.mac && a.mtu == b.mtu && a.up == b.up &&
         a.addr_policy == b.addr_policy && a.max_addresses == b.max_addresses;
}

// A slave that is brought up may send: by then its frames are taken care of, and none is
// seen by the host that it should not see.
bool lets_send(const Step& step) {
  const auto* set = std::get_if<step::SetUp>(&step);
  return set && set->up;
}

// Table rows that go, `links` (interfaces), table rows that come.
std::vector<Step> in_order(Difference tables, std::vector<Step> links) {
  std::vector<Step> steps = std::move(tables.withdrawals);
  std::ranges::copy_if(links, std::back_inserter(steps), std::not_fn(lets_send));
  std::ranges::move(tables.entries, std::back_inserter(steps));
  std::ranges::move(tables.closing, std::back_inserter(steps));
  std::ranges::copy_if(links, std::back_inserter(steps), lets_send);
  return steps;
}

// The data path in l3 takes frames of a slave that still asks for MAC addresses as in l2,
// but not the other way round: its row turns right before its interface, or right after.
std::vector<Step> with_interfaces(std::vector<Step> rows, const std::map<SlaveId, step::SetRouted>& turns) {
  std::vector<Step> steps;
  for (Step& row : rows) {
    const auto* write = std::get_if<step::Write<SlaveRow>>(&row);
    const auto turn = write && write->after ? turns.find(write->after->slave) : turns.end();
    if (turn != turns.end() && !turn->second.routed) steps.emplace_back(turn->second);
    steps.push_back(std::move(row));
    if (turn != turns.end() && turn->second.routed) steps.emplace_back(turn->second);
  }
  return steps;
}

// In l3 and l3s the host's stack routes for the slaves (rule 47: they are NOARP).
bool is_routed(const Port& port) {
  return port.mode != Mode::l2;
}

// One slave and what steers to it or, of the same addresses, to others.
struct Steered {
  const Tables& tables;
  const Slave* slave;
};

// Rule 64. Of addresses that are somewhere else than before, or could not be announced yet.
void announce_news(Plan& plan, const State& state, const Steered& before, const Steered& after,
                   const Port* port) {
  for (const auto& [key, row] : after.tables.addresses) {
    const Slave& owner = row.slave == plan.slave ? *after.slave : *state.slave(row.slave);
    const auto old = before.tables.addresses.find(key);
    const bool as_before = old != before.tables.addresses.end() && old->second == row;
    if (as_before && (row.slave != plan.slave || may_announce(*port, *before.slave, key.address))) continue;
    if (may_announce(*port, owner, key.address)) plan.announcements.push_back({key, Audience::link});
  }
}

// Of all addresses. Slaves that are back in l2 ask for each other's MAC addresses at once,
// also one that is NOARP still and does not hear it, and would wait a second to ask again.
// Of a new MAC address, or a new link, only the wire has to hear.
void announce_all(Plan& plan, const State& state, const Port& before, const Port& after) {
  const bool back_in_l2 = is_routed(before) && !is_routed(after);
  const bool back_on_the_link = after.carrier && !before.carrier;
  if (!back_in_l2 && !back_on_the_link && after.mac == before.mac) return;
  plan.announcements = all_announcements(state, after, back_in_l2 ? Audience::link_at_once : Audience::wire);
}

// The whole plan of a command about one slave.
Plan turn(const State& state, SlaveId id, const Image& before, const Image& after, std::vector<Step> links) {
  const std::set<AddressKey> keys = concerned(before, after);
  const Tables was = rows(state, id, before, keys);
  const Tables now = rows(state, id, after, keys);
  Plan plan{.steps = in_order(difference(was, now), std::move(links)), .slave = id};
  if (before.slave && after.slave && is_routed(*before.port) != is_routed(*after.port)) {
    plan.steps =
        with_interfaces(std::move(plan.steps), {{id, {id, before.slave->ends, is_routed(*after.port)}}});
  }

  if (after.port && (!before.port || *before.port != *after.port)) plan.changes.emplace_back(*after.port);
  if (after.slave && (!before.slave || *before.slave != *after.slave))
    plan.changes.emplace_back(*after.slave);
  if (!after.slave) plan.changes.emplace_back(DropSlave{id});
  if (!after.port && before.port) plan.changes.emplace_back(DropPort{before.port->master});

  if (!before.slave) {
    plan.events.push_back(event(EventType::slave_added, state, *after.slave));
    plan.events.back().master = after.port->name.str();
  } else if (after.slave && !looks_the_same(*before.slave, *after.slave)) {
    plan.events.push_back(event(EventType::slave_changed, state, *after.slave));
  }
  tell_addresses(plan, state, before.slave, after.slave);
  announce_news(plan, state, {was, before.slave}, {now, after.slave}, after.port);
  if (!after.slave) plan.events.push_back(event(EventType::slave_removed, state, *before.slave));
  return plan;
}

Plan change(const State& state, const Slave& before, const Port& port_after, const Slave& after,
            std::vector<Step> links) {
  return turn(state, before.id, {state.port(before.master), &before}, {&port_after, &after},
              std::move(links));
}

Plan change(const State& state, const Slave& before, const Slave& after, std::vector<Step> links) {
  return change(state, before, *state.port(before.master), after, std::move(links));
}

// With its last slave a port ends, or, if the user set it, only its mode and flag.
Plan removal(const State& state, const Slave& slave) {
  const Port& port = *state.port(slave.master);
  Port after = port;
  if (state.count_slaves(port.master) == 1) {
    if (!port.kept) return turn(state, slave.id, {&port, &slave}, {nullptr, nullptr}, {});
    after.mode = kDefaultMode;
    after.flag = kDefaultFlag;
  }
  return turn(state, slave.id, {&port, &slave}, {&after, nullptr}, {});
}

bool forgets_slave(const Step& step) {
  const auto* slave = std::get_if<step::Write<SlaveRow>>(&step);
  return slave && !slave->after;
}

// Interfaces go last. With a slave's row its counters would end, and its program at the host
// end: until there is no host end any more, both stay.
void end_with(Plan& plan, std::vector<IfIndex> host_ends, Step removal) {
  std::ranges::copy_if(plan.steps, std::back_inserter(plan.attempts), forgets_slave);
  std::erase_if(plan.steps, forgets_slave);
  plan.steps.emplace_back(step::Settle{std::move(host_ends), false});
  plan.last = std::move(removal);
}

Result<const Slave*> find(const State& state, SlaveId id) {
  const Slave* slave = state.slave(id);
  if (!slave) return fail(Errc::no_such_slave, fmt::format("there is no slave with id {}", number(id)));
  return slave;
}

// -------------------------------------------------------------------- commands

Port new_port(const MasterLink& link, const Defaults& defaults) {
  return {.master = link.ifindex,
          .name = link.name,
          .mac = link.mac,
          .mtu = link.mtu,
          .carrier = link.carrier,
          .announce = defaults.announce};
}

Result<Plan> plan_one(const State& state, const AddSlave& command) {
  if (auto may = may_be_master(command.master); !may) return std::unexpected(may.error());

  const MasterLink& link = command.master;
  const Port* port_before = state.port(link.ifindex);
  Port port = port_before ? *port_before : new_port(link, state.defaults());
  port.mac = link.mac;
  port.mtu = link.mtu;
  const Mode mode = command.mode.value_or(port.mode);
  const Flag flag = command.flag.value_or(port.flag);
  if (auto may = may_set_mode(port, state.count_slaves(link.ifindex), mode, flag); !may) {
    return std::unexpected(may.error());
  }
  port.mode = mode;
  port.flag = flag;
  if (command.via == Via::direct) {
    if (auto may = may_be_direct(port, state.defaults()); !may) return std::unexpected(may.error());
  }

  const std::uint32_t mtu = command.mtu.value_or(link.mtu);
  if (auto may = may_set_mtu(mtu, link.mtu); !may) return std::unexpected(may.error());

  const auto id = command.id ? command.id : state.free_id();
  if (!id) return fail(Errc::map_full, fmt::format("all {} slave ids are in use", kMaxSlaveId));
  Slave slave{.id = *id,
              .master = link.ifindex,
              .name = command.name,
              .mac = link.mac,
              .mtu = mtu,
              .up = command.up.value_or(command.owner.empty() && !command.addresses.empty()),
              .slot = state.free_slot(link.ifindex),
              .via = command.via,
              .addr_policy = command.addr_policy.value_or(state.defaults().addr_policy),
              .max_addresses = command.max_addresses.value_or(state.defaults().max_addresses),
              .owner = command.owner};

  std::vector<Step> links{step::CreateLinks{*id, command.name, command.netns, link.mac, mtu, is_routed(port),
                                            port.carrier, command.via}};
  if (command.via != Via::veth) links.emplace_back(step::ServeSockets{*id, {}, true, command.via});
  for (std::size_t i = 0; i < command.addresses.size(); ++i) {
    const Prefix& prefix = command.addresses[i];
    const std::string field = fmt::format("addresses[{}]", i);
    if (slave.find(prefix.address)) {
      return fail(Errc::address_in_use, fmt::format("{} is given twice", to_string(prefix.address)), field);
    }
    if (auto may = may_own(state, slave, prefix, link.reserved); !may) {
      return std::unexpected(std::move(may.error()).at(field));
    }
    slave.addresses.push_back({prefix, Origin::api});
    if (slave.owner.empty()) links.emplace_back(step::AssignAddress{*id, {}, prefix});
  }
  if (slave.up) links.emplace_back(step::SetUp{*id, {}, true});
  Plan plan = turn(state, *id, {port_before, nullptr}, {&port, &slave}, std::move(links));
  plan.last = step::Settle{{IfIndex{}}, true};
  return plan;
}

step::Move::Station station(Netns netns, const Slave& slave) {
  step::Move::Station station{.netns = netns, .addresses = {}, .up = slave.up};
  for (const Address& address : slave.addresses) station.addresses.push_back(address.prefix);
  return station;
}

step::Move::Station station(const Slave& slave) {
  return station(slave.ends.container_end.netns, slave);
}

Result<Plan> plan_one(const State& state, const ChangeSlave& command) {
  const auto found = find(state, command.id);
  if (!found) return std::unexpected(found.error());
  const Slave& before = **found;
  Slave after = before;
  Port port = *state.port(before.master);
  std::vector<Step> links;

  const Mode mode = command.mode.value_or(port.mode);
  const Flag flag = command.flag.value_or(port.flag);
  if (auto may = may_set_mode(port, state.count_slaves(port.master) - 1, mode, flag); !may) {
    return std::unexpected(may.error());
  }
  if (auto may = may_be_l3s(state, port.master, mode); !may) return std::unexpected(may.error());
  port.mode = mode;
  port.flag = flag;

  if (command.addr_policy) after.addr_policy = *command.addr_policy;
  if (command.max_addresses) after.max_addresses = *command.max_addresses;
  const Place& place = before.ends.container_end;
  const bool moves = command.netns && *command.netns != place.netns;
  if (moves || command.addr_policy == AddrPolicy::static_) after.addresses.erase(Origin::learnt);
  // As with the kernel's ipvlan, it arrives down unless told otherwise.
  after.up = command.up.value_or(before.up && !moves);

  if (moves) {
    links.emplace_back(step::Move{before.id, before.ends, station(before), station(*command.netns, after)});
    // Which number it has there, set_ends() will say.
    after.ends.container_end = {*command.netns, IfIndex{}};
  } else if (after.up && !before.up) {
    links.emplace_back(step::SetUp{before.id, place, true});
  }
  if (command.mtu && *command.mtu != before.mtu) {
    if (auto may = may_set_mtu(*command.mtu, port.mtu); !may) return std::unexpected(may.error());
    after.mtu = *command.mtu;
    links.emplace_back(step::SetMtu{before.id, place, before.mtu, after.mtu});
    links.emplace_back(set_host_end_mtu(before, after.mtu));
  }
  Plan plan = change(state, before, port, after, std::move(links));
  // With it go IPv6 addresses, and routes in the slave's namespace.
  if (!moves && before.up && !after.up) plan.last = step::SetUp{before.id, place, false};
  if (moves) plan.attempts.emplace_back(step::SeparateLinkLocals{before.id, {}, before.mac});
  return plan;
}

Result<Plan> plan_one(const State& state, const DeleteSlave& command) {
  const auto slave = find(state, command.id);
  if (!slave) return std::unexpected(slave.error());
  const Ends& ends = (*slave)->ends;
  Plan plan = removal(state, **slave);
  end_with(plan, {ends.host_end}, step::RemoveLinks{command.id, ends});
  return plan;
}

Result<Plan> plan_one(const State& state, const AddAddress& command) {
  const auto found = find(state, command.id);
  if (!found) return std::unexpected(found.error());
  const Slave& before = **found;
  const IpAddress& ip = command.prefix.address;

  Slave after = before;
  const bool owned = owner(state, {before.master, ip}, before.id, &before) == &before;
  if (owned) {
    // There already: from now on the API says so, too.
    after.addresses.set_origin(ip, Origin::api);
    return change(state, before, after, {});
  }
  if (is_away(before.master)) {
    return fail(Errc::no_such_master,
                fmt::format("the master of port '{}' is not in the host's network namespace",
                            state.port(before.master)->name.str()));
  }
  if (auto may = may_own(state, before, command.prefix, command.reserved); !may) {
    return std::unexpected(std::move(may.error()).at("address"));
  }
  after.addresses.push_back({command.prefix, Origin::api});
  std::vector<Step> links;
  if (before.owner.empty()) {
    links.emplace_back(step::AssignAddress{before.id, before.ends.container_end, command.prefix});
  }
  return change(state, before, after, std::move(links));
}

Result<Plan> plan_one(const State& state, const DeleteAddress& command) {
  const auto found = find(state, command.id);
  if (!found) return std::unexpected(found.error());
  const Slave& before = **found;
  const Address* address = before.find(command.address);
  if (!address) {
    return fail(Errc::no_such_address,
                fmt::format("slave '{}' has no address {}", before.name.str(), to_string(command.address)));
  }
  Slave after = before;
  after.addresses.erase(command.address);
  Plan plan = change(state, before, after, {});
  plan.last = step::RemoveAddress{before.id, before.ends.container_end, address->prefix};
  return plan;
}

// The slaves of a port whose number becomes another one. Which addresses they may take
// depends on the master: those that are learnt are forgotten, and learnt again.
void renumber_slaves(Plan& plan, const State& state, const Port& before, const Port& after) {
  for (const SlaveId id : state.slaves_of(before.master)) {
    Slave slave = *state.slave(id);
    slave.master = after.master;
    slave.addresses.erase(Origin::learnt);
    tell_addresses(plan, state, state.slave(id), &slave);
    plan.changes.emplace_back(std::move(slave));
  }
  plan.changes.emplace_back(DropPort{before.master});
}

// What changes for a port with all its slaves.
Plan whole_port(const State& state, const Port* before, const Port& after) {
  Plan plan;
  plan.changes.emplace_back(after);
  const bool renumbered = before && before->master != after.master;
  if (renumbered) renumber_slaves(plan, state, *before, after);
  if (before) {
    const State next = renumbered ? applied(state, plan) : State{};
    const State& wanted = renumbered ? next : state;
    plan.steps = in_order(difference(tables_of(state, *before), tables_of(wanted, after)), {});
    announce_all(plan, wanted, *before, after);
  }
  // What was said to a port whose master was away did not reach its slaves.
  if (before && (is_routed(*before) != is_routed(after) || is_away(before->master))) {
    std::map<SlaveId, step::SetRouted> turns;
    for (const SlaveId id : state.slaves_of(before->master)) {
      turns.emplace(id, step::SetRouted{id, state.slave(id)->ends, is_routed(after)});
    }
    plan.steps = with_interfaces(std::move(plan.steps), turns);
  }
  plan.events.push_back({.type = EventType::port_changed, .master = after.name.str()});
  return plan;
}

Result<Plan> plan_one(const State& state, const ChangePort& command) {
  if (auto may = may_be_master(command.master); !may) return std::unexpected(may.error());
  const Port* before = state.port(command.master.ifindex);
  Port after = before ? *before : new_port(command.master, state.defaults());
  after.mode = command.mode.value_or(after.mode);
  after.flag = command.flag.value_or(after.flag);
  after.strict_private = command.strict_private.value_or(after.strict_private);
  after.announce = command.announce.value_or(after.announce);
  after.xdp = command.xdp.value_or(after.xdp);
  after.kept = true;
  if (before && *before == after) return Plan{.durable = false};
  if (auto may = may_be_l3s(state, after.master, after.mode); !may) return std::unexpected(may.error());
  return whole_port(state, before, after);
}

// Of all a port has; `why` is for those who watch.
Plan end_of_slaves(const State& state, const Port& port, const std::string& why = "") {
  Plan plan;
  step::RemoveManyLinks links;
  for (const SlaveId id : state.slaves_of(port.master)) {
    const Slave& slave = *state.slave(id);
    links.host_ends.push_back(slave.ends.host_end);
    plan.changes.emplace_back(DropSlave{id});
    for (const Address& address : slave.addresses) {
      plan.events.push_back(event(EventType::address_removed, state, slave));
      plan.events.back().address = to_string(address.prefix.address);
    }
    plan.events.push_back(event(EventType::slave_removed, state, slave));
    plan.events.back().detail = why;
  }
  if (!links.host_ends.empty()) {
    plan.steps = in_order(difference(tables_of(state, port), {}), {});
    end_with(plan, links.host_ends, links);
  }
  return plan;
}

Plan end_of_port(const State& state, const Port& port, const std::string& why = "") {
  Plan plan = end_of_slaves(state, port, why);
  plan.changes.emplace_back(DropPort{port.master});
  plan.events.push_back({.type = EventType::port_removed, .master = port.name.str(), .detail = why});
  return plan;
}

Result<Plan> plan_one(const State& state, const DeletePort& command) {
  const Port* port = state.port(command.master);
  if (!port) return fail(Errc::no_such_port, "there is no such port");
  return end_of_port(state, *port);
}

Result<Plan> plan_one(const State& state, const FlushPort& command) {
  const Port* port = state.port(command.master);
  if (!port) return fail(Errc::no_such_port, "there is no such port");
  Port after = *port;
  after.mode = kDefaultMode;
  after.flag = kDefaultFlag;
  after.kept = true;
  Plan plan = end_of_slaves(state, *port);
  plan.durable = after != *port || plan.last;
  plan.changes.emplace_back(after);
  if (after.mode != port->mode || after.flag != port->flag) {
    plan.events.push_back({.type = EventType::port_changed, .master = port->name.str()});
  }
  return plan;
}

// Rules 58, 59 and 63: the slaves follow their master.
Result<Plan> plan_one(const State& state, const ObserveMaster& command) {
  const Port* before = state.port(command.master);
  if (!before) return Plan{.durable = false};
  if (!command.link && !command.moved) {
    Plan plan = end_of_port(state, *before, "its master is gone");
    plan.durable = false;
    return plan;
  }

  Port after = *before;
  if (command.link) {
    after.master = command.link->ifindex;
    after.name = command.link->name;
    after.mac = command.link->mac;
    after.mtu = command.link->mtu;
    after.carrier = command.link->carrier;
  } else {
    after.master = state.free_away();
    after.carrier = false;
  }
  if (after == *before) return Plan{.durable = false};

  Plan plan = whole_port(state, before, after);
  plan.durable = false;
  if (is_away(after.master)) {
    plan.events.back().detail = "its master is not in the host's network namespace: the port waits for it";
  }
  for (const SlaveId id : state.slaves_of(before->master)) {
    const Slave& slave = *state.slave(id);
    const Place& container_end = slave.ends.container_end;
    if (after.mac != before->mac) {
      for (const Place& end : {host_end_of(slave), container_end}) {
        plan.attempts.emplace_back(step::SetMac{id, end, before->mac, after.mac});
      }
    }
    // Whatever it was before, as with the kernel's.
    if (after.mtu != before->mtu) {
      plan.attempts.emplace_back(set_host_end_mtu(slave, after.mtu));
      plan.attempts.emplace_back(step::SetMtu{id, container_end, slave.mtu, after.mtu});
    }
    if (after.carrier != before->carrier) {
      plan.attempts.emplace_back(step::SetUp{id, host_end_of(slave), after.carrier});
    }
  }
  if (after.carrier && !before->carrier) {
    // The kernel took the routes of interfaces that were down.
    for (const auto& [key, route] : tables_of(applied(state, plan), after).routes) {
      plan.attempts.emplace_back(step::Write<RouteRow>{std::nullopt, route});
    }
  }
  return plan;
}

// What the interface says of a slave's addresses (rule 43). Addresses of the API
// stay whatever the interface says; learnt ones come and go with it.
AddressList observed_addresses(const Slave& slave, const std::vector<Prefix>& seen,
                               const std::vector<IpAddress>& reserved) {
  std::vector<Address> addresses;
  const auto learn = [&](const Prefix& prefix, bool is_reserved) {
    const bool full = addresses.size() >= slave.max_addresses;
    addresses.push_back({prefix, Origin::learnt,
                         is_reserved ? Refusal::reserved
                         : full      ? Refusal::too_many
                                     : Refusal::none});
  };

  std::map<IpAddress, const Prefix*> present;
  for (const Prefix& prefix : seen) present.emplace(prefix.address, &prefix);
  for (const Address& old : slave.addresses) {
    const auto now = present.find(old.prefix.address);
    if (old.origin == Origin::api) {
      addresses.push_back(old);
    } else if (now != present.end()) {
      learn(*now->second, old.refusal == Refusal::reserved);
    }
  }
  for (const Prefix& prefix : seen) {
    const bool is_new = !slave.find(prefix.address) && present.at(prefix.address) == &prefix;
    if (is_new) learn(prefix, is_reserved(reserved, prefix.address));
  }
  return AddressList{std::move(addresses)};
}

// The link-local address an interface makes from its MAC: of the port's shared MAC
// it would be the same on every slave (rule 48).
IpAddress eui64_link_local(const MacAddress& mac) {
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80};
  std::ranges::copy(mac.bytes, bytes.begin() + 8);
  bytes[8] ^= 0x02;
  bytes[11] = 0xff;
  bytes[12] = 0xfe;
  std::copy(mac.bytes.begin() + 3, mac.bytes.end(), bytes.begin() + 13);
  return *IpAddress::from_bytes(bytes);
}

Result<Plan> plan_one(const State& state, const Observe& command) {
  const auto found = find(state, command.id);
  if (!found) return std::unexpected(found.error());
  const Slave& before = **found;
  if (!command.link) {
    Plan plan = removal(state, before);
    plan.durable = false;
    plan.events.back().detail = "its interface is gone";
    return plan;
  }

  const SlaveLink& link = *command.link;
  Slave after = before;
  after.name = link.name;
  after.ends.container_end = link.place;
  after.mac = link.mac;
  after.mtu = link.mtu;
  after.up = link.up;
  after.silent = link.silent;
  std::vector<Prefix> seen = link.addresses;
  const bool shared_link_local =
      std::erase_if(seen, [&](const Prefix& p) { return p.address == eui64_link_local(link.mac); }) > 0;
  if (after.addr_policy == AddrPolicy::learn && !is_away(before.master)) {
    after.addresses = observed_addresses(before, seen, command.reserved);
  }

  Plan plan = change(state, before, after, {});
  plan.durable = false;
  if (command.routes_too) {
    const Image now{state.port(before.master), &after};
    for (const auto& [key, route] : rows(state, before.id, now, addresses_of(now)).routes) {
      plan.attempts.emplace_back(step::Write<RouteRow>{std::nullopt, route});
    }
  }
  if (after.mtu != before.mtu) plan.attempts.emplace_back(set_host_end_mtu(before, after.mtu));
  const bool moved = after.ends.container_end != before.ends.container_end;
  if (moved || shared_link_local) {
    plan.attempts.emplace_back(step::SeparateLinkLocals{before.id, link.place, link.mac});
  }
  if (moved && before.owner.empty()) {
    // The kernel took all addresses away: those of the API come back.
    std::set<IpAddress> present;
    for (const Prefix& prefix : seen) present.insert(prefix.address);
    for (const Address& address : after.addresses) {
      if (address.origin == Origin::api && !present.contains(address.prefix.address)) {
        plan.attempts.emplace_back(step::AssignAddress{before.id, link.place, address.prefix});
      }
    }
  }
  return plan;
}

}  // namespace

std::uint32_t host_end_mtu(std::uint32_t slave_mtu) {
  constexpr std::uint32_t kMinIpv6Mtu = 1280;
  return std::max(slave_mtu, kMinIpv6Mtu);
}

std::vector<Announcement> all_announcements(const State& state, const Port& port, Audience audience) {
  std::vector<Announcement> all;
  for (const auto& [key, row] : tables_of(state, port).addresses) {
    if (may_announce(port, *state.slave(row.slave), key.address)) all.push_back({key, audience});
  }
  return all;
}

Result<Plan> plan(const State& state, const Command& command) {
  return std::visit([&](const auto& one) { return plan_one(state, one); }, command);
}

}  // namespace ipvlanx
