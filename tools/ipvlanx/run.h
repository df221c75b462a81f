// SPDX-License-Identifier: Apache-2.0
// How is a command carried out? By asking the daemon.
#pragma once

#include <string>

#include "command.h"
#include "ipvlanx/client.h"

namespace ipvlanx::cli {

// Returns what to print.
Result<std::string> run(Client& client, const Invocation& invocation);

}  // namespace ipvlanx::cli
