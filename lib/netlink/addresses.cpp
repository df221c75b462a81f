// SPDX-License-Identifier: Apache-2.0
#include "addresses.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace ipvlanx {

namespace {

std::uint8_t af(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

std::span<const std::uint8_t> wire(const IpAddress& address) {
  return std::span{address.bytes()}.first(address.size());
}

std::optional<InterfaceAddress> address_in(const Reply& reply) {
  const auto header = reply.header<ifaddrmsg>();
  const auto attributes = reply.attributes<ifaddrmsg>();
  const auto address = IpAddress::from_bytes(attributes.bytes(IFA_ADDRESS));
  const auto local = IpAddress::from_bytes(attributes.bytes(IFA_LOCAL));
  if (!address && !local) return std::nullopt;
  const auto flags = attributes.u32(IFA_FLAGS).value_or(header.ifa_flags);
  return InterfaceAddress{.local = local ? *local : *address,
                          .peer = address ? *address : *local,
                          .length = header.ifa_prefixlen,
                          .dad_failed = (flags & IFA_F_DADFAILED) != 0,
                          .tentative = (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) != 0};
}

Request change(std::uint16_t type, std::uint16_t flags, IfIndex ifindex, const InterfaceAddress& address,
               std::uint8_t address_flags) {
  Request request{type, flags,
                  ifaddrmsg{.ifa_family = af(address.local.family()),
                            .ifa_prefixlen = address.length,
                            .ifa_flags = address_flags,
                            .ifa_scope = address.local.is_link_local() ? std::uint8_t{RT_SCOPE_LINK}
                                                                       : std::uint8_t{RT_SCOPE_UNIVERSE},
                            .ifa_index = number(ifindex)}};
  request.put_bytes(IFA_LOCAL, wire(address.local));
  request.put_bytes(IFA_ADDRESS, wire(address.peer));
  return request;
}

}  // namespace

Prefix InterfaceAddress::key() const {
  return {.address = local.family() == Family::ipv4 ? peer : local, .length = length};
}

Answer<std::vector<InterfaceAddress>> read_addresses(NetlinkSocket& socket, const Place& place) {
  std::vector<InterfaceAddress> addresses;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    Request request{RTM_GETADDR, 0, ifaddrmsg{.ifa_family = af(family), .ifa_index = number(place.ifindex)}};
    if (place.netns) request.put_u32(IFA_TARGET_NETNSID, static_cast<std::uint32_t>(number(*place.netns)));
    const auto replies = socket.dump(request);
    if (!replies) return std::unexpected(replies.error());
    for (const auto& reply : *replies) {
      // A kernel without IPv6 answers for every family it has.
      if (reply.header<ifaddrmsg>().ifa_family != af(family)) continue;
      if (const auto address = address_in(reply)) addresses.push_back(*address);
    }
  }
  return addresses;
}

Answer<void> add_address(NetlinkSocket& socket, IfIndex ifindex, const Prefix& prefix) {
  const InterfaceAddress address{.local = prefix.address, .peer = prefix.address, .length = prefix.length};
  const auto added = socket.tell(
      change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address,
             prefix.address.family() == Family::ipv6 ? std::uint8_t{IFA_F_NODAD} : std::uint8_t{0}));
  if (!added && added.error().number != EEXIST) return std::unexpected(added.error());
  return {};
}

Answer<void> remove_address(NetlinkSocket& socket, IfIndex ifindex, const Prefix& key) {
  const auto gone = [](const Answer<void>& removed) {
    const int error = removed ? 0 : removed.error().number;
    return error == EADDRNOTAVAIL || error == ENODEV;
  };
  const auto plain = socket.tell(
      change(RTM_DELADDR, 0, ifindex, {.local = key.address, .peer = key.address, .length = key.length}, 0));
  if (plain || !gone(plain)) return plain;

  // The kernel wants to hear the local address too, which the key of a
  // point-to-point address is not.
  const auto addresses = read_addresses(socket, {.netns = std::nullopt, .ifindex = ifindex});
  if (!addresses) {
    if (addresses.error().number == ENODEV) return {};
    return std::unexpected(addresses.error());
  }
  for (const auto& address : *addresses) {
    if (address.key() != key) continue;
    const auto removed = socket.tell(change(RTM_DELADDR, 0, ifindex, address, 0));
    if (!removed && !gone(removed)) return removed;
  }
  return {};
}

}  // namespace ipvlanx
