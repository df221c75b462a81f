// SPDX-License-Identifier: Apache-2.0
#include "offloads.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

Result<void> complete_frames(const IfName& name) {
  const UniqueFd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!any) return kernel_error("open a socket", errno);
  ethtool_value off{.cmd = ETHTOOL_STXCSUM, .data = 0};
  ifreq request{};
  name.str().copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  if (::ioctl(any.get(), SIOCETHTOOL, &request) < 0) {
    return kernel_error(fmt::format("switch checksum offload of '{}' off", name.str()), errno);
  }
  return {};
}

}  // namespace ipvlanx
