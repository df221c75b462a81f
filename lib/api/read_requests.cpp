// SPDX-License-Identifier: Apache-2.0
// Which fields each request has, and what may be in them.
#include "ipvlanx/api/requests.h"
#include "request_fields.h"

namespace ipvlanx::api {

namespace {

constexpr Range kMtu{68, 65535};  // ETH_MIN_MTU, ETH_MAX_MTU
constexpr Range kMaxAddresses{1, kMostMaxAddresses};

// As the slave sees it: to it, or from it.
enum class Direction { rx, tx };
Result<Direction> parse_direction(std::string_view text) {
  if (text == "rx") return Direction::rx;
  if (text == "tx") return Direction::tx;
  return fail(Errc::unknown_word, fmt::format("direction '{}' is none of 'rx', 'tx'", text));
}

}  // namespace

template <>
Result<Direction> read_field(Field field) {
  return read_word(field, parse_direction);
}

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

Result<void> check_fields(const TraceRequest& trace, Direction direction) {
  if (direction == Direction::tx && !trace.slave) {
    return fail(Errc::missing_field, "'slave' is missing: who sends it", "slave");
  }
  if (direction == Direction::rx && trace.slave) {
    return fail(Errc::bad_request, "'slave' is of tx: what is received comes from the wire", "slave");
  }
  const bool has_ports = trace.proto == Proto::tcp || trace.proto == Proto::udp;
  for (const auto& [field, port] : {std::pair{"sport", trace.sport}, {"dport", trace.dport}}) {
    if (port && !has_ports) {
      return fail(Errc::bad_request,
                  fmt::format("'{}' is of tcp and udp, not of {}", field, to_string(trace.proto)), field);
    }
  }
  if (trace.src && trace.src->family() != trace.dst.family()) {
    return fail(
        Errc::bad_request,
        fmt::format("'src' is {} and 'dst' {}: two families", to_string(*trace.src), to_string(trace.dst)),
        "src");
  }
  if (trace.proto == Proto::arp && trace.dst.family() != Family::ipv4) {
    return fail(Errc::bad_request, fmt::format("'proto' arp asks for IPv4, not for {}", to_string(trace.dst)),
                "proto");
  }
  return {};
}

Result<TraceRequest> read_trace(std::string_view body) {
  constexpr Range kPorts{0, 65535};
  constexpr Range kIds{1, kMaxSlaveId};
  JsonObject in{body};
  auto master = in.required<IfName>("master");
  const auto direction = in.required<Direction>("direction");
  const auto slave = in.optional("slave", kIds);
  const auto src = in.optional<IpAddress>("src");
  const auto dst = in.required<IpAddress>("dst");
  const auto proto = in.optional<Proto>("proto");
  const auto sport = in.optional("sport", kPorts);
  const auto dport = in.optional("dport", kPorts);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));

  TraceRequest trace{.master = std::move(*master),
                     .slave = slave ? std::optional{SlaveId{*slave}} : std::nullopt,
                     .src = src,
                     .dst = *dst,
                     .proto = proto.value_or(Proto::icmp),
                     .sport = sport,
                     .dport = dport};
  if (auto right = check_fields(trace, *direction); !right) return std::unexpected(std::move(right.error()));
  return trace;
}

Result<void> read_nothing(std::string_view body) {
  if (body.empty()) return {};
  return JsonObject{body}.finish();
}

}  // namespace ipvlanx::api
