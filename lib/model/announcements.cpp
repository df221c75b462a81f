// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/announcements.h"

#include <algorithm>

namespace ipvlanx {

bool may_announce(const Port& port, const Slave& owner, const IpAddress& address) {
  if (!port.announce || !port.carrier || !owner.up || owner.is_silent(address)) return false;
  if (port.mode == Mode::l2) return true;
  const Address* own = owner.find(address);
  return own && own->origin == Origin::api && !address.is_link_local();
}

void Announcements::add(const Announcement& announcement) {
  Queue& queue = queues_[announcement.address.master];
  const IpAddress& address = announcement.address.address;
  Entry& entry = queue.entries[address];
  queue.order.erase({entry.due, address});
  entry.left = kTimes;
  entry.audience = std::max(entry.audience, announcement.audience);
  if (entry.last) entry.due = std::min(entry.due, *entry.last + kShortest);
  if (announcement.audience == Audience::link_at_once) entry.due = Time::min();
  queue.order.insert({entry.due, address});
}

void Announcements::forget(const AddressKey& address) {
  const auto queue = queues_.find(address.master);
  if (queue == queues_.end()) return;
  const auto found = queue->second.entries.find(address.address);
  if (found == queue->second.entries.end()) return;
  Entry& entry = found->second;
  if (entry.last) {
    entry.left = 0;
    return;
  }
  queue->second.order.erase({entry.due, address.address});
  queue->second.entries.erase(found);
  if (queue->second.entries.empty()) queues_.erase(queue);
}

std::vector<Announcement> Announcements::take(Time now) {
  std::vector<Announcement> taken;
  for (auto& [master, queue] : queues_) take(queue, master, now, taken);
  std::erase_if(queues_, [](const auto& each) { return each.second.entries.empty(); });
  return taken;
}

void Announcements::take(Queue& queue, IfIndex master, Time now, std::vector<Announcement>& taken) {
  if (now >= queue.pause_ends) {
    queue.pause_ends = now + kPause;
    queue.room = kBatch;
  }
  while (queue.room > 0 && !queue.order.empty() && queue.order.begin()->first <= now) {
    const IpAddress address = queue.order.extract(queue.order.begin()).value().second;
    Entry& entry = queue.entries.at(address);
    if (entry.left == 0) {
      queue.entries.erase(address);
      continue;
    }
    taken.push_back({{master, address}, entry.audience});
    --queue.room;
    --entry.left;
    entry.audience = Audience::wire;
    entry.last = now;
    entry.due = now + (entry.left > 0 ? kInterval : kShortest);
    queue.order.insert({entry.due, address});
  }
}

std::optional<Announcements::Time> Announcements::next() const {
  std::optional<Time> next;
  for (const auto& [master, queue] : queues_) {
    const Time due = queue.order.begin()->first;
    const Time when = queue.room > 0 ? due : std::max(due, queue.pause_ends);
    next = next ? std::min(*next, when) : when;
  }
  return next;
}

}  // namespace ipvlanx
