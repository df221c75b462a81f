// SPDX-License-Identifier: Apache-2.0
// To whom does `ipvlanx-xsk forward` hand a frame on, and what MAC addresses are in it then?
#include <string>
#include <string_view>

#include "catch.h"
#include "xsk/neighbours.h"

using namespace ipvlanx;
using namespace ipvlanx::xsk;

namespace {

using Buffer = std::vector<std::uint8_t>;

constexpr MacAddress kMine{{2, 0, 0, 0, 0, 7}};

Buffer bytes_of(std::string_view hex) {
  Buffer bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(std::string{hex.substr(at, 2)}, nullptr, 16)));
  }
  return bytes;
}

// Frames as scapy makes them: 02::99 with 10.0.0.1 and fd00::1 on one side, 02::05 with 10.0.0.5 and
// fd00::5 on the other, whom 02::99 knows by 02::66, the forwarder there.
struct Row {
  const char* what;
  std::string_view before, after;
};

const Row kRows[] = {
    {"a packet",
     "02000000006602000000009908004500002300010000401166c40a0000010a00000500010002000f2e9870"
     "61796c6f6164",
     "02000000000502000000000708004500002300010000401166c40a0000010a00000500010002000f2e9870"
     "61796c6f6164"},
    {"a packet for somebody unknown",
     "02000000006602000000009908004500002300010000401166c30a0000010a00000600010002000f2e9770"
     "61796c6f6164",
     "ffffffffffff02000000000708004500002300010000401166c30a0000010a00000600010002000f2e9770"
     "61796c6f6164"},
    {"an IPv6 packet",
     "02000000006602000000009986dd60000000000f1140fd000000000000000000000000000001fd00000000"
     "000000000000000000000500010002000f48967061796c6f6164",
     "02000000000502000000000786dd60000000000f1140fd000000000000000000000000000001fd00000000"
     "000000000000000000000500010002000f48967061796c6f6164"},
    {"a broadcast",
     "ffffffffffff02000000009908004500002300010000401165ca0a0000010a0000ff00010002000f2d9e70"
     "61796c6f6164",
     "ffffffffffff02000000000708004500002300010000401165ca0a0000010a0000ff00010002000f2d9e70"
     "61796c6f6164"},
    {"neither IPv4 nor IPv6", "02000000006602000000009988b57061796c6f6164",
     "ffffffffffff02000000000788b57061796c6f6164"},
    {"ARP request", "ffffffffffff020000000099080600010800060400010200000000990a0000010000000000000a000005",
     "ffffffffffff020000000007080600010800060400010200000000070a0000010000000000000a000005"},
    {"ARP reply", "020000000066020000000099080600010800060400020200000000990a0000010200000000660a000005",
     "020000000005020000000007080600010800060400020200000000070a0000010200000000050a000005"},
    {"solicitation",
     "3333ff00000502000000009986dd6000000000203afffd000000000000000000000000000001ff02000000"
     "00000000000001ff00000587007cf900000000fd0000000000000000000000000000050101020000000099",
     "3333ff00000502000000000786dd6000000000203afffd000000000000000000000000000001ff02000000"
     "00000000000001ff00000587007d8b00000000fd0000000000000000000000000000050101020000000007"},
    {"advertisement",
     "02000000006602000000009986dd6000000000203afffd000000000000000000000000000001fd00000000"
     "00000000000000000000058800dc00a0000000fd0000000000000000000000000000010201020000000099",
     "02000000000502000000000786dd6000000000203afffd000000000000000000000000000001fd00000000"
     "00000000000000000000058800dc92a0000000fd0000000000000000000000000000010201020000000007"},
    {"router advertisement",
     "33330000000102000000009986dd6000000000203afffe800000000000000000000000000001ff02000000"
     "00000000000000000000018600669800080708000000000000000005010000000005dc0101020000000099",
     "33330000000102000000000786dd6000000000203afffe800000000000000000000000000001ff02000000"
     "00000000000000000000018600672a00080708000000000000000005010000000005dc0101020000000007"},
};

// Two frames of 02::05.
constexpr std::string_view kHello =
    "ffffffffffff020000000005080600010800060400010200000000050a0000050000000000000a000001";
constexpr std::string_view kHello6 =
    "02000000006602000000000586dd6000000000081140fd000000000000000000000000000005fd00000000"
    "000000000000000000000100010002000805d4";

Neighbours acquainted() {
  Neighbours neighbours;
  for (const auto hello : {kHello, kHello6}) neighbours.learn(bytes_of(hello));
  return neighbours;
}

}  // namespace

TEST_CASE("a frame that is handed on has the addresses of its new link") {
  for (const auto& row : kRows) {
    INFO(row.what);
    Buffer frame = bytes_of(row.before);
    acquainted().address(frame, kMine);
    CHECK(frame == bytes_of(row.after));
  }
}

// At the end of a buffer of exactly its size, so that ASan sees what reads behind it.
TEST_CASE("a frame that is cut anywhere is handed on without harm") {
  for (const auto& row : kRows) {
    const Buffer whole = bytes_of(row.before);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      cut.shrink_to_fit();
      Neighbours neighbours = acquainted();
      neighbours.learn(cut);
      neighbours.address(cut, kMine);
      CHECK(cut.size() == length);
    }
  }
}

TEST_CASE("neighbours are forgotten before they are too many") {
  Neighbours neighbours = acquainted();
  Buffer hello = bytes_of(kHello);
  for (std::size_t i = 0; i < Neighbours::kMost; ++i) {
    put16(hello, kEthernet + 16, static_cast<std::uint16_t>(i + 1000));  // the end of the sender's address
    neighbours.learn(hello);
  }
  Buffer frame = bytes_of(kRows[0].before);
  neighbours.address(frame, kMine);
  CHECK(get_mac(frame, 0) == MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}});
}
