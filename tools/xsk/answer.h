// SPDX-License-Identifier: Apache-2.0
// What does a host answer to a frame? ARP, neighbour discovery, ICMP echo, UDP echo; pure.
#pragma once

#include <cstdint>
#include <vector>

#include "packet.h"

namespace ipvlanx::xsk {

struct Identity {
  MacAddress mac;
  std::vector<IpAddress> addresses;
  std::uint16_t udp_port = 7;  // echo, RFC 862
};

enum class Heard {
  arp,        // a request for one of its addresses
  neighbour,  // the same of IPv6: a solicitation
  ping,
  udp,
  bad_checksum,  // never answered
  ignored,       // not for it, not understood, or not to be answered
};
inline constexpr std::size_t kKindsHeard = 6;

struct Answer {
  Heard heard = Heard::ignored;
  std::size_t length = 0;  // of the answer; 0: there is none
};

// A frame is the first `length` bytes of `room`. Its answer is written over it, to be sent by the
// interface it came from; without one the frame stays as it is.
//
// Ignored, as a small program may: IPv4 options, IPv6 extension headers, fragments, VLAN tags.
Answer answer(Bytes room, std::size_t length, const Identity& me);

}  // namespace ipvlanx::xsk
