// SPDX-License-Identifier: Apache-2.0
#include "find.h"

#include <fmt/format.h>

#include "ipvlanx/base/number.h"

namespace ipvlanx::cli {

namespace {

std::optional<SlaveId> as_id(std::string_view word) {
  const auto id = whole_number<std::uint32_t>(word);
  if (!id || *id == 0 || *id > kMaxSlaveId) return std::nullopt;
  return SlaveId{*id};
}

// NAME@NETNS, and the id for whom that is not enough.
std::string distinguished(const api::SlaveReply& slave) {
  return fmt::format("{}{}{} (id {})", slave.name, slave.netns ? "@" : "", slave.netns.value_or(""),
                     slave.id);
}

std::unexpected<Error> no_such_slave(const SlaveWord& word) {
  return fail(Errc::no_such_slave, fmt::format("there is no slave '{}'", word));
}

}  // namespace

Result<api::SlaveReply> the_only_one(std::vector<api::SlaveReply> candidates, const SlaveWord& word) {
  if (candidates.empty()) return no_such_slave(word);
  if (candidates.size() == 1) return std::move(candidates.front());

  std::string all;
  for (const auto& slave : candidates) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", distinguished(slave));
  }
  return fail(Errc::bad_request, fmt::format("'{}' is ambiguous: {}", word, all));
}

Result<api::SlaveReply> find_slave(Client& client, const SlaveWord& word,
                                   const std::optional<IfName>& master) {
  SlaveFilter filter;
  if (master) filter.master = master->str();

  filter.name = word;
  auto named = client.slaves(filter);
  if (!named) return std::unexpected(named.error());
  if (!named->empty()) return the_only_one(*std::move(named), word);

  if (const auto at = word.find('@'); at != word.npos) {
    filter.name = word.substr(0, at);
    filter.netns = word.substr(at + 1);
    auto there = client.slaves(filter);
    if (!there) return std::unexpected(there.error());
    return the_only_one(*std::move(there), word);
  }

  const auto id = as_id(word);
  if (!id) return no_such_slave(word);
  auto slave = client.slave(*id);
  if (slave && master && slave->master != master->str()) return no_such_slave(word);
  return slave;
}

}  // namespace ipvlanx::cli
