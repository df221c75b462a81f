// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdio>

namespace ipvlanx::daemon {

void announce_ready(const std::string& socket) {
  ::sd_notify(0, "READY=1");
  // Whoever closed stdout does not want to know: so no fmt::print, which would throw.
  const std::string line = fmt::format("ready {}\n", socket);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

Reloading::Reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
  ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds).c_str());
}

Reloading::~Reloading() {
  ::sd_notify(0, "READY=1");
}

}  // namespace ipvlanx::daemon
