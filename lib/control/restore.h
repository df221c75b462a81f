// SPDX-License-Identifier: Apache-2.0
// What a daemon that starts makes of what it finds: the desired state on disk, the
// kernel's interfaces, and the data path's tables that went on without it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ipvlanx/datapath/datapath.h"
#include "ipvlanx/model/plan.h"
#include "ipvlanx/netlink/links.h"

namespace ipvlanx {

struct Restored {
  State state;
  std::map<IfIndex, Mode> in_force;  // the ports that the data path serves before the steps
  std::vector<Step> steps;           // that make the tables say what the state says
  std::vector<Event> events;         // what is gone since
};

Result<Restored> restore(Links& links, Datapath& datapath, const std::string& state_path);

}  // namespace ipvlanx
