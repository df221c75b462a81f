// SPDX-License-Identifier: Apache-2.0
// A file that lines are appended to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/plan.h"

namespace ipvlanx {

class Journal {
 public:
  // Made where there is none; its name is on disk with the folder's next sync.
  static Result<Journal> open(const std::string& path);

  std::uint64_t size() const { return size_; }
  // On an error the file is as long as before, as far as the disk lets it.
  Result<void> append(std::string_view text);
  // What was appended outlives a power loss.
  Result<void> sync();
  Result<void> cut(std::uint64_t size);

 private:
  Journal(UniqueFd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}

  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace ipvlanx
