// SPDX-License-Identifier: Apache-2.0
// What may the user of the CLI ask for? Everything, as types.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "ipvlanx/api/requests.h"

namespace ipvlanx::cli {

// A slave as the user names it: NAME, NAME@NETNS or an id. find.h says which it is.
using SlaveWord = std::string;

struct LinkAdd {
  api::NewSlave slave;
};

struct LinkSet {
  SlaveWord slave;
  api::SlaveChange change;
};

struct LinkDel {
  SlaveWord slave;
};

struct LinkShow {
  std::optional<SlaveWord> slave = {};
  std::optional<IfName> master = {};
};

struct AddrAdd {
  Prefix prefix;
  SlaveWord slave;
};

struct AddrDel {
  Prefix prefix;
  SlaveWord slave;
};

struct AddrShow {
  std::optional<SlaveWord> slave = {};
};

struct PortShow {
  std::optional<IfName> master = {};
};

struct PortSet {
  IfName master;
  api::PortChange change;
};

struct PortDel {
  IfName master;
};

struct PortFlush {
  IfName master;
};

struct StatsShow {
  std::optional<SlaveWord> slave = {};
};

struct Drops {
  bool follow = false;  // as they happen, until somebody ends it
};

struct Trace {
  api::TraceRequest packet;              // without the slave
  std::optional<SlaveWord> slave = {};   // who sends it; none: somebody on the wire
  std::optional<std::string> pcap = {};  // file
};

// Events, until somebody ends it.
struct Monitor {};

// What of this host an operator may stumble over; works without the daemon.
struct Check {};

struct Save {
  std::optional<std::string> file = {};
};

struct Apply {
  std::string file;  // "-": stdin
};

struct Reload {};

// Without the daemon, too.
struct PurgeAll {
  std::optional<std::string> config = {};    // none: kSettingsFile, if it is there
  std::optional<std::string> pin_root = {};  // these win over the settings
  std::optional<std::string> state_dir = {};
};

struct ShowVersion {};

using Command = std::variant<LinkAdd, LinkSet, LinkDel, LinkShow, AddrAdd, AddrDel, AddrShow, PortShow,
                             PortSet, PortDel, PortFlush, StatsShow, Drops, Trace, Monitor, Save, Apply,
                             Reload, Check, PurgeAll, ShowVersion>;

// The whole command line.
struct Invocation {
  bool json = false;
  bool pretty = false;
  bool statistics = false;
  std::optional<std::string> socket = {};
  Command command = ShowVersion{};
};

}  // namespace ipvlanx::cli
