// SPDX-License-Identifier: Apache-2.0
// Which routers does the host send to when it knows no better?
#pragma once

#include <vector>

#include "ipvlanx/model/types.h"
#include "socket.h"

namespace ipvlanx {

// The gateways of the default routes over this interface, of both families, in the
// main table.
Answer<std::vector<IpAddress>> default_gateways(NetlinkSocket& socket, IfIndex interface);

}  // namespace ipvlanx
