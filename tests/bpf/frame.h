// SPDX-License-Identifier: Apache-2.0
// Which frame? A builder of Ethernet frames, whole ones and broken ones, that puts
// every byte where the row says, and no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/model/types.h"

namespace ipvlanx::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr MacAddress kOutside{{0x02, 0, 0, 0, 0, 0x99}};  // a host on the wire
inline constexpr MacAddress kForged{{0x02, 0, 0, 0, 0, 0x66}};
inline constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
inline constexpr MacAddress kAllHosts{{0x01, 0x00, 0x5e, 0, 0, 0x01}};  // 224.0.0.1
inline constexpr MacAddress kAllNodes{{0x33, 0x33, 0, 0, 0, 0x01}};     // ff02::1
inline constexpr MacAddress kPauseGroup{{0x01, 0x80, 0xc2, 0, 0, 0x01}};

inline constexpr std::uint16_t kExperimental = 0x88b5;  // IEEE 802, local experiments
inline constexpr std::uint16_t kPause = 0x8808;
inline constexpr std::size_t kEthernet = 14;

class Frame {
 public:
  explicit Frame(std::uint16_t ethertype, Bytes behind = {});

  // Where the frame says nothing of MAC addresses, those of the hook's place are used.
  Frame to_mac(MacAddress mac) const;
  Frame from_mac(MacAddress mac) const;

  // Addresses of its protocol: IP's, ARP's target and sender.
  Frame to(std::string_view ip) const;
  Frame from(std::string_view ip) const;

  // IPv4 and IPv6.
  Frame version(unsigned version) const;
  Frame with_payload(std::size_t size) const;  // its lengths follow
  Frame ttl(unsigned hops) const;
  // IPv4.
  Frame ihl(unsigned words) const;
  Frame with_options() const;  // 4 bytes of them, ihl and tot_len follow
  Frame tot_len(unsigned bytes) const;
  Frame fragment(unsigned offset, bool more) const;
  // IPv6.
  Frame next_header(unsigned number) const;
  // ARP.
  Frame operation(unsigned number) const;
  // ICMPv6.
  Frame type(unsigned number) const;

  Frame tagged(unsigned vlan) const;            // 802.1Q, in the frame
  Frame padded(std::size_t bytes) const;        // behind what the headers speak of
  Frame cut_to(std::size_t frame_bytes) const;  // of the whole frame, with Ethernet
  // What ctx_in and a virtio header say; not in the bytes.
  Frame gso(unsigned segment) const;
  unsigned segment() const { return segment_; }

  bool is_group() const { return to_ && (to_->bytes[0] & 1) != 0; }
  Bytes bytes(const MacAddress& to, const MacAddress& from) const;

 private:
  Frame changed(std::size_t offset, Bytes bytes) const;
  Frame with_address(std::size_t ipv4, std::size_t ipv6, std::size_t arp, std::string_view ip) const;

  std::uint16_t ethertype_;
  Bytes behind_;  // the Ethernet header
  std::optional<MacAddress> to_, from_;
  std::optional<unsigned> vlan_;
  std::optional<std::size_t> cut_;
  unsigned segment_ = 0;
};

Frame ipv4();                                 // UDP 10.9.9.9 → 10.8.8.8, 8 + 18 bytes
Frame ipv6();                                 // UDP 2001:db8::9 → 2001:db8::8
Frame tcp_ipv4();                             // as ipv4(), with a TCP header
Frame arp_request();                          // from 10.9.9.9
Frame arp_reply();                            // from 10.9.9.9
Frame solicitation(std::string_view target);  // ICMPv6 NS from 2001:db8::9 to 2001:db8::8

std::string hex(const Bytes& bytes);

}  // namespace ipvlanx::test
