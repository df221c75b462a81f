// SPDX-License-Identifier: Apache-2.0
// A frame from the wire, as ipvlanx-xsk answers it.
#include <algorithm>
#include <vector>

#include "fuzz.h"
#include "xsk/answer.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const xsk::Identity me{.mac = {{2, 0, 0, 0, 0, 1}},
                                .addresses = {*IpAddress::parse("10.0.0.5"), *IpAddress::parse("fd00::5")}};
  const std::vector<std::uint8_t> frame(data, data + size);
  constexpr std::size_t kRoomBehind = 64;
  std::vector<std::uint8_t> room = frame;
  room.resize(size + kRoomBehind);
  const xsk::Answer answer = xsk::answer(room, size, me);
  must(answer.length <= room.size(), "the answer is in the chunk");
  if (answer.length == 0) {
    must(std::equal(frame.begin(), frame.end(), room.begin()), "what is not answered stays as it is");
  } else {
    must(std::equal(me.mac.bytes.begin(), me.mac.bytes.end(), room.begin() + 6), "an answer is its own");
  }
  return 0;
}
