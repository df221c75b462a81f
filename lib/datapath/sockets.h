// SPDX-License-Identifier: Apache-2.0
// The program that hands a slave's frames to an application: see Datapath::serve_sockets(). And
// which AF_XDP sockets on a master are a slave's: serve_direct().
#pragma once

#include <set>

#include "pins.h"

namespace ipvlanx {

class Sockets {
 public:
  // `direct`: the map ipvx_sockets.
  Sockets(const Pins& pins, int direct) : pins_(pins), direct_(direct) {}

  Result<void> serve_direct(SlaveId slave) const;
  Result<void> serve(SlaveId slave, IfIndex container_end, const UniqueFd& netns) const;
  Result<void> end(SlaveId slave) const;
  Result<std::set<SlaveId>> served() const;
  Result<UniqueFd> map(SlaveId slave) const;

 private:
  Result<void> end_direct(SlaveId slave) const;

  const Pins& pins_;
  int direct_;
};

}  // namespace ipvlanx
