// SPDX-License-Identifier: Apache-2.0
// How is a command carried out? By asking the daemon, but for check.
#pragma once

#include <string>

#include "command.h"
#include "ipvlanx/client.h"

namespace ipvlanx::cli {

struct Checked {
  std::string text;      // what to print
  bool complete = true;  // nothing required is missing
};
// Check: without the daemon.
Checked check(const Invocation& invocation);

// Returns what to print.
Result<std::string> run(Client& client, const Invocation& invocation);

}  // namespace ipvlanx::cli
