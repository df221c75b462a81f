// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <set>

#include "restore.h"
#include "state_file.h"

namespace ipvlanx {

namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

Result<void> whether(const Result<SlaveId>& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

Controller::Controller(Links& links, Datapath& datapath, std::string state_path)
    : links_(links), datapath_(datapath), state_path_(std::move(state_path)) {
}

// -------------------------------------------------------------------- requests

Result<SlaveId> Controller::add_slave(const api::NewSlave& request) {
  auto master = links_.master(request.master);
  if (!master) return std::unexpected(std::move(master.error()).at("master"));
  Netns netns;
  if (request.netns) {
    const auto found = links_.find_netns(*request.netns);
    if (!found) return std::unexpected(Error{found.error()}.at("netns"));
    netns = *found;
  }
  auto id = run(AddSlave{.master = *std::move(master),
                         .name = request.name,
                         .netns = netns,
                         .mode = request.mode,
                         .flag = request.flag,
                         .mtu = request.mtu,
                         .addr_policy = request.addr_policy,
                         .max_addresses = request.max_addresses,
                         .addresses = request.addresses});
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
    const auto found = links_.find_netns(*request.netns);
    if (!found) return std::unexpected(Error{found.error()}.at("netns"));
    change.netns = *found;
  }
  auto done = run(change);
  if (!done && done.error().code == Errc::name_in_use) {
    return std::unexpected(std::move(done.error()).at("netns"));  // its name is taken there
  }
  if (!done) return std::unexpected(done.error());
  // A new policy, limit or namespace may show other addresses.
  return refresh(id);
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
                                .strict_private = request.strict_private}));
}

Result<void> Controller::delete_port(const IfName& master) {
  const auto& ports = state_.ports();
  const auto port =
      std::ranges::find_if(ports, [&](const auto& entry) { return entry.second.name == master; });
  if (port == ports.end()) return fail(Errc::no_such_port, fmt::format("'{}' is no port", master.str()));
  return whether(run(DeletePort{port->first}));
}

Result<void> Controller::add_address(SlaveId id, const api::NewAddress& request) {
  AddAddress add{.id = id, .prefix = request.address};
  if (const Slave* slave = state_.slave(id)) {
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

std::optional<std::string> Controller::netns_name(const Slave& slave) {
  const Netns netns = slave.ends.container_end.netns;
  return netns ? links_.netns_name(*netns) : std::nullopt;
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
  if (plan.durable) {
    State next = applied(state_, plan);
    if (auto saved = write_state(state_path_, next); !saved) {
      undo(plan, plan.steps.size());
      return saved;
    }
    state_ = std::move(next);
  } else {
    state_ = applied(std::move(state_), plan);
  }
  for (Event& event : plan.events) events_.add(std::move(event));

  for (std::size_t i = 0; i < plan.attempts.size(); ++i) {
    if (auto done = perform(plan.attempts[i], plan); !done) troubles_.push_back(done.error());
  }
  return {};
}

// What was done before step `failed`, and what that step itself may have done
// half; in reverse. An undo that fails as well leaves the rest to be undone.
void Controller::undo(Plan& plan, std::size_t failed) {
  const auto done = std::min(failed + 1, plan.steps.size());
  for (std::size_t i = done; i-- > 0;) {
    const auto back = inverse(plan.steps[i]);
    if (!back) continue;
    Plan alone{.steps = {*back}};
    if (auto undone = perform(*back, alone); !undone) {
      troubles_.push_back(std::move(undone.error()).within("undo"));
    }
  }
}

Result<void> Controller::perform(const Step& step, Plan& plan) {
  return std::visit(
      Overloaded{
          [&]<class Row>(const step::Write<Row>& write) {
            return write.after ? datapath_.write(*write.after) : datapath_.erase(*write.before);
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
          [&](const step::Move& move) { return this->move(move, plan); },
          [&](const step::SetUp& set) { return links_.set_up(set.place, set.up); },
          [&](const step::SetMtu& set) { return links_.set_mtu(set.place, set.after); },
          [&](const step::AssignAddress& assign) { return links_.assign(assign.place, assign.prefix); },
          [&](const step::RemoveAddress& remove) { return links_.unassign(remove.place, remove.prefix); },
          [&](const step::SeparateLinkLocals& separate) {
            return links_.separate_link_locals(separate.place, separate.slave, separate.mac);
          },
      },
      step);
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

// ------------------------------------------------------------- what the kernel does

std::vector<Error> Controller::follow(const Notices& notices) {
  std::set<SlaveId> concerned;
  if (notices.lost) {
    events_.add(
        {.type = EventType::resync, .detail = "netlink messages were lost: all slaves are looked at"});
    for (const auto& [id, slave] : state_.slaves()) concerned.insert(id);
  }
  for (const Place& place : notices.places) {
    if (const Slave* slave = state_.slave_at(place)) concerned.insert(slave->id);
    if (place.netns) continue;
    if (place.ifindex == relay_.entrance || place.ifindex == relay_.exit) {
      if (auto kept = keep_relay(); !kept) troubles_.push_back(std::move(kept.error()));
    }
    if (const Slave* slave = state_.slave_of_host_end(place.ifindex)) concerned.insert(slave->id);
  }
  for (const SlaveId id : concerned) {
    if (auto done = refresh(id); !done) troubles_.push_back(std::move(done.error()));
  }
  return std::exchange(troubles_, {});
}

// Reads what is true of this slave now and makes it so here: a notice says only
// where to look, so that none can be out of date.
Result<void> Controller::refresh(SlaveId id) {
  const Slave* slave = state_.slave(id);
  if (!slave) return {};
  const std::string subject = fmt::format("slave '{}' (id {})", slave->name.str(), number(id));

  Observe observe{.id = id};
  auto link = links_.look(slave->ends.host_end);
  if (!link && link.error().code != Errc::no_such_slave) {
    return std::unexpected(std::move(link.error()).within(subject));
  }
  if (link) {
    const bool news =
        std::ranges::any_of(link->addresses, [&](const Prefix& seen) { return !slave->find(seen.address); });
    if (news) {
      if (auto master = links_.master(slave->master)) observe.reserved = std::move(master->reserved);
    }
    observe.link = *std::move(link);
  }
  if (auto done = run(observe); !done) return std::unexpected(Error{done.error()}.within(subject));
  return {};
}

// Broadcasts need it: should somebody remove it, it is made again.
Result<void> Controller::keep_relay() {
  const auto relay = links_.relay();
  if (!relay) return std::unexpected(relay.error());
  if (*relay == relay_) return {};
  if (auto used = datapath_.use(*relay); !used) return used;
  relay_ = *relay;
  return {};
}

// ----------------------------------------------------------------------- start

Result<void> Controller::start() {
  if (auto counted = events_.count_in(state_path_ + ".seq"); !counted) return counted;
  if (auto kept = keep_relay(); !kept) return kept;
  auto restored = restore(links_, datapath_, state_path_);
  if (!restored) return std::unexpected(restored.error());
  state_ = std::move(restored->state);
  for (const Step& step : restored->steps) {
    Plan alone;
    if (auto done = perform(step, alone); !done) return done;
  }
  for (Event& event : restored->events) events_.add(std::move(event));
  if (auto saved = write_state(state_path_, state_); !saved) return saved;
  for (const auto& [id, slave] : std::map{state_.slaves()}) {
    if (auto done = refresh(id); !done) troubles_.push_back(std::move(done.error()));
  }
  return {};
}

}  // namespace ipvlanx
