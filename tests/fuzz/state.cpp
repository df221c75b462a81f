// SPDX-License-Identifier: Apache-2.0
// The state file and its journal: what is damaged is refused, what is not reads as it was written.
#include "control/saved_state.h"

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  const std::string_view first = text.substr(0, text.find('\n'));
  if (auto state = parse_state(text)) {
    const std::string written = to_text(*state);
    const auto again = parse_state(written);
    must(again && to_text(*again) == written, "a state that was read can be written");
  }
  if (const auto journal = parse_header(first)) {
    must(parse_header(header_line(*journal)) == *journal, "a header that was read can be written");
  }
  if (const auto records = parse_records(first)) {
    const std::string line = record_line(*records);
    const auto again = parse_records(line);
    must(again && record_line(*again) == line, "records that were read can be written");
    SavedState state;
    for (const Record& record : *records) {
      state.apply(record);
      must(!state.is_news(record), "what was applied is no news");
    }
  }
  return 0;
}
