// SPDX-License-Identifier: Apache-2.0
// What the user wants, as it is kept on disk: enough to find the slaves again, to treat them
// as before, and after a reboot to make them again. What a tenant configures (learnt
// addresses) is not here.
//
//   {"version": 2, "boot": "0f62…", "journal": 7, "last_id": 2,
//    "ports":  [{"master": "eth0", "ifindex": 2, "mode": "l2", "flag": "bridge",
//                "mac": "02:00:00:00:00:01", "mtu": 1500, "carrier": true,
//                "strict_private": false, "announce": true, "xdp": "auto", "kept": false}],
//    "slaves": [{"id": 2, "master": 2, "name": "ipvl0", "netns": "ns0", "mtu": 1500,
//                "up": true, "slot": 1, "via": "veth", "addr_policy": "learn", "max_addresses": 64,
//                "addresses": ["10.0.0.5/24"]}],
//    "waiting": [{"port": {…}, "slaves": [{…}]}]}
//
// A slave's `netns` is missing where it is in the host's namespace, and null where its
// namespace has no name that could be known after a reboot; `owner` where it has none.
// `waiting`: slaves that could not be made again, and their ports.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ipvlanx/model/plan.h"

namespace ipvlanx {

struct SavedPort {
  IfIndex master{};
  IfName name;
  Mode mode{};
  Flag flag{};
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool carrier = true;
  bool strict_private = false;
  bool announce = true;
  Xdp xdp = Xdp::auto_;
  bool kept = false;
  bool operator==(const SavedPort&) const = default;
};

// Where a slave is, in words that outlive the boot.
struct SavedPlace {
  bool in_host = true;
  std::string netns = {};  // a name or path; empty: it has none
  bool operator==(const SavedPlace&) const = default;
};

struct SavedSlave {
  SlaveId id{};
  IfIndex master{};
  IfName name;
  SavedPlace place = {};
  std::uint32_t mtu = 0;
  bool up = false;
  std::uint32_t slot = 0;
  Via via{};
  AddrPolicy addr_policy{};
  std::uint32_t max_addresses = 0;
  std::string owner = {};
  std::vector<Prefix> addresses = {};  // that the API gave
  // Learnt ones of a slave with policy static: after a refused state file (restore.h) its
  // rows are all that is known.
  std::vector<Prefix> held = {};
  bool operator==(const SavedSlave&) const = default;
};

struct WaitingPort {
  SavedPort port;
  std::vector<SavedSlave> slaves = {};
};

// One thing that changed.
using Record = std::variant<SavedPort, SavedSlave, DropPort, DropSlave>;

struct SavedState {
  std::string boot = {};
  std::uint64_t journal = 0;  // which journal continues it; see state_file.h
  SlaveId last_id{};
  std::map<IfIndex, SavedPort> ports = {};
  std::map<SlaveId, SavedSlave> slaves = {};
  std::vector<WaitingPort> waiting = {};

  // False: it says so already.
  bool is_news(const Record& record) const;
  void apply(const Record& record);
  std::set<SlaveId> waiting_ids() const;
};

SavedPort saved(const Port& port);
SavedSlave saved(const Slave& slave, SavedPlace place);

// The whole state as text, and back. bad_json with a sentence for what is damaged,
// contradicts itself, or is of another version.
std::string to_text(const SavedState& state);
Result<SavedState> parse_state(std::string_view text);

// A journal's lines, without their ends.
std::string header_line(std::uint64_t journal);
std::string record_line(const std::vector<Record>& records);
Result<std::uint64_t> parse_header(std::string_view line);
Result<std::vector<Record>> parse_records(std::string_view line);

}  // namespace ipvlanx
