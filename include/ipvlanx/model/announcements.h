// SPDX-License-Identifier: Apache-2.0
// Which addresses does the link have to hear of, and when? (rule 64)
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ipvlanx/model/state.h"

namespace ipvlanx {

// Who has to: what is behind the master, or the port's other slaves as well; these at once
// when a change of mode made them ask anew, whatever was said before.
enum class Audience { wire, link, link_at_once };

struct Announcement {
  AddressKey address;
  Audience audience{};
  bool operator==(const Announcement&) const = default;
};

// Whether this address of that slave is announced at all. Where the host routes, only what the
// API gave: a tenant cannot speak to the wire's neighbour tables there, and gets nobody to do
// so for it by taking an address. Nor are link-locals, which reach siblings only.
bool may_announce(const Port& port, const Slave& owner, const IpAddress& address);

// What is still to be announced. An address is said twice, two seconds apart (RFC 5227:
// ANNOUNCE_NUM, ANNOUNCE_INTERVAL), the second time to the wire alone, where the first may
// have been lost; and whatever happens to it, never twice within a second (RFC 4861, 7.2.6), but for
// link_at_once. A master says at most kBatch in kPause, whatever is new before what is said again.
//
// Pure: time is what take() is told. It holds an address once, and forgets it with its last
// word, so it is never larger than the table of addresses by more than one second's words.
class Announcements {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr int kTimes = 2;
  static constexpr std::chrono::seconds kInterval{2};
  static constexpr std::chrono::seconds kShortest{1};
  static constexpr int kBatch = 20;
  static constexpr std::chrono::milliseconds kPause{100};

  // From the beginning, also where it waits already.
  void add(const Announcement& announcement);
  // Nobody has it any more.
  void forget(const AddressKey& address);
  // What is to be said now.
  std::vector<Announcement> take(Time now);
  // When to take again; nullopt: not before the next add().
  std::optional<Time> next() const;

 private:
  struct Entry {
    int left = kTimes;  // 0: all is said, but it must not be said again yet
    Audience audience{};
    Time due = Time::min();
    std::optional<Time> last = {};
  };
  // Of one master.
  struct Queue {
    std::map<IpAddress, Entry> entries = {};
    std::set<std::pair<Time, IpAddress>> order = {};  // by when they are due
    int room = kBatch;                                // until `pause_ends`
    Time pause_ends = Time::min();
  };
  static void take(Queue& queue, IfIndex master, Time now, std::vector<Announcement>& taken);

  std::map<IfIndex, Queue> queues_;  // none is empty
};

}  // namespace ipvlanx
