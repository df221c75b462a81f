// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/event_log.h"

#include <fmt/format.h>

#include <chrono>

namespace ipvlanx {

void EventLog::add(Event event) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  events_.push_back({++last_seq_, now.count(), std::move(event)});
  if (events_.size() > kCapacity) events_.pop_front();
  if (listener_) listener_(events_.back());
}

Result<std::vector<LoggedEvent>> EventLog::since(std::uint64_t since) const {
  const std::uint64_t first = last_seq_ - events_.size() + 1;
  if (since + 1 < first || since > last_seq_) {
    return fail(Errc::events_gone,
                fmt::format("events after {} are not kept: {} to {} are", since, first, last_seq_), "since");
  }
  return std::vector<LoggedEvent>(events_.end() - static_cast<std::ptrdiff_t>(last_seq_ - since),
                                  events_.end());
}

}  // namespace ipvlanx
