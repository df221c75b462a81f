// SPDX-License-Identifier: Apache-2.0
#include "event_feed.h"

#include "ipvlanx/api/replies.h"

namespace ipvlanx::daemon {

std::string event_line(const LoggedEvent& event) {
  return api::to_text(api::event_json(event.event, event.seq, event.time)) + "\n";
}

void EventReader::push(std::string_view line) {
  if (ended_) return;
  if (lines_.size() + line.size() > kMostBytes) return end();
  lines_ += line;
  wake_();
}

void EventReader::end() {
  if (std::exchange(ended_, true)) return;
  lines_.clear();
  wake_();
}

std::shared_ptr<EventReader> EventFeed::follow(std::function<void()> wake) {
  std::erase_if(readers_, [](const auto& reader) { return reader.expired(); });
  auto reader = std::make_shared<EventReader>(std::move(wake));
  readers_.push_back(reader);
  return reader;
}

void EventFeed::publish(const LoggedEvent& event) {
  const std::string line = event_line(event);
  for (const auto& weak : readers_) {
    if (const auto reader = weak.lock()) reader->push(line);
  }
}

}  // namespace ipvlanx::daemon
