// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/probe.h"

#include <algorithm>

#include "ipvlanx/model/wire.h"
#include "words.h"

namespace ipvlanx {

namespace {

using namespace wire;

constexpr Word<Proto> kProtos[] = {
    {"icmp", Proto::icmp}, {"tcp", Proto::tcp}, {"udp", Proto::udp}, {"arp", Proto::arp}};

constexpr std::uint8_t kTtl = 64;

std::vector<std::uint8_t> echo_request(Family family) {
  constexpr std::uint8_t kEcho4 = 8, kEcho6 = 128;
  return {family == Family::ipv4 ? kEcho4 : kEcho6, 0, 0, 0, 0, 1, 0, 1};
}

std::vector<std::uint8_t> tcp_syn(const Probe& probe) {
  constexpr std::uint8_t kWords = 5 << 4, kSyn = 2;
  std::vector<std::uint8_t> message(20);
  put16(message, 0, probe.from_port);
  put16(message, 2, probe.to_port);
  message[12] = kWords;
  message[13] = kSyn;
  put16(message, 14, 0xffff);  // window
  return message;
}

std::vector<std::uint8_t> datagram(const Probe& probe) {
  std::vector<std::uint8_t> message(kUdp);
  put16(message, 0, probe.from_port);
  put16(message, 2, probe.to_port);
  put16(message, 4, kUdp);
  return message;
}

struct Message {
  std::uint8_t protocol;
  std::vector<std::uint8_t> bytes;
  std::size_t checksum;  // where it is
};

Message message_of(const Probe& probe) {
  const bool ipv4 = probe.to.family() == Family::ipv4;
  if (probe.proto == Proto::tcp) return {kProtocolTcp, tcp_syn(probe), 16};
  if (probe.proto == Proto::udp) return {kProtocolUdp, datagram(probe), 6};
  return {ipv4 ? kProtocolIcmp : kProtocolIcmpv6, echo_request(probe.to.family()), 2};
}

void sign(Message& message, const Probe& probe) {
  Checksum sum;
  // ICMP of IPv4 alone knows nothing of the addresses.
  if (message.protocol != kProtocolIcmp) {
    sum = pseudo_header(wire_bytes(probe.from), wire_bytes(probe.to), message.protocol, message.bytes.size());
  }
  const std::uint16_t value = sum.add(message.bytes).value();
  put16(message.bytes, message.checksum, value == 0 ? 0xffff : value);
}

void write_ipv4(Bytes header, const Probe& probe, std::uint8_t protocol, std::size_t size) {
  header[0] = 0x45;
  put16(header, 2, static_cast<std::uint16_t>(size));
  put16(header, 6, 0x4000);  // not to be fragmented
  header[8] = kTtl;
  header[9] = protocol;
  put(header, 12, wire_bytes(probe.from));
  put(header, 16, wire_bytes(probe.to));
  put16(header, 10, Checksum{}.add(header.first(kIpv4)).value());
}

void write_ipv6(Bytes header, const Probe& probe, std::uint8_t protocol, std::size_t size) {
  header[0] = 0x60;
  put16(header, 4, static_cast<std::uint16_t>(size - kIpv6));
  header[6] = protocol;
  header[7] = kTtl;
  put(header, 8, wire_bytes(probe.from));
  put(header, 24, wire_bytes(probe.to));
}

std::vector<std::uint8_t> ethernet(const Probe& probe, std::uint16_t type, std::size_t size) {
  std::vector<std::uint8_t> frame(kEthernet + size);
  put(frame, 0, probe.to_mac.bytes);
  put(frame, 6, probe.from_mac.bytes);
  put16(frame, 12, type);
  return frame;
}

std::vector<std::uint8_t> arp_request(const Probe& probe) {
  constexpr std::uint8_t kAsks[] = {0, 1, 0x08, 0x00, 6, 4, 0, 1};  // RFC 826: Ethernet, IPv4, a request
  std::vector<std::uint8_t> frame = ethernet(probe, kTypeArp, 28);
  const Bytes arp = Bytes{frame}.subspan(kEthernet);
  put(arp, 0, kAsks);
  put(arp, 8, probe.from_mac.bytes);
  put(arp, 14, wire_bytes(probe.from));
  put(arp, 24, wire_bytes(probe.to));
  return frame;
}

}  // namespace

std::string_view to_string(Proto proto) {
  return word_for(kProtos, proto);
}

Result<Proto> parse_proto(std::string_view text) {
  return value_of(kProtos, "proto", text);
}

std::vector<std::uint8_t> frame_of(const Probe& probe) {
  if (probe.proto == Proto::arp) return arp_request(probe);
  const bool ipv4 = probe.to.family() == Family::ipv4;
  Message message = message_of(probe);
  sign(message, probe);
  const std::size_t header = ipv4 ? kIpv4 : kIpv6;
  const std::size_t size = header + message.bytes.size();
  std::vector<std::uint8_t> frame = ethernet(probe, ipv4 ? kTypeIpv4 : kTypeIpv6, size);
  const Bytes packet = Bytes{frame}.subspan(kEthernet);
  (ipv4 ? write_ipv4 : write_ipv6)(packet, probe, message.protocol, size);
  put(packet, header, message.bytes);
  return frame;
}

MacAddress group_mac(const IpAddress& group) {
  const auto& ip = group.bytes();
  if (group.family() == Family::ipv6) return {{0x33, 0x33, ip[12], ip[13], ip[14], ip[15]}};
  if (is_broadcast(group)) return kBroadcastMac;
  return {{0x01, 0x00, 0x5e, static_cast<std::uint8_t>(ip[1] & 0x7f), ip[2], ip[3]}};
}

bool is_broadcast(const IpAddress& address) {
  const auto bytes = wire_bytes(address);
  return address.family() == Family::ipv4 &&
         std::ranges::all_of(bytes, [](auto byte) { return byte == 0xff; });
}

bool is_broadcast_of(const Prefix& prefix, const IpAddress& address) {
  constexpr unsigned kLongest = 30;  // RFC 3021: two addresses have no broadcast
  if (address.family() != Family::ipv4 || prefix.address.family() != Family::ipv4) return false;
  if (prefix.length > kLongest) return false;
  const auto number = [](const IpAddress& ip) {
    return static_cast<std::uint32_t>(get16(ip.bytes(), 0)) << 16 | get16(ip.bytes(), 2);
  };
  const std::uint32_t hosts = 0xffffffff >> prefix.length;
  return number(address) == (number(prefix.address) | hosts);
}

}  // namespace ipvlanx
