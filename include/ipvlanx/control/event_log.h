// SPDX-License-Identifier: Apache-2.0
// The events of late, numbered, for readers who come back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "ipvlanx/model/event.h"

namespace ipvlanx {

struct LoggedEvent {
  std::uint64_t seq;
  double time;  // seconds since the epoch
  Event event;
};

// Keeps the last kCapacity events. `seq` starts at 1 and goes on across restarts
// when the log is made with the last number of the run before.
class EventLog {
 public:
  static constexpr std::size_t kCapacity = 4096;

  explicit EventLog(std::uint64_t last_seq = 0) : last_seq_(last_seq) {}

  void add(Event event);
  std::uint64_t last_seq() const { return last_seq_; }
  void resume_after(std::uint64_t last_seq) { last_seq_ = last_seq; }
  // Events after `since`; events_gone when some of them are not kept any more.
  Result<std::vector<LoggedEvent>> since(std::uint64_t since) const;
  // Called after each add(), on the loop's thread; may add no events.
  void on_event(std::function<void(const LoggedEvent&)> listener) { listener_ = std::move(listener); }

 private:
  std::uint64_t last_seq_;
  std::deque<LoggedEvent> events_;
  std::function<void(const LoggedEvent&)> listener_;
};

}  // namespace ipvlanx
