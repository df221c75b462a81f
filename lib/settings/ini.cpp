// SPDX-License-Identifier: Apache-2.0
#include "ini.h"

#include <algorithm>

namespace ipvlanx {

namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// What nobody sees in an editor.
bool has_control_character(std::string_view text) {
  return std::ranges::any_of(
      text, [](unsigned char c) { return (c < ' ' && !kBlank.contains(static_cast<char>(c))) || c == 0x7f; });
}

}  // namespace

Ini parse_ini(const std::string& file, std::string_view text) {
  Ini ini;
  enum class Where { before_sections, in_section, in_bad_section } where = Where::before_sections;
  std::string_view section;
  for (unsigned number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto complain = [&](std::string_view sentence) {
      ini.problems.push_back({file, number, std::string{sentence}});
    };

    if (line.empty() || line.starts_with('#') || line.starts_with(';')) continue;
    if (has_control_character(line)) {
      complain("there is a control character in this line");
    } else if (line.starts_with('[')) {
      const bool whole = line.size() > 2 && line.find(']') == line.size() - 1;
      where = whole ? Where::in_section : Where::in_bad_section;
      if (!whole) {
        complain("a section is written [name]");
        continue;
      }
      section = line.substr(1, line.size() - 2);
      ini.lines.push_back({number, section});
    } else if (const std::size_t equals = line.find('='); equals == line.npos || equals == 0) {
      complain("this is neither [section] nor key = value");
    } else if (where == Where::before_sections) {
      complain("there is no [section] before this key");
    } else if (where == Where::in_section) {
      ini.lines.push_back(
          {number, section, trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1))});
    }
  }
  return ini;
}

}  // namespace ipvlanx
