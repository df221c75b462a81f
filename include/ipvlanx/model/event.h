// SPDX-License-Identifier: Apache-2.0
// What happened, for people and programs that watch.
#pragma once

#include <optional>
#include <string>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

enum class EventType {
  slave_added,
  slave_changed,
  slave_removed,
  port_changed,
  port_removed,
  address_added,
  address_removed,
  address_conflict,  // another slave of the port owns it: that one keeps the traffic
  address_refused,   // reserved for the host, or more than the slave may have
  resync,            // netlink messages were lost: everything was read anew
  state_refused,     // the state file could not be understood; it is kept aside
  port_waiting,      // its master is not there yet
  slave_waiting,     // it could not be made again
  repaired,          // what the kernel or the data path had lost of ours is there again
};
std::string_view to_string(EventType type);

struct Event {
  EventType type;
  std::optional<SlaveId> slave = {};
  std::string name = {};    // of the slave
  std::string master = {};  // its name
  std::string address = {};
  std::optional<SlaveId> owner = {};  // address_conflict: who has it
  std::string detail = {};            // a sentence, where the type does not say it all
};

}  // namespace ipvlanx
