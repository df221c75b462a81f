// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/netlink/link_monitor.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "nsid.h"
#include "socket.h"

namespace ipvlanx {

namespace {

// Room for a burst: the events of some hundred slaves that change at once.
constexpr int kReceiveRoom = 1 << 20;

// Far more than any single notice.
constexpr std::size_t kLargestNotice = 32768;

Result<void> join(int fd) {
  const int on = 1;
  if (::setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) != 0) {
    return kernel_error("link monitor: listen in all network namespaces", errno);
  }
  // To a socket without an address of its own the kernel's own notices are echoes.
  const sockaddr_nl any{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
    return kernel_error("link monitor: bind", errno);
  }
  for (const int group : {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_IFINFO}) {
    if (::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return kernel_error("link monitor: subscribe", errno);
    }
  }
  // More than net.core.rmem_max if we may, else as much as that allows. Whatever it
  // is, what does not fit is noticed.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof kReceiveRoom) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveRoom, sizeof kReceiveRoom);
  }
  return {};
}

// In which namespace the notices of a datagram happened, as the host numbers it.
Netns origin(msghdr& datagram) {
  for (auto* control = CMSG_FIRSTHDR(&datagram); control; control = CMSG_NXTHDR(&datagram, control)) {
    if (control->cmsg_level != SOL_NETLINK || control->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    std::int32_t nsid = -1;
    std::memcpy(&nsid, CMSG_DATA(control), sizeof nsid);
    if (nsid >= 0) return Nsid{nsid};
  }
  return std::nullopt;
}

std::optional<IfIndex> subject(const nlmsghdr& message) {
  const auto* payload = mnl_nlmsg_get_payload(&message);
  const auto length = mnl_nlmsg_get_payload_len(&message);
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (length < sizeof(ifinfomsg)) return std::nullopt;
      return IfIndex{static_cast<std::uint32_t>(static_cast<const ifinfomsg*>(payload)->ifi_index)};
    case RTM_NEWADDR:
    case RTM_DELADDR:
      if (length < sizeof(ifaddrmsg)) return std::nullopt;
      return IfIndex{static_cast<const ifaddrmsg*>(payload)->ifa_index};
    default:
      return std::nullopt;
  }
}

// What leaves a bridge says RTM_DELLINK, too, of that family; what changes its namespace says
// which number it has there (dev_change_net_namespace()).
std::optional<Notices::Departure> departure(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_DELLINK) return std::nullopt;
  const Reply notice{message};
  if (notice.header<ifinfomsg>().ifi_family != AF_UNSPEC) return std::nullopt;
  const bool moved = notice.attributes<ifinfomsg>().u32(IFLA_NEW_IFINDEX).has_value();
  return moved ? Notices::Departure::moved : Notices::Departure::removed;
}

bool has_failed_over(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWLINK) return false;
  const auto* attributes =
      static_cast<const char*>(mnl_nlmsg_get_payload_offset(&message, sizeof(ifinfomsg)));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message));
  return Attributes{{attributes, end}}.u32(IFLA_EVENT) == std::uint32_t{IFLA_EVENT_NOTIFY_PEERS};
}

}  // namespace

struct LinkMonitor::Socket {
  UniqueFd events;
  NetlinkSocket questions;
  UniqueFd host;  // the one namespace that is kept open: the daemon lives in it
  // The host's namespace gets a number of its own, which its notices bear from then
  // on, as soon as anybody reads a container end by nsid: its peer is in the host's.
  Netns number_of_host = {};

  Result<void> learn_number_of_host();
};

Result<void> LinkMonitor::Socket::learn_number_of_host() {
  if (number_of_host) return {};  // it lasts
  const auto nsid = nsid_of(questions, host);
  if (!nsid) return refused("link monitor: ask for the host's own nsid", nsid.error());
  number_of_host = *nsid;
  return {};
}

Result<LinkMonitor> LinkMonitor::open() {
  UniqueFd events{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)};
  if (!events) return kernel_error("link monitor: open a socket", errno);
  if (const auto joined = join(events.get()); !joined) return std::unexpected(joined.error());

  auto questions = NetlinkSocket::open();
  if (!questions) return std::unexpected(questions.error());
  auto host = questions->netns();
  if (!host) return std::unexpected(host.error());
  return LinkMonitor{std::make_unique<Socket>(std::move(events), std::move(*questions), std::move(*host))};
}

LinkMonitor::LinkMonitor(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {
}
LinkMonitor::LinkMonitor(LinkMonitor&&) noexcept = default;
LinkMonitor& LinkMonitor::operator=(LinkMonitor&&) noexcept = default;
LinkMonitor::~LinkMonitor() = default;

int LinkMonitor::fd() const {
  return socket_->events.get();
}

Result<Notices> LinkMonitor::read() {
  Notices notices;
  std::set<Place> seen;
  std::vector<char> buffer(kLargestNotice);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) * 2];
  while (true) {
    iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
    msghdr datagram{};
    datagram.msg_iov = &part;
    datagram.msg_iovlen = 1;
    datagram.msg_control = control;
    datagram.msg_controllen = sizeof control;

    const auto received = ::recvmsg(fd(), &datagram, 0);
    if (received < 0) {
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) return kernel_error("link monitor: read", errno);
      notices.lost = true;
      continue;
    }
    if ((datagram.msg_flags & MSG_TRUNC) != 0) notices.lost = true;

    auto netns = origin(datagram);
    if (netns) {
      if (const auto learnt = socket_->learn_number_of_host(); !learnt) {
        return std::unexpected(learnt.error());
      }
      if (netns == socket_->number_of_host) netns = std::nullopt;
    }
    int rest = static_cast<int>(received);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, rest);
         message = mnl_nlmsg_next(message, &rest)) {
      const auto ifindex = subject(*message);
      if (!ifindex) continue;
      const Place place{.netns = netns, .ifindex = *ifindex};
      if (const auto left = departure(*message); left && !netns) {
        notices.left.insert_or_assign(*ifindex, *left);
      }
      if (seen.insert(place).second) notices.places.push_back(place);
      if (!netns && has_failed_over(*message)) notices.failed_over.insert(*ifindex);
    }
  }
  return notices;
}

}  // namespace ipvlanx
