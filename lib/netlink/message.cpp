// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include <cstring>

namespace ipvlanx {

Request& Request::put_u8(std::uint16_t attribute, std::uint8_t value) {
  mnl_attr_put_u8(message(), attribute, value);
  return *this;
}

Request& Request::put_u32(std::uint16_t attribute, std::uint32_t value) {
  mnl_attr_put_u32(message(), attribute, value);
  return *this;
}

Request& Request::put_text(std::uint16_t attribute, const std::string& value) {
  mnl_attr_put_strz(message(), attribute, value.c_str());
  return *this;
}

Request& Request::put_bytes(std::uint16_t attribute, std::span<const std::uint8_t> value) {
  mnl_attr_put(message(), attribute, value.size(), value.data());
  return *this;
}

std::span<const char> Attributes::payload(std::uint16_t attribute) const {
  auto rest = bytes_;
  while (rest.size() >= sizeof(nlattr)) {
    const auto* current = reinterpret_cast<const nlattr*>(rest.data());
    if (!mnl_attr_ok(current, static_cast<int>(rest.size()))) break;
    if (mnl_attr_get_type(current) == attribute) {
      return {static_cast<const char*>(mnl_attr_get_payload(current)), mnl_attr_get_payload_len(current)};
    }
    const std::size_t length = MNL_ALIGN(current->nla_len);
    if (length > rest.size()) break;
    rest = rest.subspan(length);
  }
  return {};
}

std::optional<std::uint8_t> Attributes::u8(std::uint16_t attribute) const {
  const auto value = payload(attribute);
  if (value.empty()) return std::nullopt;
  return static_cast<std::uint8_t>(value[0]);
}

std::optional<std::uint32_t> Attributes::u32(std::uint16_t attribute) const {
  const auto value = payload(attribute);
  std::uint32_t number = 0;
  if (value.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

std::string_view Attributes::text(std::uint16_t attribute) const {
  const auto value = payload(attribute);
  const std::string_view padded{value.data(), value.size()};
  return padded.substr(0, padded.find('\0'));
}

std::span<const std::uint8_t> Attributes::bytes(std::uint16_t attribute) const {
  const auto value = payload(attribute);
  return {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()};
}

Attributes Attributes::nested(std::uint16_t attribute) const {
  return Attributes{payload(attribute)};
}

Reply::Reply(const nlmsghdr& message)
    : bytes_(reinterpret_cast<const char*>(&message),
             reinterpret_cast<const char*>(&message) + message.nlmsg_len) {
}

}  // namespace ipvlanx
