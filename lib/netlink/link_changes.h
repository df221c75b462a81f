// SPDX-License-Identifier: Apache-2.0
// How does an interface come about, change and go?
#pragma once

#include <cstdint>

#include "ipvlanx/model/plan.h"
#include "socket.h"

namespace ipvlanx {

// All of these change an interface of the namespace the socket is in, and none
// names another one by nsid: SETLINK with a target nsid succeeds and changes the
// interface of that number in the socket's own namespace.

// The group of all host ends. Others match it in their rules.
inline constexpr std::uint32_t kHostEndGroup = 6970;

// Of those that are not settled (step::Settle): new, or about to go.
inline constexpr std::uint32_t kUnsettledGroup = 6971;

// The host end in the namespace of `socket`, the container end in `netns`, which
// may hold nothing: then there too.
Answer<void> create_pair(NetlinkSocket& socket, const step::CreateLinks& pair, const UniqueFd& netns);

// Both ends in the namespace of `socket`, with room for any frame.
Answer<void> create_relay(NetlinkSocket& socket, const IfName& entrance, const IfName& exit);

Answer<void> remove_link(NetlinkSocket& socket, IfIndex ifindex);
Answer<void> remove_link(NetlinkSocket& socket, const IfName& name);
Answer<void> remove_link_group(NetlinkSocket& socket, std::uint32_t group);
Answer<void> set_link_group(NetlinkSocket& socket, IfIndex ifindex, std::uint32_t group);
Answer<void> set_link_up(NetlinkSocket& socket, IfIndex ifindex, bool up);
// Whether it resolves neighbours' MAC addresses: without, all have its own.
Answer<void> set_link_arp(NetlinkSocket& socket, IfIndex ifindex, bool arp);
// Whether it receives multicast that nobody on it has joined.
Answer<void> set_link_allmulti(NetlinkSocket& socket, IfIndex ifindex, bool allmulti);
Answer<void> set_link_mac(NetlinkSocket& socket, IfIndex ifindex, const MacAddress& mac);
Answer<void> set_link_mtu(NetlinkSocket& socket, IfIndex ifindex, std::uint32_t mtu);
Answer<void> move_link(NetlinkSocket& socket, IfIndex ifindex, const UniqueFd& to);
// How IPv6 makes addresses from now on: IN6_ADDR_GEN_MODE_*. Success, and nothing
// done, on an interface without IPv6.
Answer<void> set_addr_gen_mode(NetlinkSocket& socket, IfIndex ifindex, std::uint8_t mode);

}  // namespace ipvlanx
