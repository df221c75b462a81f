// SPDX-License-Identifier: Apache-2.0
// What lies in bpffs, and what is attached where, seen from outside lib/datapath.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx::test {

// Path below the root → the kernel's id of the map, program or link.
using PinnedIds = std::map<std::string, std::uint32_t>;
PinnedIds pinned_under(const std::string& root);

struct AttachedLink {
  std::uint32_t id = 0;
  std::uint32_t program = 0;  // its id
  std::uint32_t ifindex = 0;  // 0: its interface is gone
};
// All zeros where nothing is pinned.
AttachedLink pinned_link(const std::string& path);

// The ids of all programs at this interface's TC ingress, in order: TCX, then clsact.
std::vector<std::uint32_t> programs_at(const std::string& interface);

std::uint32_t id_of_program(int fd);

// 6.6 and later, unless it is refused (kWithoutTcx). What is tagged [tcx] is about that.
bool has_tcx();

// Somebody else's: returns this verdict for every packet.
UniqueFd load_foreign_program(int verdict);
UniqueFd attach_tcx(IfIndex interface, int program);
void attach_clsact(IfIndex interface, int program, unsigned priority);

}  // namespace ipvlanx::test
