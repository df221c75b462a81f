// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/state.h"

#include <algorithm>
#include <ranges>

namespace ipvlanx {

namespace {

template <class Map, class Key>
auto* find_in(const Map& map, const Key& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

// The kernel gives an interface number again: another slave may bear it by now.
template <class Map, class Key>
void erase_own(Map& map, const Key& key, SlaveId id) {
  const auto it = map.find(key);
  if (it != map.end() && it->second == id) map.erase(it);
}

bool claims(const Slave& slave, const IpAddress& address) {
  const Address* own = slave.find(address);
  return own && own->refusal == Refusal::none;
}

}  // namespace

std::string_view to_string(AddressState state) {
  switch (state) {
    case AddressState::active:
      return "active";
    case AddressState::conflict:
      return "conflict";
    case AddressState::inactive:
      return "inactive";
  }
  return "inactive";
}

bool Slave::is_silent(const IpAddress& address) const {
  return std::ranges::binary_search(silent, address);
}

const Port* State::port(IfIndex master) const {
  return find_in(ports_, master);
}

const Slave* State::slave(SlaveId id) const {
  return find_in(slaves_, id);
}

const Port* State::port_named(std::string_view master) const {
  for (const auto& [ifindex, port] : ports_) {
    if (port.name.str() == master) return &port;
  }
  return nullptr;
}

const Slave* State::slave_at(const Place& container_end) const {
  const SlaveId* id = find_in(by_place_, container_end);
  return id ? slave(*id) : nullptr;
}

const Slave* State::slave_of_host_end(IfIndex host_end) const {
  const SlaveId* id = find_in(by_host_end_, host_end);
  return id ? slave(*id) : nullptr;
}

std::vector<SlaveId> State::slaves_of(IfIndex master) const {
  std::vector<SlaveId> ids;
  if (const auto* slots = find_in(slots_, master)) {
    for (const auto& [slot, id] : slots->used) ids.push_back(id);
  }
  return ids;
}

std::size_t State::count_slaves(IfIndex master) const {
  const auto* slots = find_in(slots_, master);
  return slots ? slots->used.size() : 0;
}

bool State::has(IfIndex master, Via via, std::optional<SlaveId> without) const {
  const auto* slots = find_in(slots_, master);
  const auto* ids = slots ? find_in(slots->by_sockets, via) : nullptr;
  if (!ids) return false;
  const bool is_one_of_them = without && ids->contains(*without);
  return ids->size() > (is_one_of_them ? 1 : 0);
}

const std::vector<SlaveId>& State::claimants(const AddressKey& key) const {
  static const std::vector<SlaveId> none;
  const auto* ids = find_in(claims_, key);
  return ids ? *ids : none;
}

AddressState State::state_of(const Slave& slave, const Address& address) const {
  const auto& ids = claimants({slave.master, address.prefix.address});
  if (ids.empty() || ids.front() != slave.id) return AddressState::conflict;
  return slave.up && !is_away(slave.master) ? AddressState::active : AddressState::inactive;
}

std::uint32_t State::free_slot(IfIndex master) const {
  const auto* slots = find_in(slots_, master);
  if (!slots) return 0;
  return slots->gaps.empty() ? slots->end() : *slots->gaps.begin();
}

std::uint32_t State::slots(IfIndex master, std::optional<SlaveId> without) const {
  const auto* slots = find_in(slots_, master);
  if (!slots) return 0;
  for (const auto& [slot, id] : std::views::reverse(slots->used)) {
    if (id != without) return slot + 1;
  }
  return 0;
}

IfIndex State::free_away() const {
  const bool any = !ports_.empty() && is_away(ports_.rbegin()->first);
  return IfIndex{any ? number(ports_.rbegin()->first) + 1 : kFirstAway};
}

std::optional<SlaveId> State::free_id() const {
  for (std::uint32_t tried = 0, id = number(last_id_); tried < kMaxSlaveId; ++tried) {
    id = id % kMaxSlaveId + 1;
    if (!slave(SlaveId{id}) && !reserved_ids_.contains(SlaveId{id})) return SlaveId{id};
  }
  return std::nullopt;
}

void State::Slots::take(std::uint32_t slot, SlaveId id) {
  for (std::uint32_t gap = end(); gap < slot; ++gap) gaps.insert(gap);
  gaps.erase(slot);
  used[slot] = id;
}

void State::Slots::leave(std::uint32_t slot) {
  used.erase(slot);
  gaps.insert(slot);
  gaps.erase(gaps.lower_bound(end()), gaps.end());
}

void State::put(Port port) {
  ports_.insert_or_assign(port.master, std::move(port));
}

void State::drop_port(IfIndex master) {
  ports_.erase(master);
}

void State::put(Slave slave) {
  const Slave* before = this->slave(slave.id);
  if (before && before->master != slave.master) {
    release(*before, before->addresses, nullptr);
    claim(slave, slave.addresses);
  } else if (before) {
    const auto changed = AddressList::difference(before->addresses, slave.addresses);
    release(*before, changed.before, &slave);
    claim(slave, changed.after);
  } else {
    last_id_ = slave.id;
    claim(slave, slave.addresses);
  }
  const SlaveId id = slave.id;
  slaves_.insert_or_assign(id, std::move(slave));
}

void State::drop(SlaveId id) {
  if (const Slave* before = slave(id)) {
    release(*before, before->addresses, nullptr);
    slaves_.erase(id);
  }
}

// Enters a slave into every index, with these of its addresses; one it had already keeps
// its place in the queue.
void State::claim(const Slave& slave, std::span<const Address> addresses) {
  auto& slots = slots_[slave.master];
  slots.take(slave.slot, slave.id);
  if (slave.via != Via::veth) slots.by_sockets[slave.via].insert(slave.id);
  by_place_[slave.ends.container_end] = slave.id;
  by_host_end_[slave.ends.host_end] = slave.id;
  for (const Address& address : addresses) {
    if (address.refusal != Refusal::none) continue;
    auto& ids = claims_[{slave.master, address.prefix.address}];
    if (std::ranges::find(ids, slave.id) == ids.end()) ids.push_back(slave.id);
  }
}

// Takes out of the indexes what `next`, the slave's next version, does not enter
// again; with these of its addresses.
void State::release(const Slave& slave, std::span<const Address> addresses, const Slave* next) {
  auto& slots = slots_[slave.master];
  slots.leave(slave.slot);
  slots.by_sockets[slave.via].erase(slave.id);
  if (slots.used.empty()) slots_.erase(slave.master);
  erase_own(by_place_, slave.ends.container_end, slave.id);
  erase_own(by_host_end_, slave.ends.host_end, slave.id);
  for (const Address& address : addresses) {
    if (next && claims(*next, address.prefix.address)) continue;
    const auto it = claims_.find({slave.master, address.prefix.address});
    if (it == claims_.end()) continue;
    std::erase(it->second, slave.id);
    if (it->second.empty()) claims_.erase(it);
  }
}

}  // namespace ipvlanx

std::size_t std::hash<ipvlanx::AddressKey>::operator()(const ipvlanx::AddressKey& key) const noexcept {
  return std::hash<ipvlanx::IpAddress>{}(key.address) * 31 + ipvlanx::number(key.master);
}
