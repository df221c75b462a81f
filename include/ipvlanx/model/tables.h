// SPDX-License-Identifier: Apache-2.0
// The rows of the data path's tables in the model's words. lib/datapath turns
// them into the structs of datapath_abi.h.
#pragma once

#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "ipvlanx/model/state.h"

namespace ipvlanx {

// ipvx_ports: how a master treats its slaves.
struct PortRow {
  IfIndex master{};
  Mode mode{};
  Flag flag{};
  bool strict_private = false;
  std::uint32_t slots = 0;  // of MemberRow, in use: 0 … slots-1 with gaps
  MacAddress mac;
  std::uint32_t mtu = 0;
  Xdp xdp = Xdp::off;  // which program the master is to have there
  IfIndex key() const { return master; }
  bool operator==(const PortRow&) const = default;
};

// ipvx_slaves: whose host end this is.
struct SlaveRow {
  IfIndex host_end{};
  SlaveId slave{};
  IfIndex master{};
  Mode mode{};
  Flag flag{};
  MacAddress mac;
  IfIndex key() const { return host_end; }
  bool operator==(const SlaveRow&) const = default;
};

// ipvx_members: who gets copies of broadcasts.
struct MemberRow {
  IfIndex master{};
  std::uint32_t slot = 0;
  IfIndex host_end{};
  SlaveId slave{};
  std::pair<IfIndex, std::uint32_t> key() const { return {master, slot}; }
  bool operator==(const MemberRow&) const = default;
};

// How a packet gets from a hook into the slave.
enum class Way { by_peer, by_host_end, to_sockets, direct };
// bpf_redirect_peer() drops what would stay in the same namespace, and passes by what takes
// frames for AF_XDP sockets.
Way way_into(const Ends& ends, Via via);

// ipvx_addrs: which slave owns this address.
struct AddressRow {
  AddressKey address;
  SlaveId slave{};
  IfIndex host_end{};
  IfIndex container_end{};
  Mode mode{};
  Way way{};
  MacAddress mac;  // the master's
  const AddressKey& key() const { return address; }
  bool operator==(const AddressRow&) const = default;
};

// Host end, address, and whose table: nullopt is the main one, else a port's own.
using RouteKey = std::tuple<IfIndex, IpAddress, std::optional<IfIndex>>;

// The host's route to a slave's address. In l3s what the port's master brings takes it, by a
// table of the port's own: nobody else's packets, as nobody else's reach a slave by the
// kernel's ipvlan. In l3 and l3s an address that the API gave is the host's word, not a
// tenant's: it has a route in the main table too, for what the host has to say of the
// slave's packets and for replies by another interface.
struct RouteRow {
  IfIndex host_end{};
  IpAddress address;
  std::optional<IfIndex> port = {};
  RouteKey key() const { return {host_end, address, port}; }
  bool operator==(const RouteRow&) const = default;
};

// The veth pair that a broadcast goes through between two batches of copies
// (bpf/fanout.bpf.h); one for all ports.
struct Relay {
  IfIndex entrance{};
  IfIndex exit{};
  bool operator==(const Relay&) const = default;
};

struct Tables {
  std::map<IfIndex, PortRow> ports;
  std::map<IfIndex, SlaveRow> slaves;
  std::map<std::pair<IfIndex, std::uint32_t>, MemberRow> members;
  std::map<AddressKey, AddressRow> addresses;
  std::map<RouteKey, RouteRow> routes;  // of the kernel's, not the data path's
  bool operator==(const Tables&) const = default;
};

// What is true of a port's slaves together.
struct Crowd {
  std::uint32_t slots = 0;  // see PortRow
  // One of them takes its frames so.
  bool afxdp = false;
  bool direct = false;
};

PortRow port_row(const Port& port, const Crowd& slaves);
SlaveRow slave_row(const Port& port, const Slave& slave);
MemberRow member_row(const Slave& slave);
AddressRow address_row(const Port& port, const AddressKey& key, const Slave& slave);

// Enters the rows a slave has for itself: of copies only in l2, while it is up (rule 47).
void add_slave_rows(Tables& tables, const Port& port, const Slave& slave);
// Enters what steers this address to this slave.
void add_address_rows(Tables& tables, const Port& port, const AddressKey& key, const Slave& slave);

// Everything the data path has to hold when this is the state. A port without slaves
// needs nothing there.
Tables tables_of(const State& state);
// The part of it that is about one port.
Tables tables_of(const State& state, const Port& port);

}  // namespace ipvlanx
