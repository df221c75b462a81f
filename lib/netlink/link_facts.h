// SPDX-License-Identifier: Apache-2.0
// What does the kernel say about an interface, in any namespace?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/model/state.h"
#include "socket.h"

namespace ipvlanx {

struct LinkFacts {
  IfIndex ifindex{};
  std::string name;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;         // IFF_UP: as it was told, whatever the carrier says
  bool carrier = false;    // IFF_LOWER_UP
  bool loopback = false;   // IFF_LOOPBACK
  bool allmulti = false;   // IFF_ALLMULTI, if it was told so by a user
  std::uint16_t type = 0;  // ARPHRD_*
  std::string kind;        // "veth", or empty
  std::uint32_t group = 0;
  // The other end of a veth.
  std::optional<Place> peer = {};
  // IN6_ADDR_GEN_MODE_*; nullopt: no IPv6 on this interface.
  std::optional<std::uint8_t> addr_gen_mode = {};
};

// `netns` as the namespace of `socket` numbers it; nullopt: that namespace itself.
Answer<LinkFacts> read_link(NetlinkSocket& socket, const Place& place);
Answer<LinkFacts> read_link(NetlinkSocket& socket, const IfName& name);
// All of this kind in the socket's own namespace.
Answer<std::vector<LinkFacts>> read_links(NetlinkSocket& socket, const std::string& kind);

}  // namespace ipvlanx
