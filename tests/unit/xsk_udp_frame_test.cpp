// SPDX-License-Identifier: Apache-2.0
// What does `ipvlanx-xsk generate` send? Frames as scapy makes them, byte by byte.
#include "xsk/udp_frame.h"

#include <string>

#include "catch.h"

using namespace ipvlanx;
using namespace ipvlanx::xsk;

namespace {

constexpr MacAddress kMine{{2, 0, 0, 0, 0, 5}};
constexpr MacAddress kPeer{{2, 0, 0, 0, 0, 0x99}};
constexpr std::uint64_t kNumber = 258;

Flow flow(const char* from, const char* to) {
  return {.from_mac = kMine,
          .to_mac = kPeer,
          .from = *IpAddress::parse(from),
          .to = *IpAddress::parse(to),
          .from_port = 1000,
          .to_port = 2000};
}

std::string written(const UdpFrames& frames, std::uint64_t number) {
  std::vector<std::uint8_t> room(frames.size());
  frames.write(room, number);
  std::string text;
  for (const auto byte : room) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

TEST_CASE("generated frames are whole, numbered, and have right checksums") {
  const auto ipv4 = UdpFrames::of(flow("10.0.0.5", "10.0.0.1"), 73);
  REQUIRE(ipv4);
  CHECK(written(*ipv4, kNumber) ==
        "02000000009902000000000508004500003b00004000401126ad0a0000050a00000103e807d00027ca3700"
        "000000000001026162636465666768696a6b6c6d6e6f7071727374757677");
  const auto ipv6 = UdpFrames::of(flow("fd00::5", "fd00::1"), 73);
  REQUIRE(ipv6);
  CHECK(written(*ipv6, kNumber) ==
        "02000000009902000000000586dd6000000000131140fd000000000000000000000000000005fd00000000"
        "000000000000000000000103e807d0001334a40000000000000102616263");
}

// It would say that there is no checksum.
TEST_CASE("a generated frame's checksum is never 0") {
  const auto frames = UdpFrames::of(flow("10.0.0.5", "10.0.0.1"), 60);
  REQUIRE(frames);
  int highest = 0;
  for (std::uint64_t number = 0; number < 0x10000; ++number) {
    std::vector<std::uint8_t> room(frames->size());
    frames->write(room, number);
    const auto checksum = get16(room, kEthernet + kIpv4 + 6);
    CHECK_FALSE(checksum == 0);
    highest += checksum == 0xffff;
  }
  CHECK(highest > 0);
}

TEST_CASE("frames that cannot be are refused") {
  CHECK_FALSE(UdpFrames::of(flow("10.0.0.5", "10.0.0.1"), 49));
  CHECK(UdpFrames::of(flow("10.0.0.5", "10.0.0.1"), 50));
  CHECK_FALSE(UdpFrames::of(flow("fd00::5", "fd00::1"), 69));
  CHECK(UdpFrames::of(flow("fd00::5", "fd00::1"), 70));
  CHECK_FALSE(UdpFrames::of(flow("10.0.0.5", "10.0.0.1"), 70000));
  CHECK_FALSE(UdpFrames::of(flow("10.0.0.5", "fd00::1"), 100));
}
