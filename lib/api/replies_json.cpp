// SPDX-License-Identifier: Apache-2.0
// The names that replies have in JSON, for both sides of the wire.
#include "ipvlanx/api/replies.h"

namespace ipvlanx::api {

namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

template <class T>
void get_unless_null(const json& in, std::optional<T>& value) {
  value = in.is_null() ? std::nullopt : std::optional<T>(in.get<T>());
}

}  // namespace

void to_json(json& out, const AddressReply& reply) {
  out = {{"address", reply.address}, {"origin", reply.origin}, {"state", reply.state}};
}

void from_json(const json& in, AddressReply& reply) {
  in.at("address").get_to(reply.address);
  in.at("origin").get_to(reply.origin);
  in.at("state").get_to(reply.state);
}

void to_json(json& out, const SlaveReply& reply) {
  out = {{"id", reply.id},
         {"name", reply.name},
         {"ifindex", or_null(reply.ifindex)},
         {"master", reply.master},
         {"mode", reply.mode},
         {"flag", reply.flag},
         {"netns", or_null(reply.netns)},
         {"mac", reply.mac},
         {"mtu", reply.mtu},
         {"up", reply.up},
         {"via", reply.via},
         {"addresses", reply.addresses},
         {"addr_policy", reply.addr_policy},
         {"max_addresses", reply.max_addresses},
         // Not to be set yet, but part of a slave's shape for its readers.
         {"source_guard", false},
         {"persistent", false}};
}

void from_json(const json& in, SlaveReply& reply) {
  in.at("id").get_to(reply.id);
  in.at("name").get_to(reply.name);
  get_unless_null(in.at("ifindex"), reply.ifindex);
  in.at("master").get_to(reply.master);
  in.at("mode").get_to(reply.mode);
  in.at("flag").get_to(reply.flag);
  get_unless_null(in.at("netns"), reply.netns);
  in.at("mac").get_to(reply.mac);
  in.at("mtu").get_to(reply.mtu);
  in.at("up").get_to(reply.up);
  in.at("via").get_to(reply.via);
  in.at("addresses").get_to(reply.addresses);
  in.at("addr_policy").get_to(reply.addr_policy);
  in.at("max_addresses").get_to(reply.max_addresses);
}

void to_json(json& out, const PortOptionsReply& reply) {
  out = {{"strict_private", reply.strict_private}, {"announce", reply.announce}};
}

void from_json(const json& in, PortOptionsReply& reply) {
  in.at("strict_private").get_to(reply.strict_private);
  in.at("announce").get_to(reply.announce);
}

void to_json(json& out, const XdpReply& reply) {
  out = {{"wanted", reply.wanted}, {"attached", reply.attached}, {"why", or_null(reply.why)}};
}

void from_json(const json& in, XdpReply& reply) {
  in.at("wanted").get_to(reply.wanted);
  in.at("attached").get_to(reply.attached);
  get_unless_null(in.at("why"), reply.why);
}

void to_json(json& out, const PortReply& reply) {
  out = {{"master", reply.master},   {"ifindex", or_null(reply.ifindex)},
         {"mode", reply.mode},       {"flag", reply.flag},
         {"mac", reply.mac},         {"mtu", reply.mtu},
         {"options", reply.options}, {"xdp", reply.xdp},
         {"slaves", reply.slaves}};
}

void from_json(const json& in, PortReply& reply) {
  in.at("master").get_to(reply.master);
  get_unless_null(in.at("ifindex"), reply.ifindex);
  in.at("mode").get_to(reply.mode);
  in.at("flag").get_to(reply.flag);
  in.at("mac").get_to(reply.mac);
  in.at("mtu").get_to(reply.mtu);
  in.at("options").get_to(reply.options);
  in.at("xdp").get_to(reply.xdp);
  in.at("slaves").get_to(reply.slaves);
}

void to_json(json& out, const TrafficReply& reply) {
  out = {{"packets", reply.packets},
         {"bytes", reply.bytes},
         {"multicast", reply.multicast},
         {"dropped", reply.dropped}};
}

void from_json(const json& in, TrafficReply& reply) {
  in.at("packets").get_to(reply.packets);
  in.at("bytes").get_to(reply.bytes);
  in.at("multicast").get_to(reply.multicast);
  in.at("dropped").get_to(reply.dropped);
}

void to_json(json& out, const StatsReply& reply) {
  out = {{"rx", reply.rx}, {"tx", reply.tx}, {"drops", reply.drops}};
}

void from_json(const json& in, StatsReply& reply) {
  in.at("rx").get_to(reply.rx);
  in.at("tx").get_to(reply.tx);
  in.at("drops").get_to(reply.drops);
}

void to_json(json& out, const SlaveDropsReply& reply) {
  out = {{"id", reply.id},
         {"name", reply.name},
         {"netns", or_null(reply.netns)},
         {"master", reply.master},
         {"drops", reply.drops}};
}

void from_json(const json& in, SlaveDropsReply& reply) {
  in.at("id").get_to(reply.id);
  in.at("name").get_to(reply.name);
  get_unless_null(in.at("netns"), reply.netns);
  in.at("master").get_to(reply.master);
  in.at("drops").get_to(reply.drops);
}

void to_json(json& out, const DropsReply& reply) {
  out = {{"host", reply.host}, {"slaves", reply.slaves}};
}

void from_json(const json& in, DropsReply& reply) {
  in.at("host").get_to(reply.host);
  in.at("slaves").get_to(reply.slaves);
}

void to_json(json& out, const TracedSlaveReply& reply) {
  out = {{"id", reply.id}, {"name", reply.name}, {"netns", or_null(reply.netns)}};
}

void from_json(const json& in, TracedSlaveReply& reply) {
  in.at("id").get_to(reply.id);
  in.at("name").get_to(reply.name);
  get_unless_null(in.at("netns"), reply.netns);
}

void to_json(json& out, const TraceReply& reply) {
  out = {{"verdict", reply.verdict}, {"slave", or_null(reply.slave)}, {"reason", or_null(reply.reason)},
         {"copies", reply.copies},   {"detail", reply.detail},        {"before", reply.before},
         {"after", reply.after}};
}

void from_json(const json& in, TraceReply& reply) {
  in.at("verdict").get_to(reply.verdict);
  get_unless_null(in.at("slave"), reply.slave);
  get_unless_null(in.at("reason"), reply.reason);
  in.at("copies").get_to(reply.copies);
  in.at("detail").get_to(reply.detail);
  in.at("before").get_to(reply.before);
  in.at("after").get_to(reply.after);
}

void to_json(json& out, const FindingReply& reply) {
  out = {{"id", reply.id}, {"state", reply.state}, {"detail", reply.detail}};
}

void from_json(const json& in, FindingReply& reply) {
  in.at("id").get_to(reply.id);
  in.at("state").get_to(reply.state);
  in.at("detail").get_to(reply.detail);
}

void to_json(json& out, const VersionReply& reply) {
  out = {{"version", reply.version}, {"api", reply.api}, {"kernel", reply.kernel}};
}

void from_json(const json& in, VersionReply& reply) {
  in.at("version").get_to(reply.version);
  in.at("api").get_to(reply.api);
  in.at("kernel").get_to(reply.kernel);
}

void to_json(json& out, const AppliedReply& reply) {
  out = {{"created", reply.created}, {"changed", reply.changed}};
}

void from_json(const json& in, AppliedReply& reply) {
  in.at("created").get_to(reply.created);
  in.at("changed").get_to(reply.changed);
}

void to_json(json& out, const ReloadedReply& reply) {
  out = {{"changed", reply.changed}, {"needs_restart", reply.needs_restart}};
}

void from_json(const json& in, ReloadedReply& reply) {
  in.at("changed").get_to(reply.changed);
  in.at("needs_restart").get_to(reply.needs_restart);
}

void from_json(const json& in, EventReply& reply) {
  in.at("seq").get_to(reply.seq);
  in.at("time").get_to(reply.time);
  in.at("type").get_to(reply.type);
  if (in.contains("slave")) reply.slave = in.at("slave").get<std::uint32_t>();
  reply.name = in.value("name", "");
  reply.master = in.value("master", "");
  reply.address = in.value("address", "");
  if (in.contains("owner")) reply.owner = in.at("owner").get<std::uint32_t>();
  reply.detail = in.value("detail", "");
}

json event_json(const Event& event, std::uint64_t seq, double time) {
  json out{{"seq", seq}, {"time", time}, {"type", to_string(event.type)}};
  if (event.slave) out["slave"] = number(*event.slave);
  if (!event.name.empty()) out["name"] = event.name;
  if (!event.master.empty()) out["master"] = event.master;
  if (!event.address.empty()) out["address"] = event.address;
  if (event.owner) out["owner"] = number(*event.owner);
  if (!event.detail.empty()) out["detail"] = event.detail;
  return out;
}

std::string to_text(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace ipvlanx::api
