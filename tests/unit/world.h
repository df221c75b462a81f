// SPDX-License-Identifier: Apache-2.0
// A small world for tests of the rules: master m0 (02:00:00:00:00:01, MTU 1500) and
// words to make slaves in it.
#pragma once

#include "ipvlanx/model/plan.h"

namespace ipvlanx::test {

inline IfName if_name(std::string_view text) {
  return *IfName::parse(text);
}
inline Prefix prefix(std::string_view text) {
  return *Prefix::parse(text);
}
inline IpAddress ip(std::string_view text) {
  return *IpAddress::parse(text);
}

inline constexpr IfIndex kM0{2};

inline MasterLink m0() {
  return {.ifindex = kM0,
          .name = if_name("m0"),
          .mac = {{2, 0, 0, 0, 0, 1}},
          .mtu = 1500,
          .ethernet = true,
          .reserved = {ip("10.0.0.1"), ip("10.0.0.254")}};
}

inline AddSlave add_l2(std::string_view name, std::vector<Prefix> addresses = {}) {
  return {.master = m0(), .name = if_name(name), .mode = Mode::l2, .addresses = std::move(addresses)};
}

inline AddSlave add_l3(std::string_view name, std::vector<Prefix> addresses = {}) {
  return {.master = m0(), .name = if_name(name), .mode = Mode::l3, .addresses = std::move(addresses)};
}

// Carries a plan out as the kernel would, with ends 100·id (host) and 100·id + 1 in
// namespace id.
inline State done(const State& state, Plan plan) {
  const auto n = number(plan.slave);
  for (const Step& step : plan.steps) {
    if (std::holds_alternative<step::CreateLinks>(step)) {
      set_ends(plan, plan.slave, {IfIndex{100 * n}, {Nsid{static_cast<int>(n)}, IfIndex{100 * n + 1}}});
      break;
    }
  }
  return applied(state, plan);
}

// What the kernel shows of a slave as the state has it.
inline SlaveLink seen(const Slave& slave) {
  SlaveLink link{.place = slave.ends.container_end,
                 .name = slave.name,
                 .mac = slave.mac,
                 .mtu = slave.mtu,
                 .up = slave.up};
  for (const Address& address : slave.addresses) link.addresses.push_back(address.prefix);
  return link;
}

}  // namespace ipvlanx::test
