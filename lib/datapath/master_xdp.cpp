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

// The one of its programs that suits the driver is loaded.
Result<Skeleton> load(const Pins& pins, IfIndex master, const Driver& driver) {
  if (driver.hides_tags && !kernel_tells_of_tags()) {
    return fail(
        Errc::kernel_refused,
        fmt::format("this kernel does not tell XDP of VLAN tags that lie beside a frame, as with "
                    "driver '{}'{}",
                    driver.name, driver.is_veth() ? "" : ": switch them off by `ethtool -K rxvlan off`"));
  }
  forget_libbpf();
  Skeleton skeleton{master_xdp_bpf__open()};
  if (!skeleton) return libbpf_error("open BPF object", errno);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (!bpf_map__is_internal(map)) bpf_map__set_pin_path(map, pins.map(bpf_map__name(map)).c_str());
  }
  bpf_program* const bound = skeleton->progs.ipvx_bound_xdp;
  bpf_program__set_autoload(bound, driver.hides_tags);
  bpf_program__set_autoload(skeleton->progs.ipvx_master_xdp, !driver.hides_tags);
  bpf_program__set_ifindex(bound, number(master));
  bpf_program__set_flags(bound, bpf_program__flags(bound) | kDeviceBound);
  if (const int error = master_xdp_bpf__load(skeleton.get()); error < 0) {
    return libbpf_error("load the program for XDP", -error);
  }
  return skeleton;
}

}  // namespace

Result<void> MasterXdp::set(IfIndex master, Xdp wanted) {
  remember(master, "");
  if (wanted == Xdp::off) return detach({master, pin(master)});
  auto done = wanted == Xdp::native ? attach(master) : try_to_attach(master);
  if (done || wanted == Xdp::native) return done;
  remember(master, std::move(done.error().message));
  return detach({master, pin(master)});
}

Result<void> MasterXdp::try_to_attach(IfIndex master) const {
  const auto driver = driver_of(master);
  if (!driver) return std::unexpected(driver.error());
  if (driver->is_veth()) {
    return fail(Errc::kernel_refused,
                "it is a veth: native XDP would take segmentation offload from its other end, and with it "
                "most of the other slaves' TCP throughput");
  }
  return attach(master);
}

Result<void> MasterXdp::attach(IfIndex master) const {
  const auto driver = driver_of(master);
  if (!driver) return std::unexpected(driver.error());
  const auto skeleton = load(pins_, master, *driver);
  if (!skeleton) return std::unexpected(skeleton.error());
  const auto& programs = (*skeleton)->progs;
  const bpf_program* suitable = driver->hides_tags ? programs.ipvx_bound_xdp : programs.ipvx_master_xdp;
  return ipvlanx::attach({.interface = master, .pin = pin(master), .mode = XDP_FLAGS_DRV_MODE},
                         bpf_program__fd(suitable), UniqueFd{});
}

void MasterXdp::remember(IfIndex master, std::string why_not) {
  const std::unique_lock alone{mutex_};
  if (why_not.empty()) {
    why_not_.erase(master);
  } else {
    why_not_.insert_or_assign(master, std::move(why_not));
  }
}

XdpState MasterXdp::state(IfIndex master) const {
  if (is_attached({master, pin(master)}).value_or(false)) return {.attached = Xdp::native, .why = {}};
  const std::unique_lock alone{mutex_};
  const auto why = why_not_.find(master);
  return {.attached = Xdp::off, .why = why == why_not_.end() ? "" : why->second};
}

}  // namespace ipvlanx
