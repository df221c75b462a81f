// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection, and what may it ask for?
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/base/result.h"

namespace ipvlanx::daemon {

// Group whose members may connect, and so read; without it in the system, root alone.
inline constexpr const char* kReaders = "ipvlanx";

// Who may change something, beside root.
struct Access {
  std::optional<gid_t> writers = {};  // members of this group
};

// As it was when it connected: what it has given up or been given since does not count.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  std::vector<gid_t> groups = {};  // its own, and the supplementary ones
};

// Of a connected unix socket. The kernel's word, so nothing that a peer could say; nobody where it
// does not say anything.
Peer peer_of(int socket);

// What a request is: a look, or a change.
enum class Act { looks, changes };

// forbidden: this peer may not do this. Whoever may connect may look.
Result<void> check_access(const Access& access, Act act, const Peer& peer);

// By its name, or by its number; nullopt: there is no such group.
std::optional<gid_t> group_named(const std::string& name);

}  // namespace ipvlanx::daemon
