// SPDX-License-Identifier: Apache-2.0
// What of the host's own settings do ports need changed, and what were they before?
#pragma once

#include <map>
#include <string>
#include <vector>

#include "socket.h"
#include "sysctl.h"

namespace ipvlanx {

// Forwarding, as far as ports in l3 and l3s need it: of IPv4 and, where the kernel has
// force_forwarding (6.17), of IPv6 from the masters of l3s ports alone. Else of IPv6
// everywhere, with accept_ra 2 where router advertisements are listened to. And that masters
// of l2 ports receive all multicast (IFF_ALLMULTI): what slaves join, the NIC does not know.
//
// What is changed is written to a file first, and given back when the last port that
// needs it goes, unless somebody has changed it since; after a crash, too.
class HostSettings {
 public:
  HostSettings(std::string record, NetlinkSocket host) : record_(std::move(record)), host_(std::move(host)) {}

  // Reads the record. After a reboot there is nothing to give back.
  Result<void> open();
  // Makes the settings what these ports with slaves (masters and their modes) need.
  Result<void> serve(const std::map<IfIndex, Mode>& ports);

 private:
  struct Change {
    Sysctl sysctl;
    int before = 0;
    int ours = 0;
    int everywhere = 0;  // what "all" said of the same setting then
    // Not between two states: only then is another value than ours somebody else's.
    bool settled = false;
  };
  Result<void> make(const Sysctl& sysctl, int value);
  Result<void> prepare_for_forwarding_ipv6_everywhere();
  Result<void> undo(Change& change);
  Result<void> give_back(const Change& change);
  Result<void> save() const;
  bool is_made(const Sysctl& sysctl) const;
  // By our own global switch, and has to be as before when that goes.
  static bool was_turned_along(const Change& change) { return change.before == change.ours; }
  // Of a sysctl, or of what stands in for one: see all_multicast().
  Result<std::optional<int>> read(const Sysctl& setting);
  Result<void> write(const Sysctl& setting, int value);

  std::string record_;
  std::string boot_id_;
  NetlinkSocket host_;
  std::vector<Change> changes_;  // in the order they were made
};

}  // namespace ipvlanx
