// SPDX-License-Identifier: Apache-2.0
// The command line: words, separated by newlines.
#include "grammar.h"

#include <vector>

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = text_of(data, size);
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto invocation = cli::parse(words);
  if (const auto* misuse = invocation ? nullptr : std::get_if<cli::Misuse>(&invocation.error())) {
    must(!misuse->what.empty() && !misuse->usage.empty(), "misuse is explained");
  }
  return 0;
}
