// SPDX-License-Identifier: Apache-2.0
// How events reach those who follow GET /v1/events, without waiting for any of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/control/event_log.h"

namespace ipvlanx::daemon {

// An event as a line of the stream.
std::string event_line(const LoggedEvent& event);

// One reader's queue: the feed fills it, the reader's session empties it. It ends
// when the reader is too slow for it, or gone.
class EventReader {
 public:
  static constexpr std::size_t kMostBytes = 1 << 20;

  // `wake` is called whenever there is something to take() or the end has come.
  explicit EventReader(std::function<void()> wake) : wake_(std::move(wake)) {}

  std::string take() { return std::exchange(lines_, {}); }
  bool ended() const { return ended_; }
  void push(std::string_view line);
  void end();

 private:
  std::function<void()> wake_;
  std::string lines_;
  bool ended_ = false;
};

// Knows the readers but does not keep them. Used on the loop's thread.
class EventFeed {
 public:
  std::shared_ptr<EventReader> follow(std::function<void()> wake);
  void publish(const LoggedEvent& event);

 private:
  std::vector<std::weak_ptr<EventReader>> readers_;
};

}  // namespace ipvlanx::daemon
