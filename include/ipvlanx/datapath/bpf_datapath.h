// SPDX-License-Identifier: Apache-2.0
// Datapath on the real BPF programs and pinned maps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ipvlanx/datapath/datapath.h"

namespace ipvlanx {

struct DatapathOptions {
  std::string pin_root = "/sys/fs/bpf/ipvlanx";
  // Accept a bpffs that PID 1 does not see (tests): pins there end with the mount.
  bool allow_private_bpffs = false;
  std::uint32_t addresses = 65536;  // room in ipvx_addrs, allocated on demand
};

// Opens what is pinned under the root, after checking its ABI version and sizes,
// or creates it; replaces the programs of everything attached by this build's,
// atomically. Holds a lock on the root: the second on one root gets kernel_refused.
Result<std::unique_ptr<Datapath>> open_bpf_datapath(const DatapathOptions& options);

// Detaches what is attached to masters, and removes all pins: programs at host ends go with
// those. Of any build, whatever its ABI. A root that is not there is a success.
Result<void> purge_datapath(const DatapathOptions& options);

}  // namespace ipvlanx
