// SPDX-License-Identifier: Apache-2.0
// The program that hands a slave's frames to an application: see Datapath::serve_sockets().
#pragma once

#include <set>

#include "pins.h"

namespace ipvlanx {

class Sockets {
 public:
  explicit Sockets(const Pins& pins) : pins_(pins) {}

  Result<void> serve(SlaveId slave, IfIndex container_end, const UniqueFd& netns) const;
  Result<void> end(SlaveId slave) const;
  Result<std::set<SlaveId>> served() const;
  Result<UniqueFd> map(SlaveId slave) const;

 private:
  const Pins& pins_;
};

}  // namespace ipvlanx
