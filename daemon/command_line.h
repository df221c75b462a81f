// SPDX-License-Identifier: Apache-2.0
// What ipvlanxd is told on its command line. It wins over the settings' files.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>

#include "ipvlanx/base/boot_id.h"
#include "ipvlanx/settings/settings.h"

namespace ipvlanx::daemon {

struct CommandLine {
  std::optional<std::string> config = {};        // none: kSettingsFile, if it is there
  std::map<std::string, std::string> keys = {};  // by full name: what wins over the files
  std::string boot = boot_id().value_or("");
  bool check_config = false;
  bool allow_private_bpffs = false;
};

// Or the exit status: after --help and --version, which it has answered, and after
// words it has complained about.
std::expected<CommandLine, int> read_command_line(int argc, char** argv);
std::string command_line_help();

// The files' settings, with what the command line says instead.
std::expected<Settings, Problems> read_settings(const CommandLine& words);

}  // namespace ipvlanx::daemon
