// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <span>
#include <stdexcept>

namespace ipvlanx::test {

namespace {

constexpr std::size_t kIpv4 = 20;
constexpr std::size_t kIpv6 = 40;
constexpr std::size_t kUdp = 8;

Bytes u8(unsigned value) {
  return {static_cast<std::uint8_t>(value)};
}

Bytes u16(std::size_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

void append(Bytes& bytes, std::span<const std::uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// Bytes that would show if they moved.
Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>('a' + i % 26);
  return bytes;
}

Bytes udp_header(std::size_t payload) {
  Bytes udp{0x30, 0x39, 0x00, 0x35};  // 12345 → 53
  append(udp, u16(kUdp + payload));
  append(udp, u16(0));
  return udp;
}

Bytes arp_packet(unsigned operation) {
  Bytes arp{0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, static_cast<std::uint8_t>(operation)};
  append(arp, kOutside.bytes);
  arp.resize(28);
  return arp;
}

}  // namespace

Frame::Frame(std::uint16_t ethertype, Bytes behind) : ethertype_(ethertype), behind_(std::move(behind)) {
}

Frame Frame::changed(std::size_t offset, Bytes bytes) const {
  Frame frame = *this;
  std::ranges::copy(bytes, frame.behind_.begin() + static_cast<std::ptrdiff_t>(offset));
  return frame;
}

Frame Frame::to_mac(MacAddress mac) const {
  Frame frame = *this;
  frame.to_ = mac;
  return frame;
}

Frame Frame::from_mac(MacAddress mac) const {
  Frame frame = *this;
  frame.from_ = mac;
  return frame;
}

Frame Frame::with_address(std::size_t ipv4, std::size_t ipv6, std::size_t arp, std::string_view ip) const {
  const IpAddress address = *IpAddress::parse(ip);
  if ((ethertype_ == ETH_P_IPV6) != (address.family() == Family::ipv6))
    throw std::invalid_argument("address family");
  const auto offset = ethertype_ == ETH_P_IPV6 ? ipv6 : ethertype_ == ETH_P_ARP ? arp : ipv4;
  const auto bytes = std::span{address.bytes()}.first(address.size());
  return changed(offset, {bytes.begin(), bytes.end()});
}

Frame Frame::to(std::string_view ip) const {
  return with_address(16, 24, 24, ip);
}

Frame Frame::from(std::string_view ip) const {
  return with_address(12, 8, 14, ip);
}

Frame Frame::version(unsigned version) const {
  return changed(0, u8(version << 4 | (behind_[0] & 0x0f)));
}

Frame Frame::ttl(unsigned hops) const {
  return changed(ethertype_ == ETH_P_IPV6 ? 7 : 8, u8(hops));
}

Frame Frame::ihl(unsigned words) const {
  return changed(0, u8((behind_[0] & 0xf0u) | words));
}

Frame Frame::tot_len(unsigned bytes) const {
  return changed(2, u16(bytes));
}

Frame Frame::fragment(unsigned offset, bool more) const {
  return changed(6, u16(offset / 8 | (more ? 0x2000u : 0u)));
}

Frame Frame::with_options() const {
  Frame frame = ihl(6).tot_len(static_cast<unsigned>(behind_.size()) + 4);
  frame.behind_.insert(frame.behind_.begin() + kIpv4, {1, 1, 1, 0});
  return frame;
}

Frame Frame::with_payload(std::size_t size) const {
  const std::size_t header = ethertype_ == ETH_P_IPV6 ? kIpv6 : kIpv4;
  Frame frame = *this;
  frame.behind_.resize(header);
  append(frame.behind_, udp_header(size));
  append(frame.behind_, pattern(size));
  return ethertype_ == ETH_P_IPV6 ? frame.changed(4, u16(kUdp + size))
                                  : frame.changed(2, u16(kIpv4 + kUdp + size));
}

Frame Frame::next_header(unsigned number) const {
  return changed(6, u8(number));
}

Frame Frame::operation(unsigned number) const {
  return changed(6, u16(number));
}

Frame Frame::type(unsigned number) const {
  return changed(kIpv6, u8(number));
}

Frame Frame::tagged(unsigned vlan) const {
  Frame frame = *this;
  frame.vlan_ = vlan;
  return frame;
}

Frame Frame::padded(std::size_t bytes) const {
  Frame frame = *this;
  frame.behind_.resize(behind_.size() + bytes, 0x50);
  return frame;
}

Frame Frame::cut_to(std::size_t frame_bytes) const {
  Frame frame = *this;
  frame.cut_ = frame_bytes;
  return frame;
}

Frame Frame::gso(unsigned segment) const {
  Frame frame = *this;
  frame.segment_ = segment;
  return frame;
}

Bytes Frame::bytes(const MacAddress& to, const MacAddress& from) const {
  Bytes bytes;
  append(bytes, to_.value_or(to).bytes);
  append(bytes, from_.value_or(from).bytes);
  if (vlan_) {
    append(bytes, u16(ETH_P_8021Q));
    append(bytes, u16(*vlan_));
  }
  append(bytes, u16(ethertype_));
  append(bytes, behind_);
  if (cut_) bytes.resize(*cut_);
  return bytes;
}

Frame ipv4() {
  Bytes header(kIpv4);
  header[0] = 0x45;
  header[8] = 64;
  header[9] = IPPROTO_UDP;
  return Frame{ETH_P_IP, header}.from("10.9.9.9").to("10.8.8.8").with_payload(18);
}

Frame ipv6() {
  Bytes header(kIpv6);
  header[0] = 0x60;
  header[6] = IPPROTO_UDP;
  header[7] = 64;
  return Frame{ETH_P_IPV6, header}.from("2001:db8::9").to("2001:db8::8").with_payload(18);
}

Frame tcp_ipv4() {
  Bytes packet(kIpv4 + 20);
  packet[0] = 0x45;
  packet[8] = 64;
  packet[9] = IPPROTO_TCP;
  packet[kIpv4 + 12] = 0x50;
  packet[kIpv4 + 13] = 0x10;  // ACK
  return Frame{ETH_P_IP, packet}.from("10.9.9.9").to("10.8.8.8").tot_len(kIpv4 + 20);
}

Frame arp_request() {
  return Frame{ETH_P_ARP, arp_packet(1)}.from("10.9.9.9");
}

Frame arp_reply() {
  return Frame{ETH_P_ARP, arp_packet(2)}.from("10.9.9.9");
}

Frame solicitation(std::string_view target) {
  Bytes packet(kIpv6 + 8);
  packet[0] = 0x60;
  packet[5] = 24;
  packet[6] = IPPROTO_ICMPV6;
  packet[7] = 255;
  packet[kIpv6] = 135;
  append(packet, IpAddress::parse(target)->bytes());
  return Frame{ETH_P_IPV6, packet}.from("2001:db8::9").to("2001:db8::8");
}

std::string hex(const Bytes& bytes) {
  const std::size_t shown = std::min<std::size_t>(bytes.size(), 96);
  std::string text = fmt::format("{} bytes:", bytes.size());
  for (std::size_t i = 0; i < shown; ++i)
    text += fmt::format("{}{:02x}", i == kEthernet || i == 34 ? "  " : " ", bytes[i]);
  return text;
}

}  // namespace ipvlanx::test
