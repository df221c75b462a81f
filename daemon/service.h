// SPDX-License-Identifier: Apache-2.0
// How the daemon tells whoever started it where it stands.
#pragma once

#include <string>

namespace ipvlanx::daemon {

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

}  // namespace ipvlanx::daemon
