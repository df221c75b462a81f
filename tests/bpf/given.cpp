// SPDX-License-Identifier: Apache-2.0
#include "given.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "ipvlanx/datapath_abi.h"

namespace ipvlanx::test {

namespace {

// What a stack might be handed; frames of other protocols are not in these tests.
constexpr std::uint16_t kProtocols[] = {ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, kExperimental, kPause};

std::string new_root() {
  static int number = 0;
  return fmt::format("{}/given-{}", kBpffs, ++number);
}

void add(Counters& counters, const std::string& name, std::uint64_t value) {
  if (value > 0) counters[name] += value;
}

void add(Counters& counters, const std::string& name, const Traffic& traffic) {
  add(counters, name + ".packets", traffic.packets);
  add(counters, name + ".bytes", traffic.bytes);
  add(counters, name + ".multicast", traffic.multicast);
  add(counters, name + ".dropped", traffic.dropped);
}

void add(Counters& counters, const std::string& name, const SlaveStats& stats) {
  add(counters, name + ".rx", stats.rx);
  add(counters, name + ".tx", stats.tx);
  for (const auto& [reason, packets] : stats.drops) add(counters, name + ".drop." + reason, packets);
}

ipvx_passed passed(const std::string& root, IfIndex master) {
  const UniqueFd map{bpf_obj_get((root + "/maps/ipvx_passed").c_str())};
  const ipvx_passed_key key{number(master)};
  std::vector<ipvx_passed> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  ipvx_passed sum{};
  if (bpf_map_lookup_elem(map.get(), &key, cpus.data()) < 0) return sum;
  for (const ipvx_passed& cpu : cpus) {
    sum.packets += cpu.packets;
    sum.bytes += cpu.bytes;
  }
  return sum;
}

}  // namespace

void need(const Result<void>& done) {
  if (!done) throw std::runtime_error(done.error().message);
}

Given::Given(std::uint32_t addresses)
    : options_{.pin_root = new_root(), .allow_private_bpffs = true, .addresses = addresses} {
  need(open());
}

Given::~Given() {
  close();
  remove_interfaces();
  std::filesystem::remove_all(root());
}

Result<void> Given::open() {
  auto opened = open_bpf_datapath(options_);
  if (!opened) return std::unexpected(opened.error());
  datapath_ = std::move(*opened);
  return {};
}

Given& Given::port(const std::string& name, MacAddress mac, unsigned mtu) {
  const std::string outside = name + "-wire";
  ip(Space::host, fmt::format("link add {0} mtu {2} address {1} type veth peer name {3} mtu {2}\n"
                              "link set {0} group 6970 up\n"
                              "link set {3} up\n",
                              name, to_string(mac), mtu, outside));
  wait_for_carrier(Space::host, name);
  wait_for_carrier(Space::host, outside);
  PortPart& port = ports_[name];
  port.index = index(name);
  port.mac = mac;
  port.mtu = mtu;
  port.wire = std::make_unique<PacketSocket>(PacketSocket::tap(Space::host, outside));
  last_port_ = name;
  ears_.push_back({"wire of " + name, PacketSocket::tap(Space::host, outside)});
  for (const std::uint16_t protocol : kProtocols)
    ears_.push_back({"host of " + name, PacketSocket::stack(Space::host, name, protocol)});
  need(datapath_->write(port_row(name)));
  return *this;
}

Given& Given::in(Mode mode, Flag flag) {
  PortPart& port = ports_.at(last_port_);
  port.mode = mode;
  port.flag = flag;
  need(datapath_->write(port_row(last_port_)));
  return *this;
}

Given& Given::slave(const std::string& name, const std::vector<std::string>& addresses, Link link,
                    Space space) {
  PortPart& port = ports_.at(last_port_);
  SlavePart& slave = slaves_[name];
  slave.id = SlaveId{static_cast<std::uint32_t>(slaves_.size())};
  slave.master = last_port_;
  slave.space = space;
  slave.slot = port.slots;
  // The container's namespace has neither a name nor a process: the pair is made on
  // that side, and its host end comes home by this process' id.
  ip(space, fmt::format("link add {1} mtu {3} address {2} type veth peer name {0} mtu {3} netns {4}\n",
                        host_end(name), name, to_string(port.mac), port.mtu, ::getpid()));
  ip(Space::host, fmt::format("link set {} group 6970 up\n", host_end(name)));
  ip(space, fmt::format("link set {} up\n", name));
  wait_for_carrier(space, name);
  wait_for_carrier(Space::host, host_end(name));
  slave.host_end = index(host_end(name));
  slave.container_end = index_of(space, name);
  slave.container = std::make_unique<PacketSocket>(PacketSocket::tap(space, name));
  ears_.push_back({name, PacketSocket::tap(space, name)});
  if (port.mode != Mode::l2) {
    for (const std::uint16_t protocol : kProtocols)
      ears_.push_back({"stack behind " + name, PacketSocket::stack(Space::host, host_end(name), protocol)});
  }

  need(datapath_->write(slave_row(name)));
  if (link == Link::down) return *this;
  ++port.slots;
  need(datapath_->write(port_row(last_port_)));
  if (port.mode == Mode::l2) need(datapath_->write(member_row(name)));
  for (const std::string& address : addresses) need(datapath_->write(address_row(name, address)));
  return *this;
}

std::string Given::host_end(const std::string& slave) const {
  return host_end_name(id(slave)).str();
}

PortRow Given::port_row(const std::string& master) const {
  const PortPart& port = ports_.at(master);
  return {.master = port.index,
          .mode = port.mode,
          .flag = port.flag,
          .slots = port.slots,
          .mac = port.mac,
          .mtu = port.mtu};
}

SlaveRow Given::slave_row(const std::string& name) const {
  const SlavePart& slave = slaves_.at(name);
  const PortPart& port = ports_.at(slave.master);
  return {.host_end = slave.host_end,
          .slave = slave.id,
          .master = port.index,
          .mode = port.mode,
          .flag = port.flag,
          .mac = port.mac};
}

MemberRow Given::member_row(const std::string& name) const {
  const SlavePart& slave = slaves_.at(name);
  return {.master = ports_.at(slave.master).index,
          .slot = slave.slot,
          .host_end = slave.host_end,
          .slave = slave.id};
}

AddressRow Given::address_row(const std::string& name, std::string_view address) const {
  const SlavePart& slave = slaves_.at(name);
  return {.address = {ports_.at(slave.master).index, *IpAddress::parse(address)},
          .slave = slave.id,
          .host_end = slave.host_end,
          .container_end = slave.container_end,
          .mode = ports_.at(slave.master).mode,
          .way = slave.space == Space::host ? Way::by_host_end : Way::by_peer,
          .mac = ports_.at(slave.master).mac};
}

Entry Given::wire(const std::string& master) const {
  const PortPart& port = ports_.at(master);
  return {.program = "ipvx_master_rx",
          .interface = port.index,
          .owner = master,
          .to = port.mac,
          .from = kOutside,
          .sender = port.wire.get()};
}

Entry Given::from(const std::string& name) const {
  const SlavePart& slave = slaves_.at(name);
  return {.program = "ipvx_slave_tx",
          .interface = slave.host_end,
          .owner = name,
          .to = kOutside,
          .from = ports_.at(slave.master).mac,
          .sender = slave.container.get()};
}

Entry Given::stack_to(const std::string& name) const {
  const SlavePart& slave = slaves_.at(name);
  const PortPart& port = ports_.at(slave.master);
  return {.program = "ipvx_slave_rx",
          .interface = slave.host_end,
          .owner = name,
          .came_by = number(port.index),
          .to = port.mac,
          .from = port.mac};
}

Counters Given::counters() {
  Counters counters;
  for (const auto& [name, slave] : slaves_) add(counters, name, *datapath_->stats(slave.id));
  add(counters, "nobody", *datapath_->stats(SlaveId{0}));
  for (const auto& [name, port] : ports_) {
    const ipvx_passed kept = passed(root(), port.index);
    add(counters, name + ".passed.packets", kept.packets);
    add(counters, name + ".passed.bytes", kept.bytes);
  }
  return counters;
}

}  // namespace ipvlanx::test
