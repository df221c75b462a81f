// SPDX-License-Identifier: Apache-2.0
// What is done with frames: each kind of work is one loop.
#pragma once

#include "arguments.h"
#include "ipvlanx/base/result.h"

namespace ipvlanx::xsk {

// Until its end; the summary has been written then.
Result<void> work(const Arguments& arguments);

}  // namespace ipvlanx::xsk
