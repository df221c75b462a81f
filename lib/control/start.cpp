// SPDX-License-Identifier: Apache-2.0
// What the controller makes of what it finds: restore() says what was, this makes it so; and
// after a reboot it makes ports and slaves again.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ipvlanx/base/overloaded.h"
#include "ipvlanx/control/controller.h"
#include "restore.h"
#include "state_file.h"

namespace ipvlanx {

// A slave may go while the daemon starts: what its row needs cannot be had any more, and the
// look at it, below, finds out.
bool Controller::is_of_gone_slave(const Step& step) {
  IfIndex host_end{};
  const auto enter = [&](const auto* write) {
    if (write && write->after) host_end = write->after->host_end;
  };
  enter(std::get_if<step::Write<SlaveRow>>(&step));
  enter(std::get_if<step::Write<RouteRow>>(&step));
  if (host_end == IfIndex{}) return false;
  const auto link = links_.look(host_end);
  return !link && link.error().code == Errc::no_such_slave;
}

// Of slaves and ports that are there: what went with others is no repair.
void Controller::tell_repairs(const std::vector<Step>& steps) {
  std::set<SlaveId> slaves;
  std::set<IfIndex> ports;
  const auto note = Overloaded{
      [&](const step::Write<PortRow>& write) {
        if (write.after) ports.insert(write.after->master);
      },
      [&](const step::Write<RouteRow>& write) {
        const Slave* slave = write.after ? state_.slave_of_host_end(write.after->host_end) : nullptr;
        if (slave) slaves.insert(slave->id);
      },
      [&]<class Row>(const step::Write<Row>& write) {
        if (write.after) slaves.insert(write.after->slave);
      },
      [](const auto&) {},
  };
  for (const Step& step : steps) std::visit(note, step);
  for (const IfIndex master : ports) {
    events_.add({.type = EventType::repaired,
                 .master = state_.port(master)->name.str(),
                 .detail = "what the data path knew of the port was not as it should be"});
  }
  for (const SlaveId id : slaves) {
    const Slave& slave = *state_.slave(id);
    events_.add({.type = EventType::repaired,
                 .slave = id,
                 .name = slave.name.str(),
                 .master = state_.port(slave.master)->name.str(),
                 .detail = "what steers to the slave was not as it should be"});
  }
}

Result<void> Controller::start() {
  if (auto counted = events_.count_in(state_path_ + ".seq"); !counted) return counted;
  if (auto kept = keep_relay(); !kept) return kept;
  auto restored = restore(links_, datapath_, *file_);
  if (!restored) return std::unexpected(restored.error());
  state_ = std::move(restored->state);
  if (auto tuned = links_.tune(restored->in_force); !tuned) return tuned;
  for (const Step& step : restored->steps) {
    Plan alone;
    if (auto done = perform(step, alone); !done && !is_of_gone_slave(step)) return done;
    const auto* row = std::get_if<step::Write<AddressRow>>(&step);
    if (row && row->after) announcements_.add({row->after->key(), Audience::link});
  }
  // A daemon that was killed while it made or removed a slave may have left its interfaces.
  std::set<IfIndex> host_ends;
  for (const auto& [id, slave] : state_.slaves()) host_ends.insert(slave.ends.host_end);
  if (auto tidied = links_.tidy(host_ends); !tidied) return tidied;
  // A daemon that was killed while it changed a port may have left its slaves half-way.
  for (const auto& [id, slave] : state_.slaves()) {
    const bool routed = state_.port(slave.master)->mode != Mode::l2;
    if (auto set = links_.set_routed(slave.ends, routed); !set) troubles_.push_back(std::move(set.error()));
  }
  if (auto kept = keep_sockets(); !kept) return kept;
  for (Event& event : restored->events) events_.add(std::move(event));
  tell_repairs(restored->steps);
  start_file(*restored);
  refresh_masters();
  find_masters();
  for (const auto& [id, slave] : std::map{state_.slaves()}) look_at_slave(id);
  return_ports();
  // A disk that is full costs changes, not what is there.
  if (auto saved = file_->write_snapshot(); !saved) troubles_.push_back(std::move(saved.error()));
  return {};
}

// By this build's program; and none of slaves that are gone.
Result<void> Controller::keep_sockets() {
  const auto served = datapath_.served();
  if (!served) return std::unexpected(served.error());
  for (const SlaveId id : *served) {
    const Slave* slave = state_.slave(id);
    if (slave && slave->via != Via::veth) continue;
    if (auto ended = datapath_.end_sockets(id); !ended) return ended;
  }
  for (const auto& [id, slave] : state_.slaves()) {
    if (slave.via == Via::veth) continue;
    auto kept = serve_sockets(id, slave.via, slave.ends.container_end);
    if (!kept) troubles_.push_back(std::move(kept.error()).within(fmt::format("slave {}", number(id))));
  }
  return {};
}

// From now on the file knows what the state says.
void Controller::start_file(const Restored& restored) {
  SavedState known{.last_id = state_.last_id(), .waiting = restored.waiting};
  for (const auto& [master, port] : state_.ports()) known.ports.emplace(master, saved(port));
  for (const auto& [id, slave] : state_.slaves()) {
    const auto last = restored.places.find(id);
    const SavedPlace nowhere;
    known.slaves.emplace(
        id, saved(slave, place_now(slave, last == restored.places.end() ? nowhere : last->second)));
  }
  state_.reserve_ids(known.waiting_ids());
  file_->start_from(std::move(known));
}

// Where it was may be where it is: to ask that is cheaper than to look for a name.
SavedPlace Controller::place_now(const Slave& slave, const SavedPlace& last) {
  const Netns netns = slave.ends.container_end.netns;
  if (!netns) return {};
  if (!last.in_host) {
    if (last.netns.empty()) return last;
    const auto found = links_.find_netns(last.netns);
    if (found && *found == netns) return last;
  }
  return place_in(*netns);
}

// ---------------------------------------------------------------- after a reboot

// All ports and slaves that are to be made again. What cannot be is tried again with the
// next start.
void Controller::return_ports() {
  const SlaveId last_id = state_.last_id();
  std::vector<WaitingPort> rest;
  for (const WaitingPort& waiting : file_->known().waiting) {
    WaitingPort left = return_port(waiting);
    if (!left.slaves.empty()) rest.push_back(std::move(left));
  }
  state_.set_last_id(last_id);
  file_->set_waiting(std::move(rest), last_id);
  state_.reserve_ids(file_->known().waiting_ids());
}

// Its master, or what is known of one that is not there.
MasterLink Controller::master_of(const SavedPort& port) {
  if (auto link = links_.master(port.name)) return *std::move(link);
  const Port* away = state_.port_named(port.name.str());
  return {.ifindex = away ? away->master : state_.free_away(),
          .name = port.name,
          .mac = port.mac,
          .mtu = port.mtu,
          .ethernet = true,
          .carrier = false};
}

// Returns what still waits.
WaitingPort Controller::return_port(const WaitingPort& waiting) {
  const SavedPort& port = waiting.port;
  const MasterLink master = master_of(port);
  if (!state_.port(master.ifindex)) {
    Plan plan{.changes = {Port{.master = master.ifindex,
                               .name = master.name,
                               .mode = port.mode,
                               .flag = port.flag,
                               .mac = master.mac,
                               .mtu = master.mtu,
                               .carrier = master.carrier,
                               .strict_private = port.strict_private,
                               .announce = port.announce,
                               .xdp = port.xdp,
                               .kept = port.kept}},
              .durable = false};
    if (is_away(master.ifindex)) {
      plan.events.push_back({.type = EventType::port_waiting,
                             .master = port.name.str(),
                             .detail = "there is no such interface: the port waits for it"});
    }
    if (auto done = carry_out(plan); !done) troubles_.push_back(std::move(done.error()));
  }
  WaitingPort left{.port = port};
  for (const SavedSlave& slave : waiting.slaves) {
    const auto returned = return_slave(slave, master);
    if (returned) continue;
    const Errc code = returned.error().code;
    const bool gone = code == Errc::netns_gone || code == Errc::not_a_netns;
    events_.add({.type = gone ? EventType::slave_removed : EventType::slave_waiting,
                 .slave = slave.id,
                 .name = slave.name.str(),
                 .master = port.name.str(),
                 .detail = returned.error().message});
    if (!gone) left.slaves.push_back(slave);
  }
  if (!port.kept && state_.slots(master.ifindex) == 0 && left.slaves.empty()) {
    Plan plan{.changes = {DropPort{master.ifindex}}, .durable = false};
    if (auto done = carry_out(plan); !done) troubles_.push_back(std::move(done.error()));
  }
  return left;
}

Result<void> Controller::return_slave(const SavedSlave& slave, MasterLink master) {
  Netns netns;
  if (!slave.place.in_host) {
    if (slave.place.netns.empty()) {
      return fail(Errc::netns_gone, "its network namespace had no name to find it by after the reboot");
    }
    const auto found = links_.find_netns(slave.place.netns);
    if (!found) return std::unexpected(found.error());
    netns = *found;
  }
  master.reserved.clear();  // an address that it had, it has
  const auto mtu = std::min(slave.mtu, master.mtu);
  auto plan = ipvlanx::plan(state_, AddSlave{.master = std::move(master),
                                             .name = slave.name,
                                             .netns = netns,
                                             .mtu = mtu,
                                             .via = slave.via,
                                             .addr_policy = slave.addr_policy,
                                             .max_addresses = slave.max_addresses,
                                             .addresses = slave.addresses,
                                             .owner = slave.owner,
                                             .id = slave.id,
                                             .up = slave.up});
  if (!plan) return std::unexpected(plan.error());
  plan->durable = false;
  return carry_out(*plan);
}

Result<void> Controller::forget_waiting(const IfName& master) {
  auto before = file_->known().waiting;
  auto rest = before;
  const auto forgotten =
      std::erase_if(rest, [&](const WaitingPort& waiting) { return waiting.port.name == master; });
  if (forgotten == 0) return fail(Errc::no_such_port, fmt::format("'{}' is no port", master.str()));
  file_->set_waiting(std::move(rest), state_.last_id());
  if (auto written = file_->write_snapshot(); !written) {
    file_->set_waiting(std::move(before), state_.last_id());
    return written;
  }
  state_.reserve_ids(file_->known().waiting_ids());
  return {};
}

}  // namespace ipvlanx
