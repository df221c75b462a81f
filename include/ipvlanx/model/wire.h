// SPDX-License-Identifier: Apache-2.0
// Where is what in a frame, and is its checksum right? Numbers on the wire are big-endian.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "ipvlanx/model/types.h"

namespace ipvlanx::wire {

using Bytes = std::span<std::uint8_t>;
using ConstBytes = std::span<const std::uint8_t>;

inline constexpr std::size_t kEthernet = 14;  // bytes of its header
inline constexpr std::size_t kIpv4 = 20;      // without options
inline constexpr std::size_t kIpv6 = 40;
inline constexpr std::size_t kUdp = 8;

inline constexpr std::uint16_t kTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kTypeArp = 0x0806;
inline constexpr std::uint16_t kTypeIpv6 = 0x86dd;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;

inline std::uint16_t get16(ConstBytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

inline void put16(Bytes bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// Whole, to `at` in `bytes`, where it has room.
inline void put(Bytes bytes, std::size_t at, ConstBytes what) {
  std::ranges::copy(what, bytes.subspan(at).begin());
}

inline MacAddress get_mac(ConstBytes bytes, std::size_t at) {
  MacAddress mac;
  std::ranges::copy(bytes.subspan(at, mac.bytes.size()), mac.bytes.begin());
  return mac;
}

// Broadcast is a group, too.
inline bool is_group(const MacAddress& mac) {
  return mac.bytes[0] & 1;
}

// Of all or of the first 4 of its bytes.
inline ConstBytes wire_bytes(const IpAddress& address) {
  return ConstBytes{address.bytes()}.first(address.size());
}

// The Internet's checksum (RFC 1071), over any number of parts. Every part but the last has an even
// number of bytes.
class Checksum {
 public:
  Checksum& add(ConstBytes bytes) {
    const std::size_t even = bytes.size() & ~std::size_t{1};
    for (std::size_t at = 0; at < even; at += 2) sum_ += get16(bytes, at);
    if (even != bytes.size()) sum_ += static_cast<std::uint64_t>(bytes[even]) << 8;
    return *this;
  }
  Checksum& add(std::uint16_t number) {
    sum_ += number;
    return *this;
  }
  // What the field has to hold; 0 when the sum was taken with the right value in it.
  std::uint16_t value() const {
    std::uint64_t sum = sum_;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

// With what both IPs make UDP's and ICMPv6's checksum begin: addresses, protocol and length.
inline Checksum pseudo_header(ConstBytes from, ConstBytes to, std::uint8_t protocol, std::size_t length) {
  return Checksum{}.add(from).add(to).add(protocol).add(static_cast<std::uint16_t>(length));
}

}  // namespace ipvlanx::wire
