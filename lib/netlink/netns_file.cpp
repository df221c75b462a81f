// SPDX-License-Identifier: Apache-2.0
#include "netns_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace ipvlanx {

namespace {

const std::string kRunNetns = "/run/netns/";

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string path_of_process(std::string_view pid) {
  return fmt::format("/proc/{}/ns/net", pid);
}

// Names in a directory; none where there is no such directory.
std::vector<std::string> entries(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{directory, error}, end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  return names;
}

}  // namespace

Result<NetnsIdentity> identity(const UniqueFd& netns) {
  struct stat status{};
  if (::fstat(netns.get(), &status) != 0) return kernel_error("network namespace: fstat", errno);
  return NetnsIdentity{status.st_dev, status.st_ino};
}

std::string netns_path(std::string_view text) {
  if (text.contains('/')) return std::string{text};
  if (is_number(text)) return path_of_process(text);
  return fmt::format("{}{}", kRunNetns, text);
}

std::string_view name_in_run_netns(std::string_view path) {
  if (!path.starts_with(kRunNetns)) return {};
  const auto name = path.substr(kRunNetns.size());
  return name.contains('/') ? std::string_view{} : name;
}

Result<UniqueFd> open_netns(const std::string& path) {
  const auto not_one = [&] {
    return fail(Errc::not_a_netns, fmt::format("'{}' is not a network namespace", path));
  };
  if (path.contains('\0')) return not_one();

  // O_PATH looks without opening: a FIFO would wait for a writer, a device might act.
  const UniqueFd found{::open(path.c_str(), O_PATH | O_CLOEXEC)};
  if (!found) {
    switch (errno) {
      case ENOENT:
      case ESRCH:
      case ENOTDIR:
      case ENAMETOOLONG:
      case ELOOP:
        return fail(Errc::netns_gone, fmt::format("network namespace '{}' does not exist", path));
      default:
        return kernel_error(fmt::format("network namespace '{}'", path), errno);
    }
  }
  struct statfs filesystem{};
  if (::fstatfs(found.get(), &filesystem) != 0 || filesystem.f_type != NSFS_MAGIC) return not_one();

  UniqueFd netns{::open(fmt::format("/proc/self/fd/{}", found.get()).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!netns) return kernel_error(fmt::format("network namespace '{}'", path), errno);
  if (::ioctl(netns.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return not_one();
  return netns;
}

std::vector<std::string> netns_candidates() {
  std::vector<std::string> paths;
  for (const auto& name : entries(kRunNetns)) paths.push_back(fmt::format("{}{}", kRunNetns, name));
  for (const auto& name : entries("/proc")) {
    if (is_number(name)) paths.push_back(path_of_process(name));
  }
  return paths;
}

}  // namespace ipvlanx
