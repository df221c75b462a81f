// SPDX-License-Identifier: Apache-2.0
#include "master_xdp.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>

#include <cerrno>
#include <memory>

#include "driver.h"
#include "libbpf_error.h"
#include "master_xdp.skel.h"
#include "xdp_link.h"

namespace ipvlanx {

namespace {

// linux/bpf.h of 6.3; Debian 12's is 6.1's.
constexpr std::uint32_t kDeviceBound = 1U << 6;  // BPF_F_XDP_DEV_BOUND_ONLY

struct Destroy {
  void operator()(master_xdp_bpf* skeleton) const { master_xdp_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<master_xdp_bpf, Destroy>;

bool kernel_tells_of_tags() {
  static const bool tells = [] {
    const std::unique_ptr<btf, decltype(&btf__free)> kernel{btf__load_vmlinux_btf(), btf__free};
    return kernel && btf__find_by_name_kind(kernel.get(), "bpf_xdp_metadata_rx_vlan_tag", BTF_KIND_FUNC) > 0;
  }();
  return tells;
}

Result<XdpKind> native_kind(const Driver& driver) {
  if (!driver.hides_tags) return XdpKind::native;
  if (kernel_tells_of_tags()) return XdpKind::bound;
  return fail(
      Errc::kernel_refused,
      fmt::format("this kernel does not tell XDP of VLAN tags that lie beside a frame, as with "
                  "driver '{}'{}",
                  driver.name, driver.is_veth() ? "" : ": `ethtool -K` with `rxvlan off` leaves them in"));
}

bpf_program* program_of(const master_xdp_bpf& skeleton, XdpKind kind) {
  switch (kind) {
    case XdpKind::native:
      return skeleton.progs.ipvx_master_xdp;
    case XdpKind::bound:
      return skeleton.progs.ipvx_bound_xdp;
    case XdpKind::generic:
      break;
  }
  return skeleton.progs.ipvx_skb_xdp;
}

Result<Skeleton> load(const Pins& pins, IfIndex master, XdpKind kind) {
  forget_libbpf();
  Skeleton skeleton{master_xdp_bpf__open()};
  if (!skeleton) return libbpf_error("open BPF object", errno);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (!bpf_map__is_internal(map)) bpf_map__set_pin_path(map, pins.map(bpf_map__name(map)).c_str());
  }
  bpf_program* const wanted = program_of(*skeleton, kind);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    bpf_program__set_autoload(program, program == wanted);
  }
  if (kind == XdpKind::bound) {
    bpf_program__set_ifindex(wanted, number(master));
    bpf_program__set_flags(wanted, bpf_program__flags(wanted) | kDeviceBound);
  }
  if (const int error = master_xdp_bpf__load(skeleton.get()); error < 0) {
    return libbpf_error("load the program for XDP", -error);
  }
  return skeleton;
}

Xdp mode_at(IfIndex master) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof query;
  if (bpf_xdp_query(static_cast<int>(number(master)), 0, &query) < 0) return Xdp::off;
  return query.attach_mode == XDP_ATTACHED_SKB ? Xdp::generic : Xdp::native;
}

}  // namespace

Result<void> MasterXdp::set(IfIndex master, Xdp wanted) {
  if (wanted == Xdp::off) {
    forget(master);
    return detach({master, pin(master)});
  }
  if (stands(master, wanted)) return {};
  auto done = turn(master, wanted);
  remember(master, {wanted, done ? "" : done.error().message});
  if (done || wanted != Xdp::auto_) return done;
  return detach({master, pin(master)});
}

Result<void> MasterXdp::turn(IfIndex master, Xdp wanted) const {
  if (wanted == Xdp::generic) return attach(master, XdpKind::generic);
  const auto driver = driver_of(master);
  if (!driver) return std::unexpected(driver.error());
  if (wanted == Xdp::auto_ && driver->is_veth()) {
    return fail(Errc::kernel_refused,
                "it is a veth: native XDP would take segmentation offload from its other end, and with it "
                "most of the other slaves' TCP throughput");
  }
  const auto kind = native_kind(*driver);
  auto done = kind ? attach(master, *kind) : std::unexpected(kind.error());
  if (done || wanted != Xdp::any) return done;
  return attach(master, XdpKind::generic);
}

// One that is there in another mode cannot be replaced in place.
Result<void> MasterXdp::attach(IfIndex master, XdpKind kind) const {
  const bool generic = kind == XdpKind::generic;
  const auto skeleton = load(pins_, master, kind);
  if (!skeleton) return std::unexpected(skeleton.error());
  const XdpHook hook{
      .interface = master, .pin = pin(master), .mode = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE};
  const auto ours = is_attached(hook);
  if (!ours) return std::unexpected(ours.error());
  if (*ours && (mode_at(master) == Xdp::generic) != generic) {
    if (auto gone = detach(hook); !gone) return gone;
  }
  return ipvlanx::attach(hook, bpf_program__fd(program_of(**skeleton, kind)), UniqueFd{});
}

// A port's row is written for each slave that comes; a program takes 10 ms to load.
bool MasterXdp::stands(IfIndex master, Xdp wanted) const {
  const std::unique_lock alone{mutex_};
  const auto last = last_.find(master);
  if (last == last_.end() || last->second.wanted != wanted) return false;
  if (!last->second.why_not.empty()) return wanted == Xdp::auto_;
  return is_attached({master, pin(master)}).value_or(false);
}

void MasterXdp::forget(IfIndex master) {
  const std::unique_lock alone{mutex_};
  last_.erase(master);
}

void MasterXdp::remember(IfIndex master, Attempt attempt) {
  const std::unique_lock alone{mutex_};
  last_.insert_or_assign(master, std::move(attempt));
}

XdpState MasterXdp::state(IfIndex master) const {
  if (is_attached({master, pin(master)}).value_or(false)) return {.attached = mode_at(master), .why = {}};
  const std::unique_lock alone{mutex_};
  const auto last = last_.find(master);
  return {.attached = Xdp::off, .why = last == last_.end() ? "" : last->second.why_not};
}

}  // namespace ipvlanx
