// SPDX-License-Identifier: Apache-2.0
// Which file is a network namespace, and where do such files lie?
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

// What tells open namespaces apart, while they are open.
using NetnsIdentity = std::pair<std::uint64_t, std::uint64_t>;  // device, inode
Result<NetnsIdentity> identity(const UniqueFd& netns);

// From the user's words to a path: contains '/': a path already; all digits: a pid;
// else a name in /run/netns.
std::string netns_path(std::string_view text);
// The name of such a path in /run/netns, or empty.
std::string_view name_in_run_netns(std::string_view path);

// netns_gone, not_a_netns. Never blocks, whatever lies there.
Result<UniqueFd> open_netns(const std::string& path);

// Paths that may be network namespaces: names first, then processes.
std::vector<std::string> netns_candidates();

}  // namespace ipvlanx
