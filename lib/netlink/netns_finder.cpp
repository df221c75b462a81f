// SPDX-License-Identifier: Apache-2.0
#include "netns_finder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "netns_file.h"
#include "nsid.h"

namespace ipvlanx {

namespace {

// A namespace without a name is looked for in all of /proc, which a list of many
// slaves must not do for each of them: a name given later shows this much later.
constexpr std::chrono::seconds kNameSearchInterval{1};

}  // namespace

Result<Netns> NetnsFinder::find(std::string_view text) {
  const std::lock_guard alone{mutex_};
  const auto path = netns_path(text);
  const auto netns = open_netns(path);
  if (!netns) return std::unexpected(netns.error());

  const auto host = host_.netns();
  if (!host) return std::unexpected(host.error());
  const auto own = identity(*host);
  const auto found = identity(*netns);
  if (!own) return std::unexpected(own.error());
  if (!found) return std::unexpected(found.error());
  if (*own == *found) return std::nullopt;

  const auto nsid = assign_nsid(host_, *netns);
  if (!nsid) return refused(fmt::format("network namespace '{}': assign an nsid", path), nsid.error());
  // A path that still holds may be a name, which is worth more than another path.
  if (!open_remembered(*nsid)) paths_.insert_or_assign(*nsid, path);
  return *nsid;
}

Result<UniqueFd> NetnsFinder::open(Nsid nsid) {
  const std::lock_guard alone{mutex_};
  if (auto netns = open_remembered(nsid)) return std::move(*netns);
  if (auto netns = search(nsid)) return std::move(*netns);
  return fail(Errc::netns_gone,
              fmt::format("network namespace with nsid {}: no name in /run/netns and no process leads to it",
                          number(nsid)));
}

std::optional<std::string> NetnsFinder::name(Nsid nsid) {
  const std::lock_guard alone{mutex_};
  bool holds = open_remembered(nsid).has_value();
  if (!holds || name_in_run_netns(paths_.at(nsid)).empty()) {
    const auto now = Clock::now();
    const auto last = name_searches_.find(nsid);
    if (last == name_searches_.end() || now - last->second >= kNameSearchInterval) {
      name_searches_.insert_or_assign(nsid, now);
      holds = search(nsid).has_value() || holds;
    }
  }
  if (!holds) return std::nullopt;
  const auto& path = paths_.at(nsid);
  const auto name = name_in_run_netns(path);
  return name.empty() ? path : std::string{name};
}

std::optional<UniqueFd> NetnsFinder::open_remembered(Nsid nsid) {
  const auto remembered = paths_.find(nsid);
  if (remembered == paths_.end()) return std::nullopt;
  auto netns = open_netns(remembered->second);
  if (!netns) return std::nullopt;
  const auto current = nsid_of(host_, *netns);
  if (!current || *current != nsid) return std::nullopt;
  return std::move(*netns);
}

std::optional<UniqueFd> NetnsFinder::search(Nsid nsid) {
  // Most processes share a namespace: each one is asked for its nsid once. The names
  // come first, so a namespace that has one is remembered by it.
  std::set<NetnsIdentity> seen;
  for (const auto& path : netns_candidates()) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) continue;
    if (!seen.emplace(status.st_dev, status.st_ino).second) continue;
    auto netns = open_netns(path);
    if (!netns) continue;
    const auto current = nsid_of(host_, *netns).value_or(std::nullopt);
    if (!current) continue;
    paths_.insert_or_assign(*current, path);
    if (*current == nsid) return std::move(*netns);
  }
  return std::nullopt;
}

}  // namespace ipvlanx
