// SPDX-License-Identifier: Apache-2.0
#include "link_changes.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "link_facts.h"

namespace ipvlanx {

namespace {

Request set_link(IfIndex ifindex) {
  return Request{RTM_SETLINK, 0, ifinfomsg{.ifi_index = static_cast<int>(number(ifindex))}};
}

Request set_flag(IfIndex ifindex, unsigned flag, bool on) {
  return Request{
      RTM_SETLINK, 0,
      ifinfomsg{
          .ifi_index = static_cast<int>(number(ifindex)), .ifi_flags = on ? flag : 0u, .ifi_change = flag}};
}

}  // namespace

Answer<void> create_pair(NetlinkSocket& socket, const step::CreateLinks& pair, const UniqueFd& netns) {
  constexpr ifinfomsg kNoArp{.ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
  // What the host's stack sends to a slave bears the MAC address that both ends have.
  Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, kNoArp};
  // Both from the start, so that nothing which watches for new interfaces (udev) has
  // reason to choose a MAC address.
  const auto put_end = [&](const IfName& name, std::uint32_t mtu) {
    request.put_text(IFLA_IFNAME, name.str());
    request.put_bytes(IFLA_ADDRESS, pair.mac.bytes);
    request.put_u32(IFLA_MTU, mtu);
    // Else a veth gets one for each CPU, and waits for all of them to give up all but one.
    request.put_u32(IFLA_NUM_TX_QUEUES, 1);
    request.put_u32(IFLA_NUM_RX_QUEUES, 1);
  };

  put_end(host_end_name(pair.slave), host_end_mtu(pair.mtu));
  request.put_u32(IFLA_GROUP, kUnsettledGroup);
  request.nest(IFLA_LINKINFO, [&] {
    request.put_text(IFLA_INFO_KIND, "veth");
    request.nest(IFLA_INFO_DATA, [&] {
      request.nest(VETH_INFO_PEER, [&] {
        request.append(pair.routed ? kNoArp : ifinfomsg{});
        put_end(pair.name, pair.mtu);
        if (netns) request.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns.get()));
      });
    });
  });
  return socket.tell(request);
}

Answer<void> create_relay(NetlinkSocket& socket, const IfName& entrance, const IfName& exit) {
  constexpr std::uint32_t kMtu = 65535;
  Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}};
  const auto put_end = [&](const IfName& name) {
    request.put_text(IFLA_IFNAME, name.str());
    request.put_u32(IFLA_MTU, kMtu);
  };
  put_end(entrance);
  request.nest(IFLA_LINKINFO, [&] {
    request.put_text(IFLA_INFO_KIND, "veth");
    request.nest(IFLA_INFO_DATA, [&] {
      request.nest(VETH_INFO_PEER, [&] {
        request.append(ifinfomsg{});
        put_end(exit);
      });
    });
  });
  return socket.tell(request);
}

Answer<void> remove_link(NetlinkSocket& socket, IfIndex ifindex) {
  return socket.tell(Request{RTM_DELLINK, 0, ifinfomsg{.ifi_index = static_cast<int>(number(ifindex))}});
}

Answer<void> remove_link(NetlinkSocket& socket, const IfName& name) {
  return socket.tell(Request{RTM_DELLINK, 0, ifinfomsg{}}.put_text(IFLA_IFNAME, name.str()));
}

Answer<void> remove_link_group(NetlinkSocket& socket, std::uint32_t group) {
  return socket.tell(Request{RTM_DELLINK, 0, ifinfomsg{}}.put_u32(IFLA_GROUP, group));
}

Answer<void> set_link_group(NetlinkSocket& socket, IfIndex ifindex, std::uint32_t group) {
  return socket.tell(set_link(ifindex).put_u32(IFLA_GROUP, group));
}

Answer<void> set_link_up(NetlinkSocket& socket, IfIndex ifindex, bool up) {
  return socket.tell(set_flag(ifindex, IFF_UP, up));
}

Answer<void> set_link_arp(NetlinkSocket& socket, IfIndex ifindex, bool arp) {
  return socket.tell(set_flag(ifindex, IFF_NOARP, !arp));
}

Answer<void> set_link_allmulti(NetlinkSocket& socket, IfIndex ifindex, bool allmulti) {
  return socket.tell(set_flag(ifindex, IFF_ALLMULTI, allmulti));
}

Answer<void> set_link_mac(NetlinkSocket& socket, IfIndex ifindex, const MacAddress& mac) {
  return socket.tell(set_link(ifindex).put_bytes(IFLA_ADDRESS, mac.bytes));
}

Answer<void> set_link_mtu(NetlinkSocket& socket, IfIndex ifindex, std::uint32_t mtu) {
  return socket.tell(set_link(ifindex).put_u32(IFLA_MTU, mtu));
}

Answer<void> move_link(NetlinkSocket& socket, IfIndex ifindex, const UniqueFd& to) {
  return socket.tell(set_link(ifindex).put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(to.get())));
}

Answer<void> set_addr_gen_mode(NetlinkSocket& socket, IfIndex ifindex, std::uint8_t mode) {
  const auto link = read_link(socket, Place{.netns = std::nullopt, .ifindex = ifindex});
  if (!link) return std::unexpected(link.error());
  if (link->addr_gen_mode.value_or(mode) == mode) return {};

  auto request = set_link(ifindex);
  request.nest(IFLA_AF_SPEC,
               [&] { request.nest(AF_INET6, [&] { request.put_u8(IFLA_INET6_ADDR_GEN_MODE, mode); }); });
  return socket.tell(request);
}

}  // namespace ipvlanx
