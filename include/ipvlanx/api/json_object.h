// SPDX-License-Identifier: Apache-2.0
// How a request's JSON object becomes typed values: strictly, field by field, so
// that the function that reads a request is a table of its fields.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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

// What every reader says of a value that is no `wanted`, such as "an integer".
std::unexpected<Error> wrong_type(Field field, std::string_view wanted);

// What a field's value says, as a T; one specialisation per type (json_fields.cpp).
template <class T>
Result<T> read_field(Field field);
// A string that one of the model's types understands.
template <class T>
Result<T> read_word(Field field, Result<T> (*parse)(std::string_view)) {
  if (!field.value.is_string()) return wrong_type(field, "a string");
  auto word = parse(field.value.template get_ref<const std::string&>());
  if (!word) return std::unexpected(std::move(word.error()).at(field.path));
  return word;
}
Result<std::uint32_t> read_number(Field field, Range range);

// Of those who speak a protocol that grows: keys that nobody reads are passed over, and null
// means the same as no such key.
enum class Reading { strict, lenient };

// Remembers the first error and then reads nothing more, so that only finish()
// has to be asked. Between the two, an absent value is just not there.
class JsonObject {
 public:
  explicit JsonObject(std::string_view text, Reading reading = Reading::strict);
  // An object within a document: what is wrong in it is told with this path before it.
  explicit JsonObject(Field field, Reading reading = Reading::strict);

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
  std::optional<std::uint32_t> required(std::string_view key, Range range) {
    return take(key, Presence::required, [range](Field field) { return read_number(field, range); });
  }
  // null means the same as no such key.
  template <class T>
  std::optional<T> optional_or_null(std::string_view key) {
    return take(key, Presence::nullable, read_field<T>);
  }
  // An object, read by a reader that gives nothing where it fails.
  template <class T>
  std::optional<T> object(std::string_view key, std::optional<T> (*read)(JsonObject&)) {
    return take(key, Presence::optional, [this, read](Field field) { return read_object(field, read); });
  }
  // An array of objects, read one by one.
  template <class T>
  std::vector<T> each(std::string_view key, std::optional<T> (*read)(JsonObject&)) {
    const auto read_all = [this, read](Field field) -> Result<std::vector<T>> {
      std::vector<T> all;
      if (!field.value.is_array()) return wrong_type(field, "an array");
      for (std::size_t i = 0; i < field.value.size(); ++i) {
        const std::string path = fmt::format("{}[{}]", field.path, i);
        auto one = read_object(Field{field.value[i], path}, read);
        if (!one) return std::unexpected(std::move(one.error()));
        all.push_back(*std::move(one));
      }
      return all;
    };
    return take(key, Presence::optional, read_all).value_or(std::vector<T>{});
  }

  // The first error; without one, whether a key was there that nobody read.
  Result<void> finish() const;

 private:
  enum class Presence { required, optional, nullable };

  template <class Read>
  auto take(std::string_view key, Presence presence, Read read)
      -> std::optional<typename decltype(read(std::declval<Field>()))::value_type> {
    const std::string path = prefix_ + std::string{key};
    const nlohmann::json* value = find(key, presence);
    if (!value) return std::nullopt;
    auto result = read(Field{*value, path});
    if (result) return std::move(*result);
    error_ = std::move(result.error());
    return std::nullopt;
  }

  template <class T>
  Result<T> read_object(Field field, std::optional<T> (*read)(JsonObject&)) {
    JsonObject in{field, reading_};
    auto value = read(in);
    if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
    return *std::move(value);
  }

  const nlohmann::json* find(std::string_view key, Presence presence);

  std::string prefix_;
  Reading reading_;
  nlohmann::json document_;
  std::set<std::string, std::less<>> known_;
  std::optional<Error> error_;
};

}  // namespace ipvlanx::api
