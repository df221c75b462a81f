// SPDX-License-Identifier: Apache-2.0
// Who got which frame? A packet socket on one interface.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "frame.h"
#include "ipvlanx/base/unique_fd.h"
#include "machine.h"

namespace ipvlanx::test {

class PacketSocket {
 public:
  // Everything that arrives at or leaves the interface, before TC's hooks. Frames
  // that leave are heard only if `outgoing`.
  static PacketSocket tap(Space space, const std::string& interface, bool outgoing = false);
  // What TC's hooks leave of this protocol for the stack behind them.
  static PacketSocket stack(Space space, const std::string& interface, std::uint16_t ethertype);

  // With a segment size, as a TCP segment for the device to cut; `linear` bytes of it
  // in the linear part of the skb (0: all, if it fits a page).
  void send(const Bytes& frame, unsigned segment = 0, unsigned linear = 0) const;

  // A frame with its VLAN tag back in it.
  std::optional<Bytes> receive(std::chrono::milliseconds patience) const;

 private:
  PacketSocket(Space space, const std::string& interface, std::uint16_t ethertype, bool outgoing);
  UniqueFd fd_;
  bool outgoing_;
};

}  // namespace ipvlanx::test
