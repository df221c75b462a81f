// SPDX-License-Identifier: Apache-2.0
#include "link_facts.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace ipvlanx {

namespace {

std::optional<Place> peer_in(const Attributes& attributes, IfIndex self) {
  const auto ifindex = attributes.u32(IFLA_LINK);
  if (!ifindex || *ifindex == 0) return std::nullopt;
  const auto nsid = attributes.u32(IFLA_LINK_NETNSID);
  if (!nsid) {
    if (IfIndex{*ifindex} == self) return std::nullopt;
    return Place{.netns = std::nullopt, .ifindex = IfIndex{*ifindex}};
  }
  // Negative: a namespace that is being destroyed gets no number any more.
  if (static_cast<std::int32_t>(*nsid) < 0) return std::nullopt;
  return Place{.netns = Nsid{static_cast<std::int32_t>(*nsid)}, .ifindex = IfIndex{*ifindex}};
}

LinkFacts facts_in(const Reply& reply) {
  const auto link = reply.header<ifinfomsg>();
  const auto attributes = reply.attributes<ifinfomsg>();
  LinkFacts facts{
      .ifindex = IfIndex{static_cast<std::uint32_t>(link.ifi_index)},
      .name = std::string{attributes.text(IFLA_IFNAME)},
      .mac = {},
      .mtu = attributes.u32(IFLA_MTU).value_or(0),
      .up = (link.ifi_flags & IFF_UP) != 0,
      .carrier = (link.ifi_flags & IFF_LOWER_UP) != 0,
      .loopback = (link.ifi_flags & IFF_LOOPBACK) != 0,
      .allmulti = (link.ifi_flags & IFF_ALLMULTI) != 0,
      .type = link.ifi_type,
      .kind = std::string{attributes.nested(IFLA_LINKINFO).text(IFLA_INFO_KIND)},
      .group = attributes.u32(IFLA_GROUP).value_or(0),
      .addr_gen_mode = attributes.nested(IFLA_AF_SPEC).nested(AF_INET6).u8(IFLA_INET6_ADDR_GEN_MODE),
  };
  facts.peer = peer_in(attributes, facts.ifindex);
  if (const auto mac = attributes.bytes(IFLA_ADDRESS); mac.size() == facts.mac.bytes.size()) {
    std::ranges::copy(mac, facts.mac.bytes.begin());
  }
  return facts;
}

Answer<LinkFacts> read_link(NetlinkSocket& socket, const Request& request) {
  const auto reply = socket.ask(request);
  if (!reply) return std::unexpected(reply.error());
  return facts_in(*reply);
}

}  // namespace

Answer<LinkFacts> read_link(NetlinkSocket& socket, const Place& place) {
  Request request{RTM_GETLINK, 0, ifinfomsg{.ifi_index = static_cast<int>(number(place.ifindex))}};
  if (place.netns) request.put_u32(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(number(*place.netns)));
  return read_link(socket, request);
}

Answer<LinkFacts> read_link(NetlinkSocket& socket, const IfName& name) {
  Request request{RTM_GETLINK, 0, ifinfomsg{}};
  request.put_text(IFLA_IFNAME, name.str());
  return read_link(socket, request);
}

Answer<std::vector<LinkFacts>> read_links(NetlinkSocket& socket, const std::string& kind) {
  Request request{RTM_GETLINK, 0, ifinfomsg{}};
  request.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  request.nest(IFLA_LINKINFO, [&] { request.put_text(IFLA_INFO_KIND, kind); });
  const auto replies = socket.dump(request);
  if (!replies) return std::unexpected(replies.error());

  std::vector<LinkFacts> links;
  for (const auto& reply : *replies) {
    // The kernel lists all links where it does not know the kind (yet).
    if (auto facts = facts_in(reply); facts.kind == kind) links.push_back(std::move(facts));
  }
  return links;
}

}  // namespace ipvlanx
