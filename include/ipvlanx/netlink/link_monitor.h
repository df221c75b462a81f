// SPDX-License-Identifier: Apache-2.0
// What changes in any network namespace the host's has an nsid for.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "ipvlanx/model/state.h"

namespace ipvlanx {

// Something about this interface, or its addresses, changed, or it is gone. Only
// where to look: what is true now is read by Links::look().
struct Notices {
  std::vector<Place> places = {};  // each once
  bool lost = false;               // ENOBUFS: look everywhere
  // Interfaces that left the host's namespace, for another one or for good. The first may
  // be back.
  enum class Departure { moved, removed };
  std::map<IfIndex, Departure> left = {};
  // Of the host's: they are reached by another way now, and neighbours have to be told
  // (NETDEV_NOTIFY_PEERS: a bond has failed over, a virtual machine has moved).
  std::set<IfIndex> failed_over = {};
};

// One rtnetlink socket with NETLINK_LISTEN_ALL_NSID (CAP_NET_BROADCAST), groups
// LINK, IPV4_IFADDR, IPV6_IFADDR and, for IPv6 switched on or off, IPV6_IFINFO. Owned and read by the
// daemon's loop.
class LinkMonitor {
 public:
  static Result<LinkMonitor> open();
  LinkMonitor(LinkMonitor&&) noexcept;
  LinkMonitor& operator=(LinkMonitor&&) noexcept;
  ~LinkMonitor();

  int fd() const;  // readable when read() has something to say; non-blocking
  // Everything that is waiting.
  Result<Notices> read();

 private:
  struct Socket;
  explicit LinkMonitor(std::unique_ptr<Socket> socket);
  std::unique_ptr<Socket> socket_;
};

}  // namespace ipvlanx
