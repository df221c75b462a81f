// SPDX-License-Identifier: Apache-2.0
// One program at an interface's XDP hook, by a link with a pin: it outlives us, is replaced
// atomically, and nobody detaches it through netlink.
#pragma once

#include <string>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

// Where: the interface, in `netns` (none: that of the calling thread).
struct XdpHook {
  IfIndex interface{};
  std::string pin;
  std::uint32_t mode = 0;  // XDP_FLAGS_*_MODE; 0: as the driver can
};

// Attaches, or replaces what the pinned link runs.
Result<void> attach(const XdpHook& hook, int program_fd, const UniqueFd& netns);
// Whether the pinned link is one of this interface that is alive.
Result<bool> is_attached(const XdpHook& hook);
// Success when it is not there.
Result<void> detach(const XdpHook& hook);

}  // namespace ipvlanx
