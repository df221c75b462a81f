// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/event.h"

namespace ipvlanx {

std::string_view to_string(EventType type) {
  switch (type) {
    case EventType::slave_added:
      return "slave-added";
    case EventType::slave_changed:
      return "slave-changed";
    case EventType::slave_removed:
      return "slave-removed";
    case EventType::port_changed:
      return "port-changed";
    case EventType::port_removed:
      return "port-removed";
    case EventType::address_added:
      return "address-added";
    case EventType::address_removed:
      return "address-removed";
    case EventType::address_conflict:
      return "address-conflict";
    case EventType::address_refused:
      return "address-refused";
    case EventType::resync:
      return "resync";
    case EventType::state_refused:
      return "state-refused";
    case EventType::port_waiting:
      return "port-waiting";
    case EventType::slave_waiting:
      return "slave-waiting";
    case EventType::repaired:
      return "repaired";
  }
  return "resync";
}

}  // namespace ipvlanx
