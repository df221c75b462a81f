// SPDX-License-Identifier: Apache-2.0
// What the API answers, as types: written by the server, read by the client.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/model/event.h"
#include "ipvlanx/model/state.h"

namespace ipvlanx::api {

struct AddressReply {
  std::string address;  // 10.0.0.5/24
  std::string origin;   // api | learnt
  std::string state;    // active | conflict | inactive
};

struct SlaveReply {
  std::uint32_t id = 0;
  std::string name;
  std::optional<std::uint32_t> ifindex;
  std::string master;
  std::string mode;
  std::string flag;
  std::optional<std::string> netns;  // null: the host's, or one without a name or path
  std::string mac;
  std::uint32_t mtu = 0;
  bool up = false;
  std::string via;
  std::vector<AddressReply> addresses;
  std::string addr_policy;
  std::uint32_t max_addresses = 0;
};

struct PortOptionsReply {
  bool strict_private = false;
  bool announce = true;
};

// What its master has at its XDP hook.
struct XdpReply {
  std::string wanted;                   // auto | native | off
  std::string attached;                 // native | off
  std::optional<std::string> why = {};  // it has not what was wanted
};

struct PortReply {
  std::string master;
  std::optional<std::uint32_t> ifindex;  // null: the master is not in the host's namespace
  std::string mode;
  std::string flag;
  std::string mac;
  std::uint32_t mtu = 0;
  PortOptionsReply options;
  XdpReply xdp;
  std::uint32_t slaves = 0;
};

struct TrafficReply {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t multicast = 0;
  std::uint64_t dropped = 0;
};

struct StatsReply {
  TrafficReply rx;
  TrafficReply tx;
  std::map<std::string, std::uint64_t> drops;  // by reason
};

struct SlaveDropsReply {
  std::uint32_t id = 0;
  std::string name;
  std::optional<std::string> netns;  // as SlaveReply has it
  std::string master;
  std::map<std::string, std::uint64_t> drops;  // by reason
};

struct DropsReply {
  std::map<std::string, std::uint64_t> host;  // by reason: no slave is to blame
  std::vector<SlaveDropsReply> slaves;        // those that have any
};

struct TracedSlaveReply {
  std::uint32_t id = 0;
  std::string name;
  std::optional<std::string> netns;  // as SlaveReply has it
};

struct TraceReply {
  std::string verdict;                    // slave | host | routed | wire | dropped
  std::optional<TracedSlaveReply> slave;  // whom it reaches; routed: where to, if that is known
  std::optional<std::string> reason;      // of dropped, as StatsReply::drops has it
  std::uint32_t copies = 0;               // how many slaves get one, besides
  std::string detail;                     // a sentence
  std::string before;                     // the frame in hex, as it is sent
  std::string after;                      // and as it leaves the hook
};

struct FindingReply {
  std::string id;
  std::string state;  // ok | missing | hint
  std::string detail;
};

struct VersionReply {
  std::string version;
  std::string api;
  std::string kernel;
};

struct AppliedReply {
  std::uint32_t created = 0;
  std::uint32_t changed = 0;
};

// Keys of the settings, such as `daemon.log-level`.
struct ReloadedReply {
  std::vector<std::string> changed;        // have taken effect
  std::vector<std::string> needs_restart;  // differ from what the daemon was started with
};

// One line of GET /v1/events; what does not apply is empty.
struct EventReply {
  std::uint64_t seq = 0;  // without gaps
  double time = 0;        // seconds since the epoch
  std::string type;       // slave-added, ...
  std::optional<std::uint32_t> slave;
  std::string name;  // the slave's
  std::string master;
  std::string address;
  std::optional<std::uint32_t> owner;  // the slave that has the address
  std::string detail;                  // a sentence
};

// netns_name: of the slave's namespace, as Links::netns_name() says it.
SlaveReply slave_reply(const State& state, const Slave& slave, std::optional<std::string> netns_name);
PortReply port_reply(const State& state, const Port& port, XdpReply xdp);

// to_json / from_json of nlohmann/json for each; from_json throws, and only the
// client, which catches, calls it.
void to_json(nlohmann::json& out, const AddressReply& reply);
void to_json(nlohmann::json& out, const SlaveReply& reply);
void to_json(nlohmann::json& out, const PortOptionsReply& reply);
void to_json(nlohmann::json& out, const XdpReply& reply);
void to_json(nlohmann::json& out, const PortReply& reply);
void to_json(nlohmann::json& out, const TrafficReply& reply);
void to_json(nlohmann::json& out, const StatsReply& reply);
void to_json(nlohmann::json& out, const SlaveDropsReply& reply);
void to_json(nlohmann::json& out, const TracedSlaveReply& reply);
void to_json(nlohmann::json& out, const TraceReply& reply);
void to_json(nlohmann::json& out, const DropsReply& reply);
void to_json(nlohmann::json& out, const FindingReply& reply);
void to_json(nlohmann::json& out, const VersionReply& reply);
void to_json(nlohmann::json& out, const AppliedReply& reply);
void to_json(nlohmann::json& out, const ReloadedReply& reply);
void from_json(const nlohmann::json& in, AddressReply& reply);
void from_json(const nlohmann::json& in, SlaveReply& reply);
void from_json(const nlohmann::json& in, PortOptionsReply& reply);
void from_json(const nlohmann::json& in, XdpReply& reply);
void from_json(const nlohmann::json& in, PortReply& reply);
void from_json(const nlohmann::json& in, TrafficReply& reply);
void from_json(const nlohmann::json& in, StatsReply& reply);
void from_json(const nlohmann::json& in, TracedSlaveReply& reply);
void from_json(const nlohmann::json& in, TraceReply& reply);
void from_json(const nlohmann::json& in, SlaveDropsReply& reply);
void from_json(const nlohmann::json& in, DropsReply& reply);
void from_json(const nlohmann::json& in, FindingReply& reply);
void from_json(const nlohmann::json& in, VersionReply& reply);
void from_json(const nlohmann::json& in, AppliedReply& reply);
void from_json(const nlohmann::json& in, ReloadedReply& reply);
void from_json(const nlohmann::json& in, EventReply& reply);

// One line of GET /v1/events; absent fields are left out.
nlohmann::json event_json(const Event& event, std::uint64_t seq, double time);

// The text of a document. Bytes that are not UTF-8, which an interface's name may
// have, become U+FFFD instead of an exception.
std::string to_text(const nlohmann::json& document);

}  // namespace ipvlanx::api
