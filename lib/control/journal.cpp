// SPDX-License-Identifier: Apache-2.0
#include "journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>

namespace ipvlanx {

Result<Journal> Journal::open(const std::string& path) {
  UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file) return kernel_error(path, errno);
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0) return kernel_error(path, errno);
  return Journal{std::move(file), static_cast<std::uint64_t>(size)};
}

Result<void> Journal::append(std::string_view text) {
  auto end = static_cast<off_t>(size_);
  while (!text.empty()) {
    const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), end);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      std::ignore = cut(size_);
      return kernel_error("write", error);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
    end += written;
  }
  size_ = static_cast<std::uint64_t>(end);
  return {};
}

Result<void> Journal::sync() {
  if (::fdatasync(file_.get()) < 0) return kernel_error("fdatasync", errno);
  return {};
}

Result<void> Journal::cut(std::uint64_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) < 0) return kernel_error("ftruncate", errno);
  size_ = size;
  return {};
}

}  // namespace ipvlanx
