// SPDX-License-Identifier: Apache-2.0
#include "idempotency.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipvlanx::daemon {

Result<std::optional<Reply>> Idempotency::find(const Request& request, Clock::time_point now) {
  while (!done_.empty() && done_.front().time + kKept <= now) forget_oldest();

  const auto done = std::ranges::find(done_, request.idempotency_key,
                                      [](const Done& past) { return past.request.idempotency_key; });
  if (done == done_.end()) return std::nullopt;
  if (done->request.target != request.target || done->request.body != request.body) {
    return fail(Errc::idempotency_mismatch,
                fmt::format("the Idempotency-Key '{}' came with another request", request.idempotency_key));
  }
  return done->reply;
}

void Idempotency::remember(const Request& request, const Reply& reply, Clock::time_point now) {
  done_.push_back({now, request, reply});
  bytes_ += done_.back().bytes();
  while (done_.size() > kMostReplies || bytes_ > kMostBytes) forget_oldest();
}

std::size_t Idempotency::Done::bytes() const {
  return request.idempotency_key.size() + request.target.size() + request.body.size() + reply.body.size();
}

void Idempotency::forget_oldest() {
  bytes_ -= done_.front().bytes();
  done_.pop_front();
}

}  // namespace ipvlanx::daemon
