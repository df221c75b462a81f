// SPDX-License-Identifier: Apache-2.0
// The events of late, numbered, for readers who come back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/event.h"

namespace ipvlanx {

struct LoggedEvent {
  std::uint64_t seq;
  double time;  // seconds since the epoch
  Event event;
};

// Keeps the last kCapacity events. `seq` starts at 1, without gaps.
class EventLog {
 public:
  static constexpr std::size_t kCapacity = 4096;

  // Goes on from the number in this file, which holds the last one from now on: it
  // survives the process, but a power loss may cost it the last few.
  Result<void> count_in(const std::string& path);

  void add(Event event);
  std::uint64_t last_seq() const { return last_seq_; }
  // Events after `since`; events_gone when some of them are not kept any more.
  Result<std::vector<LoggedEvent>> since(std::uint64_t since) const;
  // Called after each add(), on the loop's thread; may add no events.
  void on_event(std::function<void(const LoggedEvent&)> listener) { listener_ = std::move(listener); }

 private:
  std::uint64_t last_seq_ = 0;
  UniqueFd file_;
  std::deque<LoggedEvent> events_;
  std::function<void(const LoggedEvent&)> listener_;
};

}  // namespace ipvlanx
