// SPDX-License-Identifier: Apache-2.0
// What the user wants, on disk: enough to find the slaves again and to treat them
// as before. What the kernel knows (names, places, learnt addresses) is not here.
//
//   {"version": 1, "last_id": 2,
//    "ports":  [{"master": "eth0", "ifindex": 2, "mode": "l2", "flag": "bridge",
//                "mac": "02:00:00:00:00:01", "mtu": 1500, "carrier": true,
//                "strict_private": false, "announce": true, "kept": false}],
//    "slaves": [{"id": 2, "master": 2, "slot": 1, "addr_policy": "learn",
//                "max_addresses": 64, "addresses": ["10.0.0.5/24"]}]}
#pragma once

#include <string>
#include <vector>

#include "ipvlanx/model/state.h"

namespace ipvlanx {

struct SavedPort {
  IfIndex master{};
  IfName name;
  Mode mode{};
  Flag flag{};
  MacAddress mac = {};
  std::uint32_t mtu = 0;
  bool carrier = true;
  bool strict_private = false;
  bool announce = true;
  bool kept = false;
};

struct SavedSlave {
  SlaveId id{};
  IfIndex master{};
  std::uint32_t slot = 0;
  AddrPolicy addr_policy{};
  std::uint32_t max_addresses = 0;
  std::vector<Prefix> addresses = {};
};

struct SavedState {
  SlaveId last_id{};
  std::vector<SavedPort> ports = {};
  std::vector<SavedSlave> slaves = {};
};

// No file: nothing is wanted. A file that cannot be understood is an error; it is
// left as it is.
Result<SavedState> read_state(const std::string& path);
// Old or new, never half: written beside, synced, renamed, and the folder synced.
Result<void> write_state(const std::string& path, const State& state);

}  // namespace ipvlanx
