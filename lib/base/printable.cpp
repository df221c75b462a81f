// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/printable.h"

#include <fmt/format.h>

namespace ipvlanx {

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace ipvlanx
