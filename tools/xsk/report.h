// SPDX-License-Identifier: Apache-2.0
// What is said of a run: a line each second, and a summary.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "answer.h"
#include "xsk_socket.h"

namespace ipvlanx::xsk {

// One socket's, at one moment.
struct Tally {
  std::string interface;
  std::uint32_t queue = 0;
  Traffic received;
  Traffic sent;
  xdp_statistics kernel{};
};

// What echo heard, by Heard.
using HeardCounts = std::array<std::uint64_t, kKindsHeard>;

struct Report {
  std::chrono::duration<double> time{};
  std::vector<Tally> sockets;
  const HeardCounts* heard = nullptr;  // echo's alone
};

Result<Report> report_of(std::span<const std::unique_ptr<XskSocket>> sockets,
                         std::chrono::duration<double> time, const HeardCounts* heard);

// One line: what there is new since `before`.
std::string progress_text(const Report& now, const Report& before);
std::string summary_text(const Report& report);
// One line either way; `final` tells them apart.
std::string as_json(const Report& report, bool final);

}  // namespace ipvlanx::xsk
