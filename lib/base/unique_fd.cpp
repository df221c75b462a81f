// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/unique_fd.h"

#include <unistd.h>

namespace ipvlanx {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  UniqueFd taken{std::move(other)};  // ends with what we held
  std::swap(fd_, taken.fd_);
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace ipvlanx
