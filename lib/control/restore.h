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
  std::vector<Step> steps;              // that make the tables say what the state says
  std::vector<Event> events;            // what is gone since
  std::map<IfIndex, Mode> routed = {};  // the ports that the host's stack routes for
};

Result<Restored> restore(Links& links, Datapath& datapath, const std::string& state_path);

}  // namespace ipvlanx
