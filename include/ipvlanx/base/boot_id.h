// SPDX-License-Identifier: Apache-2.0
// Has the machine been started anew?
#pragma once

#include <string>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

// The kernel's random id of this boot; interface numbers and pins mean nothing under another
// one.
Result<std::string> boot_id();

}  // namespace ipvlanx
