// SPDX-License-Identifier: Apache-2.0
// Which addresses has an interface, and how does it get and lose them?
#pragma once

#include <cstdint>
#include <vector>

#include "ipvlanx/model/state.h"
#include "socket.h"

namespace ipvlanx {

struct InterfaceAddress {
  IpAddress local;  // what the interface answers to
  IpAddress peer;   // the other side of a point-to-point address, else as `local`
  std::uint8_t length = 0;
  bool dad_failed = false;  // somebody else has it
  bool tentative = false;   // whether somebody else has it is not known yet

  // By what ipvlan files it (rule 43): of IPv4 the peer, of IPv6 the local one.
  Prefix key() const;
};

// All, also tentative and link-local ones. `place.netns` as the namespace of
// `socket` numbers it.
Answer<std::vector<InterfaceAddress>> read_addresses(NetlinkSocket& socket, const Place& place);

// Only in the namespace of the socket itself: the kernel does not heed a target
// namespace in a change. Success when it is there already / gone already.
Answer<void> add_address(NetlinkSocket& socket, IfIndex ifindex, const Prefix& prefix);
Answer<void> remove_address(NetlinkSocket& socket, IfIndex ifindex, const Prefix& key);

}  // namespace ipvlanx
