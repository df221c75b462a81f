// SPDX-License-Identifier: Apache-2.0
#include "announcer.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

namespace ipvlanx {

namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& frame, std::span<const std::uint8_t> bytes) {
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}

void append(Bytes& frame, std::initializer_list<std::uint8_t> bytes) {
  frame.insert(frame.end(), bytes);
}

Bytes arp_announcement(const MacAddress& mac, std::span<const std::uint8_t> ip) {
  Bytes frame(ETH_ALEN, 0xff);
  append(frame, mac.bytes);
  append(frame, {0x08, 0x06, 0, 1, 0x08, 0x00, ETH_ALEN, 4, 0, 1});  // ARP for IPv4, a request
  append(frame, mac.bytes);
  append(frame, ip);
  append(frame, {0, 0, 0, 0, 0, 0});
  append(frame, ip);
  return frame;
}

constexpr std::array<std::uint8_t, 16> kAllNodes{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

// RFC 1071, of the advertisement and RFC 8200's pseudo-header.
std::uint16_t checksum(std::span<const std::uint8_t> ip, std::span<const std::uint8_t> message) {
  Bytes all;
  append(all, ip);
  append(all, kAllNodes);
  append(all, {0, 0, 0, static_cast<std::uint8_t>(message.size()), 0, 0, 0, IPPROTO_ICMPV6});
  append(all, message);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < all.size(); i += 2) sum += all[i] << 8 | all[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes neighbour_advertisement(const MacAddress& mac, std::span<const std::uint8_t> ip) {
  constexpr std::uint8_t kAdvertisement = 136, kOverride = 0x20, kTargetLinkLayerAddress = 2, kHopLimit = 255;
  Bytes message{kAdvertisement, 0, 0, 0, kOverride, 0, 0, 0};
  append(message, ip);
  append(message, {kTargetLinkLayerAddress, 1});
  append(message, mac.bytes);
  const std::uint16_t sum = checksum(ip, message);
  message[2] = static_cast<std::uint8_t>(sum >> 8);
  message[3] = static_cast<std::uint8_t>(sum);

  Bytes frame{0x33, 0x33, 0, 0, 0, 1};
  append(frame, mac.bytes);
  append(frame, {0x86, 0xdd, 0x60, 0, 0, 0, 0, static_cast<std::uint8_t>(message.size()), IPPROTO_ICMPV6,
                 kHopLimit});
  append(frame, ip);
  append(frame, kAllNodes);
  append(frame, message);
  return frame;
}

Bytes announcement(const MacAddress& mac, const IpAddress& address) {
  const auto ip = std::span{address.bytes()}.first(address.size());
  return address.family() == Family::ipv4 ? arp_announcement(mac, ip) : neighbour_advertisement(mac, ip);
}

}  // namespace

Result<Announcer> Announcer::open() {
  // Of no protocol: it receives nothing.
  UniqueFd socket{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return kernel_error("open a packet socket", errno);
  return Announcer{std::move(socket)};
}

Result<void> Announcer::send(IfIndex interface, std::uint32_t mark, const MacAddress& mac,
                             const IpAddress& address) {
  Bytes frame = announcement(mac, address);
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_ifindex = static_cast<int>(number(interface));
  iovec part{.iov_base = frame.data(), .iov_len = frame.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof mark)> control{};
  msghdr message{};
  message.msg_name = &where;
  message.msg_namelen = sizeof where;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SO_MARK;
  header->cmsg_len = CMSG_LEN(sizeof mark);
  std::memcpy(CMSG_DATA(header), &mark, sizeof mark);

  if (::sendmsg(socket_.get(), &message, 0) >= 0) return {};
  switch (errno) {
    case ENETDOWN:  // the interface is down,
    case ENXIO:     // or gone
    case ENODEV:
    case ENOBUFS:
    case EAGAIN:
      return {};
    default:
      return kernel_error("announce " + to_string(address), errno);
  }
}

}  // namespace ipvlanx
