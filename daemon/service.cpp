// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdio>

namespace ipvlanx::daemon {

void announce_ready(const std::string& socket) {
  ::sd_notify(0, "READY=1");
  // Whoever closed stdout does not want to know: so no fmt::print, which would throw.
  const std::string line = fmt::format("ready {}\n", socket);
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace ipvlanx::daemon
