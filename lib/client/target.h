// SPDX-License-Identifier: Apache-2.0
// Which URL means this thing? Pure text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ipvlanx/client.h"

namespace ipvlanx::target {

// Everything but RFC 3986's unreserved characters as %XX.
std::string escaped(std::string_view text);

std::string port(std::string_view master);
std::string slaves(const SlaveFilter& filter);
std::string slave(SlaveId id);
std::string addresses(SlaveId id);
std::string address(SlaveId id, const IpAddress& address);
std::string stats(SlaveId id);
std::string events(std::optional<std::uint64_t> since);

}  // namespace ipvlanx::target
