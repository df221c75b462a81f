// SPDX-License-Identifier: Apache-2.0
// Something that can only be done from within a network namespace.
#pragma once

#include <functional>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

// Acts on a thread that is in this namespace and ends: the caller's never has to find its
// way back. A socket stays in the namespace it was opened in.
Result<void> in_netns(const UniqueFd& netns, const std::function<void()>& act);

}  // namespace ipvlanx
