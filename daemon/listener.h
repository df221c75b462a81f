// SPDX-License-Identifier: Apache-2.0
// The API's socket in the file system: who may connect, and what becomes of the file.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx::daemon {

// Owns the listening socket and, where it was opened here, its file, which goes with it, unless
// somebody has put another in its place.
class Listener {
 public:
  // Mode 0660, of this group if there is one. A file that a dead daemon left behind is replaced;
  // one that a living daemon listens on is an error, and so is what is no socket.
  static Result<Listener> open(const std::string& path, std::optional<gid_t> group);
  // One that somebody else listens on for us; the file, its mode and its group are theirs.
  static Result<Listener> adopt(UniqueFd socket);
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

 private:
  Listener(std::string path, UniqueFd fd, ino_t file)
      : path_(std::move(path)), fd_(std::move(fd)), file_(file) {}

  std::string path_;
  UniqueFd fd_;  // none: moved from
  ino_t file_;   // 0: not ours
};

}  // namespace ipvlanx::daemon
