// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/purge.h"

#include <filesystem>
#include <ranges>

#include "ipvlanx/datapath/bpf_datapath.h"
#include "ipvlanx/netlink/kernel_links.h"

namespace ipvlanx {

namespace {

namespace fs = std::filesystem;

// Our files, and the folder if nothing else is in it.
Result<void> forget(const std::string& state_dir) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{state_dir, error}) {
    const std::string name = entry.path().filename();
    const bool ours =
        name.starts_with("state.") || name.starts_with("host-settings") || name.starts_with("docker.json");
    if (ours) fs::remove(entry.path(), error);
    if (error) return kernel_error(entry.path().string(), error.value());
  }
  fs::remove(state_dir, error);
  const bool stays = error == std::errc::directory_not_empty;
  if (error && !stays) return kernel_error(state_dir, error.value());
  return {};
}

Result<void> remove_links(const std::string& settings_record) {
  const auto links = open_kernel_links(settings_record);
  if (!links) return std::unexpected(links.error());
  const auto host_ends = (*links)->host_ends();
  if (!host_ends) return std::unexpected(host_ends.error());
  const auto all = *host_ends | std::views::values;
  if (auto removed = (*links)->remove({all.begin(), all.end()}); !removed) return removed;
  if (auto removed = (*links)->remove_relay(); !removed) return removed;
  return (*links)->tune(std::map<IfIndex, Mode>{});
}

}  // namespace

Result<void> purge(const Purge& what) {
  if (auto detached = purge_datapath({.pin_root = what.pin_root}); !detached) return detached;
  if (auto removed = remove_links(what.state_dir + "/host-settings"); !removed) return removed;
  return forget(what.state_dir);
}

}  // namespace ipvlanx
