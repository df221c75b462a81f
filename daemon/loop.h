// SPDX-License-Identifier: Apache-2.0
// What the daemon waits for, and what ends it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "documents.h"
#include "event_feed.h"
#include "ipvlanx/control/controller.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "listener.h"
#include "routes.h"

namespace ipvlanx::daemon {

// The thread that waits: for connections, the kernel's notices, signals. It answers who only
// reads; what changes something (requests, following the kernel, announcing) it has done by a
// worker's thread, in order, and waits for none of it. The state is the worker's to change, and
// locked only for the moment in which it does; events are told in this thread, and what a
// request has done is told before it is answered. Borrows everything it is given.
class Loop {
 public:
  static constexpr std::size_t kMostSessions = 256;
  static constexpr std::size_t kRootsSessions = 16;  // of those: others cannot hold all there are

  // From here on SIGINT and SIGTERM end run() instead of the process, and SIGHUP calls `reload`.
  // `applications`: the folder of ApplicationSockets.
  Loop(const Listener& listener, LinkMonitor& monitor, Controller& controller, Routes& routes,
       EventFeed& feed, Documents& documents, std::function<void()> reload, const std::string& applications);
  ~Loop();

  // Until a signal says so. Every connection is closed then.
  void run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ipvlanx::daemon
