// SPDX-License-Identifier: Apache-2.0
// What the daemon waits for, and what ends it.
#pragma once

#include <functional>
#include <memory>

#include "documents.h"
#include "event_feed.h"
#include "ipvlanx/control/controller.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "listener.h"
#include "routes.h"

namespace ipvlanx::daemon {

// The process's one thread: connections, the kernel's notices, signals. Borrows
// everything it is given.
class Loop {
 public:
  static constexpr std::size_t kMostSessions = 256;

  // From here on SIGINT and SIGTERM end run() instead of the process, and SIGHUP calls `reload`.
  Loop(const Listener& listener, LinkMonitor& monitor, Controller& controller, Routes& routes,
       EventFeed& feed, Documents& documents, std::function<void()> reload);
  ~Loop();

  // Until a signal says so. Every connection is closed then.
  void run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ipvlanx::daemon
