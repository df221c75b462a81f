// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <system_error>
#include <thread>

#include "find.h"
#include "ipvlanx/base/files.h"
#include "ipvlanx/control/purge.h"
#include "ipvlanx/settings/settings.h"
#include "pcap.h"
#include "show.h"

namespace ipvlanx::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kRestart{30};  // a daemon's, with many slaves

// The daemon has a working directory of its own: a path goes to it from the root.
std::string seen_by_daemon(const std::string& netns) {
  if (!netns.contains('/')) return netns;
  std::error_code unreachable;
  const auto path = std::filesystem::absolute(netns, unreachable);
  return unreachable ? netns : path.string();
}

Result<std::string> read_all(const std::string& file) {
  std::ifstream named;
  if (file != "-") named.open(file);
  std::istream& in = file == "-" ? std::cin : named;
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return kernel_error(file, errno);
  return std::move(text).str();
}

// A daemon that is away: one that restarts comes back.
class Absence {
 public:
  // Whether it is worth to go on asking; a moment has passed then.
  bool is_short(const Error& error) {
    const auto now = Clock::now();
    since_ = std::min(since_, now);
    if (error.code != Errc::no_daemon || now > since_ + kRestart) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    return true;
  }
  void end() { since_ = Clock::time_point::max(); }

 private:
  Clock::time_point since_ = Clock::time_point::max();
};

using Reasons = std::map<std::string, std::uint64_t>;

// What is more; of counters that began anew, all.
Reasons more(const Reasons& before, Reasons now) {
  for (auto& [reason, packets] : now) {
    const auto was = before.find(reason);
    if (was != before.end() && was->second <= packets) packets -= was->second;
  }
  std::erase_if(now, [](const auto& entry) { return entry.second == 0; });
  return now;
}

api::DropsReply more(const api::DropsReply& before, api::DropsReply now) {
  now.host = more(before.host, std::move(now.host));
  for (auto& slave : now.slaves) {
    const auto was = std::ranges::find(before.slaves, slave.id, &api::SlaveDropsReply::id);
    if (was != before.slaves.end()) slave.drops = more(was->drops, std::move(slave.drops));
  }
  return now;
}

// Carries out one command. Borrows the client and the command line.
class Runner {
 public:
  Runner(Client& client, const Invocation& invocation) : client_(client), invocation_(invocation) {}

  Result<std::string> operator()(const LinkAdd& command) {
    api::NewSlave request = command.slave;
    if (request.netns) request.netns = seen_by_daemon(*request.netns);

    auto slave = client_.add_slave(request);
    if (!slave) return std::unexpected(slave.error());
    if (!invocation_.json) return "";
    return shown(json::links({{*std::move(slave)}}));
  }

  Result<std::string> operator()(const LinkSet& command) {
    api::SlaveChange change = command.change;
    if (change.netns) change.netns = seen_by_daemon(*change.netns);

    const auto slave = find_slave(client_, command.slave);
    if (!slave) return std::unexpected(slave.error());
    return nothing(client_.change_slave(SlaveId{slave->id}, change));
  }

  Result<std::string> operator()(const LinkDel& command) {
    const auto slave = find_slave(client_, command.slave);
    if (!slave) return std::unexpected(slave.error());
    return nothing(client_.delete_slave(SlaveId{slave->id}));
  }

  Result<std::string> operator()(const LinkShow& command) {
    const auto slaves = chosen(command.slave, command.master);
    if (!slaves) return std::unexpected(slaves.error());
    if (!invocation_.statistics) return shown(*slaves, text::links, json::links);

    const auto counted = with_stats(*slaves);
    if (!counted) return std::unexpected(counted.error());
    return shown(*counted, text::links, json::links);
  }

  Result<std::string> operator()(const AddrAdd& command) {
    const auto slave = find_slave(client_, command.slave);
    if (!slave) return std::unexpected(slave.error());
    return nothing(client_.add_address(SlaveId{slave->id}, {command.prefix}));
  }

  Result<std::string> operator()(const AddrDel& command) {
    const auto slave = find_slave(client_, command.slave);
    if (!slave) return std::unexpected(slave.error());
    return nothing(client_.delete_address(SlaveId{slave->id}, command.prefix.address));
  }

  Result<std::string> operator()(const AddrShow& command) {
    const auto slaves = chosen(command.slave);
    if (!slaves) return std::unexpected(slaves.error());
    return shown(*slaves, text::addresses, json::addresses);
  }

  Result<std::string> operator()(const PortShow& command) {
    if (!command.master) {
      const auto ports = client_.ports();
      if (!ports) return std::unexpected(ports.error());
      return shown(*ports, text::ports, json::ports);
    }
    const auto port = client_.port(command.master->str());
    if (!port) return std::unexpected(port.error());
    return shown(ShownPorts{*port}, text::ports, json::ports);
  }

  Result<std::string> operator()(const PortSet& command) {
    return nothing(client_.change_port(command.master.str(), command.change));
  }

  Result<std::string> operator()(const PortDel& command) {
    return nothing(client_.delete_port(command.master.str()));
  }

  Result<std::string> operator()(const PortFlush& command) {
    return nothing(client_.flush_port(command.master.str()));
  }

  Result<std::string> operator()(const Drops&) {  // see follow_drops()
    const auto drops = client_.drops();
    if (!drops) return std::unexpected(drops.error());
    return shown(*drops, text::drops, json::drops);
  }

  Result<std::string> operator()(const Trace& command) {
    api::TraceRequest request = command.packet;
    if (command.slave) {
      const auto slave = find_slave(client_, *command.slave, request.master);
      if (!slave) return std::unexpected(slave.error());
      request.slave = SlaveId{slave->id};
    }
    const auto traced = client_.trace(request);
    if (!traced) return std::unexpected(traced.error());
    if (command.pcap) {
      const auto capture = pcap_of(*traced, std::chrono::system_clock::now());
      if (!capture) return std::unexpected(capture.error());
      if (auto kept = replace_file(*command.pcap, *capture); !kept) {
        return std::unexpected(std::move(kept.error()).within(*command.pcap));
      }
    }
    return shown(*traced, text::trace, json::trace);
  }

  Result<std::string> operator()(const StatsShow& command) {
    const auto slaves = chosen(command.slave);
    if (!slaves) return std::unexpected(slaves.error());
    const auto counted = with_stats(*slaves);
    if (!counted) return std::unexpected(counted.error());
    return shown(*counted, text::stats, json::stats);
  }

  Result<std::string> operator()(const Save& command) {
    auto document = client_.save();
    if (!document || !command.file) return document;
    if (auto kept = replace_file(*command.file, *document); !kept) {
      return std::unexpected(std::move(kept.error()).within(*command.file));
    }
    return "";
  }

  Result<std::string> operator()(const Apply& command) {
    auto document = read_all(command.file);
    if (!document) return std::unexpected(std::move(document.error()));
    const auto applied = client_.apply(*std::move(document));
    if (!applied) return std::unexpected(applied.error());
    if (invocation_.json) return shown(json::applied(*applied));
    return fmt::format("created {}, changed {}\n", applied->created, applied->changed);
  }

  Result<std::string> operator()(const Reload&) {
    const auto reloaded = client_.reload();
    if (!reloaded) return std::unexpected(reloaded.error());
    return shown(*reloaded, text::reloaded, json::reloaded);
  }

  Result<std::string> operator()(const Monitor&) { return ""; }  // see monitor()

  Result<std::string> operator()(const Check&) { return check(invocation_).text; }

  Result<std::string> operator()(const PurgeAll& command) { return nothing(purge(command)); }

  Result<std::string> operator()(const ShowVersion&) {
    const auto version = client_.version();
    if (!version) return std::unexpected(version.error());
    return shown(*version, text::version, json::version);
  }

 private:
  // The one that is named, or all: of `master`, or of all.
  Result<ShownSlaves> chosen(const std::optional<SlaveWord>& word, const std::optional<IfName>& master = {}) {
    if (word) {
      const auto slave = find_slave(client_, *word, master);
      if (!slave) return std::unexpected(slave.error());
      return ShownSlaves{{*slave}};
    }
    SlaveFilter filter;
    if (master) filter.master = master->str();
    auto slaves = client_.slaves(filter);
    if (!slaves) return std::unexpected(slaves.error());
    ShownSlaves out;
    for (auto& slave : *slaves) out.push_back({std::move(slave)});
    return out;
  }

  // A slave may go while we ask: it is left out then.
  Result<ShownSlaves> with_stats(const ShownSlaves& slaves) {
    ShownSlaves out;
    for (const auto& [slave, none] : slaves) {
      const auto stats = client_.stats(SlaveId{slave.id});
      if (!stats && stats.error().code == Errc::no_such_slave) continue;
      if (!stats) return std::unexpected(stats.error());
      out.push_back({slave, *stats});
    }
    return out;
  }

  template <class Things>
  std::string shown(const Things& things, std::string (*as_text)(const Things&),
                    json::Json (*as_json)(const Things&)) const {
    return invocation_.json ? shown(as_json(things)) : as_text(things);
  }

  std::string shown(const json::Json& json) const { return json.dump(invocation_.pretty ? 4 : -1) + '\n'; }

  static Result<std::string> nothing(const Result<void>& done) {
    if (!done) return std::unexpected(done.error());
    return "";
  }

  Client& client_;
  const Invocation& invocation_;
};

// What the command line does not say, the daemon's settings do.
Result<Purge> whole(const PurgeAll& command) {
  Settings settings;
  if (!command.pin_root || !command.state_dir) {
    auto read = read_settings(command.config.value_or(kSettingsFile),
                              command.config ? Missing::a_problem : Missing::allowed);
    if (!read) return std::unexpected(as_error(read.error()));
    settings = *std::move(read);
  }
  return Purge{.pin_root = command.pin_root.value_or(settings.pin_root),
               .state_dir = command.state_dir.value_or(settings.state_dir)};
}

}  // namespace

Result<void> purge(const PurgeAll& command) {
  const auto what = whole(command);
  if (!what) return std::unexpected(what.error());
  return ipvlanx::purge(*what);
}

Checked check(const Invocation& invocation) {
  const auto findings = check_host();
  const bool complete = std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.state == Finding::State::missing; });
  if (!invocation.json) return {text::findings(findings), complete};
  return {json::findings(findings).dump(invocation.pretty ? 4 : -1) + '\n', complete};
}

Result<void> monitor(const std::string& socket, const Invocation& invocation,
                     const std::function<Result<void>(const std::string&)>& print) {
  auto events = EventStream::open(socket);
  if (!events) return std::unexpected(events.error());
  Absence away;
  while (true) {
    const auto event = events->next(std::chrono::hours{1});
    if (!event && away.is_short(event.error())) continue;
    if (!event) return std::unexpected(event.error());
    away.end();
    if (!*event) continue;
    const auto printed = print(invocation.json ? json::event(**event).dump() + "\n" : text::event(**event));
    if (!printed) return printed;
  }
}

Result<void> follow_drops(Client& client, const Invocation& invocation,
                          const std::function<Result<void>(const std::string&)>& print) {
  Absence away;
  std::optional<api::DropsReply> before;
  while (true) {
    const auto now = client.drops();
    if (!now && away.is_short(now.error())) continue;
    if (!now) return std::unexpected(now.error());
    away.end();
    if (before) {
      const auto dropped = more(*before, *now);
      const auto printed = print(invocation.json ? json::dropped(dropped) : text::dropped(dropped));
      if (!printed) return printed;
    }
    before = *now;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

Result<std::string> run(Client& client, const Invocation& invocation) {
  return std::visit(Runner{client, invocation}, invocation.command);
}

}  // namespace ipvlanx::cli
