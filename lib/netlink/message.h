// SPDX-License-Identifier: Apache-2.0
// How is a netlink message written, and how is one read?
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ipvlanx {

// A message to the kernel while it is being written. The requests of this floor
// are a few hundred bytes: the names, numbers and addresses in them have bounds.
class Request {
 public:
  // NLM_F_REQUEST, the acknowledgement and the sequence number are the socket's.
  template <class Header>
  Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
    auto* message = mnl_nlmsg_put_header(buffer_.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = flags;
    append(header);
  }

  Request& put_u8(std::uint16_t attribute, std::uint8_t value);
  Request& put_u32(std::uint16_t attribute, std::uint32_t value);
  Request& put_text(std::uint16_t attribute, const std::string& value);
  Request& put_bytes(std::uint16_t attribute, std::span<const std::uint8_t> value);

  // An attribute that holds what `fill` puts.
  template <class Fill>
  Request& nest(std::uint16_t attribute, Fill fill) {
    auto* start = mnl_attr_nest_start(message(), attribute);
    fill();
    mnl_attr_nest_end(message(), start);
    return *this;
  }

  // The fixed part of a message, also that of the message in VETH_INFO_PEER.
  template <class Header>
  void append(const Header& header) {
    *static_cast<Header*>(mnl_nlmsg_put_extra_header(message(), sizeof header)) = header;
  }

  nlmsghdr* message() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_{};
};

// A view of attributes. Reading one that is absent, or shorter than its type
// demands, gives nothing.
class Attributes {
 public:
  explicit Attributes(std::span<const char> bytes) : bytes_(bytes) {}

  std::optional<std::uint8_t> u8(std::uint16_t attribute) const;
  std::optional<std::uint32_t> u32(std::uint16_t attribute) const;
  std::string_view text(std::uint16_t attribute) const;
  std::span<const std::uint8_t> bytes(std::uint16_t attribute) const;
  Attributes nested(std::uint16_t attribute) const;

 private:
  std::span<const char> payload(std::uint16_t attribute) const;
  std::span<const char> bytes_;
};

// A copy of a message from the kernel.
class Reply {
 public:
  explicit Reply(const nlmsghdr& message);

  // The fixed part; zeros where the message is too short to have one.
  template <class Header>
  Header header() const {
    if (mnl_nlmsg_get_payload_len(message()) < sizeof(Header)) return Header{};
    return *static_cast<const Header*>(mnl_nlmsg_get_payload(message()));
  }

  // What follows a fixed part of this type.
  template <class Header>
  Attributes attributes() const {
    const std::size_t start = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(Header));
    if (bytes_.size() < start) return Attributes{{}};
    return Attributes{std::span{bytes_}.subspan(start)};
  }

 private:
  const nlmsghdr* message() const { return reinterpret_cast<const nlmsghdr*>(bytes_.data()); }
  std::vector<char> bytes_;
};

}  // namespace ipvlanx
