// SPDX-License-Identifier: Apache-2.0
#include "packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace ipvlanx::test {

namespace {

// struct virtio_net_hdr, whose own header is no C++.
struct VirtioHeader {
  std::uint8_t flags;     // 1: checksum is to do
  std::uint8_t gso_type;  // 1: TCP over IPv4
  std::uint16_t header_length;
  std::uint16_t gso_size;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
};
static_assert(sizeof(VirtioHeader) == 10);

void require(bool good, const char* what) {
  if (!good) throw std::system_error(errno, std::generic_category(), what);
}

void put_tag_back(Bytes& frame, const tpacket_auxdata& aux) {
  if (!(aux.tp_status & TP_STATUS_VLAN_VALID)) return;
  const std::uint8_t tag[] = {0x81, 0x00, static_cast<std::uint8_t>(aux.tp_vlan_tci >> 8),
                              static_cast<std::uint8_t>(aux.tp_vlan_tci)};
  frame.insert(frame.begin() + 12, std::begin(tag), std::end(tag));
}

}  // namespace

PacketSocket::PacketSocket(Space space, const std::string& interface, std::uint16_t ethertype, bool outgoing)
    : outgoing_(outgoing) {
  inside(space, [&] { fd_ = UniqueFd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)}; });
  require(static_cast<bool>(fd_), "packet socket");
  const int on = 1;
  require(::setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) == 0, "PACKET_AUXDATA");
  require(::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0, "PACKET_VNET_HDR");
  const int room = 4 << 20;
  require(::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) == 0, "SO_SNDBUF");
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ethertype);
  at.sll_ifindex = static_cast<int>(number(index_of(space, interface)));
  require(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0, interface.c_str());
}

PacketSocket PacketSocket::tap(Space space, const std::string& interface, bool outgoing) {
  return {space, interface, ETH_P_ALL, outgoing};
}

PacketSocket PacketSocket::stack(Space space, const std::string& interface, std::uint16_t ethertype) {
  return {space, interface, ethertype, false};
}

void PacketSocket::send(const Bytes& frame, unsigned segment, unsigned linear) const {
  VirtioHeader header{};
  header.header_length = static_cast<std::uint16_t>(linear);
  if (segment > 0) {
    header.flags = 1;
    header.gso_type = 1;
    header.gso_size = static_cast<std::uint16_t>(segment);
    header.checksum_start = 34;
    header.checksum_offset = 16;
    if (linear == 0) header.header_length = 54;
  }
  iovec parts[] = {{&header, sizeof header}, {const_cast<std::uint8_t*>(frame.data()), frame.size()}};
  require(::writev(fd_.get(), parts, 2) == static_cast<ssize_t>(sizeof header + frame.size()), "send");
}

std::optional<Bytes> PacketSocket::receive(std::chrono::milliseconds patience) const {
  for (;;) {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
    VirtioHeader header{};
    Bytes frame(256 * 1024);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(tpacket_auxdata))];
    sockaddr_ll from{};
    iovec parts[] = {{&header, sizeof header}, {frame.data(), frame.size()}};
    msghdr message{.msg_name = &from,
                   .msg_namelen = sizeof from,
                   .msg_iov = parts,
                   .msg_iovlen = 2,
                   .msg_control = control,
                   .msg_controllen = sizeof control,
                   .msg_flags = 0};
    const ssize_t got = ::recvmsg(fd_.get(), &message, 0);
    if (got < 0 && errno == ENETDOWN) return std::nullopt;  // the interface is gone
    require(got >= static_cast<ssize_t>(sizeof header), "receive");
    if ((from.sll_pkttype == PACKET_OUTGOING) != outgoing_) continue;
    frame.resize(static_cast<std::size_t>(got) - sizeof header);
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata aux;
      std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
      put_tag_back(frame, aux);
    }
    return frame;
  }
}

}  // namespace ipvlanx::test
