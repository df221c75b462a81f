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
  const auto before = nsid_of(host, netns);
  if (!before) return std::unexpected(before.error());
  if (const auto nsid = *before) return *nsid;

  auto request = about(RTM_NEWNSID, netns);
  request.put_u32(NETNSA_NSID, static_cast<std::uint32_t>(NETNSA_NSID_NOT_ASSIGNED));  // the kernel chooses
  const auto assigned = host.tell(request);
  // EEXIST: somebody was faster; their number is as good.
  if (!assigned && assigned.error().number != EEXIST) return std::unexpected(assigned.error());

  const auto after = nsid_of(host, netns);
  if (!after) return std::unexpected(after.error());
  if (const auto nsid = *after) return *nsid;
  return std::unexpected(KernelError{.number = ENOSPC});
}

}  // namespace ipvlanx
