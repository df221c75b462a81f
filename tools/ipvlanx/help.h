// SPDX-License-Identifier: Apache-2.0
// How are the commands written? Text for people, made from the table of commands.
#pragma once

#include <span>
#include <string>

#include "commands.h"

namespace ipvlanx::cli {

// "Usage: ipvlanx link del [ dev ] NAME", a line or more for each.
std::string usage_of(std::span<const CommandRow> rows);
// The same for the whole command line: options and objects.
std::string synopsis();

std::string help_on(std::span<const CommandRow> rows);
std::string full_help();

}  // namespace ipvlanx::cli
