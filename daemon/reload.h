// SPDX-License-Identifier: Apache-2.0
// Settings that change while the daemon runs.
#pragma once

#include <functional>

#include "command_line.h"
#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

// Knows what is in force. Used on one thread, the worker's.
class Reloader {
 public:
  // `take`: has all keys take effect that can do so at once; called now, and at each reload.
  Reloader(CommandLine words, Settings settings, std::function<void(const Settings&)> take);

  // Says which of them did, and which keys wait for a restart. bad_settings, with all that is
  // wrong: everything stays as it was.
  Result<SettingsChange> reload();

 private:
  CommandLine words_;
  Settings at_start_;
  Settings in_force_;  // those that take effect at once
  std::function<void(const Settings&)> take_;
};

}  // namespace ipvlanx::daemon
