// SPDX-License-Identifier: Apache-2.0
#include "tracer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <cerrno>

#include "drops.h"
#include "libbpf_error.h"
#include "trace.skel.h"

namespace ipvlanx {

namespace {

// The programs add nothing to a frame.
constexpr std::size_t kRoom = 64;

Result<Fate> fate_of(std::uint32_t value) {
  const std::uint32_t of = IPVX_FATE_OF(value);
  switch (value >> 16) {
    case IPVX_FATE_SLAVE:
      return Fate{.kind = Fate::Kind::slave, .slave = SlaveId{of}};
    case IPVX_FATE_HOST:
      return Fate{.kind = Fate::Kind::host};
    case IPVX_FATE_ROUTED:
      return Fate{.kind = Fate::Kind::routed, .slave = of ? std::optional{SlaveId{of}} : std::nullopt};
    case IPVX_FATE_WIRE:
      return Fate{.kind = Fate::Kind::wire};
    case IPVX_FATE_DROPPED:
      if (of < kDropReasons.size())
        return Fate{.kind = Fate::Kind::dropped, .reason = std::string{kDropReasons[of]}};
  }
  return fail(Errc::kernel_refused, fmt::format("trace: the program returned {:#x}", value));
}

}  // namespace

void Tracer::Destroy::operator()(trace_bpf* skeleton) const {
  trace_bpf__destroy(skeleton);
}

Tracer::Tracer(const bpf_object* datapath) : datapath_(datapath) {
}
Tracer::Tracer(Tracer&&) noexcept = default;
Tracer::~Tracer() = default;

Result<void> Tracer::load() {
  forget_libbpf();
  std::unique_ptr<trace_bpf, Destroy> skeleton{trace_bpf__open()};
  if (!skeleton) return libbpf_error("open BPF object", errno);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    const bool asked = program == skeleton->progs.ipvx_master_rx || program == skeleton->progs.ipvx_slave_tx;
    bpf_program__set_autoload(program, asked);
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    const bpf_map* real = bpf_object__find_map_by_name(datapath_, bpf_map__name(map));
    const int error = bpf_map__reuse_fd(map, bpf_map__fd(real));
    if (error < 0) return libbpf_error(fmt::format("trace on {}", bpf_map__name(map)), -error);
  }
  if (const int error = trace_bpf__load(skeleton.get()); error < 0) {
    return libbpf_error("load BPF programs for traces", -error);
  }
  skeleton_ = std::move(skeleton);
  return {};
}

Result<Fate> Tracer::trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame) {
  if (!skeleton_) {
    if (auto loaded = load(); !loaded) return std::unexpected(loaded.error());
  }
  const bpf_program* program =
      entrance == Entrance::master ? skeleton_->progs.ipvx_master_rx : skeleton_->progs.ipvx_slave_tx;
  __sk_buff context{};
  context.ifindex = number(interface);
  context.ingress_ifindex = number(interface);
  std::vector<std::uint8_t> out(frame.size() + kRoom);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = static_cast<std::uint32_t>(out.size());
  options.ctx_in = options.ctx_out = &context;
  options.ctx_size_in = options.ctx_size_out = sizeof context;
  options.repeat = 1;
  if (const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options); error < 0) {
    return kernel_error(fmt::format("trace at interface {}", number(interface)), -error);
  }
  out.resize(options.data_size_out);
  auto fate = fate_of(options.retval);
  if (!fate) return fate;
  fate->copies = context.cb[IPVX_TRACED_COPIES];
  fate->frame = std::move(out);
  return fate;
}

}  // namespace ipvlanx
