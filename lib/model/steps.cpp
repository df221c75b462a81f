// SPDX-License-Identifier: Apache-2.0
// What a plan's parts mean to each other: the order of table rows, what undoes a
// step, and what a plan leaves behind. The rules themselves are in plan.cpp.
#include <algorithm>
#include <utility>

#include "ipvlanx/base/overloaded.h"
#include "ipvlanx/model/plan.h"

namespace ipvlanx {

namespace {

template <class Key, class Row>
void erase_missing(const std::map<Key, Row>& before, const std::map<Key, Row>& after,
                   std::vector<Step>& withdrawals) {
  for (const auto& [key, row] : before) {
    if (!after.contains(key)) withdrawals.emplace_back(step::Write<Row>{row, std::nullopt});
  }
}

template <class Key, class Row>
void write_changed(const std::map<Key, Row>& before, const std::map<Key, Row>& after,
                   std::vector<Step>& entries) {
  for (const auto& [key, row] : after) {
    const auto old = before.find(key);
    if (old == before.end()) {
      entries.emplace_back(step::Write<Row>{std::nullopt, row});
    } else if (old->second != row) {
      entries.emplace_back(step::Write<Row>{old->second, row});
    }
  }
}

void set_ends(step::Write<PortRow>&, SlaveId, const Ends&) {
}

void set_ends(step::Write<SlaveRow>& write, SlaveId slave, const Ends& ends) {
  if (write.after && write.after->slave == slave) write.after->host_end = ends.host_end;
}

void set_ends(step::Write<MemberRow>& write, SlaveId slave, const Ends& ends) {
  if (write.after && write.after->slave == slave) write.after->host_end = ends.host_end;
}

void set_ends(step::Write<AddressRow>& write, SlaveId slave, const Ends& ends) {
  if (write.after && write.after->slave == slave) {
    write.after->host_end = ends.host_end;
    write.after->container_end = ends.container_end.ifindex;
  }
}

void set_way(std::vector<Step>& steps, SlaveId slave, Way way) {
  for (Step& step : steps) {
    auto* write = std::get_if<step::Write<AddressRow>>(&step);
    if (write && write->after && write->after->slave == slave) write->after->way = way;
  }
}

// A port that needs less of the host from now on.
bool resigns(const Step& step) {
  const auto* port = std::get_if<step::Write<PortRow>>(&step);
  return port && port->before && port->after && port->after->mode < port->before->mode;
}

// A route has no slave's name on it: of one that is being made it leads to no interface yet.
void set_ends(step::Write<RouteRow>& write, SlaveId, const Ends& ends) {
  if (write.after && write.after->host_end == IfIndex{}) write.after->host_end = ends.host_end;
}

void set_ends(step::RemoveManyLinks&, SlaveId, const Ends&) {
}

void set_ends(step::Settle& settle, SlaveId, const Ends& ends) {
  std::ranges::replace(settle.host_ends, IfIndex{}, ends.host_end);
}

template <class LinkStep>
void set_ends(LinkStep& step, SlaveId slave, const Ends& ends) {
  if (step.slave != slave) return;
  if constexpr (requires { step.ends; }) {
    step.ends = ends;
  } else if (step.place != Place{.netns = std::nullopt, .ifindex = ends.host_end}) {
    step.place = ends.container_end;
  }
}

}  // namespace

Difference difference(const Tables& before, const Tables& after) {
  Difference result;
  erase_missing(before.addresses, after.addresses, result.withdrawals);
  erase_missing(before.members, after.members, result.withdrawals);
  erase_missing(before.slaves, after.slaves, result.withdrawals);
  erase_missing(before.ports, after.ports, result.withdrawals);
  write_changed(before.ports, after.ports, result.entries);
  write_changed(before.members, after.members, result.entries);
  write_changed(before.slaves, after.slaves, result.entries);
  write_changed(before.routes, after.routes, result.entries);
  write_changed(before.addresses, after.addresses, result.entries);

  erase_missing(before.routes, after.routes, result.closing);
  std::ranges::copy_if(result.entries, std::back_inserter(result.closing), resigns);
  std::erase_if(result.entries, resigns);
  return result;
}

std::optional<Step> inverse(const Step& step) {
  using Inverse = std::optional<Step>;
  return std::visit(
      Overloaded{
          []<class Row>(const step::Write<Row>& s) -> Inverse { return step::Write<Row>{s.after, s.before}; },
          [](const step::CreateLinks& s) -> Inverse { return step::RemoveLinks{s.slave, s.ends}; },
          [](const step::RemoveLinks&) -> Inverse { return std::nullopt; },
          [](const step::RemoveManyLinks&) -> Inverse { return std::nullopt; },
          [](const step::Settle& s) -> Inverse { return step::Settle{s.host_ends, !s.settled}; },
          [](const step::ServeSockets& s) -> Inverse {
            return step::ServeSockets{s.slave, s.place, !s.served, s.via};
          },
          [](const step::SetUp& s) -> Inverse { return step::SetUp{s.slave, s.place, !s.up}; },
          [](const step::SetMtu& s) -> Inverse { return step::SetMtu{s.slave, s.place, s.after, s.before}; },
          [](const step::SetMac& s) -> Inverse { return step::SetMac{s.slave, s.place, s.after, s.before}; },
          [](const step::SetRouted& s) -> Inverse { return step::SetRouted{s.slave, s.ends, !s.routed}; },
          [](const step::AssignAddress& s) -> Inverse {
            return step::RemoveAddress{s.slave, s.place, s.prefix};
          },
          [](const step::RemoveAddress& s) -> Inverse {
            return step::AssignAddress{s.slave, s.place, s.prefix};
          },
          [](const step::Move& s) -> Inverse { return step::Move{s.slave, s.ends, s.to, s.from}; },
          [](const step::SeparateLinkLocals&) -> Inverse { return std::nullopt; },
      },
      step);
}

void set_ends(Plan& plan, SlaveId slave, const Ends& ends) {
  const auto enter = [&](auto& step) { set_ends(step, slave, ends); };
  for (Step& step : plan.steps) std::visit(enter, step);
  if (plan.last) std::visit(enter, *plan.last);
  for (Step& step : plan.attempts) std::visit(enter, step);
  for (Change& change : plan.changes) {
    auto* after = std::get_if<Slave>(&change);
    if (!after || after->id != slave) continue;
    after->ends = ends;
    set_way(plan.steps, slave, way_into(ends, after->via));
  }
}

State applied(State state, const Plan& plan) {
  for (const Change& change : plan.changes) {
    std::visit(Overloaded{
                   [&](const Port& port) { state.put(port); },
                   [&](const Slave& slave) { state.put(slave); },
                   [&](const DropPort& drop) { state.drop_port(drop.master); },
                   [&](const DropSlave& drop) { state.drop(drop.id); },
               },
               change);
  }
  return state;
}

}  // namespace ipvlanx
