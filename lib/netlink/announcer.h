// SPDX-License-Identifier: Apache-2.0
// How does everybody on the link learn an address's MAC address without asking?
#pragma once

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

// A packet socket in the namespace of the thread that opened it. Kept: closing one waits for
// all CPUs (10 ms and more).
class Announcer {
 public:
  static Result<Announcer> open();

  // One broadcast by this interface: an ARP announcement (RFC 5227, 2.3) or an unsolicited
  // neighbour advertisement (RFC 4861, 7.2.6) that overrides. Does not wait: what does not
  // fit into a queue is lost, as anything on the wire may be. `mark`: the frame's skb->mark.
  Result<void> send(IfIndex interface, std::uint32_t mark, const MacAddress& mac, const IpAddress& address);

 private:
  explicit Announcer(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
};

}  // namespace ipvlanx
