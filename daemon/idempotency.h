// SPDX-License-Identifier: Apache-2.0
// Was this very request carried out already? A client that lost the answer sends
// it again under the same Idempotency-Key.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "message.h"

namespace ipvlanx::daemon {

// Remembers what was carried out; a request that was refused changed nothing and
// may simply be tried again. Bounded: the oldest are forgotten first.
class Idempotency {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kKept{10};
  static constexpr std::size_t kMostReplies = 1024;
  static constexpr std::size_t kMostBytes = 4 << 20;

  // The reply it got; nothing when it is new; idempotency_mismatch when its key
  // came with another request.
  Result<std::optional<Reply>> find(const Request& request, Clock::time_point now);
  void remember(const Request& request, const Reply& reply, Clock::time_point now);

 private:
  struct Done {
    Clock::time_point time;
    Request request;
    Reply reply;
    std::size_t bytes() const;
  };

  void forget_oldest();

  std::deque<Done> done_;  // the oldest first
  std::size_t bytes_ = 0;
};

}  // namespace ipvlanx::daemon
