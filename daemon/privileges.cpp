// SPDX-License-Identifier: Apache-2.0
#include "privileges.h"

#include <cap-ng.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include <cerrno>
#include <vector>

namespace ipvlanx::daemon {

namespace {

// README.md says what each is for, and ipvlanxd.service bounds the same.
constexpr unsigned kNeeded[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BROADCAST, CAP_SYS_ADMIN, CAP_SYS_PTRACE};

Result<void> drop_groups(std::optional<gid_t> but) {
  if (::setgroups(but ? 1 : 0, but ? &*but : nullptr) == 0) return {};
  // Whoever started us without the right to choose groups has chosen them.
  if (errno == EPERM) return {};
  return kernel_error("drop groups", errno);
}

Result<void> drop_capabilities() {
  if (::capng_get_caps_process() != 0) return fail(Errc::kernel_refused, "read the process's capabilities");
  std::vector<unsigned> kept;
  for (const unsigned capability : kNeeded) {
    if (::capng_have_capability(CAPNG_PERMITTED, capability)) kept.push_back(capability);
  }
  const bool may_bound = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

  ::capng_clear(CAPNG_SELECT_ALL);
  const auto sets = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);
  for (const unsigned capability : kept) ::capng_update(CAPNG_ADD, sets, capability);
  const int failed = ::capng_apply(may_bound ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS);
  if (failed != 0) return fail(Errc::kernel_refused, fmt::format("drop capabilities: step {}", -failed));
  return {};
}

}  // namespace

Result<void> drop_privileges(std::optional<gid_t> group) {
  if (auto done = drop_groups(group); !done) return done;
  if (auto done = drop_capabilities(); !done) return done;
  // Root that starts a program would get what the bounding set has left.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return kernel_error("no new privileges", errno);
  return {};
}

}  // namespace ipvlanx::daemon
