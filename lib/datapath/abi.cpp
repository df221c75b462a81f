// SPDX-License-Identifier: Apache-2.0
#include "abi.h"

#include <algorithm>
#include <span>

namespace ipvlanx::abi {

namespace {

// The model's words have the kernel's values.
static_assert(number(Mode::l2) == IPVX_L2 && number(Mode::l3) == IPVX_L3 && number(Mode::l3s) == IPVX_L3S);
static_assert(number(Flag::bridge) == IPVX_BRIDGE && number(Flag::private_) == IPVX_PRIVATE &&
              number(Flag::vepa) == IPVX_VEPA);
static_assert(number(Family::ipv4) == IPVX_IPV4 && number(Family::ipv6) == IPVX_IPV6);
static_assert(number(Way::by_peer) == IPVX_BY_PEER && number(Way::by_host_end) == IPVX_BY_HOST_END &&
              number(Way::to_sockets) == IPVX_TO_SOCKETS && number(Way::direct) == IPVX_DIRECT);
static_assert(number(Xdp::off) == IPVX_XDP_OFF && number(Xdp::auto_) == IPVX_XDP_AUTO &&
              number(Xdp::native) == IPVX_XDP_NATIVE && number(Xdp::generic) == IPVX_XDP_GENERIC &&
              number(Xdp::any) == IPVX_XDP_ANY);

template <class To, class From>
To same(From value) {
  return static_cast<To>(value);
}

void copy(const MacAddress& from, __u8 (&to)[6]) {
  std::ranges::copy(from.bytes, to);
}

MacAddress mac(const __u8 (&from)[6]) {
  MacAddress mac;
  std::ranges::copy(from, mac.bytes.begin());
  return mac;
}

}  // namespace

ipvx_port_key key(const PortRow& row) {
  return {.master = number(row.master)};
}

ipvx_port value(const PortRow& row) {
  ipvx_port port{.mode = same<ipvx_mode>(row.mode),
                 .flag = same<ipvx_flag>(row.flag),
                 .strict_private = row.strict_private ? IPVX_ON : IPVX_OFF,
                 .slots = row.slots,
                 .mtu = row.mtu,
                 .mac = {},
                 .zero = {},
                 .xdp = same<ipvx_xdp>(row.xdp)};
  copy(row.mac, port.mac);
  return port;
}

PortRow row(const ipvx_port_key& key, const ipvx_port& value) {
  return {.master = IfIndex{key.master},
          .mode = same<Mode>(value.mode),
          .flag = same<Flag>(value.flag),
          .strict_private = value.strict_private == IPVX_ON,
          .slots = value.slots,
          .mac = mac(value.mac),
          .mtu = value.mtu,
          .xdp = same<Xdp>(value.xdp)};
}

ipvx_slave_key key(const SlaveRow& row) {
  return {.host_end = number(row.host_end)};
}

ipvx_slave value(const SlaveRow& row) {
  ipvx_slave slave{.master = number(row.master),
                   .slave = number(row.slave),
                   .mode = same<ipvx_mode>(row.mode),
                   .flag = same<ipvx_flag>(row.flag),
                   .mac = {},
                   .zero = {}};
  copy(row.mac, slave.mac);
  return slave;
}

SlaveRow row(const ipvx_slave_key& key, const ipvx_slave& value) {
  return {.host_end = IfIndex{key.host_end},
          .slave = SlaveId{value.slave},
          .master = IfIndex{value.master},
          .mode = same<Mode>(value.mode),
          .flag = same<Flag>(value.flag),
          .mac = mac(value.mac)};
}

ipvx_member_key key(const MemberRow& row) {
  return {.master = number(row.master), .slot = row.slot};
}

ipvx_member value(const MemberRow& row) {
  return {.host_end = number(row.host_end), .slave = number(row.slave)};
}

MemberRow row(const ipvx_member_key& key, const ipvx_member& value) {
  return {.master = IfIndex{key.master},
          .slot = key.slot,
          .host_end = IfIndex{value.host_end},
          .slave = SlaveId{value.slave}};
}

ipvx_addr_key key(const AddressRow& row) {
  ipvx_addr_key key{.master = number(row.address.master),
                    .family = same<ipvx_family>(row.address.address.family()),
                    .addr = {}};
  std::ranges::copy(row.address.address.bytes(), key.addr);
  return key;
}

ipvx_addr value(const AddressRow& row) {
  ipvx_addr addr{.host_end = number(row.host_end),
                 .way = same<ipvx_way>(row.way),
                 .slave = number(row.slave),
                 .mode = same<ipvx_mode>(row.mode),
                 .mac = {},
                 .zero = {},
                 .container_end = number(row.container_end)};
  copy(row.mac, addr.mac);
  return addr;
}

AddressRow row(const ipvx_addr_key& key, const ipvx_addr& value) {
  const std::size_t size = key.family == IPVX_IPV4 ? 4 : 16;
  return {.address = {IfIndex{key.master}, *IpAddress::from_bytes(std::span{key.addr}.first(size))},
          .slave = SlaveId{value.slave},
          .host_end = IfIndex{value.host_end},
          .container_end = IfIndex{value.container_end},
          .mode = same<Mode>(value.mode),
          .way = same<Way>(value.way),
          .mac = mac(value.mac)};
}

}  // namespace ipvlanx::abi
