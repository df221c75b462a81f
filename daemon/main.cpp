// SPDX-License-Identifier: Apache-2.0
// ipvlanxd: what is opened, in which order, and what happens when it cannot be.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>

#include "directory.h"
#include "event_feed.h"
#include "ipvlanx/control/controller.h"
#include "ipvlanx/datapath/bpf_datapath.h"
#include "ipvlanx/netlink/kernel_links.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "routes.h"
#include "service.h"
#include "settings.h"

namespace ipvlanx::daemon {

namespace {

Result<void> run(const Settings& settings) {
  if (auto made = make_directory(settings.state_dir, 0700); !made) return made;
  auto links = open_kernel_links(settings.state_dir + "/host-settings");
  if (!links) return std::unexpected(links.error());
  auto datapath =
      open_bpf_datapath({.pin_root = settings.pin_root, .allow_private_bpffs = settings.allow_private_bpffs});
  if (!datapath) return std::unexpected(datapath.error());

  // Before the controller looks at the slaves, so that no change after that is missed.
  auto monitor = LinkMonitor::open();
  if (!monitor) return std::unexpected(monitor.error());
  Controller controller{**links, **datapath, settings.state_dir + "/state.json", settings.boot};
  EventFeed feed;
  controller.events().on_event([&feed](const LoggedEvent& event) {
    log_event(event.event);
    feed.publish(event);
  });
  if (auto started = controller.start(); !started) return started;

  auto listener = Listener::open(settings.socket);
  if (!listener) return std::unexpected(listener.error());
  if (!listener->has_group()) {
    spdlog::warn("there is no group '{}': '{}' is root's alone", Listener::kGroup, settings.socket);
  }
  Routes routes{controller};
  Loop loop{*listener, *monitor, controller, routes, feed};
  announce_ready(settings.socket);
  loop.run();
  return {};
}

}  // namespace

}  // namespace ipvlanx::daemon

int main(int argc, char** argv) {
  using namespace ipvlanx::daemon;
  const auto settings = read_settings(argc, argv);
  if (!settings) return settings.error();

  std::signal(SIGPIPE, SIG_IGN);  // a client that hangs up is an error of its own write only
  open_log();
  if (const auto done = run(*settings); !done) {
    fmt::print(stderr, "ipvlanxd: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
