// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <filesystem>

namespace ipvlanx {

namespace {

// Pins on a bpffs that only this mount namespace sees are lost to everybody else,
// and end with it: `ip netns exec` gives a daemon such a place.
Result<void> check_bpffs(const std::string& root, bool allow_private) {
  const std::string parent = std::filesystem::path{root}.parent_path();
  struct statfs fs{};
  if (::statfs(parent.c_str(), &fs) < 0) return kernel_error(fmt::format("pin root {}", root), errno);
  if (fs.f_type != BPF_FS_MAGIC) {
    return fail(
        Errc::kernel_refused,
        fmt::format("pin root {}: {} is no bpffs; mount one (`mount -t bpf bpf /sys/fs/bpf`), and enter "
                    "a network namespace by `nsenter --net=/run/netns/NAME ipvlanxd`, which keeps it, "
                    "not by `ip netns exec`, which hides it",
                    root, parent));
  }
  struct stat ours{};
  struct stat theirs{};
  const std::string seen_by_init = "/proc/1/root" + parent;
  const bool same = ::stat(parent.c_str(), &ours) == 0 && ::stat(seen_by_init.c_str(), &theirs) == 0 &&
                    ours.st_dev == theirs.st_dev;
  if (same || allow_private) return {};
  return fail(
      Errc::kernel_refused,
      fmt::format("pin root {}: this bpffs is not the one of PID 1's mount namespace, so pins would end "
                  "with this one; start by `nsenter --net=/run/netns/NAME ipvlanxd`, or say "
                  "--allow-private-bpffs",
                  root));
}

}  // namespace

Result<Pins> Pins::open(std::string root, bool allow_private) {
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (!root.starts_with('/'))
    return fail(Errc::bad_request, fmt::format("pin root '{}' is no absolute path", root));
  if (auto fit = check_bpffs(root, allow_private); !fit) return std::unexpected(fit.error());

  for (const char* folder : {"", "/maps", "/progs", "/links"}) {
    const std::string path = root + folder;
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return kernel_error(path, errno);
  }
  UniqueFd lock{::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock) return kernel_error(root, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK) {
      return fail(Errc::kernel_refused, fmt::format("pin root {}: another ipvlanxd uses it", root));
    }
    return kernel_error(fmt::format("lock {}", root), errno);
  }
  return Pins{std::move(root), std::move(lock)};
}

std::string Pins::link(IfIndex interface, std::string_view hook) const {
  return fmt::format("{}/links/{}-{}", root_, number(interface), hook);
}

}  // namespace ipvlanx
