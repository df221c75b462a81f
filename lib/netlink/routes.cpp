// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <set>

namespace ipvlanx {

namespace {

std::uint32_t table_of(IfIndex master) {
  return kFirstTable + number(master);
}

Request about(std::uint16_t type, std::uint16_t flags, const RouteRow& route) {
  const bool ipv4 = route.address.family() == Family::ipv4;
  Request request{type, flags,
                  rtmsg{.rtm_family = static_cast<std::uint8_t>(ipv4 ? AF_INET : AF_INET6),
                        .rtm_dst_len = static_cast<std::uint8_t>(route.address.bits()),
                        .rtm_table = RT_TABLE_UNSPEC,
                        .rtm_protocol = kRouteProtocol,
                        .rtm_scope = ipv4 ? std::uint8_t{RT_SCOPE_LINK} : std::uint8_t{RT_SCOPE_UNIVERSE},
                        .rtm_type = RTN_UNICAST}};
  request.put_bytes(RTA_DST, std::span{route.address.bytes()}.first(route.address.size()));
  request.put_u32(RTA_OIF, number(route.host_end));
  request.put_u32(RTA_TABLE, route.port ? table_of(*route.port) : std::uint32_t{RT_TABLE_MAIN});
  return request;
}

// "What `name` brings asks this table."
struct Rule {
  std::uint8_t family = 0;
  std::string name;
  std::uint32_t table = 0;
  auto operator<=>(const Rule&) const = default;
};

Request about(std::uint16_t type, std::uint16_t flags, const Rule& rule) {
  Request request{type, flags,
                  fib_rule_hdr{.family = rule.family, .table = RT_TABLE_UNSPEC, .action = FR_ACT_TO_TBL}};
  request.put_text(FRA_IIFNAME, rule.name);
  request.put_u32(FRA_TABLE, rule.table);
  request.put_u32(FRA_PRIORITY, kRulePriority);
  request.put_u8(FRA_PROTOCOL, kRouteProtocol);
  return request;
}

Answer<std::set<Rule>> read_rules(NetlinkSocket& socket) {
  std::set<Rule> rules;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    const auto replies = socket.dump(Request{RTM_GETRULE, 0, fib_rule_hdr{.family = family}});
    if (!replies) return std::unexpected(replies.error());
    for (const auto& reply : *replies) {
      const auto attributes = reply.attributes<fib_rule_hdr>();
      const auto protocol = attributes.bytes(FRA_PROTOCOL);
      if (reply.header<fib_rule_hdr>().family != family) continue;
      if (protocol.size() != 1 || protocol[0] != kRouteProtocol) continue;
      rules.insert(
          {family, std::string{attributes.text(FRA_IIFNAME)}, attributes.u32(FRA_TABLE).value_or(0)});
    }
  }
  return rules;
}

}  // namespace

Answer<void> add_route(NetlinkSocket& socket, const RouteRow& route) {
  // Appended: another port may have a slave of the same address.
  const auto added = socket.tell(about(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route));
  if (!added && added.error().number != EEXIST) return std::unexpected(added.error());
  return {};
}

Answer<void> remove_route(NetlinkSocket& socket, const RouteRow& route) {
  const auto removed = socket.tell(about(RTM_DELROUTE, 0, route));
  if (removed) return {};
  const int error = removed.error().number;
  if (error == ESRCH || error == ENODEV) return {};
  return std::unexpected(removed.error());
}

Answer<std::vector<RouteRow>> read_routes(NetlinkSocket& socket) {
  std::vector<RouteRow> routes;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    const auto replies = socket.dump(
        Request{RTM_GETROUTE, 0,
                rtmsg{.rtm_family = family, .rtm_table = RT_TABLE_UNSPEC, .rtm_protocol = kRouteProtocol}});
    if (!replies) {
      // ENOENT: no main table, as in a namespace that never had an address.
      if (replies.error().number == ENOENT) continue;
      return std::unexpected(replies.error());
    }
    for (const auto& reply : *replies) {
      const auto header = reply.header<rtmsg>();
      if (header.rtm_family != family || header.rtm_protocol != kRouteProtocol) continue;
      const auto attributes = reply.attributes<rtmsg>();
      const auto address = IpAddress::from_bytes(attributes.bytes(RTA_DST));
      const auto interface = attributes.u32(RTA_OIF);
      const auto table = attributes.u32(RTA_TABLE).value_or(header.rtm_table);
      if (!address || !interface) continue;
      const RouteRow route{IfIndex{*interface}, *address};
      if (table == RT_TABLE_MAIN) routes.push_back(route);
      if (table > kFirstTable)
        routes.push_back({route.host_end, route.address, IfIndex{table - kFirstTable}});
    }
  }
  return routes;
}

Answer<void> set_rules(NetlinkSocket& socket, const std::map<IfIndex, IfName>& masters) {
  std::set<Rule> wanted;
  for (const auto& [ifindex, name] : masters) {
    for (const std::uint8_t family : {AF_INET, AF_INET6})
      wanted.insert({family, name.str(), table_of(ifindex)});
  }
  const auto present = read_rules(socket);
  if (!present) return std::unexpected(present.error());

  for (const Rule& rule : wanted) {
    if (present->contains(rule)) continue;
    const auto added = socket.tell(about(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule));
    // EAFNOSUPPORT: a kernel without IPv6.
    if (!added && added.error().number != EEXIST && added.error().number != EAFNOSUPPORT)
      return std::unexpected(added.error());
  }
  for (const Rule& rule : *present) {
    if (wanted.contains(rule)) continue;
    const auto removed = socket.tell(about(RTM_DELRULE, 0, rule));
    if (!removed && removed.error().number != ENOENT) return std::unexpected(removed.error());
  }
  return {};
}

}  // namespace ipvlanx
