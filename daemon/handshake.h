// SPDX-License-Identifier: Apache-2.0
// How does a packet application ask for its slave's socket map? The AF_XDP device plugin's
// protocol 0.1, as DPDK's net_af_xdp (use_cni) and CNDP speak it: one text per packet of a
// SOCK_SEQPACKET connection, and one connection per queue. Of our own, as the protocol leaves
// it: "/x_socket" gives a direct slave's application an AF_XDP socket of the master's network
// namespace, neither bound nor with memory yet, and the master's ifindex: "/fd_ack,4". So an
// application may be anywhere, and needs no capability.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipvlanx/model/types.h"

namespace ipvlanx::daemon {

// What the client wants of its AF_XDP socket, whose descriptor comes along.
struct BusyPoll {
  std::uint32_t timeout_us = 0;
  std::uint32_t budget = 0;  // packets
  bool operator==(const BusyPoll&) const = default;
};

struct Answer {
  std::string text;
  enum class With { nothing, map, socket } with = With::nothing;
  bool ends = false;                       // and the connection with it
  std::optional<BusyPoll> busy_poll = {};  // to be set first; `text` is for its success
};

// One client of one slave, from its first message to its last.
class Handshake {
 public:
  static constexpr std::size_t kMostBytes = 64;  // of a client's message

  // `interface`: where the application binds its sockets, of a direct slave the master (`master`).
  // `admitted`: the client calls from where it may.
  Handshake(std::string interface, std::optional<IfIndex> master, bool admitted)
      : interface_(std::move(interface)), master_(master), admitted_(admitted) {}

  Answer answer(std::string_view message);

 private:
  std::string interface_;
  std::optional<IfIndex> master_;
  bool admitted_;
  bool connected_ = false;
};

inline constexpr std::string_view kBusyPollRefused = "/config_busy_poll_nak";
// DPDK takes "/fd_nak" for a success: what was refused says this.
inline constexpr std::string_view kHandshakeError = "/error";

}  // namespace ipvlanx::daemon
