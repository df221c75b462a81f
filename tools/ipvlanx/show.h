// SPDX-License-Identifier: Apache-2.0
// How are the daemon's answers shown? As text for people, with the look of `ip -d`,
// and as JSON in the shape of `ip -j -d link`. All pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/api/replies.h"
#include "ipvlanx/netlink/host_check.h"

namespace ipvlanx::cli {

struct ShownSlave {
  api::SlaveReply slave;
  std::optional<api::StatsReply> stats = {};  // where they are wanted
};
using ShownSlaves = std::vector<ShownSlave>;
using ShownPorts = std::vector<api::PortReply>;

// inet or inet6, and the two parts of 10.0.0.5/24. Borrows from the address.
struct AddressParts {
  std::string_view family;
  std::string_view local;
  unsigned prefixlen;
};
AddressParts parts_of(const api::AddressReply& address);

// What netlink's IFF_* would say of the interface.
std::vector<std::string_view> flags_of(const api::SlaveReply& slave);

namespace text {
std::string links(const ShownSlaves& slaves);
std::string addresses(const ShownSlaves& slaves);
std::string ports(const ShownPorts& ports);
std::string stats(const ShownSlaves& slaves);
std::string event(const api::EventReply& event);
std::string reloaded(const api::ReloadedReply& reloaded);
std::string drops(const api::DropsReply& drops);
std::string dropped(const api::DropsReply& drops);  // a line for each slave and reason
std::string trace(const api::TraceReply& trace);
std::string version(const api::VersionReply& version);
std::string findings(const std::vector<Finding>& findings);
}  // namespace text

namespace json {
using Json = nlohmann::ordered_json;
Json links(const ShownSlaves& slaves);
Json addresses(const ShownSlaves& slaves);
Json ports(const ShownPorts& ports);
Json stats(const ShownSlaves& slaves);
Json drops(const api::DropsReply& drops);
std::string dropped(const api::DropsReply& drops);  // an object, on a line, for each slave
Json trace(const api::TraceReply& trace);
Json version(const api::VersionReply& version);
Json applied(const api::AppliedReply& applied);
Json event(const api::EventReply& event);
Json reloaded(const api::ReloadedReply& reloaded);
Json findings(const std::vector<Finding>& findings);
}  // namespace json

}  // namespace ipvlanx::cli
