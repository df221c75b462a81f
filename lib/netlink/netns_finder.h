// SPDX-License-Identifier: Apache-2.0
// Which network namespace do the user's words mean, how does one get into the one
// with this nsid, and what is it called?
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "ipvlanx/model/types.h"
#include "socket.h"

namespace ipvlanx {

// Thread-safe. Remembers where namespaces were seen, never a descriptor of one: that would keep
// a deleted namespace alive. A remembered path is believed only after the kernel
// has confirmed that the namespace there still bears the nsid.
class NetnsFinder {
 public:
  // `host`: a socket of its own, in the host's namespace.
  explicit NetnsFinder(NetlinkSocket host) : host_(std::move(host)) {}

  // netns_gone, not_a_netns; nullopt: the host's own.
  Result<Netns> find(std::string_view text);
  // netns_gone also where it exists but no name and no process leads to it.
  Result<UniqueFd> open(Nsid nsid);
  // The name in /run/netns, else a path, else nothing.
  std::optional<std::string> name(Nsid nsid);

 private:
  using Clock = std::chrono::steady_clock;

  // The namespace at the path remembered for this nsid, if it is still there.
  std::optional<UniqueFd> open_remembered(Nsid nsid);
  // Looks for it everywhere, and remembers what else it comes across.
  std::optional<UniqueFd> search(Nsid nsid);

  std::mutex mutex_;  // of all below
  NetlinkSocket host_;
  std::map<Nsid, std::string> paths_;
  std::map<Nsid, Clock::time_point> name_searches_;  // when name() last looked everywhere
};

}  // namespace ipvlanx
