// SPDX-License-Identifier: Apache-2.0
#include "sysctl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

namespace {

// Empty when the interface is gone. A number, because names change.
std::string path_of(const Sysctl& sysctl) {
  std::array<char, IF_NAMESIZE> name{"all"};
  if (sysctl.interface != IfIndex{} && !::if_indextoname(number(sysctl.interface), name.data())) return {};
  return fmt::format("/proc/sys/net/ipv{}/conf/{}/{}", number(sysctl.family), name.data(), sysctl.name);
}

}  // namespace

std::optional<int> read_sysctl(const Sysctl& sysctl) {
  std::ifstream file{path_of(sysctl)};
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

Result<void> write_sysctl(const Sysctl& sysctl, int value) {
  const std::string path = path_of(sysctl);
  if (path.empty()) return {};
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  const std::string text = std::to_string(value);
  const bool done = file && ::write(file.get(), text.data(), text.size()) >= 0;
  if (done || (errno == ENOENT && path_of(sysctl) != path)) return {};
  return kernel_error(path, errno);
}

}  // namespace ipvlanx
