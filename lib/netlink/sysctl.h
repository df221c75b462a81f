// SPDX-License-Identifier: Apache-2.0
// Numbers in /proc/sys/net/ipv{4,6}/conf, of the namespace of the calling thread.
#pragma once

#include <optional>
#include <string>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

struct Sysctl {
  Family family{};
  IfIndex interface{};  // 0: "all"
  std::string name;
  auto operator<=>(const Sysctl&) const = default;
};

// nullopt: this kernel has no such setting, or there is no such interface.
// Nothing: there is none, because the kernel has none or the interface is gone.
Result<std::optional<int>> read_sysctl(const Sysctl& sysctl);
bool has_sysctl(const Sysctl& sysctl);
// Success when the interface is gone.
// An interface that is gone needs nothing: success.
Result<void> write_sysctl(const Sysctl& sysctl, int value);

}  // namespace ipvlanx
