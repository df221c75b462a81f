// SPDX-License-Identifier: Apache-2.0
// What a field of each type may look like in JSON.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <vector>

#include "ipvlanx/api/json_object.h"
#include "ipvlanx/model/probe.h"
#include "ipvlanx/model/state.h"

namespace ipvlanx::api {

std::unexpected<Error> wrong_type(Field field, std::string_view wanted) {
  return fail(Errc::wrong_type,
              fmt::format("'{}' is {}, not {}", field.path, field.value.type_name(), wanted), field.path);
}

namespace {

std::unexpected<Error> out_of_range(Field field, Range range) {
  return fail(Errc::out_of_range,
              fmt::format("'{}' is not within {} to {}", field.path, range.least, range.most), field.path);
}

// 1500.5 is no integer; 99999999999999999999 is one, which only a float can hold.
bool is_huge_integer(const nlohmann::json& value) {
  return value.is_number_float() && std::abs(value.get<double>()) >= 0x1p63;
}

}  // namespace

template <>
Result<bool> read_field(Field field) {
  if (!field.value.is_boolean()) return wrong_type(field, "a boolean");
  return field.value.get<bool>();
}

// Free text ends up as a path or a name: a control character there is no honest
// request, and after a NUL the kernel would read nothing more.
template <>
Result<std::string> read_field(Field field) {
  if (!field.value.is_string()) return wrong_type(field, "a string");
  const auto& text = field.value.get_ref<const std::string&>();
  for (const unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) {
      return fail(Errc::bad_name, fmt::format("'{}' has a control character", field.path), field.path);
    }
  }
  return text;
}

template <>
Result<IfName> read_field(Field field) {
  return read_word(field, IfName::parse);
}

template <>
Result<Mode> read_field(Field field) {
  return read_word(field, parse_mode);
}

template <>
Result<Flag> read_field(Field field) {
  return read_word(field, parse_flag);
}

template <>
Result<AddrPolicy> read_field(Field field) {
  return read_word(field, parse_addr_policy);
}

template <>
Result<Via> read_field(Field field) {
  return read_word(field, parse_via);
}

template <>
Result<Xdp> read_field(Field field) {
  return read_word(field, parse_xdp);
}

template <>
Result<Prefix> read_field(Field field) {
  return read_word(field, Prefix::parse);
}

template <>
Result<IpAddress> read_field(Field field) {
  return read_word(field, IpAddress::parse);
}

template <>
Result<Proto> read_field(Field field) {
  return read_word(field, parse_proto);
}

template <>
Result<std::vector<Prefix>> read_field(Field field) {
  if (!field.value.is_array()) return wrong_type(field, "an array");
  std::vector<Prefix> prefixes;
  std::set<IpAddress> addresses;
  for (std::size_t i = 0; i < field.value.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", field.path, i);
    auto prefix = read_field<Prefix>({field.value[i], path});
    if (!prefix) return std::unexpected(std::move(prefix.error()));
    if (!addresses.insert(prefix->address).second) {
      return fail(Errc::bad_request, fmt::format("the address {} is given twice", to_string(prefix->address)),
                  path);
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

Result<std::uint32_t> read_number(Field field, Range range) {
  if (is_huge_integer(field.value)) return out_of_range(field, range);
  if (!field.value.is_number_integer()) return wrong_type(field, "an integer");
  if (!field.value.is_number_unsigned()) return out_of_range(field, range);  // below zero
  const auto number = field.value.get<std::uint64_t>();
  if (number < range.least || number > range.most) return out_of_range(field, range);
  return static_cast<std::uint32_t>(number);
}

}  // namespace ipvlanx::api
