// SPDX-License-Identifier: Apache-2.0
#include "link_local.h"

#include <algorithm>

namespace ipvlanx {

namespace {

constexpr std::uint8_t kUniversalLocalBit = 0x02;

Prefix link_local(std::uint8_t first, const MacAddress& mac, std::uint16_t middle) {
  const auto& byte = mac.bytes;
  const auto high = static_cast<std::uint8_t>(middle >> 8);
  const auto low = static_cast<std::uint8_t>(middle);
  const std::array<std::uint8_t, 8> interface{first, byte[1], byte[2], high, low, byte[3], byte[4], byte[5]};
  std::array<std::uint8_t, 16> address{0xfe, 0x80};
  std::ranges::copy(interface, address.begin() + 8);
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): 16 bytes are an address
  return {.address = IpAddress::from_bytes(address).value(), .length = 64};
}

}  // namespace

Prefix link_local_of(const MacAddress& mac) {
  return link_local(mac.bytes[0] ^ kUniversalLocalBit, mac, 0xfffe);
}

Prefix link_local_of(const MacAddress& mac, SlaveId slave) {
  return link_local(mac.bytes[0], mac, static_cast<std::uint16_t>(number(slave)));
}

}  // namespace ipvlanx
