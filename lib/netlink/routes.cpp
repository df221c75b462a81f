// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <linux/rtnetlink.h>

#include <cerrno>

namespace ipvlanx {

namespace {

Request about(std::uint16_t type, std::uint16_t flags, const RouteRow& route) {
  const bool ipv4 = route.address.family() == Family::ipv4;
  Request request{type, flags,
                  rtmsg{.rtm_family = static_cast<std::uint8_t>(ipv4 ? AF_INET : AF_INET6),
                        .rtm_dst_len = static_cast<std::uint8_t>(route.address.bits()),
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = kRouteProtocol,
                        .rtm_scope = ipv4 ? std::uint8_t{RT_SCOPE_LINK} : std::uint8_t{RT_SCOPE_UNIVERSE},
                        .rtm_type = RTN_UNICAST}};
  request.put_bytes(RTA_DST, std::span{route.address.bytes()}.first(route.address.size()));
  request.put_u32(RTA_OIF, number(route.host_end));
  return request;
}

}  // namespace

Answer<void> add_route(NetlinkSocket& socket, const RouteRow& route) {
  // Appended: another port may have a slave of the same address.
  const auto added = socket.tell(about(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route));
  if (!added && added.error().number != EEXIST) return std::unexpected(added.error());
  return {};
}

Answer<void> remove_route(NetlinkSocket& socket, const RouteRow& route) {
  const auto removed = socket.tell(about(RTM_DELROUTE, 0, route));
  if (removed) return {};
  const int error = removed.error().number;
  if (error == ESRCH || error == ENODEV) return {};
  return std::unexpected(removed.error());
}

Answer<std::vector<RouteRow>> read_routes(NetlinkSocket& socket) {
  std::vector<RouteRow> routes;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    const auto replies = socket.dump(
        Request{RTM_GETROUTE, 0,
                rtmsg{.rtm_family = family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = kRouteProtocol}});
    if (!replies) {
      // ENOENT: no main table, as in a namespace that never had an address.
      if (replies.error().number == ENOENT) continue;
      return std::unexpected(replies.error());
    }
    for (const auto& reply : *replies) {
      const auto header = reply.header<rtmsg>();
      if (header.rtm_family != family || header.rtm_protocol != kRouteProtocol) continue;
      const auto attributes = reply.attributes<rtmsg>();
      const auto address = IpAddress::from_bytes(attributes.bytes(RTA_DST));
      const auto interface = attributes.u32(RTA_OIF);
      if (address && interface) routes.push_back({IfIndex{*interface}, *address});
    }
  }
  return routes;
}

}  // namespace ipvlanx
