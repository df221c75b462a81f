// SPDX-License-Identifier: Apache-2.0
// The end of ipvlanx on a host, without its daemon.
#pragma once

#include <string>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

struct Purge {
  std::string pin_root = "/sys/fs/bpf/ipvlanx";
  std::string state_dir = "/var/lib/ipvlanx";
};

// All slaves, everything attached and pinned, routes and rules go from the network namespace
// of the process, the host's settings are given back, and the desired state is forgotten.
// What is gone already is a success, so it can be said again after an error. kernel_refused
// while a daemon uses the pin root; then nothing is touched.
Result<void> purge(const Purge& what);

}  // namespace ipvlanx
