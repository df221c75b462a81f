// SPDX-License-Identifier: Apache-2.0
// What would happen to this packet?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipvlanx/api/requests.h"
#include "ipvlanx/control/controller.h"

namespace ipvlanx {

struct Traced {
  std::vector<std::uint8_t> frame;  // as it would be sent
  Fate fate;
  std::string detail;  // what becomes of it, as a sentence
};

// Makes the frame that the slave's stack, or a host on the wire, would send, and asks the data path.
// Nothing is sent, counted or changed. no_such_master, no_such_slave; missing_field: src, of a
// slave without an address of that family.
Result<Traced> trace(Controller& controller, const api::TraceRequest& request);

}  // namespace ipvlanx
