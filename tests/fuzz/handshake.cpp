// SPDX-License-Identifier: Apache-2.0
// What a packet application says to its slave's socket: a message each line.
#include "handshake.h"

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMostInReply = 128;  // of the protocol
  std::string_view text = text_of(data, size);
  const bool admitted = !text.starts_with('!');
  daemon::Handshake handshake{"app0", admitted ? std::optional{IfIndex{4}} : std::nullopt, admitted};
  while (!text.empty()) {
    const std::string_view message = text.substr(0, std::min(text.find('\n'), daemon::Handshake::kMostBytes));
    text.remove_prefix(std::min(text.size(), message.size() + 1));
    const daemon::Answer answer = handshake.answer(message);
    must(!answer.text.empty() && answer.text.size() < kMostInReply, "a reply fits");
    must(admitted || answer.with == daemon::Answer::With::nothing, "strangers are handed nothing");
    if (answer.ends) break;
  }
  return 0;
}
