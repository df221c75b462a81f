// SPDX-License-Identifier: Apache-2.0
// What are the slaves' network namespaces called, in one answer about many of them?
#pragma once

#include <map>
#include <optional>
#include <string>

#include "ipvlanx/control/controller.h"

namespace ipvlanx {

// Asks for each namespace once: a thousand slaves may share a few. For one answer, no longer; in the
// threads that Controller::netns_name() may be called by. Borrows the controller.
class NetnsNames {
 public:
  explicit NetnsNames(Controller& controller) : controller_(controller) {}

  const std::optional<std::string>& of(const Slave& slave) {
    const auto [at, is_new] = names_.try_emplace(slave.ends.container_end.netns);
    if (is_new) at->second = controller_.netns_name(slave);
    return at->second;
  }

 private:
  Controller& controller_;
  std::map<Netns, std::optional<std::string>> names_;
};

}  // namespace ipvlanx
