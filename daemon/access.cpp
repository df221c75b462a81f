// SPDX-License-Identifier: Apache-2.0
#include "access.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "ipvlanx/base/number.h"

namespace ipvlanx::daemon {

namespace {

std::vector<gid_t> supplementary_groups(int socket) {
  std::vector<gid_t> groups(32);
  while (true) {
    socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool done = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0;
    if (!done && errno != ERANGE) return {};
    groups.resize(bytes / sizeof(gid_t));  // how many there are, or how many there would be
    if (done) return groups;
  }
}

}  // namespace

Peer peer_of(int socket) {
  ucred said{};
  socklen_t size = sizeof said;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &said, &size) != 0) return {};
  Peer peer{.uid = said.uid, .groups = supplementary_groups(socket)};
  peer.groups.push_back(said.gid);
  return peer;
}

Result<void> check_access(const Access& access, Act act, const Peer& peer) {
  if (act == Act::looks || peer.uid == 0) return {};
  if (access.writers && std::ranges::find(peer.groups, *access.writers) != peer.groups.end()) return {};
  return fail(Errc::forbidden, fmt::format("changes are for root{}, not for uid {}",
                                           access.writers ? " and the write group" : "", peer.uid));
}

std::optional<gid_t> group_named(const std::string& name) {
  if (const group* found = ::getgrnam(name.c_str())) return found->gr_gid;
  const auto number = whole_number<gid_t>(name);
  return number && ::getgrgid(*number) ? number : std::nullopt;
}

}  // namespace ipvlanx::daemon
