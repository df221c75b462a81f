// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipvlanx::cli {

namespace {

constexpr std::string_view kGap = "  ";

std::string line(const std::vector<Column>& columns, const std::vector<std::size_t>& widths,
                 const std::vector<std::string>& cells) {
  std::string out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += kGap;
    out += columns[i].side == Side::right ? fmt::format("{:>{}}", cells[i], widths[i])
                                          : fmt::format("{:<{}}", cells[i], widths[i]);
  }
  out.resize(out.find_last_not_of(' ') + 1);
  return out + '\n';
}

}  // namespace

std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                  std::string_view margin) {
  if (rows.empty()) return {};

  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    titles.emplace_back(columns[i].title);
    widths.push_back(columns[i].title.size());
    for (const auto& cells : rows) widths[i] = std::max(widths[i], cells[i].size());
  }

  std::string out{margin};
  out += line(columns, widths, titles);
  for (const auto& cells : rows) {
    out += margin;
    out += line(columns, widths, cells);
  }
  return out;
}

}  // namespace ipvlanx::cli
