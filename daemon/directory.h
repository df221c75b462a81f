// SPDX-License-Identifier: Apache-2.0
// The daemon's own directories.
#pragma once

#include <sys/types.h>

#include <string>

#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

// With this mode if it has to be made; one that exists stays as it is.
Result<void> make_directory(const std::string& path, mode_t mode);

}  // namespace ipvlanx::daemon
