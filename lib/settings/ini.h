// SPDX-License-Identifier: Apache-2.0
// Text as sections, keys and values:
//
//   # a comment, as with ;
//   [section]
//   key = value
//
// Spaces around each do not count. There is no quoting, and no comment behind a value.
#pragma once

#include <string_view>
#include <vector>

#include "ipvlanx/settings/settings.h"

namespace ipvlanx {

// Borrows from the text. The line of a section itself has no key.
struct IniLine {
  unsigned number;
  std::string_view section;
  std::string_view key = {};
  std::string_view value = {};
};

struct Ini {
  std::vector<IniLine> lines = {};
  Problems problems = {};
};

Ini parse_ini(const std::string& file, std::string_view text);

}  // namespace ipvlanx
