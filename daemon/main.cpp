// SPDX-License-Identifier: Apache-2.0
// ipvlanxd: what is opened, in which order, and what happens when it cannot be.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "access.h"
#include "command_line.h"
#include "directory.h"
#include "docker.h"
#include "documents.h"
#include "event_feed.h"
#include "ipvlanx/control/controller.h"
#include "ipvlanx/datapath/bpf_datapath.h"
#include "ipvlanx/netlink/kernel_links.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "privileges.h"
#include "reload.h"
#include "routes.h"
#include "service.h"

namespace ipvlanx::daemon {

namespace {

std::string no_such_group(const std::string& name) {
  return fmt::format("write-group: there is no group '{}'", name);
}

// What `--check-config` says; nothing is started.
Problems problems_of(const Settings& settings) {
  Problems problems;
  if (!settings.write_group.empty() && !group_named(settings.write_group)) {
    problems.push_back({.sentence = no_such_group(settings.write_group)});
  }
  for (const std::string& file : settings.documents) {
    const auto document = read_document_file(file);
    if (!document) problems.push_back({.sentence = document.error().message});
  }
  return problems;
}

int refuse(const Problems& problems) {
  for (const Problem& problem : problems) fmt::print(stderr, "{}\n", to_string(problem));
  return problems.empty() ? 0 : 1;
}

// What a reload changed, and whoever asked for it.
Result<SettingsChange> reload(Reloader& reloader) {
  const Reloading reloading;
  auto change = reloader.reload();
  if (!change) {
    log_error(fmt::format("the settings stay as they were: {}", change.error().message));
  } else {
    log_info(fmt::format("settings read again; changed: [{}], needs a restart: [{}]",
                         fmt::join(change->at_once, ", "), fmt::join(change->by_restart, ", ")));
  }
  return change;
}

// A group that is not there is nobody: what was meant is not known.
Access access_by(const Settings& settings) {
  if (settings.write_group.empty()) return {};
  const Access access{.writers = group_named(settings.write_group)};
  if (!access.writers) {
    log_warning(fmt::format("{}: changes are for root alone", no_such_group(settings.write_group)));
  }
  return access;
}

Result<void> run(const CommandLine& words, const Settings& settings) {
  auto inherited = inherited_socket();
  if (!inherited) return std::unexpected(inherited.error());
  const auto readers = group_named(kReaders);
  if (auto dropped = drop_privileges(readers); !dropped) return dropped;

  if (auto made = make_directory(settings.state_dir, 0700); !made) return made;
  auto links = open_kernel_links(settings.state_dir + "/host-settings");
  if (!links) return std::unexpected(links.error());
  auto datapath =
      open_bpf_datapath({.pin_root = settings.pin_root, .allow_private_bpffs = words.allow_private_bpffs});
  if (!datapath) return std::unexpected(datapath.error());

  // Before the controller looks at the slaves, so that no change after that is missed.
  auto monitor = LinkMonitor::open();
  if (!monitor) return std::unexpected(monitor.error());
  Controller controller{**links, **datapath, settings.state_dir + "/state.json", words.boot};
  EventFeed feed;
  controller.events().on_event([&controller, &feed](const LoggedEvent& event) {
    log_event(event.event, [&]() -> std::optional<std::string> {
      const auto reading = controller.reading();
      const Slave* slave = event.event.slave ? controller.state().slave(*event.event.slave) : nullptr;
      return slave ? controller.netns_name(*slave) : std::nullopt;
    });
    feed.publish(event);
  });
  if (auto started = controller.start(); !started) return started;
  Access access;
  Reloader reloader{words, settings, [&controller, &access](const Settings& settings) {
                      open_log(settings.log_level, settings.log_format);
                      controller.set_defaults(settings.defaults);
                      access = access_by(settings);
                    }};
  Documents documents{controller, settings.documents};
  documents.apply();

  auto listener =
      *inherited ? Listener::adopt(std::move(*inherited)) : Listener::open(settings.socket, readers);
  if (!listener) return std::unexpected(listener.error());
  if (!readers)
    log_warning(fmt::format("there is no group '{}': '{}' is root's alone", kReaders, listener->path()));
  Docker docker{controller, settings.state_dir + "/docker.json"};
  if (auto known = docker.start(); !known) log_error(known.error().message);
  Routes routes{controller, access, docker, [&reloader] { return reload(reloader); }};
  Loop loop{*listener,
            *monitor,
            controller,
            routes,
            feed,
            documents,
            [&reloader] { (void)reload(reloader); },
            std::filesystem::path{settings.socket}.parent_path() / "slaves"};
  announce_ready(listener->path());
  loop.run();
  return {};
}

}  // namespace

}  // namespace ipvlanx::daemon

int main(int argc, char** argv) {
  using namespace ipvlanx::daemon;
  const auto words = read_command_line(argc, argv);
  if (!words) return words.error();
  const auto settings = read_settings(*words);
  if (!settings) return refuse(settings.error());
  if (words->check_config) return refuse(problems_of(*settings));

  std::signal(SIGPIPE, SIG_IGN);  // a client that hangs up is an error of its own write only
  std::signal(SIGHUP, SIG_IGN);   // until the loop can reload
  open_log(settings->log_level, settings->log_format);
  if (const auto done = run(*words, *settings); !done) {
    fmt::print(stderr, "ipvlanxd: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
