// SPDX-License-Identifier: Apache-2.0
// Which commands are there, and what may follow each? The grammar and its help are
// one table.
#pragma once

#include <span>
#include <string_view>

#include "command.h"
#include "options.h"
#include "parsed.h"

namespace ipvlanx::cli {

struct CommandRow {
  std::string_view object;
  std::string_view command;  // empty: the object's only one, which has no word
  std::string_view usage;    // of one line or several
  Parsed<Command> (*read)(Words words);
};

// All of them, those of an object side by side.
std::span<const CommandRow> commands();
// None: there is no such object.
std::span<const CommandRow> commands_of(std::string_view object);

}  // namespace ipvlanx::cli
