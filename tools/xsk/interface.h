// SPDX-License-Identifier: Apache-2.0
// What must a packet application know of its interface?
#pragma once

#include <string>
#include <vector>

#include "ipvlanx/base/result.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx::xsk {

struct Interface {
  std::string name;
  IfIndex index;
  MacAddress mac;
  std::vector<IpAddress> addresses;

  // As it is now, in this process's network namespace. One that is down is an error, as is one that
  // is not there, or has no Ethernet address.
  static Result<Interface> find(const std::string& name);
};

}  // namespace ipvlanx::xsk
