// SPDX-License-Identifier: Apache-2.0
#include "sysctl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

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

Result<std::optional<int>> read_sysctl(const Sysctl& sysctl) {
  const std::string path = path_of(sysctl);
  if (path.empty()) return std::nullopt;
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file && errno == ENOENT) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size < 0) return kernel_error(path, errno);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + size, value);
  if (error != std::errc{}) return fail(Errc::kernel_refused, fmt::format("{}: not a number", path));
  return value;
}

bool has_sysctl(const Sysctl& sysctl) {
  const std::string path = path_of(sysctl);
  return !path.empty() && ::access(path.c_str(), F_OK) == 0;
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
