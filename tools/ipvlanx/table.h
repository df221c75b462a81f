// SPDX-License-Identifier: Apache-2.0
// How do cells become aligned columns?
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipvlanx::cli {

enum class Side { left, right };

struct Column {
  std::string_view title;
  Side side = Side::left;
};

// A line of titles and one for each row, each behind `margin`; every row has a cell
// for each column. Nothing but titles is nothing.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows,
                  std::string_view margin = "");

}  // namespace ipvlanx::cli
