// SPDX-License-Identifier: Apache-2.0
// How does the host's stack find a slave? By a route to its address alone.
#pragma once

#include <map>
#include <vector>

#include "ipvlanx/model/tables.h"
#include "socket.h"

namespace ipvlanx {

// RTPROT_* of our routes, so that routing daemons can tell them. Not below
// RTPROT_STATIC, so the kernel leaves them alone.
inline constexpr std::uint8_t kRouteProtocol = 155;
// A port's own table has this number plus the master's ifindex.
inline constexpr std::uint32_t kFirstTable = 15'500'000;
// Of our rules: behind the host's own addresses, before anything an operator writes.
inline constexpr std::uint32_t kRulePriority = 155;

// Of scope link. Success where the route is there already.
Answer<void> add_route(NetlinkSocket& socket, const RouteRow& route);
// Success where it is not there, or its interface is gone.
Answer<void> remove_route(NetlinkSocket& socket, const RouteRow& route);
Answer<std::vector<RouteRow>> read_routes(NetlinkSocket& socket);

// Makes what these interfaces bring (masters in l3s) ask their port's table first, IPv4 and
// IPv6, and nothing else: rules with our number for other interfaces go.
Answer<void> set_rules(NetlinkSocket& socket, const std::map<IfIndex, IfName>& masters);

}  // namespace ipvlanx
