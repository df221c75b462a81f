// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/netlink/peer.h"

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "socket.h"

namespace ipvlanx {

namespace {

constexpr std::uint32_t kNoCookie = 0xffffffff;  // INET_DIAG_NOCOOKIE

}  // namespace

Result<bool> is_opened_in(const UniqueFd& accepted, const UniqueFd& netns) {
  struct stat file{};
  if (::fstat(accepted.get(), &file) < 0) return kernel_error("look at a connection", errno);
  auto diag =
      netns ? NetlinkSocket::open_in(netns, NETLINK_SOCK_DIAG) : NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!diag) return std::unexpected(diag.error());
  const auto found = diag->ask(Request{SOCK_DIAG_BY_FAMILY, 0,
                                       unix_diag_req{.sdiag_family = AF_UNIX,
                                                     .sdiag_protocol = 0,
                                                     .pad = 0,
                                                     .udiag_states = ~0U,
                                                     .udiag_ino = static_cast<std::uint32_t>(file.st_ino),
                                                     .udiag_show = 0,
                                                     .udiag_cookie = {kNoCookie, kNoCookie}}});
  if (found) return true;
  if (found.error().number == ENOENT) return false;
  return refused("look for a connection", found.error());
}

}  // namespace ipvlanx
