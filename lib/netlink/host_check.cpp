// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/netlink/host_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "firewall.h"
#include "sysctl.h"

namespace ipvlanx {

namespace {

using State = Finding::State;

// In l3 and l3s slaves' packets are forwarded: a firewall made for the kernel's ipvlan, or
// Docker's, may know nothing of that.
Finding forward_policy() {
  const auto chains = dropping_forward_chains();
  if (chains.empty()) {
    return {"forward-policy", State::ok, "no chain drops forwarded packets that no rule names"};
  }
  return {"forward-policy", State::hint,
          fmt::format("{} drops forwarded packets that no rule names: slaves in l3 and l3s need rules there, "
                      "for interfaces 'ipvx*'",
                      fmt::join(chains, ", "))};
}

// An interface's own value counts only where "all" is not larger.
Finding rp_filter() {
  if (read_sysctl({Family::ipv4, {}, "rp_filter"}).value_or(0) != 1) {
    return {"rp-filter", State::ok, "no slave's packets are dropped for the way back to their source"};
  }
  return {"rp-filter", State::hint,
          "net.ipv4.conf.all.rp_filter is 1: of a slave in l3 or l3s only packets from its own addresses are "
          "forwarded, and to an l3s slave only what came by the interface that the way back leads through"};
}

Finding ipv6_forwarding() {
  if (!has_sysctl({Family::ipv6, {}, "forwarding"})) {
    return {"ipv6-forwarding", State::hint, "this kernel has no IPv6"};
  }
  if (has_sysctl({Family::ipv6, {}, "force_forwarding"})) {
    return {"ipv6-forwarding", State::ok, "forwards IPv6 for slaves in l3 and l3s alone"};
  }
  return {
      "ipv6-forwarding", State::hint,
      "this kernel forwards IPv6 on all interfaces or none (force_forwarding came with 6.17): while there "
      "are slaves in l3 or l3s, net.ipv6.conf.all.forwarding is 1"};
}

}  // namespace

std::string_view to_string(Finding::State state) {
  switch (state) {
    case Finding::State::ok:
      return "ok";
    case Finding::State::missing:
      return "missing";
    case Finding::State::hint:
      return "hint";
  }
  return "";
}

std::vector<Finding> check_host() {
  return {forward_policy(), rp_filter(), ipv6_forwarding()};
}

}  // namespace ipvlanx
