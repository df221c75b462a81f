// SPDX-License-Identifier: Apache-2.0
#include "show.h"

namespace ipvlanx::cli::json {

namespace {

// nlohmann (before 3.11) writes no std::optional.
template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json traffic(const api::TrafficReply& traffic) {
  return {{"packets", traffic.packets},
          {"bytes", traffic.bytes},
          {"multicast", traffic.multicast},
          {"dropped", traffic.dropped}};
}

Json address(const api::AddressReply& address) {
  const auto [family, local, prefixlen] = parts_of(address);
  return {{"family", family},
          {"local", local},
          {"prefixlen", prefixlen},
          {"origin", address.origin},
          {"state", address.state}};
}

Json link(const ShownSlave& shown) {
  const auto& slave = shown.slave;
  Json info_data{{"mode", slave.mode}};
  info_data[slave.flag] = true;
  Json addresses = Json::array();
  for (const auto& one : slave.addresses) addresses.push_back(address(one));

  Json out{{"ifindex", or_null(slave.ifindex)},
           {"ifname", slave.name},
           {"link", slave.master},
           {"flags", flags_of(slave)},
           {"mtu", slave.mtu},
           {"operstate", slave.up ? "UP" : "DOWN"},
           {"address", slave.mac},
           {"linkinfo", {{"info_kind", "ipvlan"}, {"info_data", info_data}}},
           {"id", slave.id},
           {"netns", or_null(slave.netns)},
           {"via", slave.via},
           {"addresses", addresses},
           {"addr_policy", slave.addr_policy},
           {"max_addresses", slave.max_addresses},
           {"source_guard", false}};
  if (shown.stats) out["stats"] = {{"rx", traffic(shown.stats->rx)}, {"tx", traffic(shown.stats->tx)}};
  return out;
}

}  // namespace

Json links(const ShownSlaves& slaves) {
  Json out = Json::array();
  for (const auto& shown : slaves) out.push_back(link(shown));
  return out;
}

Json addresses(const ShownSlaves& slaves) {
  Json out = Json::array();
  for (const auto& [slave, stats] : slaves) {
    for (const auto& address : slave.addresses) {
      out.push_back({{"dev", slave.name},
                     {"netns", or_null(slave.netns)},
                     {"address", address.address},
                     {"origin", address.origin},
                     {"state", address.state}});
    }
  }
  return out;
}

Json ports(const ShownPorts& ports) {
  Json out = Json::array();
  for (const auto& port : ports) {
    out.push_back(
        {{"master", port.master},
         {"ifindex", or_null(port.ifindex)},
         {"mode", port.mode},
         {"flag", port.flag},
         {"mac", port.mac},
         {"mtu", port.mtu},
         {"options", {{"strict_private", port.options.strict_private}, {"announce", port.options.announce}}},
         {"xdp",
          {{"wanted", port.xdp.wanted}, {"attached", port.xdp.attached}, {"why", or_null(port.xdp.why)}}},
         {"slaves", port.slaves}});
  }
  return out;
}

Json stats(const ShownSlaves& slaves) {
  Json out = Json::array();
  for (const auto& [slave, stats] : slaves) {
    if (!stats) continue;
    out.push_back({{"dev", slave.name},
                   {"netns", or_null(slave.netns)},
                   {"rx", traffic(stats->rx)},
                   {"tx", traffic(stats->tx)},
                   {"drops", stats->drops}});
  }
  return out;
}

Json drops(const api::DropsReply& drops) {
  // What no slave is to blame for comes first.
  Json out = Json::array({{{"dev", nullptr}, {"netns", nullptr}, {"drops", drops.host}}});
  for (const auto& slave : drops.slaves) {
    out.push_back({{"dev", slave.name}, {"netns", or_null(slave.netns)}, {"drops", slave.drops}});
  }
  return out;
}

std::string dropped(const api::DropsReply& now) {
  std::string out;
  for (const auto& row : drops(now)) {
    if (!row.at("drops").empty()) out += row.dump() + '\n';
  }
  return out;
}

Json trace(const api::TraceReply& trace) {
  Json out{{"verdict", trace.verdict}, {"slave", nullptr}, {"reason", or_null(trace.reason)}};
  if (const auto& slave = trace.slave) {
    out["slave"] = {{"dev", slave->name}, {"id", slave->id}, {"netns", or_null(slave->netns)}};
  }
  out["copies"] = trace.copies;
  out["detail"] = trace.detail;
  out["before"] = trace.before;
  out["after"] = trace.after;
  return out;
}

Json applied(const api::AppliedReply& applied) {
  return {{"created", applied.created}, {"changed", applied.changed}};
}

Json event(const api::EventReply& event) {
  Json out{{"seq", event.seq}, {"time", event.time}, {"type", event.type}};
  if (event.slave) out["slave"] = *event.slave;
  if (!event.name.empty()) out["name"] = event.name;
  if (!event.master.empty()) out["master"] = event.master;
  if (!event.address.empty()) out["address"] = event.address;
  if (event.owner) out["owner"] = *event.owner;
  if (!event.detail.empty()) out["detail"] = event.detail;
  return out;
}

Json reloaded(const api::ReloadedReply& reloaded) {
  return {{"changed", reloaded.changed}, {"needs_restart", reloaded.needs_restart}};
}

Json findings(const std::vector<Finding>& findings) {
  Json out = Json::array();
  for (const Finding& finding : findings) {
    out.push_back({{"id", finding.id}, {"state", to_string(finding.state)}, {"detail", finding.detail}});
  }
  return out;
}

Json version(const api::VersionReply& version) {
  return {{"version", version.version}, {"api", version.api}, {"kernel", version.kernel}};
}

}  // namespace ipvlanx::cli::json
