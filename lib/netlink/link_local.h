// SPDX-License-Identifier: Apache-2.0
// Which IPv6 link-local address does a MAC address give, and which one ipvlan's
// slaves, who share a MAC address?
#pragma once

#include "ipvlanx/model/types.h"

namespace ipvlanx {

// fe80::/64 with the EUI-64 of the MAC address: the same for all slaves.
Prefix link_local_of(const MacAddress& mac);
// addrconf_ifid_eui48(): the slave's number in place of ff:fe, and the
// universal/local bit as it is, since the result is no EUI-64.
Prefix link_local_of(const MacAddress& mac, SlaveId slave);

}  // namespace ipvlanx
