// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/model/types.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ipvlanx/base/number.h"
#include "words.h"

namespace ipvlanx {

namespace {

constexpr std::size_t kMaxIfName = 15;  // IFNAMSIZ - 1

constexpr Word<Mode> kModes[] = {{"l2", Mode::l2}, {"l3", Mode::l3}, {"l3s", Mode::l3s}};
constexpr Word<Flag> kFlags[] = {{"bridge", Flag::bridge}, {"private", Flag::private_}, {"vepa", Flag::vepa}};
constexpr Word<AddrPolicy> kPolicies[] = {{"learn", AddrPolicy::learn}, {"static", AddrPolicy::static_}};
constexpr Word<Via> kVias[] = {{"veth", Via::veth}, {"afxdp", Via::afxdp}, {"afxdp-direct", Via::direct}};
constexpr Word<Xdp> kXdps[] = {
    {"auto", Xdp::auto_}, {"native", Xdp::native}, {"generic", Xdp::generic}, {"off", Xdp::off}};

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

std::string_view to_string(Mode mode) {
  return word_for(kModes, mode);
}
std::string_view to_string(Flag flag) {
  return word_for(kFlags, flag);
}
std::string_view to_string(AddrPolicy policy) {
  return word_for(kPolicies, policy);
}
std::string_view to_string(Via via) {
  return word_for(kVias, via);
}

std::string_view to_string(Xdp xdp) {
  return word_for(kXdps, xdp);
}
Result<Mode> parse_mode(std::string_view text) {
  return value_of(kModes, "mode", text);
}
Result<Flag> parse_flag(std::string_view text) {
  return value_of(kFlags, "flag", text);
}
Result<AddrPolicy> parse_addr_policy(std::string_view text) {
  return value_of(kPolicies, "addr-policy", text);
}
Result<Via> parse_via(std::string_view text) {
  return value_of(kVias, "via", text);
}

Result<Xdp> parse_xdp(std::string_view text) {
  return value_of(kXdps, "xdp", text);
}

Result<IfName> IfName::parse(std::string_view text) {
  if (text.empty()) return fail(Errc::bad_name, "an interface name is empty");
  if (text.size() > kMaxIfName) {
    return fail(Errc::name_too_long, fmt::format("interface name '{}' has {} characters, {} are allowed",
                                                 text, text.size(), kMaxIfName));
  }
  if (text == "." || text == "..") {
    return fail(Errc::bad_name, fmt::format("'{}' cannot name an interface", text));
  }
  for (const char c : text) {
    if (c == '/' || c == ':' || c == '%' || is_space(c) || static_cast<unsigned char>(c) < ' ' ||
        c == '\x7f') {
      return fail(Errc::bad_name,
                  fmt::format("interface name '{}' has a '/', ':', '%', blank or control character", text));
    }
  }
  return IfName{text};
}

namespace {
constexpr std::string_view kHostEndPrefix = "ipvx";
}

IfName host_end_name(SlaveId id) {
  return *IfName::parse(fmt::format("{}{}", kHostEndPrefix, number(id)));
}

std::optional<SlaveId> id_of_host_end(std::string_view name) {
  if (!name.starts_with(kHostEndPrefix)) return std::nullopt;
  const auto id = whole_number<unsigned>(name.substr(kHostEndPrefix.size()));
  if (!id || *id == 0 || *id > kMaxSlaveId || host_end_name(SlaveId{*id}).str() != name) return std::nullopt;
  return SlaveId{*id};
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}", fmt::join(mac.bytes, ":"));
}

Result<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac;
  for (std::size_t i = 0; i < mac.bytes.size() && 3 * i + 2 <= text.size(); ++i) {
    std::from_chars(text.data() + 3 * i, text.data() + 3 * i + 2, mac.bytes[i], 16);
  }
  if (to_string(mac) != text) return fail(Errc::bad_request, fmt::format("'{}' is no MAC address", text));
  return mac;
}

IpAddress::IpAddress(Family family, std::span<const std::uint8_t> bytes) : family_(family) {
  std::ranges::copy(bytes, bytes_.begin());
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated{text};
  std::array<std::uint8_t, 16> bytes{};
  if (terminated.size() == text.size() && text.find('\0') == std::string_view::npos) {
    if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) {
      return IpAddress{Family::ipv4, std::span{bytes}.first(4)};
    }
    if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return IpAddress{Family::ipv6, bytes};
  }
  return fail(Errc::bad_prefix, fmt::format("'{}' is not an IP address", text));
}

std::optional<IpAddress> IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 4) return IpAddress{Family::ipv4, bytes};
  if (bytes.size() == 16) return IpAddress{Family::ipv6, bytes};
  return std::nullopt;
}

bool IpAddress::is_multicast() const {
  return family_ == Family::ipv4 ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes_, [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
  if (family_ == Family::ipv4) return bytes_[0] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto byte) { return byte == 0; });
}

bool IpAddress::is_link_local() const {
  return family_ == Family::ipv6 && bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(address.family() == Family::ipv4 ? AF_INET : AF_INET6, address.bytes().data(), text, sizeof text);
  return text;
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());

  unsigned length = address->bits();
  if (slash != std::string_view::npos) {
    const auto given = whole_number<unsigned>(text.substr(slash + 1));
    if (!given || *given > address->bits()) {
      return fail(Errc::bad_prefix, fmt::format("'{}': a prefix length is 0 to {}", text, address->bits()));
    }
    length = *given;
  }
  const bool broadcast = address->family() == Family::ipv4 &&
                         std::ranges::all_of(std::span{address->bytes()}.first(4),
                                             [](std::uint8_t byte) { return byte == 0xff; });
  if (address->is_multicast() || address->is_unspecified() || address->is_loopback() || broadcast) {
    return fail(Errc::bad_prefix, fmt::format("'{}' is not an address an interface can own", text));
  }
  return Prefix{*address, static_cast<std::uint8_t>(length)};
}

std::string to_string(const Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

}  // namespace ipvlanx

std::size_t std::hash<ipvlanx::IpAddress>::operator()(const ipvlanx::IpAddress& address) const noexcept {
  const auto& bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
