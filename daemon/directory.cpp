// SPDX-License-Identifier: Apache-2.0
#include "directory.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace ipvlanx::daemon {

Result<void> make_directory(const std::string& path, mode_t mode) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path{path}.parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return kernel_error(fmt::format("directory '{}'", parent.string()), error.value());

  if (::mkdir(path.c_str(), mode) == 0) return {};
  const int mkdir_error = errno;
  if (std::filesystem::is_directory(path, error)) return {};
  return kernel_error(fmt::format("directory '{}'", path), mkdir_error);
}

}  // namespace ipvlanx::daemon
