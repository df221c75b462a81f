// SPDX-License-Identifier: Apache-2.0
// What does an interface leave to the hardware?
#pragma once

#include "ipvlanx/model/types.h"

namespace ipvlanx {

// Of an interface in the namespace of the calling thread: frames leave it with their
// checksums computed, and no longer than its MTU (ethtool's tx-checksumming off, on which
// segmentation depends).
Result<void> complete_frames(const IfName& name);

}  // namespace ipvlanx
