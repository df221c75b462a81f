// SPDX-License-Identifier: Apache-2.0
#include "announce.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>

#include "socket.h"

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

Result<void> announce(const UniqueFd& netns, IfIndex interface, const MacAddress& mac,
                      const std::vector<IpAddress>& addresses) {
  UniqueFd socket;
  int error = 0;
  const auto open = [&] {
    // Of no protocol: it receives nothing.
    socket = UniqueFd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    error = errno;
  };
  if (netns) {
    if (auto been = in_netns(netns, open); !been) return been;
  } else {
    open();
  }
  if (!socket) return kernel_error("open a packet socket", error);

  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_ifindex = static_cast<int>(number(interface));
  for (const IpAddress& address : addresses) {
    const Bytes frame = announcement(mac, address);
    const auto* to = reinterpret_cast<const sockaddr*>(&where);
    // An interface that is down or gone has nobody to tell.
    if (::sendto(socket.get(), frame.data(), frame.size(), 0, to, sizeof where) < 0 && errno != ENETDOWN &&
        errno != ENXIO && errno != ENODEV) {
      return kernel_error("announce an address", errno);
    }
  }
  return {};
}

}  // namespace ipvlanx
