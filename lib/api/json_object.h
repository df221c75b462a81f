// SPDX-License-Identifier: Apache-2.0
// How a request's JSON object becomes typed values: strictly, field by field, so
// that the function that reads a request is a table of its fields.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx::api {

// Inclusive.
struct Range {
  std::uint32_t least;
  std::uint32_t most;
};

// One value of the document and its JSON path, such as `addresses[1]`.
struct Field {
  const nlohmann::json& value;
  const std::string& path;
};

// What a field's value says, as a T; one specialisation per type (json_fields.cpp).
template <class T>
Result<T> read_field(Field field);
Result<std::uint32_t> read_number(Field field, Range range);

// Remembers the first error and then reads nothing more, so that only finish()
// has to be asked. Between the two, an absent value is just not there.
class JsonObject {
 public:
  explicit JsonObject(std::string_view text);

  template <class T>
  std::optional<T> required(std::string_view key) {
    return take(key, Presence::required, read_field<T>);
  }
  template <class T>
  std::optional<T> optional(std::string_view key) {
    return take(key, Presence::optional, read_field<T>);
  }
  std::optional<std::uint32_t> optional(std::string_view key, Range range) {
    return take(key, Presence::optional, [range](Field field) { return read_number(field, range); });
  }

  // The first error; without one, whether a key was there that nobody read.
  Result<void> finish() const;

 private:
  enum class Presence { required, optional };

  template <class Read>
  auto take(std::string_view key, Presence presence, Read read)
      -> std::optional<typename decltype(read(std::declval<Field>()))::value_type> {
    const std::string path{key};
    const nlohmann::json* value = find(path, presence);
    if (!value) return std::nullopt;
    auto result = read(Field{*value, path});
    if (result) return std::move(*result);
    error_ = std::move(result.error());
    return std::nullopt;
  }

  const nlohmann::json* find(const std::string& key, Presence presence);

  nlohmann::json document_;
  std::set<std::string> known_;
  std::optional<Error> error_;
};

}  // namespace ipvlanx::api
