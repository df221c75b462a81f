// SPDX-License-Identifier: Apache-2.0
// The API's socket in the file system: who may connect, and what becomes of the file.
#pragma once

#include <string>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx::daemon {

// Owns the listening socket and its file, which goes with it.
class Listener {
 public:
  // Group whose members may connect; without it in the system, root's alone.
  static constexpr const char* kGroup = "ipvlanx";

  // Mode 0660. A file that a dead daemon left behind is replaced; one that a living
  // daemon listens on is an error, and so is what is no socket.
  static Result<Listener> open(const std::string& path);
  Listener(Listener&& other) noexcept
      : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)), has_group_(other.has_group_) {}
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  int fd() const { return fd_.get(); }
  bool has_group() const { return has_group_; }

 private:
  Listener(std::string path, UniqueFd fd, bool has_group)
      : path_(std::move(path)), fd_(std::move(fd)), has_group_(has_group) {}

  std::string path_;  // empty: moved from
  UniqueFd fd_;
  bool has_group_ = false;
};

}  // namespace ipvlanx::daemon
