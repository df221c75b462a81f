// SPDX-License-Identifier: Apache-2.0
// What XDP has to know of an interface's driver (ethtool's words).
#pragma once

#include <string>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

struct Driver {
  std::string name;
  // A frame's VLAN tag lies beside it (rx-vlan-offload).
  bool hides_tags = false;

  // It is one end of a pair whose other end would lose segmentation offload.
  bool is_veth() const { return name == "veth"; }
};

// Of an interface in the namespace of the calling thread.
Result<Driver> driver_of(IfIndex interface);

}  // namespace ipvlanx
