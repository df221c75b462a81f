// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

Result<Driver> driver_of(IfIndex interface) {
  const UniqueFd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!any) return kernel_error("open a socket", errno);
  ifreq request{};
  if (!::if_indextoname(number(interface), request.ifr_name)) {
    return kernel_error(fmt::format("interface {}", number(interface)), errno);
  }
  const auto ask = [&](void* question) {
    request.ifr_data = static_cast<char*>(question);
    return ::ioctl(any.get(), SIOCETHTOOL, &request) == 0;
  };
  Driver driver;
  // A driver that does not answer has no name, and takes no tags out of frames.
  ethtool_drvinfo info{.cmd = ETHTOOL_GDRVINFO};
  if (ask(&info)) driver.name.assign(info.driver, ::strnlen(info.driver, sizeof info.driver));
  ethtool_value flags{.cmd = ETHTOOL_GFLAGS, .data = 0};
  // On veth it is the sender who left the tag beside the frame.
  driver.hides_tags = driver.is_veth() || (ask(&flags) && (flags.data & ETH_FLAG_RXVLAN) != 0);
  return driver;
}

}  // namespace ipvlanx
