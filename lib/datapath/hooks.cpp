// SPDX-License-Identifier: Apache-2.0
#include "hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

namespace {

// linux/bpf.h of 6.6; Debian 12's is 6.1's and libbpf 1.1 does not know TCX.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr std::uint32_t kLinkTypeTcx = 11;

// struct bpf_link_info with the part that 6.1's header lacks.
struct TcxLinkInfo {
  std::uint32_t type;
  std::uint32_t id;
  std::uint32_t prog_id;
  std::uint32_t pad;
  std::uint32_t ifindex;  // 0: its interface is gone
  std::uint32_t attach_type;
};

constexpr std::uint32_t kFilterHandle = 1;
constexpr std::uint32_t kFilterPriority = 6970;

// The pinned link, if it is one of this interface that is alive; else nothing. What lies in
// bpffs is input like any other. Where that cannot be found out it is an error: a pin that is
// given up takes the program along.
Result<UniqueFd> open_live_link(const Hook& hook) {
  UniqueFd link{bpf_obj_get(hook.pin.c_str())};
  if (!link && errno == ENOENT) return UniqueFd{};
  if (!link) return kernel_error(hook.pin, errno);
  TcxLinkInfo info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link.get(), &info, &size) < 0) return kernel_error(hook.pin, errno);
  if (info.type != kLinkTypeTcx || info.ifindex != number(hook.interface)) return UniqueFd{};
  return link;
}

Result<void> attach_tcx(const Hook& hook, int program_fd) {
  const auto live = open_live_link(hook);
  if (!live) return std::unexpected(live.error());
  if (*live) {
    if (bpf_link_update(live->get(), program_fd, nullptr) < 0) return kernel_error("replace program", errno);
    return {};
  }
  if (::unlink(hook.pin.c_str()) < 0 && errno != ENOENT) return kernel_error(hook.pin, errno);
  const UniqueFd link{
      bpf_link_create(program_fd, static_cast<int>(number(hook.interface)), kTcxIngress, nullptr)};
  if (!link) return kernel_error("attach program", errno);
  if (bpf_obj_pin(link.get(), hook.pin.c_str()) < 0) return kernel_error(hook.pin, errno);
  return {};
}

Result<void> detach_tcx(const Hook& hook) {
  // Detached now, not when the kernel gets round to releasing the link.
  const auto live = open_live_link(hook);
  if (!live) return std::unexpected(live.error());
  if (*live) bpf_link_detach(live->get());
  if (::unlink(hook.pin.c_str()) < 0 && errno != ENOENT) return kernel_error(hook.pin, errno);
  return {};
}

bpf_tc_hook clsact_of(const Hook& hook) {
  bpf_tc_hook clsact{};
  clsact.sz = sizeof clsact;
  clsact.ifindex = static_cast<int>(number(hook.interface));
  clsact.attach_point = hook.direction == Direction::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return clsact;
}

bpf_tc_opts our_filter() {
  bpf_tc_opts filter{};
  filter.sz = sizeof filter;
  filter.handle = kFilterHandle;
  filter.priority = kFilterPriority;
  return filter;
}

Result<void> attach_clsact(const Hook& hook, int program_fd) {
  bpf_tc_hook clsact = clsact_of(hook);
  if (const int error = bpf_tc_hook_create(&clsact); error < 0 && error != -EEXIST) {
    return kernel_error("add clsact", -error);
  }
  bpf_tc_opts filter = our_filter();
  filter.prog_fd = program_fd;
  filter.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&clsact, &filter); error < 0) {
    return kernel_error("attach program", -error);
  }
  return {};
}

bool is_absence(int error) {
  return error == -ENOENT || error == -ENODEV || error == -EINVAL;
}

Result<bool> has_filter(const Hook& hook) {
  const bpf_tc_hook clsact = clsact_of(hook);
  bpf_tc_opts filter = our_filter();
  const int error = bpf_tc_query(&clsact, &filter);
  if (error < 0 && !is_absence(error)) return kernel_error("look for a filter", -error);
  return error == 0;
}

// The clsact qdisc stays: others may use it, and an empty one costs nothing.
Result<void> detach_clsact(const Hook& hook) {
  const bpf_tc_hook clsact = clsact_of(hook);
  const bpf_tc_opts filter = our_filter();
  const int error = bpf_tc_detach(&clsact, &filter);
  if (error < 0 && !is_absence(error)) {
    return kernel_error("detach program", -error);
  }
  return {};
}

}  // namespace

Hooks Hooks::probe(int program_fd) {
  // No interface has this index: a kernel with TCX says so, one without does not
  // get that far.
  constexpr int kNoInterface = 0x7fffffff;
  const UniqueFd none{bpf_link_create(program_fd, kNoInterface, kTcxIngress, nullptr)};
  return Hooks{errno == EINVAL ? Kind::clsact : Kind::tcx};
}

Hooks::Kind Hooks::kind_of(const Hook& hook) const {
  return hook.pin.empty() ? Kind::clsact : pinned_;
}

Result<void> Hooks::attach(const Hook& hook, int program_fd) const {
  auto done = kind_of(hook) == Kind::tcx ? attach_tcx(hook, program_fd) : attach_clsact(hook, program_fd);
  if (done) return done;
  return std::unexpected(std::move(done.error())
                             .within(fmt::format("TC {} of interface {}",
                                                 hook.direction == Direction::ingress ? "ingress" : "egress",
                                                 number(hook.interface))));
}

Result<bool> Hooks::adopt(const Hook& hook, int program_fd) const {
  if (kind_of(hook) == Kind::tcx) {
    const auto live = open_live_link(hook);
    if (!live) return std::unexpected(live.error());
    if (!*live) return false;
  } else {
    const auto there = has_filter(hook);
    if (!there) return std::unexpected(there.error());
    if (!*there) return false;
  }
  if (auto done = attach(hook, program_fd); !done) return std::unexpected(done.error());
  return true;
}

Result<void> Hooks::detach(const Hook& hook) const {
  return kind_of(hook) == Kind::tcx ? detach_tcx(hook) : detach_clsact(hook);
}

}  // namespace ipvlanx
