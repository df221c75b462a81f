// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <ranges>
#include <tuple>

#include "ipvlanx/base/overloaded.h"
#include "ipvlanx/netlink/peer.h"
#include "state_file.h"

namespace ipvlanx {

namespace {

Change inverse(const State& state, const Change& change) {
  const auto of_port = [&](IfIndex master) -> Change {
    const Port* port = state.port(master);
    return port ? Change{*port} : DropPort{master};
  };
  const auto of_slave = [&](SlaveId id) -> Change {
    const Slave* slave = state.slave(id);
    return slave ? Change{*slave} : DropSlave{id};
  };
  return std::visit(Overloaded{
                        [&](const Port& port) { return of_port(port.master); },
                        [&](const DropPort& drop) { return of_port(drop.master); },
                        [&](const Slave& slave) { return of_slave(slave.id); },
                        [&](const DropSlave& drop) { return of_slave(drop.id); },
                    },
                    change);
}

Result<void> whether(const Result<SlaveId>& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

Controller::Controller(Links& links, Datapath& datapath, std::string state_path, std::string boot)
    : links_(links),
      datapath_(datapath),
      state_path_(std::move(state_path)),
      file_(std::make_unique<StateFile>(state_path_, std::move(boot))) {
}

Controller::~Controller() = default;

// -------------------------------------------------------------------- requests

Result<AddSlave> Controller::command_of(const api::NewSlave& request) {
  auto master = links_.master(request.master);
  // Rule 52: on a slave means beside it, on its master.
  if (const Slave* sibling = master ? state_.slave_at({std::nullopt, master->ifindex}) : nullptr) {
    master = links_.master(sibling->master);
  }
  if (!master) return std::unexpected(std::move(master.error()).at("master"));
  Netns netns;
  if (request.netns) {
    const auto found = find_netns(*request.netns);
    if (!found) return std::unexpected(found.error());
    netns = *found;
  }
  return AddSlave{.master = *std::move(master),
                  .name = request.name,
                  .netns = netns,
                  .mode = request.mode,
                  .flag = request.flag,
                  .mtu = request.mtu,
                  .via = request.via.value_or(Via::veth),
                  .addr_policy = request.addr_policy,
                  .max_addresses = request.max_addresses,
                  .addresses = request.addresses,
                  .owner = request.owner};
}

Result<void> Controller::may_add_slave(const api::NewSlave& request) {
  const auto command = command_of(request);
  if (!command) return std::unexpected(command.error());
  const auto plan = ipvlanx::plan(state_, *command);
  if (!plan) return std::unexpected(plan.error());
  return {};
}

Result<SlaveId> Controller::add_slave(const api::NewSlave& request) {
  const auto command = command_of(request);
  if (!command) return std::unexpected(command.error());
  auto id = run(*command);
  if (!id && id.error().code == Errc::name_in_use) return std::unexpected(std::move(id.error()).at("name"));
  return id;
}

Result<void> Controller::change_slave(SlaveId id, const api::SlaveChange& request) {
  ChangeSlave change{.id = id,
                     .mode = request.mode,
                     .flag = request.flag,
                     .mtu = request.mtu,
                     .up = request.up,
                     .addr_policy = request.addr_policy,
                     .max_addresses = request.max_addresses};
  if (request.netns) {
    const auto found = find_netns(*request.netns);
    if (!found) return std::unexpected(found.error());
    change.netns = *found;
  }
  auto done = run(change);
  if (!done && done.error().code == Errc::name_in_use) {
    return std::unexpected(std::move(done.error()).at("netns"));  // its name is taken there
  }
  if (!done) return std::unexpected(done.error());
  // A new policy, limit or namespace may show other addresses.
  look_at_slave(id);
  return {};
}

Result<void> Controller::delete_slave(SlaveId id) {
  return whether(run(DeleteSlave{id}));
}

Result<void> Controller::change_port(const IfName& master, const api::PortChange& request) {
  auto link = links_.master(master);
  if (!link) return std::unexpected(std::move(link.error()).at("master"));
  return whether(run(ChangePort{.master = *std::move(link),
                                .mode = request.mode,
                                .flag = request.flag,
                                .strict_private = request.strict_private,
                                .announce = request.announce,
                                .xdp = request.xdp}));
}

Result<void> Controller::delete_port(const IfName& master) {
  const Port* port = state_.port_named(master.str());
  if (!port) return forget_waiting(master);
  if (auto done = run(DeletePort{port->master}); !done) return whether(done);
  auto forgotten = forget_waiting(master);
  return !forgotten && forgotten.error().code == Errc::no_such_port ? Result<void>{} : forgotten;
}

Result<void> Controller::flush_port(const IfName& master) {
  const Port* port = state_.port_named(master.str());
  if (!port) return fail(Errc::no_such_port, fmt::format("'{}' is no port", master.str()));
  return whether(run(FlushPort{port->master}));
}

Result<void> Controller::add_address(SlaveId id, const api::NewAddress& request) {
  AddAddress add{.id = id, .prefix = request.address};
  if (const Slave* slave = state_.slave(id); slave && !is_away(slave->master)) {
    auto master = links_.master(slave->master);
    if (!master) return std::unexpected(master.error());
    add.reserved = std::move(master->reserved);
  }
  return whether(run(add));
}

Result<void> Controller::delete_address(SlaveId id, const IpAddress& address) {
  return whether(run(DeleteAddress{id, address}));
}

Result<SlaveStats> Controller::stats(SlaveId id) {
  if (!state_.slave(id)) {
    return fail(Errc::no_such_slave, fmt::format("there is no slave with id {}", number(id)));
  }
  return datapath_.stats(id);
}

XdpState Controller::xdp(const Port& port) {
  return datapath_.xdp(port.master);
}

Result<Netns> Controller::find_netns(std::string_view text) {
  auto found = links_.find_netns(text);
  if (!found) return std::unexpected(std::move(found.error()).at("netns"));
  return found;
}

std::optional<std::string> Controller::netns_name(const Slave& slave) {
  const Netns netns = slave.ends.container_end.netns;
  return netns ? links_.netns_name(*netns) : std::nullopt;
}

void Controller::set_defaults(const Defaults& defaults) {
  const std::unique_lock alone{readers_};
  state_.set_defaults(defaults);
}

// ----------------------------------------------------------- plan, do, commit

Result<SlaveId> Controller::run(const Command& command) {
  auto plan = ipvlanx::plan(state_, command);
  if (!plan) return std::unexpected(plan.error());
  if (auto done = carry_out(*plan); !done) return std::unexpected(done.error());
  return plan->slave;
}

Result<void> Controller::carry_out(Plan& plan) {
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    auto done = perform(plan.steps[i], plan);
    if (!done) {
      undo(plan, i);
      return done;
    }
  }
  if (auto done = commit(plan); !done) {
    undo(plan, plan.steps.size());
    return done;
  }
  {
    const std::unique_lock alone{readers_};
    state_ = applied(std::move(state_), plan);
  }
  for (Event& event : plan.events) events_.add(std::move(event));
  queue_announcements(plan.steps, plan.announcements);
  if (auto done = file_->tidy(); !done) troubles_.push_back(std::move(done.error()));

  for (std::size_t i = 0; i < plan.attempts.size(); ++i) attempt(plan.attempts[i], plan);
  return {};
}

void Controller::attempt(const Step& step, Plan& plan) {
  auto done = perform(step, plan);
  if (done) return;
  troubles_.push_back(std::move(done.error()));
  // What is nobody's any more must not stay for good.
  const auto* row = std::get_if<step::Write<SlaveRow>>(&step);
  if (row && !row->after) owed_.push_back(step);
}

// On disk before what cannot be undone.
Result<void> Controller::commit(Plan& plan) {
  if (auto done = remember(plan); !done || !plan.last) return done;
  auto done = perform(*plan.last, plan);
  if (done) return done;
  undo(*plan.last);
  restore_on_disk(plan);
  return done;
}

// The plan's changes, on disk.
Result<void> Controller::remember(const Plan& plan) {
  std::vector<Record> records;
  for (const Change& change : plan.changes) {
    records.push_back(
        std::visit(Overloaded{
                       [&](const Port& port) -> Record { return saved(port); },
                       [&](const Slave& slave) -> Record { return saved(slave, saved_place(slave)); },
                       [&](const auto& drop) -> Record { return drop; },
                   },
                   change));
  }
  if (plan.durable) return file_->commit(records);
  if (auto noted = file_->note(records); !noted) troubles_.push_back(std::move(noted.error()));
  return {};
}

// After all as before.
void Controller::restore_on_disk(const Plan& plan) {
  Plan before{.durable = false};
  // In the other order: a port comes before its slaves.
  for (const Change& change : std::views::reverse(plan.changes)) {
    before.changes.push_back(inverse(state_, change));
  }
  std::ignore = remember(before);
}

SavedPlace Controller::saved_place(const Slave& slave) {
  const Slave* before = state_.slave(slave.id);
  const auto known = file_->known().slaves.find(slave.id);
  const Netns netns = slave.ends.container_end.netns;
  // Which name a namespace has takes a while to find out.
  if (before && before->ends.container_end.netns == netns && known != file_->known().slaves.end()) {
    return known->second.place;
  }
  return netns ? place_in(*netns) : SavedPlace{};
}

SavedPlace Controller::place_in(Nsid netns) {
  std::string name = links_.netns_name(netns).value_or("");
  if (name.starts_with("/proc/")) name.clear();  // there will be other processes
  const bool reads_as_pid = !name.empty() && name.find_first_not_of("0123456789") == name.npos;
  if (reads_as_pid) name.insert(0, "/run/netns/");
  return {.in_host = false, .netns = std::move(name)};
}

// What was done before step `failed`, and what that step itself may have done
// half; in reverse. An undo that fails as well leaves the rest to be undone.
void Controller::undo(Plan& plan, std::size_t failed) {
  const auto done = std::min(failed + 1, plan.steps.size());
  for (std::size_t i = done; i-- > 0;) undo(plan.steps[i]);
}

void Controller::undo(const Step& step) {
  const auto back = inverse(step);
  if (!back) return;
  Plan alone{.steps = {*back}};
  if (auto undone = perform(*back, alone); !undone) {
    troubles_.push_back(std::move(undone.error()).within("undo"));
  }
}

Result<void> Controller::perform(const Step& step, Plan& plan) {
  return std::visit(
      Overloaded{
          [&]<class Row>(const step::Write<Row>& write) {
            return write.after ? this->write(*write.after) : erase(*write.before);
          },
          [&](const step::CreateLinks& create) -> Result<void> {
            const auto ends = links_.create(create);
            if (!ends) return std::unexpected(ends.error());
            set_ends(plan, create.slave, *ends);
            return {};
          },
          [&](const step::RemoveLinks& remove) -> Result<void> {
            // A pair that could not be made has no ends.
            if (remove.ends == Ends{}) return {};
            return links_.remove(remove.ends);
          },
          [&](const step::RemoveManyLinks& remove) { return links_.remove(remove.host_ends); },
          [&](const step::Settle& settle) { return links_.settle(settle.host_ends, settle.settled); },
          [&](const step::Move& move) { return this->move(move, plan); },
          [&](const step::ServeSockets& serve) {
            return serve.served ? serve_sockets(serve.slave, serve.via, serve.place)
                                : datapath_.end_sockets(serve.slave);
          },
          [&](const step::SetUp& set) { return links_.set_up(set.place, set.up); },
          [&](const step::SetMtu& set) { return links_.set_mtu(set.place, set.after); },
          [&](const step::SetMac& set) { return links_.set_mac(set.place, set.after); },
          [&](const step::SetRouted& set) { return links_.set_routed(set.ends, set.routed); },
          [&](const step::AssignAddress& assign) { return links_.assign(assign.place, assign.prefix); },
          [&](const step::RemoveAddress& remove) { return links_.unassign(remove.place, remove.prefix); },
          [&](const step::SeparateLinkLocals& separate) {
            return links_.separate_link_locals(separate.place, separate.slave, separate.mac);
          },
      },
      step);
}

// What the mode needs of the host is there before the port, and goes after it.
Result<void> Controller::write(const PortRow& row) {
  if (auto tuned = links_.tune(row.master, row.mode); !tuned) return tuned;
  return datapath_.write(row);
}

Result<void> Controller::erase(const PortRow& row) {
  if (auto erased = datapath_.erase(row); !erased) return erased;
  return links_.tune(row.master, std::nullopt);
}

Result<void> Controller::serve_sockets(SlaveId slave, Via via, const Place& container_end) {
  if (via == Via::direct) return datapath_.serve_direct(slave);
  const auto netns = open_netns(container_end.netns);
  if (!netns) return std::unexpected(netns.error());
  return datapath_.serve_sockets(slave, container_end.ifindex, *netns);
}

// None is the host's.
Result<UniqueFd> Controller::open_netns(Netns netns) {
  return netns ? links_.open_netns(*netns) : UniqueFd{};
}

Result<bool> Controller::is_inside(SlaveId id, const UniqueFd& connection) {
  const Slave* slave = state_.slave(id);
  if (!slave) return false;
  if (slave->via == Via::direct) {
    const auto beside_the_master = is_opened_in(connection, UniqueFd{});
    if (!beside_the_master || *beside_the_master) return beside_the_master;
  }
  const auto netns = open_netns(slave->ends.container_end.netns);
  if (!netns) return std::unexpected(netns.error());
  return is_opened_in(connection, *netns);
}

// Leaves an interface that is there already where it is.
Result<void> Controller::move(const step::Move& move, Plan& plan) {
  auto link = links_.look(move.ends.host_end);
  if (!link) return std::unexpected(link.error());
  if (link->place.netns != move.to.netns) {
    if (auto moved = links_.move(link->place, move.to.netns); !moved) return moved;
    link = links_.look(move.ends.host_end);
    if (!link) return std::unexpected(link.error());
  }
  set_ends(plan, move.slave, {move.ends.host_end, link->place});
  for (const Prefix& prefix : move.to.addresses) {
    if (auto assigned = links_.assign(link->place, prefix); !assigned) return assigned;
  }
  return links_.set_up(link->place, move.to.up);
}

// ---------------------------------------------------------------- announcements

void Controller::queue_announcements(const std::vector<Step>& steps, const std::vector<Announcement>& news) {
  for (const Step& step : steps) {
    const auto* row = std::get_if<step::Write<AddressRow>>(&step);
    if (row && !row->after) announcements_.forget(row->before->key());
  }
  for (const Announcement& one : news) announcements_.add(one);
  if (!news.empty()) wake_();
}

// What is true by now is announced, or nothing.
std::vector<Error> Controller::announce(Announcements::Time now) {
  std::vector<Error> errors;
  for (const auto& [key, audience] : announcements_.take(now)) {
    const Port* port = state_.port(key.master);
    const auto& claimants = state_.claimants(key);
    const Slave* owner = claimants.empty() ? nullptr : state_.slave(claimants.front());
    if (!port || !owner || !may_announce(*port, *owner, key.address)) continue;
    std::optional<IfIndex> as_slave;
    if (audience != Audience::wire && port->mode == Mode::l2) as_slave = owner->ends.host_end;
    if (auto said = links_.announce(port->master, as_slave, port->mac, key.address); !said) {
      errors.push_back(std::move(said.error()));
    }
  }
  return errors;
}

// ------------------------------------------------------------- what the kernel does

std::vector<Error> Controller::follow(const Notices& notices) {
  std::map<SlaveId, bool> concerned;  // whether its host end is what changed
  if (notices.lost) {
    events_.add(
        {.type = EventType::resync, .detail = "netlink messages were lost: all slaves are looked at"});
    refresh_masters();
    for (const auto& [id, slave] : state_.slaves()) concerned[id] = true;
  }
  for (const Step& step : std::exchange(owed_, {})) {
    Plan alone;
    attempt(step, alone);
  }
  Notices all = std::exchange(again_, {});
  std::ranges::copy(notices.places, std::back_inserter(all.places));
  for (const auto& [master, departure] : notices.left) all.left.insert_or_assign(master, departure);
  bool host_changed = false;
  for (const Place& place : all.places) {
    if (const Slave* slave = state_.slave_at(place)) concerned.try_emplace(slave->id, false);
    if (place.netns) continue;
    host_changed = true;
    if (state_.port(place.ifindex)) {
      const auto left = all.left.find(place.ifindex);
      look_at_master(place.ifindex, left == all.left.end() ? std::nullopt : std::optional{left->second});
    }
    if (place.ifindex == relay_.entrance || place.ifindex == relay_.exit) {
      if (auto kept = keep_relay(); !kept) troubles_.push_back(std::move(kept.error()));
    }
    if (const Slave* slave = state_.slave_of_host_end(place.ifindex)) concerned[slave->id] = true;
  }
  if (host_changed) {
    for (const SlaveId id : find_masters()) concerned.try_emplace(id, false);
  }
  for (const auto& [id, host_end] : concerned) look_at_slave(id, host_end);
  for (const IfIndex master : notices.failed_over) {
    const Port* port = state_.port(master);
    if (port) queue_announcements({}, all_announcements(state_, *port, Audience::wire));
  }
  return std::exchange(troubles_, {});
}

// What could not be followed is looked at again with the next notices, whatever they are about.
void Controller::look_at_slave(SlaveId id, bool routes_too) {
  auto done = refresh(id, routes_too);
  if (done) return;
  look_again({std::nullopt, state_.slave(id)->ends.host_end}, std::move(done.error()));
}

void Controller::look_at_master(IfIndex master, std::optional<Notices::Departure> left) {
  auto done = left ? part_from_master(master, *left) : refresh_master(master);
  if (done) return;
  look_again({std::nullopt, master}, std::move(done.error()));
  if (left) again_.left.insert_or_assign(master, *left);
}

void Controller::look_again(const Place& place, Error why) {
  troubles_.push_back(std::move(why));
  again_.places.push_back(place);
}

// Reads what is true of this slave now and makes it so here: a notice says only
// where to look, so that none can be out of date.
Result<void> Controller::refresh(SlaveId id, bool routes_too) {
  const Slave* slave = state_.slave(id);
  if (!slave) return {};
  const std::string subject = fmt::format("slave '{}' (id {})", slave->name.str(), number(id));

  Observe observe{.id = id, .routes_too = routes_too};
  auto link = links_.look(slave->ends.host_end);
  if (!link && link.error().code != Errc::no_such_slave) {
    return std::unexpected(std::move(link.error()).within(subject));
  }
  if (link) {
    const bool news =
        std::ranges::any_of(link->addresses, [&](const Prefix& seen) { return !slave->find(seen.address); });
    if (news && !is_away(slave->master)) {
      // Not knowing what is reserved, none may be learnt.
      auto master = links_.master(slave->master);
      if (!master) return std::unexpected(std::move(master.error()).within(subject));
      observe.reserved = std::move(master->reserved);
    }
    observe.link = *std::move(link);
  }
  if (auto done = run(observe); !done) return std::unexpected(Error{done.error()}.within(subject));
  return {};
}

// The same of a master that was there.
Result<void> Controller::refresh_master(IfIndex master) {
  auto link = links_.master(master);
  if (link) {
    const IfName before = state_.port(master)->name;
    if (auto followed = run(ObserveMaster{master, *std::move(link)}); !followed) return whether(followed);
    const Port& port = *state_.port(master);
    const bool in_use = state_.slots(master) > 0;
    return in_use && port.name != before ? links_.tune(master, port.mode) : Result<void>{};
  }
  // One that has left says so in a notice of its own.
  if (link.error().code != Errc::no_such_master) return std::unexpected(link.error());
  return {};
}

Result<void> Controller::part_from_master(IfIndex master, Notices::Departure departure) {
  return whether(run(ObserveMaster{.master = master, .moved = departure == Notices::Departure::moved}));
}

// Of all, when nobody told what became of them: one that is not there may have moved, and
// may come back.
void Controller::refresh_masters() {
  for (const auto& [master, port] : std::map{state_.ports()}) {
    if (is_away(master)) continue;
    const auto link = links_.master(master);
    const bool absent = !link && link.error().code == Errc::no_such_master;
    look_at_master(master, absent ? std::optional{Notices::Departure::moved} : std::nullopt);
  }
}

// Of ports that wait for theirs; returns the slaves of those that need not wait any more.
std::vector<SlaveId> Controller::find_masters() {
  std::vector<SlaveId> served;
  for (const auto& [number, port] : std::map{state_.ports()}) {
    if (!is_away(number)) continue;
    auto link = links_.master(port.name);
    if (!link && link.error().code != Errc::no_such_master) {
      look_again({std::nullopt, number}, std::move(link.error()));
    }
    if (!link || state_.port(link->ifindex) || state_.slave_at({std::nullopt, link->ifindex})) continue;
    const IfIndex master = link->ifindex;
    if (auto found = run(ObserveMaster{number, *std::move(link)}); !found) {
      look_again({std::nullopt, number}, std::move(found.error()));
    }
    std::ranges::copy(state_.slaves_of(master), std::back_inserter(served));
  }
  return served;
}

// Broadcasts need it: should somebody remove it, it is made again.
Result<void> Controller::keep_relay() {
  const auto relay = links_.relay();
  if (!relay) return std::unexpected(relay.error());
  if (*relay == relay_) return {};
  if (auto used = datapath_.use(*relay); !used) return used;
  const bool was_there = relay_ != Relay{};
  relay_ = *relay;
  if (was_there) {
    events_.add({.type = EventType::repaired, .detail = "the interfaces that relay broadcasts were gone"});
  }
  return {};
}

}  // namespace ipvlanx
