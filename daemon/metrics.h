// SPDX-License-Identifier: Apache-2.0
// What does GET /metrics say? Prometheus' text format 0.0.4.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "ipvlanx/api/replies.h"
#include "ipvlanx/datapath/datapath.h"
#include "ipvlanx/model/state.h"

namespace ipvlanx::daemon {

// How long requests took, from their arrival to their reply, by route. Thread-safe.
class RequestTimes {
 public:
  static constexpr std::array<double, 8> kBuckets{0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5, 30};  // seconds

  struct Histogram {
    std::array<std::uint64_t, kBuckets.size()> counts{};  // up to each bucket's end, not cumulated
    std::uint64_t count = 0;
    double sum = 0;  // seconds
  };
  // Method and pattern, such as GET and /v1/slaves/{id}. Borrows both.
  using Route = std::pair<std::string_view, std::string_view>;

  void add(const Route& route, std::chrono::duration<double> time);
  std::map<Route, Histogram> by_route() const;

 private:
  mutable std::mutex mutex_;
  std::map<Route, Histogram> by_route_;
};

// No label has an address in it: a tenant could make as many series as it has addresses.
std::string metrics(const api::VersionReply& version, const State& state, const AllStats& all,
                    const RequestTimes& times);

}  // namespace ipvlanx::daemon
