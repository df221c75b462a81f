// SPDX-License-Identifier: Apache-2.0
// What ipvlanxd is told on its command line.
#pragma once

#include <expected>
#include <string>

#include "ipvlanx/base/boot_id.h"

namespace ipvlanx::daemon {

struct Settings {
  std::string socket = "/run/ipvlanx/api.sock";
  std::string pin_root = "/sys/fs/bpf/ipvlanx";
  std::string state_dir = "/var/lib/ipvlanx";
  bool allow_private_bpffs = false;
  std::string boot = boot_id().value_or("");
};

// Or the exit status: after --help and --version, which it has answered, and after
// words it has complained about.
std::expected<Settings, int> read_settings(int argc, char** argv);

}  // namespace ipvlanx::daemon
