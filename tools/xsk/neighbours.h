// SPDX-License-Identifier: Apache-2.0
// Who is behind an interface, and how does `forward` address frames to them? Pure.
#pragma once

#include <optional>
#include <unordered_map>

#include "packet.h"

namespace ipvlanx::xsk {

class Neighbours {
 public:
  static constexpr std::size_t kMost = 4096;  // then all are forgotten, and learnt anew

  // From a frame that came by this interface: its sender's IP address is behind its sender's MAC address.
  void learn(ConstBytes frame);

  // Makes `frame` one that the owner of `mine` sends by this interface: to whom its IP destination is
  // behind, and to all while that is not known; what is for a group stays so. In ARP and neighbour
  // discovery `mine` takes the place of the MAC address that the other side is not to see.
  void address(Bytes frame, const MacAddress& mine) const;

 private:
  std::optional<MacAddress> behind(ConstBytes address) const;

  std::unordered_map<IpAddress, MacAddress> known_;
};

}  // namespace ipvlanx::xsk
