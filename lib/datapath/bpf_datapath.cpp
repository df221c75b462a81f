// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/datapath/bpf_datapath.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "abi.h"
#include "bpf_map.h"
#include "datapath.skel.h"
#include "drops.h"
#include "hooks.h"
#include "libbpf_error.h"
#include "master_xdp.h"
#include "pins.h"
#include "sockets.h"
#include "tracer.h"

namespace ipvlanx {

namespace {

struct Skeleton {
  struct Destroy {
    void operator()(datapath_bpf* skeleton) const { datapath_bpf__destroy(skeleton); }
  };
  using Pointer = std::unique_ptr<datapath_bpf, Destroy>;
};

// Maps of another build may mean something else: nothing is touched then.
Result<void> check_abi(const Pins& pins) {
  const UniqueFd about{bpf_obj_get(pins.map("ipvx_about").c_str())};
  if (!about) return {};
  constexpr std::uint32_t first = 0;
  ipvx_about value{};
  if (bpf_map_lookup_elem(about.get(), &first, &value) < 0) return kernel_error("ipvx_about", errno);
  if (value.abi_version == IPVX_ABI_VERSION || value.abi_version == 0) return {};
  return fail(
      Errc::kernel_refused,
      fmt::format("the pinned maps speak ABI {}, this build speaks {}: stop their users and remove the "
                  "pin root, or start the build that made them",
                  value.abi_version, IPVX_ABI_VERSION));
}

Result<Skeleton::Pointer> load(const Pins& pins, const DatapathOptions& options) {
  forget_libbpf();
  if (auto fit = check_abi(pins); !fit) return std::unexpected(fit.error());
  Skeleton::Pointer skeleton{datapath_bpf__open()};
  if (!skeleton) return libbpf_error("open BPF object", errno);

  bpf_map__set_max_entries(skeleton->maps.ipvx_addrs, options.addresses);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    // Not the object's .rodata and the like: those belong to this load.
    if (!bpf_map__is_internal(map)) bpf_map__set_pin_path(map, pins.map(bpf_map__name(map)).c_str());
  }
  if (const int error = datapath_bpf__load(skeleton.get()); error < 0) {
    return libbpf_error("load BPF programs", -error);
  }
  constexpr std::uint32_t first = 0;
  constexpr ipvx_about about{.abi_version = IPVX_ABI_VERSION};
  if (bpf_map__update_elem(skeleton->maps.ipvx_about, &first, sizeof first, &about, sizeof about, BPF_ANY) <
      0) {
    return kernel_error("ipvx_about", errno);
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    // For people with bpftool; what is attached does not depend on it.
    const std::string path = pins.program(bpf_program__name(program));
    ::unlink(path.c_str());
    if (bpf_program__pin(program, path.c_str()) < 0) return kernel_error(path, errno);
  }
  return skeleton;
}

void add(Traffic& sum, const ipvx_traffic& part) {
  sum.packets += part.packets;
  sum.bytes += part.bytes;
  sum.multicast += part.multicast;
  sum.dropped += part.dropped;
}

class BpfDatapath final : public Datapath {
 public:
  BpfDatapath(Pins pins, Skeleton::Pointer skeleton)
      : pins_(std::move(pins)),
        skeleton_(std::move(skeleton)),
        hooks_(Hooks::probe(bpf_program__fd(skeleton_->progs.ipvx_master_rx))) {}

  // Of slaves without a row: the daemon before us was killed while it wrote or erased one.
  Result<void> forget_half_made() {
    std::set<SlaveId> known;
    for (const ipvx_slave_key& key : slaves_.keys()) {
      if (const auto slave = slaves_.read(key)) known.insert(SlaveId{slave->slave});
    }
    for (const ipvx_stats_key& key : stats_.keys()) {
      if (known.contains(SlaveId{key.slave})) continue;
      if (auto done = forget(SlaveId{key.slave}); !done) return done;
    }
    return {};
  }

  // What the daemon before us attached runs this build's programs from now on. Where an
  // interface has lost its program, to its end or on its way through another namespace, its
  // row means nothing: it goes, and comes with the program if it is wanted.
  Result<void> take_over() {
    if (auto done = forget_half_made(); !done) return done;
    for (const ipvx_port_key& key : ports_.keys()) {
      const auto ours =
          hooks_.adopt(master_rx(IfIndex{key.master}), bpf_program__fd(skeleton_->progs.ipvx_master_rx));
      if (!ours) return std::unexpected(ours.error());
      if (!*ours) {
        if (auto gone = ports_.erase(key); !gone) return gone;
        continue;
      }
      const auto port = ports_.read(key);
      // One that cannot be had (any more) comes with the row, if it is wanted.
      if (port && !xdp_.set(IfIndex{key.master}, abi::row(key, *port).xdp)) std::ignore = ports_.erase(key);
    }
    for (const ipvx_slave_key& key : slaves_.keys()) {
      const IfIndex host_end{key.host_end};
      const auto ours = hooks_.adopt(slave_tx(host_end), bpf_program__fd(skeleton_->progs.ipvx_slave_tx));
      if (!ours) return std::unexpected(ours.error());
      const auto slave = slaves_.read(key);
      if (!*ours) {
        // Of an interface that is gone, the counters go, too.
        char name[IF_NAMESIZE];
        const bool counts = ::if_indextoname(key.host_end, name) != nullptr;
        auto gone = slave && !counts ? erase(abi::row(key, *slave)) : slaves_.erase(key);
        if (!gone) return gone;
        continue;
      }
      if (!slave || slave->mode == IPVX_L2) continue;
      auto done = hooks_.attach(slave_rx(host_end), bpf_program__fd(skeleton_->progs.ipvx_slave_rx));
      if (!done) return done;
    }
    return {};
  }

  Result<void> write(const PortRow& row) override {
    if (auto done = passed_.start({number(row.master)}); !done) return done;
    if (auto done = ports_.write(abi::key(row), abi::value(row)); !done) return done;
    if (auto done = attach_master(row.master); !done) return done;
    return xdp_.set(row.master, row.xdp);
  }

  Result<void> erase(const PortRow& row) override {
    if (auto done = xdp_.set(row.master, Xdp::off); !done) return done;
    if (auto done = hooks_.detach(master_rx(row.master)); !done) return done;
    if (auto done = ports_.erase(abi::key(row)); !done) return done;
    return passed_.erase({number(row.master)});
  }

  Result<void> write(const SlaveRow& row) override {
    if (auto done = stats_.start({number(row.slave)}); !done) return done;
    if (auto done = slaves_.write(abi::key(row), abi::value(row)); !done) return done;
    return attach_host_end(row);
  }

  Result<void> erase(const SlaveRow& row) override {
    if (auto done = hooks_.detach(slave_tx(row.host_end)); !done) return done;
    if (auto done = hooks_.detach(slave_rx(row.host_end)); !done) return done;
    if (auto done = slaves_.erase(abi::key(row)); !done) return done;
    return forget(row.slave);
  }

  // The last of a slave, its counters at the end: by them what is left half-way is found.
  Result<void> forget(SlaveId slave) {
    for (std::uint32_t reason = 0; reason < IPVX_DROP_REASONS; ++reason) {
      if (auto done = drops_.erase(drop_key(slave, reason)); !done) return done;
    }
    if (auto done = sockets_.end(slave); !done) return done;
    return stats_.erase({number(slave)});
  }

  Result<void> write(const MemberRow& row) override { return members_.write(abi::key(row), abi::value(row)); }
  Result<void> erase(const MemberRow& row) override { return members_.erase(abi::key(row)); }
  Result<void> write(const AddressRow& row) override { return addrs_.write(abi::key(row), abi::value(row)); }
  Result<void> erase(const AddressRow& row) override { return addrs_.erase(abi::key(row)); }

  Result<void> use(const Relay& relay) override {
    const Hook exit{relay.exit, Direction::ingress, pins_.relay_link()};
    if (auto done = hooks_.attach(exit, bpf_program__fd(skeleton_->progs.ipvx_relay_rx)); !done) return done;
    return relay_.write(0, {.entrance = number(relay.entrance)});
  }

  Result<void> serve_sockets(SlaveId slave, IfIndex container_end, const UniqueFd& netns) override {
    return sockets_.serve(slave, container_end, netns);
  }
  Result<void> serve_direct(SlaveId slave) override { return sockets_.serve_direct(slave); }
  Result<void> end_sockets(SlaveId slave) override { return sockets_.end(slave); }
  Result<std::set<SlaveId>> served() override { return sockets_.served(); }
  XdpState xdp(IfIndex master) override { return xdp_.state(master); }
  Result<UniqueFd> socket_map(SlaveId slave) override { return sockets_.map(slave); }

  Result<Fate> trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame) override {
    return tracer_.trace(entrance, interface, frame);
  }

  Result<Tables> tables() override {
    Tables tables;
    fill(tables.ports, ports_);
    fill(tables.slaves, slaves_);
    fill(tables.members, members_);
    fill(tables.addresses, addrs_);
    return tables;
  }

  Result<SlaveStats> stats(SlaveId slave) override {
    SlaveStats sum;
    for (const ipvx_stats& cpu : stats_.read({number(slave)})) {
      add(sum.rx, cpu.rx);
      add(sum.tx, cpu.tx);
    }
    for (std::uint32_t reason = 0; reason < IPVX_DROP_REASONS; ++reason) {
      std::uint64_t packets = 0;
      for (const ipvx_drop_count& cpu : drops_.read(drop_key(slave, reason))) packets += cpu.packets;
      if (packets > 0) sum.drops.emplace(kDropReasons[reason], packets);
    }
    return sum;
  }

  Result<AllStats> all_stats() override {
    AllStats all;
    auto done = stats_.each([&](const ipvx_stats_key& key, const std::vector<ipvx_stats>& cpus) {
      SlaveStats& sum = all.slaves[SlaveId{key.slave}];
      for (const ipvx_stats& cpu : cpus) {
        add(sum.rx, cpu.rx);
        add(sum.tx, cpu.tx);
      }
    });
    if (!done) return std::unexpected(done.error());
    done = drops_.each([&](const ipvx_drop_key& key, const std::vector<ipvx_drop_count>& cpus) {
      std::uint64_t packets = 0;
      for (const ipvx_drop_count& cpu : cpus) packets += cpu.packets;
      if (packets == 0 || key.reason >= IPVX_DROP_REASONS) return;
      const auto slave = all.slaves.find(SlaveId{key.slave});
      auto& drops = slave == all.slaves.end() ? all.drops : slave->second.drops;
      drops[std::string{kDropReasons[key.reason]}] += packets;
    });
    if (!done) return std::unexpected(done.error());
    for (auto use : {use_of(addrs_), use_of(ports_), use_of(slaves_), use_of(members_), use_of(stats_),
                     use_of(drops_), use_of(passed_)}) {
      if (!use) return std::unexpected(use.error());
      all.maps.push_back(*std::move(use));
    }
    return all;
  }

 private:
  template <class Map>
  static Result<MapUse> use_of(const Map& map) {
    const auto entries = map.count();
    if (!entries) return std::unexpected(entries.error());
    return MapUse{map.name(), *entries, map.most()};
  }

  static ipvx_drop_key drop_key(SlaveId slave, std::uint32_t reason) {
    return {.slave = number(slave), .reason = static_cast<ipvx_drop>(reason)};
  }

  template <class Rows, class Map>
  static void fill(Rows& rows, const Map& map) {
    for (const auto& key : map.keys()) {
      if (const auto value = map.read(key)) {
        const auto row = abi::row(key, *value);
        rows.emplace(row.key(), row);
      }
    }
  }

  Hook master_rx(IfIndex master) const {
    return {master, Direction::ingress, pins_.link(master, "master_rx")};
  }
  static Hook slave_tx(IfIndex host_end) { return {host_end, Direction::ingress}; }
  static Hook slave_rx(IfIndex host_end) { return {host_end, Direction::egress}; }

  Result<void> attach_master(IfIndex master) {
    return hooks_.attach(master_rx(master), bpf_program__fd(skeleton_->progs.ipvx_master_rx));
  }
  // In l2 nothing comes to a slave by the host's stack.
  Result<void> attach_host_end(const SlaveRow& row) {
    const Hook rx = slave_rx(row.host_end);
    auto done = row.mode == Mode::l2 ? hooks_.detach(rx)
                                     : hooks_.attach(rx, bpf_program__fd(skeleton_->progs.ipvx_slave_rx));
    if (!done) return done;
    return hooks_.attach(slave_tx(row.host_end), bpf_program__fd(skeleton_->progs.ipvx_slave_tx));
  }

  Pins pins_;
  Skeleton::Pointer skeleton_;
  Hooks hooks_;
  Sockets sockets_{pins_, bpf_map__fd(skeleton_->maps.ipvx_sockets)};
  MasterXdp xdp_{pins_};
  Tracer tracer_{skeleton_->obj};
  BpfMap<ipvx_port_key, ipvx_port> ports_{skeleton_->maps.ipvx_ports};
  BpfMap<ipvx_slave_key, ipvx_slave> slaves_{skeleton_->maps.ipvx_slaves};
  BpfMap<ipvx_member_key, ipvx_member> members_{skeleton_->maps.ipvx_members};
  BpfMap<ipvx_addr_key, ipvx_addr> addrs_{skeleton_->maps.ipvx_addrs};
  PerCpuMap<ipvx_stats_key, ipvx_stats> stats_{skeleton_->maps.ipvx_stats};
  PerCpuMap<ipvx_drop_key, ipvx_drop_count> drops_{skeleton_->maps.ipvx_drops};
  BpfMap<std::uint32_t, ipvx_relay> relay_{skeleton_->maps.ipvx_relay};
  PerCpuMap<ipvx_passed_key, ipvx_passed> passed_{skeleton_->maps.ipvx_passed};
};

}  // namespace

Result<std::unique_ptr<Datapath>> open_bpf_datapath(const DatapathOptions& options) {
  listen_to_libbpf();
  auto pins = Pins::open(options.pin_root, options.allow_private_bpffs);
  if (!pins) return std::unexpected(pins.error());
  auto skeleton = load(*pins, options);
  if (!skeleton) return std::unexpected(std::move(skeleton.error()).within(options.pin_root));
  auto datapath = std::make_unique<BpfDatapath>(std::move(*pins), std::move(*skeleton));
  if (auto done = datapath->take_over(); !done) return std::unexpected(std::move(done.error()));
  return datapath;
}

}  // namespace ipvlanx
