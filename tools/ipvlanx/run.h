// SPDX-License-Identifier: Apache-2.0
// How is a command carried out? By asking the daemon, but for check.
#pragma once

#include <functional>
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

// PurgeAll: without the daemon, too; where the command does not say it, its settings say where.
Result<void> purge(const PurgeAll& command);

// Monitor: each event is printed as it happens, until `print` says that it cannot, or the daemon
// is away for longer than a restart takes.
Result<void> monitor(const std::string& socket, const Invocation& invocation,
                     const std::function<Result<void>(const std::string&)>& print);

// Drops, followed: each second what was dropped in it; ends as monitor() does.
Result<void> follow_drops(Client& client, const Invocation& invocation,
                          const std::function<Result<void>(const std::string&)>& print);

// All other commands. Returns what to print.
Result<std::string> run(Client& client, const Invocation& invocation);

}  // namespace ipvlanx::cli
