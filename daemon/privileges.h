// SPDX-License-Identifier: Apache-2.0
// What of root's power the daemon keeps.
#pragma once

#include <sys/types.h>

#include <optional>

#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

// Gives up, for good, every capability but those of README.md's table, and every group but the
// process's own and this one, to which it can still give files. Before there are other threads.
Result<void> drop_privileges(std::optional<gid_t> group);

}  // namespace ipvlanx::daemon
