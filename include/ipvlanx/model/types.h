// SPDX-License-Identifier: Apache-2.0
// The words of ipvlan as types. A value of these types is valid: the only way to
// make one from text is its parse(), which says what is wrong with the text.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

// A slave's number in the API: 1 … 65533 as ipvlan's dev_id, unique per daemon.
enum class SlaveId : std::uint32_t {};
inline constexpr std::uint32_t kMaxSlaveId = 65533;

// An interface's number within its network namespace. 0 is no interface.
enum class IfIndex : std::uint32_t {};

// The first of the numbers that ports have whose master is away: not in the host's namespace.
// No interface can have them, the kernel's are positive ints.
inline constexpr std::uint32_t kFirstAway = 0x8000'0000;

// A network namespace as the host's namespace numbers it (rtnetlink's nsid).
// No Nsid (std::nullopt in Netns): the host's namespace itself.
enum class Nsid : std::int32_t {};
using Netns = std::optional<Nsid>;

template <class E>
  requires std::is_enum_v<E>
constexpr auto number(E value) {
  return static_cast<std::underlying_type_t<E>>(value);
}

constexpr bool is_away(IfIndex master) {
  return number(master) >= kFirstAway;
}

// drivers/net/ipvlan: IPVLAN_MODE_*, and its flags as iproute2 names them.
enum class Mode { l2, l3, l3s };
enum class Flag { bridge, private_, vepa };
// Who says which addresses steer: the slave's interface and the API, or the API alone.
enum class AddrPolicy { learn, static_ };
// Who gets a slave's frames: the kernel's stack behind it; before that an AF_XDP socket on its
// interface; or before that one on the master itself.
enum class Via { veth, afxdp, direct };

// Which program a master has at its XDP hook, for slaves that take frames by AF_XDP sockets:
// the one it needs, where the driver can and it costs nobody else anything; in the driver in
// any case; in the stack, before all else; or, never a user's word, whichever can be had.
enum class Xdp { off, auto_, native, generic, any };

std::string_view to_string(Mode mode);
std::string_view to_string(Flag flag);
std::string_view to_string(AddrPolicy policy);
std::string_view to_string(Via via);
std::string_view to_string(Xdp xdp);
Result<Mode> parse_mode(std::string_view text);
Result<Flag> parse_flag(std::string_view text);
Result<AddrPolicy> parse_addr_policy(std::string_view text);
Result<Via> parse_via(std::string_view text);
Result<Xdp> parse_xdp(std::string_view text);

// An interface name the kernel would take (dev_valid_name() in net/core/dev.c),
// and no '%', which the kernel takes for a pattern.
class IfName {
 public:
  static Result<IfName> parse(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const IfName&) const = default;

 private:
  explicit IfName(std::string_view text) : text_(text) {}
  std::string text_;
};

// The name of the host end of a slave's veth: ipvx<id>. Others match it in their rules.
IfName host_end_name(SlaveId id);
// The id in such a name, or nothing.
std::optional<SlaveId> id_of_host_end(std::string_view name);

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const MacAddress&) const = default;
};
std::string to_string(const MacAddress& mac);
Result<MacAddress> parse_mac(std::string_view text);  // as to_string() writes it

enum class Family { ipv4 = 4, ipv6 = 6 };

class IpAddress {
 public:
  static Result<IpAddress> parse(std::string_view text);
  // `bytes` in network order: 4 of them or 16.
  static std::optional<IpAddress> from_bytes(std::span<const std::uint8_t> bytes);

  Family family() const { return family_; }
  // Network order; IPv4 in the first 4, the rest 0.
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  std::size_t size() const { return family_ == Family::ipv4 ? 4 : 16; }
  unsigned bits() const { return static_cast<unsigned>(size()) * 8; }

  bool is_multicast() const;
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_link_local() const;  // fe80::/10
  auto operator<=>(const IpAddress&) const = default;

 private:
  IpAddress(Family family, std::span<const std::uint8_t> bytes);
  Family family_;
  std::array<std::uint8_t, 16> bytes_{};
};
std::string to_string(const IpAddress& address);

// An address as `ip addr add` takes it: 10.0.0.5/24; without a length /32 or /128.
// Refuses what no interface may own: multicast, unspecified, loopback, broadcast.
struct Prefix {
  IpAddress address;
  std::uint8_t length;

  static Result<Prefix> parse(std::string_view text);
  auto operator<=>(const Prefix&) const = default;
};
std::string to_string(const Prefix& prefix);

}  // namespace ipvlanx

template <>
struct std::hash<ipvlanx::IpAddress> {
  std::size_t operator()(const ipvlanx::IpAddress& address) const noexcept;
};
