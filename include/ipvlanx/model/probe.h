// SPDX-License-Identifier: Apache-2.0
// A packet that could be: which bytes would its sender put on the wire?
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

// icmp: an echo request, of IPv6 by ICMPv6. arp: who has the destination?
enum class Proto { icmp, tcp, udp, arp };
std::string_view to_string(Proto proto);
Result<Proto> parse_proto(std::string_view text);

struct Probe {
  MacAddress to_mac;
  MacAddress from_mac;
  IpAddress to;
  IpAddress from;  // of the same family; IPv4 for arp
  Proto proto = Proto::icmp;
  std::uint16_t from_port = 0;  // of tcp and udp
  std::uint16_t to_port = 0;
};

// From the Ethernet header on, with no payload: TTL 64, right checksums, of TCP a SYN.
std::vector<std::uint8_t> frame_of(const Probe& probe);

// Of an IPv4 or IPv6 multicast group (RFC 1112, 6.4, and 2464, 7), and of the broadcast.
MacAddress group_mac(const IpAddress& group);
inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
// 255.255.255.255, or the last one of the prefix's network.
bool is_broadcast(const IpAddress& address);
bool is_broadcast_of(const Prefix& prefix, const IpAddress& address);

}  // namespace ipvlanx
