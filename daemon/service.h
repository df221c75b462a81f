// SPDX-License-Identifier: Apache-2.0
// What the daemon gets from whoever started it, and tells it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx::daemon {

// The listening socket by which systemd started us; none where nobody handed one over. To be
// asked once.
Result<UniqueFd> inherited_socket();

// READY=1 to systemd, and a line `ready <socket>` on stdout.
void announce_ready(const std::string& socket);

// Tells systemd that the settings are read, as long as it lives.
class Reloading {
 public:
  Reloading();
  Reloading(const Reloading&) = delete;
  Reloading& operator=(const Reloading&) = delete;
  ~Reloading();
};

void announce_end();

// How often systemd wants to hear that we are alive; nullopt: it does not ask.
std::optional<std::chrono::microseconds> watchdog_interval();
void announce_life();

}  // namespace ipvlanx::daemon
