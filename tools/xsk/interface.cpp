// SPDX-License-Identifier: Apache-2.0
#include "interface.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>

namespace ipvlanx::xsk {

namespace {

template <class T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

std::optional<IpAddress> address_in(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return IpAddress::from_bytes(bytes_of(reinterpret_cast<const sockaddr_in*>(address)->sin_addr));
  }
  if (address->sa_family == AF_INET6) {
    return IpAddress::from_bytes(bytes_of(reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr));
  }
  return {};
}

}  // namespace

Result<Interface> Interface::find(const std::string& name) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) < 0) return kernel_error("interfaces", errno);
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner{list, &freeifaddrs};

  Interface found{.name = name, .index = IfIndex{if_nametoindex(name.c_str())}};
  bool up = false;
  bool ethernet = false;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (entry->ifa_name != name || !entry->ifa_addr) continue;
    up = entry->ifa_flags & IFF_UP;
    if (entry->ifa_addr->sa_family == AF_PACKET) {
      const auto* link = reinterpret_cast<const sockaddr_ll*>(entry->ifa_addr);
      ethernet = link->sll_hatype == ARPHRD_ETHER;
      std::copy_n(link->sll_addr, found.mac.bytes.size(), found.mac.bytes.begin());
    } else if (const auto address = address_in(entry->ifa_addr)) {
      found.addresses.push_back(*address);
    }
  }
  if (number(found.index) == 0) {
    return fail(Errc::kernel_refused,
                fmt::format("no interface '{}' in this network namespace: `ip link` lists those it has, "
                            "`nsenter --net=/run/netns/NAME ipvlanx-xsk ...` enters another",
                            name));
  }
  if (!ethernet) return fail(Errc::kernel_refused, fmt::format("'{}' is no Ethernet interface", name));
  if (!up) {
    return fail(Errc::kernel_refused,
                fmt::format("interface '{0}' is down: `ip link set {0} up` brings it up", name));
  }
  return found;
}

}  // namespace ipvlanx::xsk
