// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <fmt/format.h>

namespace ipvlanx::target {

namespace {

constexpr std::string_view kUnreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz"
    "0123456789-._~";

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (kUnreserved.contains(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string port(std::string_view master) {
  return fmt::format("/v1/ports/{}", escaped(master));
}

std::string slaves(const SlaveFilter& filter) {
  std::string out = "/v1/slaves";
  char separator = '?';
  const auto ask = [&](std::string_view key, const std::optional<std::string>& value) {
    if (!value) return;
    out += fmt::format("{}{}={}", separator, key, escaped(*value));
    separator = '&';
  };
  ask("master", filter.master);
  ask("name", filter.name);
  ask("netns", filter.netns);
  return out;
}

std::string slave(SlaveId id) {
  return fmt::format("/v1/slaves/{}", number(id));
}

std::string addresses(SlaveId id) {
  return fmt::format("/v1/slaves/{}/addresses", number(id));
}

std::string address(SlaveId id, const IpAddress& address) {
  return fmt::format("/v1/slaves/{}/addresses/{}", number(id), escaped(to_string(address)));
}

std::string stats(SlaveId id) {
  return fmt::format("/v1/slaves/{}/stats", number(id));
}

std::string events(std::optional<std::uint64_t> since) {
  return since ? fmt::format("/v1/events?since={}", *since) : "/v1/events";
}

}  // namespace ipvlanx::target
