// SPDX-License-Identifier: Apache-2.0
// How does the host's stack find a slave? By a route to its address alone.
#pragma once

#include <vector>

#include "ipvlanx/model/tables.h"
#include "socket.h"

namespace ipvlanx {

// RTPROT_* of our routes, so that routing daemons can tell them. Not below
// RTPROT_STATIC, so the kernel leaves them alone.
inline constexpr std::uint8_t kRouteProtocol = 155;

// In the main table, of scope link. Success where the route is there already.
Answer<void> add_route(NetlinkSocket& socket, const RouteRow& route);
// Success where it is not there, or its interface is gone.
Answer<void> remove_route(NetlinkSocket& socket, const RouteRow& route);
Answer<std::vector<RouteRow>> read_routes(NetlinkSocket& socket);

}  // namespace ipvlanx
