// SPDX-License-Identifier: Apache-2.0
// How does everybody on the link learn an address's MAC address without asking?
#pragma once

#include <vector>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

// One broadcast for each: an ARP announcement (RFC 5227, 2.3) or an unsolicited neighbour
// advertisement (RFC 4861, 7.2.6), sent by the interface in this namespace (none: the
// caller's).
Result<void> announce(const UniqueFd& netns, IfIndex interface, const MacAddress& mac,
                      const std::vector<IpAddress>& addresses);

}  // namespace ipvlanx
