// SPDX-License-Identifier: Apache-2.0
// A request's target: path and query, percent-encoded.
#include "target.h"

#include <fmt/format.h>

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

namespace {

std::string encoded(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) out += fmt::format("%{:02x}", c);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto target = daemon::parse_target(text_of(data, size));
  if (!target) {
    must(!target.error().message.empty(), "a refusal has a reason");
    return 0;
  }
  std::string text;
  for (const std::string& segment : target->path) {
    must(!segment.contains('\0'), "no NUL");
    text += "/" + encoded(segment);
  }
  char before = '?';
  for (const auto& [key, value] : target->query) {
    text += before + encoded(key) + "=" + encoded(value);
    before = '&';
  }
  const auto again = daemon::parse_target(text);
  must(again && again->path == target->path && again->query == target->query, "what was read can be written");
  return 0;
}
