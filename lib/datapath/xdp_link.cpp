// SPDX-License-Identifier: Apache-2.0
#include "xdp_link.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "ipvlanx/base/in_netns.h"

namespace ipvlanx {

namespace {

Result<UniqueFd> open_live_link(const XdpHook& hook) {
  UniqueFd link{bpf_obj_get(hook.pin.c_str())};
  if (!link && errno == ENOENT) return UniqueFd{};
  if (!link) return kernel_error(hook.pin, errno);
  bpf_link_info info{};
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(link.get(), &info, &size) < 0) return kernel_error(hook.pin, errno);
  if (info.type != BPF_LINK_TYPE_XDP || info.xdp.ifindex != number(hook.interface)) return UniqueFd{};
  return link;
}

Result<void> unpin(const XdpHook& hook) {
  if (::unlink(hook.pin.c_str()) < 0 && errno != ENOENT) return kernel_error(hook.pin, errno);
  return {};
}

}  // namespace

Result<void> attach(const XdpHook& hook, int program_fd, const UniqueFd& netns) {
  const auto live = open_live_link(hook);
  if (!live) return std::unexpected(live.error());
  if (*live) {
    if (bpf_link_update(live->get(), program_fd, nullptr) < 0) return kernel_error("replace program", errno);
    return {};
  }
  if (auto gone = unpin(hook); !gone) return gone;
  UniqueFd link;
  int error = 0;
  const auto create = [&] {
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = hook.mode;
    link = UniqueFd{bpf_link_create(program_fd, static_cast<int>(number(hook.interface)), BPF_XDP, &options)};
    if (!link) error = errno;
  };
  if (!netns) {
    create();
  } else if (auto been = in_netns(netns, create); !been) {
    return been;
  }
  if (!link) return kernel_error(fmt::format("XDP of interface {}", number(hook.interface)), error);
  if (bpf_obj_pin(link.get(), hook.pin.c_str()) < 0) return kernel_error(hook.pin, errno);
  return {};
}

Result<bool> is_attached(const XdpHook& hook) {
  const auto live = open_live_link(hook);
  if (!live) return std::unexpected(live.error());
  return bool{*live};
}

Result<void> detach(const XdpHook& hook) {
  // Detached now, not when the kernel gets round to releasing the link; whichever interface
  // it is at.
  const UniqueFd link{bpf_obj_get(hook.pin.c_str())};
  if (link) bpf_link_detach(link.get());
  return unpin(hook);
}

}  // namespace ipvlanx
