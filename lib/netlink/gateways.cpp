// SPDX-License-Identifier: Apache-2.0
#include "gateways.h"

#include <linux/rtnetlink.h>

#include <cerrno>

namespace ipvlanx {

namespace {

// RTA_GATEWAY, or for an IPv4 route through an IPv6 router RTA_VIA.
std::optional<IpAddress> gateway_in(const Attributes& attributes) {
  if (const auto gateway = IpAddress::from_bytes(attributes.bytes(RTA_GATEWAY))) return gateway;
  const auto via = attributes.bytes(RTA_VIA);
  if (via.size() < sizeof(rtvia)) return std::nullopt;
  return IpAddress::from_bytes(via.subspan(sizeof(rtvia)));
}

// Of the hops of a multipath route those over this interface.
void collect_hops(const Attributes& attributes, IfIndex interface, std::vector<IpAddress>& gateways) {
  auto rest = attributes.bytes(RTA_MULTIPATH);
  while (rest.size() >= sizeof(rtnexthop)) {
    const auto& hop = *reinterpret_cast<const rtnexthop*>(rest.data());
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > rest.size()) return;
    const auto inner = rest.subspan(sizeof hop, hop.rtnh_len - sizeof hop);
    if (IfIndex{static_cast<std::uint32_t>(hop.rtnh_ifindex)} == interface) {
      const Attributes of_hop{{reinterpret_cast<const char*>(inner.data()), inner.size()}};
      if (const auto gateway = gateway_in(of_hop)) gateways.push_back(*gateway);
    }
    rest = rest.subspan(std::min<std::size_t>(MNL_ALIGN(hop.rtnh_len), rest.size()));
  }
}

}  // namespace

Answer<std::vector<IpAddress>> default_gateways(NetlinkSocket& socket, IfIndex interface) {
  std::vector<IpAddress> gateways;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    Request request{RTM_GETROUTE, 0, rtmsg{.rtm_family = family, .rtm_table = RT_TABLE_MAIN}};
    request.put_u32(RTA_OIF, number(interface));
    const auto replies = socket.dump(request);
    if (!replies) {
      // ENOENT: no main table, as in a namespace that never had an address.
      if (replies.error().number == ENOENT) continue;
      return std::unexpected(replies.error());
    }
    for (const auto& reply : *replies) {
      const auto route = reply.header<rtmsg>();
      if (route.rtm_family != family || route.rtm_dst_len != 0 || route.rtm_table != RT_TABLE_MAIN) continue;
      const auto attributes = reply.attributes<rtmsg>();
      if (const auto gateway = gateway_in(attributes)) gateways.push_back(*gateway);
      collect_hops(attributes, interface, gateways);
    }
  }
  return gateways;
}

}  // namespace ipvlanx
