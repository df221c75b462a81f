// SPDX-License-Identifier: Apache-2.0
#include "answer.h"

#include <algorithm>
#include <array>

namespace ipvlanx::xsk {

namespace {

constexpr std::uint8_t kHops = 64;

// Offsets in each header.
namespace ethernet {
constexpr std::size_t kTo = 0, kFrom = 6, kType = 12;
}
namespace arp {
constexpr std::size_t kLength = 28, kOperation = 6, kSender = 8, kTarget = 18, kTargetIp = 24;
constexpr std::array<std::uint8_t, 8> kRequest = {0, 1, 8, 0, 6, 4, 0, 1};  // Ethernet, IPv4, who has
}  // namespace arp
namespace ipv4 {
constexpr std::size_t kTotal = 2, kFragment = 6, kTtl = 8, kProtocol = 9, kChecksum = 10, kFrom = 12,
                      kTo = 16;
constexpr std::uint8_t kNoOptions = 0x45;
constexpr std::uint16_t kMoreOrOffset = 0x3fff;
}  // namespace ipv4
namespace ipv6 {
constexpr std::size_t kPayload = 4, kNext = 6, kHopLimit = 7, kFrom = 8, kTo = 24;
}
namespace icmp {
constexpr std::size_t kHeader = 8, kType = 0, kCode = 1, kChecksum = 2;
constexpr std::uint8_t kEchoReply = 0, kEcho = 8, kEcho6 = 128, kEchoReply6 = 129;
}  // namespace icmp
namespace nd {
constexpr std::size_t kFlags = 4, kTarget = 8, kHeader = 24, kOption = 8;
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
constexpr std::uint8_t kSolicited = 0x40, kOverride = 0x20;
constexpr std::uint8_t kSourceMac = 1, kTargetMac = 2;
constexpr std::uint8_t kHopLimit = 255;  // never forwarded: from this link
}  // namespace nd
namespace udp {
constexpr std::size_t kFrom = 0, kTo = 2, kLength = 4, kChecksum = 6;
}

constexpr Answer kIgnored{};
constexpr Answer kBadChecksum{Heard::bad_checksum};

constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr std::array<std::uint8_t, 16> kAllNodes = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
// A solicitation goes to a group of this prefix and the target's last 3 bytes.
constexpr std::array<std::uint8_t, 13> kSolicitedNode = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

bool owns(const Identity& me, ConstBytes address) {
  return std::ranges::any_of(
      me.addresses, [&](const IpAddress& mine) { return std::ranges::equal(wire_bytes(mine), address); });
}

// To nobody, to many, or to itself, nothing is answered.
bool can_be_answered(const Identity& me, ConstBytes from) {
  const auto address = IpAddress::from_bytes(from);
  return address && !address->is_multicast() && !address->is_unspecified() && !address->is_loopback() &&
         !owns(me, from) && !std::ranges::all_of(from, [](std::uint8_t byte) { return byte == 0xff; });
}

void swap_fields(Bytes bytes, std::size_t one, std::size_t other, std::size_t size) {
  std::ranges::swap_ranges(bytes.subspan(one, size), bytes.subspan(other, size));
}

// To who sent it.
void address_back(Bytes frame, const MacAddress& mine) {
  put(frame, ethernet::kTo, get_mac(frame, ethernet::kFrom).bytes);
  put(frame, ethernet::kFrom, mine.bytes);
}

Answer answer_arp(Bytes frame, const Identity& me) {
  const Bytes arp = frame.subspan(kEthernet);
  if (arp.size() < arp::kLength) return kIgnored;
  if (!std::ranges::equal(arp.first(arp::kRequest.size()), arp::kRequest)) return kIgnored;
  if (!owns(me, arp.subspan(arp::kTargetIp, 4))) return kIgnored;

  address_back(frame, me.mac);
  put16(arp, arp::kOperation, 2);  // is at
  swap_fields(arp, arp::kSender, arp::kTarget, arp::kTarget - arp::kSender);
  put(arp, arp::kSender, me.mac.bytes);
  return {Heard::arp, kEthernet + arp::kLength};
}

// An echo request of either ICMP becomes the reply: another type, and the checksum that fits.
void become_reply(Bytes message, std::uint8_t type, Checksum pseudo) {
  message[icmp::kType] = type;
  put16(message, icmp::kChecksum, 0);
  put16(message, icmp::kChecksum, pseudo.add(message).value());
}

// Is this UDP message one to echo? Checks nothing but what is UDP's own.
Heard read_udp(ConstBytes message, Checksum pseudo, bool may_lack_checksum, const Identity& me) {
  if (message.size() < kUdp || get16(message, udp::kLength) != message.size()) return Heard::ignored;
  if (get16(message, udp::kTo) != me.udp_port) return Heard::ignored;
  // Port 0 takes no answer; and two echo services would never stop.
  const std::uint16_t from = get16(message, udp::kFrom);
  if (from == 0 || from == me.udp_port) return Heard::ignored;

  if (get16(message, udp::kChecksum) == 0) return may_lack_checksum ? Heard::udp : Heard::bad_checksum;
  return pseudo.add(message).value() == 0 ? Heard::udp : Heard::bad_checksum;
}

Answer answer_ipv4(Bytes frame, const Identity& me) {
  const Bytes packet = frame.subspan(kEthernet);
  if (packet.size() < kIpv4 || packet[0] != ipv4::kNoOptions) return kIgnored;
  const std::size_t total = get16(packet, ipv4::kTotal);
  if (total < kIpv4 || total > packet.size()) return kIgnored;
  const Bytes header = packet.first(kIpv4);
  const Bytes from = header.subspan(ipv4::kFrom, 4);
  const Bytes to = header.subspan(ipv4::kTo, 4);
  if (!owns(me, to) || !can_be_answered(me, from)) return kIgnored;
  if (Checksum{}.add(header).value() != 0) return kBadChecksum;
  if (get16(header, ipv4::kFragment) & ipv4::kMoreOrOffset) return kIgnored;

  const Bytes message = packet.subspan(kIpv4, total - kIpv4);
  const std::uint8_t protocol = header[ipv4::kProtocol];
  Heard heard = Heard::ignored;
  if (protocol == kProtocolIcmp) {
    if (message.size() < icmp::kHeader || message[icmp::kType] != icmp::kEcho || message[icmp::kCode] != 0) {
      return kIgnored;
    }
    if (Checksum{}.add(message).value() != 0) return kBadChecksum;
    become_reply(message, icmp::kEchoReply, {});
    heard = Heard::ping;
  } else if (protocol == kProtocolUdp) {
    heard = read_udp(message, pseudo_header(from, to, protocol, message.size()), true, me);
    if (heard != Heard::udp) return {heard};
    // The sum does not change with the order of what is swapped.
    swap_fields(message, udp::kFrom, udp::kTo, 2);
  } else {
    return kIgnored;
  }

  address_back(frame, me.mac);
  swap_fields(header, ipv4::kFrom, ipv4::kTo, 4);
  header[ipv4::kTtl] = kHops;
  put16(header, ipv4::kChecksum, 0);
  put16(header, ipv4::kChecksum, Checksum{}.add(header).value());
  return {heard, kEthernet + total};
}

// Do the options of a solicitation make sense (RFC 4861, 7.1.1)?
bool are_sound(ConstBytes options, bool from_nobody) {
  while (!options.empty()) {
    if (options.size() < 2 || options[1] == 0 || options.size() < options[1] * nd::kOption) return false;
    if (from_nobody && options[0] == nd::kSourceMac) return false;
    options = options.subspan(options[1] * nd::kOption);
  }
  return true;
}

// The frame is a whole one of IPv6 with a valid checksum; its message has a type and a code.
Answer answer_solicitation(Bytes room, Bytes message, const Identity& me) {
  const Bytes header = room.subspan(kEthernet, kIpv6);
  if (header[ipv6::kHopLimit] != nd::kHopLimit || message[icmp::kCode] != 0) return kIgnored;
  if (message.size() < nd::kHeader) return kIgnored;
  const Bytes target = message.subspan(nd::kTarget, 16);
  if (!owns(me, target)) return kIgnored;

  // Who looks whether the address is free has none to be answered at.
  const Bytes from = header.subspan(ipv6::kFrom, 16);
  const bool from_nobody = std::ranges::all_of(from, [](std::uint8_t byte) { return byte == 0; });
  const Bytes to = header.subspan(ipv6::kTo, 16);
  const bool to_group =
      std::ranges::equal(to.first(kSolicitedNode.size()), kSolicitedNode) &&
      std::ranges::equal(to.subspan(kSolicitedNode.size()), target.subspan(kSolicitedNode.size()));
  if (!to_group && (from_nobody || !owns(me, to))) return kIgnored;
  if (!from_nobody && !can_be_answered(me, from)) return kIgnored;
  if (!are_sound(message.subspan(nd::kHeader), from_nobody)) return kIgnored;

  constexpr std::size_t kLength = nd::kHeader + nd::kOption;
  if (room.size() < kEthernet + kIpv6 + kLength) return kIgnored;
  const Bytes reply = room.subspan(kEthernet + kIpv6, kLength);

  address_back(room, me.mac);
  if (from_nobody) put(room, ethernet::kTo, kAllNodesMac.bytes);
  put(header, ipv6::kTo, from_nobody ? ConstBytes{kAllNodes} : ConstBytes{from});
  put(header, ipv6::kFrom, target);
  put16(header, ipv6::kPayload, kLength);

  reply[icmp::kType] = nd::kAdvertisement;
  put16(reply, icmp::kChecksum, 0);
  reply[nd::kFlags] = from_nobody ? nd::kOverride : nd::kOverride | nd::kSolicited;
  std::ranges::fill(reply.subspan(nd::kFlags + 1, 3), 0);
  reply[nd::kHeader] = nd::kTargetMac;
  reply[nd::kHeader + 1] = 1;  // in units of 8 bytes
  put(reply, nd::kHeader + 2, me.mac.bytes);
  put16(reply, icmp::kChecksum, pseudo_header(from, to, kProtocolIcmpv6, kLength).add(reply).value());
  return {Heard::neighbour, kEthernet + kIpv6 + kLength};
}

Answer answer_ipv6(Bytes room, std::size_t length, const Identity& me) {
  const Bytes packet = room.first(length).subspan(kEthernet);
  if (packet.size() < kIpv6 || packet[0] >> 4 != 6) return kIgnored;
  const Bytes header = packet.first(kIpv6);
  const std::size_t payload = get16(header, ipv6::kPayload);
  if (payload < icmp::kHeader || payload > packet.size() - kIpv6) return kIgnored;
  const Bytes message = packet.subspan(kIpv6, payload);
  const Bytes from = header.subspan(ipv6::kFrom, 16);
  const Bytes to = header.subspan(ipv6::kTo, 16);
  const std::uint8_t protocol = header[ipv6::kNext];
  const Checksum pseudo = pseudo_header(from, to, protocol, payload);

  if (protocol == kProtocolIcmpv6 && message[icmp::kType] == nd::kSolicitation) {
    if (Checksum{pseudo}.add(message).value() != 0) return kBadChecksum;
    return answer_solicitation(room, message, me);
  }
  const bool to_me = get_mac(room, ethernet::kTo) == me.mac;
  if (!to_me || !owns(me, to) || !can_be_answered(me, from)) return kIgnored;
  Heard heard = Heard::ignored;
  if (protocol == kProtocolIcmpv6) {
    if (message[icmp::kType] != icmp::kEcho6 || message[icmp::kCode] != 0) return kIgnored;
    if (Checksum{pseudo}.add(message).value() != 0) return kBadChecksum;
    become_reply(message, icmp::kEchoReply6, pseudo);
    heard = Heard::ping;
  } else if (protocol == kProtocolUdp) {
    heard = read_udp(message, pseudo, false, me);
    if (heard != Heard::udp) return {heard};
    swap_fields(message, udp::kFrom, udp::kTo, 2);
  } else {
    return kIgnored;
  }

  address_back(room, me.mac);
  swap_fields(header, ipv6::kFrom, ipv6::kTo, 16);
  header[ipv6::kHopLimit] = kHops;
  return {heard, kEthernet + kIpv6 + payload};
}

}  // namespace

Answer answer(Bytes room, std::size_t length, const Identity& me) {
  const Bytes frame = room.first(length);
  if (frame.size() < kEthernet || is_group(get_mac(frame, ethernet::kFrom))) return kIgnored;
  const MacAddress to = get_mac(frame, ethernet::kTo);
  if (to != me.mac && !is_group(to)) return kIgnored;

  switch (get16(frame, ethernet::kType)) {
    case kTypeArp:
      return answer_arp(frame, me);
    case kTypeIpv4:
      return to == me.mac ? answer_ipv4(frame, me) : kIgnored;
    case kTypeIpv6:
      return answer_ipv6(room, length, me);
    default:
      return kIgnored;
  }
}

}  // namespace ipvlanx::xsk
