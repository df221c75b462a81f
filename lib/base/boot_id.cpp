// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/boot_id.h"

#include <cerrno>
#include <fstream>

namespace ipvlanx {

Result<std::string> boot_id() {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  std::ifstream file{path};
  std::string id;
  if (!std::getline(file, id)) return kernel_error(path, errno);
  return id;
}

}  // namespace ipvlanx
