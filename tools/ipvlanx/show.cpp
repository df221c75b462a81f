// SPDX-License-Identifier: Apache-2.0
// What text and JSON have in common.
#include "show.h"

#include <charconv>

namespace ipvlanx::cli {

AddressParts parts_of(const api::AddressReply& address) {
  const std::string_view all = address.address;
  const bool ipv6 = all.contains(':');
  AddressParts parts{ipv6 ? "inet6" : "inet", all, ipv6 ? 128u : 32u};

  if (const auto slash = all.find('/'); slash != all.npos) {
    parts.local = all.substr(0, slash);
    std::from_chars(all.data() + slash + 1, all.data() + all.size(), parts.prefixlen);
  }
  return parts;
}

std::vector<std::string_view> flags_of(const api::SlaveReply& slave) {
  std::vector<std::string_view> flags{"BROADCAST", "MULTICAST"};
  if (slave.mode != "l2") flags.push_back("NOARP");
  if (slave.up) flags.insert(flags.end(), {"UP", "LOWER_UP"});
  return flags;
}

}  // namespace ipvlanx::cli
