// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ipvlanx {

namespace {

// Whether PID 1 has this bpffs mounted anywhere. Its /proc/1/root would need
// CAP_SYS_PTRACE to look into.
bool is_seen_by_init(dev_t device) {
  const std::string number = fmt::format("{}:{}", major(device), minor(device));
  std::ifstream mounts{"/proc/1/mountinfo"};
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields{line};
    std::string mount, parent, where;
    fields >> mount >> parent >> where;
    if (where == number && line.find(" - bpf ") != line.npos) return true;
  }
  return false;
}

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
  struct stat own{};
  if (::stat(parent.c_str(), &own) < 0) return kernel_error(parent, errno);
  const bool same = is_seen_by_init(own.st_dev);
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

  for (const char* folder : {"", "/maps", "/progs", "/links", "/slaves"}) {
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

std::string Pins::slave(SlaveId id) const {
  return fmt::format("{}/{}", slaves(), number(id));
}

std::string Pins::link(IfIndex interface, std::string_view hook) const {
  return fmt::format("{}/links/{}-{}", root_, number(interface), hook);
}

}  // namespace ipvlanx
