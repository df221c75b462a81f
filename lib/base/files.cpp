// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

namespace {

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return kernel_error("write", errno);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> sync(int fd) {
  if (::fsync(fd) < 0) return kernel_error("fsync", errno);
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  const UniqueFd file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  if (!file) return kernel_error("open", errno);
  if (auto done = write_all(file.get(), text); !done) return done;
  if (auto done = sync(file.get()); !done) return done;
  if (::rename(beside.c_str(), path.c_str()) < 0) return kernel_error("rename", errno);
  return sync_folder_of(path);
}

Result<void> sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path{path}.parent_path();
  const UniqueFd directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory) return kernel_error(folder, errno);
  return sync(directory.get());
}

Result<std::optional<std::string>> read_file(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return kernel_error(path, errno);
  std::string text;
  std::array<char, 65536> part{};
  while (true) {
    const ssize_t size = ::read(file.get(), part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return kernel_error(path, errno);
    if (size == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace ipvlanx
