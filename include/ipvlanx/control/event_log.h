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

// Keeps the last kCapacity events. `seq` starts at 1, without gaps. Used on one thread, but for
// add() once there is a run_by().
class EventLog {
 public:
  static constexpr std::size_t kCapacity = 4096;

  // Goes on from the number in this file, which holds the last one from now on: it
  // survives the process, but a power loss may cost it the last few.
  Result<void> count_in(const std::string& path);

  // At its end, or when run_by() comes to it.
  void add(Event event);
  std::uint64_t last_seq() const { return last_seq_; }
  // Events after `since`; events_gone when some of them are not kept any more.
  Result<std::vector<LoggedEvent>> since(std::uint64_t since) const;
  // What add() has to do is given to `run`, which does one after the other on the log's thread.
  void run_by(std::function<void(std::function<void()>)> run) { run_ = std::move(run); }
  // Each is called for each event once it is in the log; may add no events.
  void on_event(std::function<void(const LoggedEvent&)> listener) {
    listeners_.push_back(std::move(listener));
  }

 private:
  void append(double time, Event event);

  std::uint64_t last_seq_ = 0;
  UniqueFd file_;
  std::deque<LoggedEvent> events_;
  std::vector<std::function<void(const LoggedEvent&)>> listeners_;
  std::function<void(std::function<void()>)> run_ = [](const std::function<void()>& act) { act(); };
};

}  // namespace ipvlanx
