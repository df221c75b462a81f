// SPDX-License-Identifier: Apache-2.0
// Which number has the host given a network namespace?
#pragma once

#include "ipvlanx/model/types.h"
#include "socket.h"

namespace ipvlanx {

// nullopt: none yet.
Answer<std::optional<Nsid>> nsid_of(NetlinkSocket& host, const UniqueFd& netns);

// Numbers the namespace where it has no number yet. The number lasts as long as
// the namespace.
Answer<Nsid> assign_nsid(NetlinkSocket& host, const UniqueFd& netns);

}  // namespace ipvlanx
