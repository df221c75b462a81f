// SPDX-License-Identifier: Apache-2.0
// Which fields each request has, and what may be in them.
#include "ipvlanx/api/requests.h"
#include "request_fields.h"

namespace ipvlanx::api {

namespace {

constexpr Range kMtu{68, 65535};  // ETH_MIN_MTU, ETH_MAX_MTU
constexpr Range kMaxAddresses{1, kMostMaxAddresses};

}  // namespace

Result<NewSlave> read_new_slave(std::string_view body) {
  JsonObject in{body};
  auto master = in.required<IfName>("master");
  auto name = in.required<IfName>("name");
  auto netns = in.optional<std::string>("netns");
  const auto mode = in.optional<Mode>("mode");
  const auto flag = in.optional<Flag>("flag");
  const auto mtu = in.optional("mtu", kMtu);
  const auto via = in.optional<Via>("via");
  const auto addr_policy = in.optional<AddrPolicy>("addr_policy");
  const auto max_addresses = in.optional("max_addresses", kMaxAddresses);
  auto addresses = in.optional<std::vector<Prefix>>("addresses");
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));

  return NewSlave{.master = std::move(*master),
                  .name = std::move(*name),
                  .netns = std::move(netns),
                  .mode = mode,
                  .flag = flag,
                  .mtu = mtu,
                  .via = via,
                  .addr_policy = addr_policy,
                  .max_addresses = max_addresses,
                  .addresses = std::move(addresses).value_or(std::vector<Prefix>{})};
}

SlaveChange read_slave_options(JsonObject& in) {
  return {.mtu = in.optional("mtu", kMtu),
          .up = in.optional<bool>("up"),
          .addr_policy = in.optional<AddrPolicy>("addr_policy"),
          .max_addresses = in.optional("max_addresses", kMaxAddresses)};
}

Result<SlaveChange> read_slave_change(std::string_view body) {
  JsonObject in{body};
  const auto mode = in.optional<Mode>("mode");
  const auto flag = in.optional<Flag>("flag");
  auto netns = in.optional<std::string>("netns");
  SlaveChange change = read_slave_options(in);
  change.mode = mode;
  change.flag = flag;
  change.netns = std::move(netns);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return change;
}

PortChange read_port_options(JsonObject& in) {
  return {.mode = in.optional<Mode>("mode"),
          .flag = in.optional<Flag>("flag"),
          .strict_private = in.optional<bool>("strict_private"),
          .announce = in.optional<bool>("announce"),
          .xdp = in.optional<Xdp>("xdp")};
}

Result<PortChange> read_port_change(std::string_view body) {
  JsonObject in{body};
  const PortChange change = read_port_options(in);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return change;
}

Result<NewAddress> read_new_address(std::string_view body) {
  JsonObject in{body};
  const auto address = in.required<Prefix>("address");
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return NewAddress{*address};
}

Result<void> read_nothing(std::string_view body) {
  if (body.empty()) return {};
  return JsonObject{body}.finish();
}

}  // namespace ipvlanx::api
