// SPDX-License-Identifier: Apache-2.0
#include "nsid.h"

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace ipvlanx {

namespace {

Request about(std::uint16_t type, const UniqueFd& netns) {
  Request request{type, 0, rtgenmsg{.rtgen_family = AF_UNSPEC}};
  request.put_u32(NETNSA_FD, static_cast<std::uint32_t>(netns.get()));
  return request;
}

}  // namespace

Answer<std::optional<Nsid>> nsid_of(NetlinkSocket& host, const UniqueFd& netns) {
  const auto reply = host.ask(about(RTM_GETNSID, netns));
  if (!reply) return std::unexpected(reply.error());
  const auto nsid = static_cast<std::int32_t>(
      reply->attributes<rtgenmsg>().u32(NETNSA_NSID).value_or(NETNSA_NSID_NOT_ASSIGNED));
  if (nsid < 0) return std::nullopt;
  return Nsid{nsid};
}

Answer<Nsid> assign_nsid(NetlinkSocket& host, const UniqueFd& netns) {
  const auto present = nsid_of(host, netns);
  if (!present) return std::unexpected(present.error());
  if (*present) return **present;

  auto request = about(RTM_NEWNSID, netns);
  request.put_u32(NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED));  // the kernel chooses
  const auto assigned = host.tell(request);
  // EEXIST: somebody was faster; their number is as good.
  if (!assigned && assigned.error().number != EEXIST) return std::unexpected(assigned.error());

  const auto now = nsid_of(host, netns);
  if (!now) return std::unexpected(now.error());
  if (!*now) return std::unexpected(KernelError{.number = ENOSPC});
  return **now;
}

}  // namespace ipvlanx
