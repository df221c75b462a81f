// SPDX-License-Identifier: Apache-2.0
// What a daemon that starts makes of what it finds: the desired state on disk, the
// kernel's interfaces, and the data path's tables that went on without it.
//
// After a reboot nothing of the kernel's is left, and interface numbers mean nothing: all
// ports are to be found by their masters' names, and all slaves are to be made again.
//
// Where there is no state that could be understood, ports and slaves are read off the
// tables, so that traffic goes on, and no tenant gains anything: each slave keeps the
// addresses its rows steer to it, with policy static.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ipvlanx/datapath/datapath.h"
#include "ipvlanx/model/plan.h"
#include "ipvlanx/netlink/links.h"
#include "state_file.h"

namespace ipvlanx {

struct Restored {
  State state;
  std::map<IfIndex, Mode> in_force;  // the ports that the data path serves before the steps
  std::vector<Step> steps;           // that make the kernel and the tables say what the state says
  std::vector<Event> events;         // what is gone since
  std::vector<WaitingPort> waiting;
  // Where the slaves were when the file was written.
  std::map<SlaveId, SavedPlace> places;
};

Result<Restored> restore(Links& links, Datapath& datapath, const StateFile& file);

}  // namespace ipvlanx
