// SPDX-License-Identifier: Apache-2.0
// The frames that `generate` sends: UDP, each with the next number. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "ipvlanx/base/result.h"
#include "packet.h"

namespace ipvlanx::xsk {

struct Flow {
  MacAddress from_mac;
  MacAddress to_mac;
  IpAddress from;  // both of one family
  IpAddress to;
  std::uint16_t from_port = 9;  // discard, RFC 863: an answer would not be missed
  std::uint16_t to_port = 9;
};

// After the headers: the frame's number in 8 bytes, big-endian, then the letters a to z over and over.
class UdpFrames {
 public:
  // `size`: bytes of the frame as a capture shows it, without the frame check sequence.
  static Result<UdpFrames> of(const Flow& flow, std::size_t size);

  std::size_t size() const { return template_.size(); }
  // To the first size() bytes of `room`.
  void write(Bytes room, std::uint64_t number) const;

 private:
  UdpFrames() = default;

  std::vector<std::uint8_t> template_;  // number 0, no checksum
  std::size_t udp_ = 0;                 // where its header begins
  Checksum checksum_;                   // of the template
};

}  // namespace ipvlanx::xsk
