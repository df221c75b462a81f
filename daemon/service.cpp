// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdint>
#include <cstdio>

namespace ipvlanx::daemon {

Result<UniqueFd> inherited_socket() {
  constexpr int kForgetThem = 1;
  const int count = ::sd_listen_fds(kForgetThem);
  if (count < 0) return kernel_error("sockets handed over", -count);
  if (count > 1)
    return fail(Errc::kernel_refused, fmt::format("{} sockets handed over: one is served", count));
  return count == 0 ? UniqueFd{} : UniqueFd{SD_LISTEN_FDS_START};
}

void announce_ready(const std::string& socket) {
  ::sd_notifyf(0, "READY=1\nSTATUS=Serving %s", socket.c_str());
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

void announce_end() {
  ::sd_notify(0, "STOPPING=1");
}

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t limit = 0;
  if (::sd_watchdog_enabled(0, &limit) <= 0) return std::nullopt;
  return std::chrono::microseconds{limit / 2};
}

void announce_life() {
  ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace ipvlanx::daemon
