// SPDX-License-Identifier: Apache-2.0
#include "json_text.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <vector>

namespace ipvlanx::api {

namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 32;

// nlohmann/json's events of one pass over the text, made to notice what its
// documents cannot show any more. Each returns whether to go on.
class Inspector {
 public:
  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(json::number_integer_t) { return true; }
  bool number_unsigned(json::number_unsigned_t) { return true; }
  bool number_float(json::number_float_t, const std::string&) { return true; }
  bool string(const std::string&) { return true; }
  bool binary(const json::binary_t&) { return true; }

  bool start_object(std::size_t) { return enter(); }
  bool end_object() { return leave(); }
  bool start_array(std::size_t) { return enter(); }
  bool end_array() { return leave(); }

  bool key(const std::string& key) {
    if (keys_.back().insert(key).second) return true;
    return refuse({Errc::bad_json, fmt::format("the key '{}' is given twice", key), key});
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    return refuse({Errc::bad_json, fmt::format("the body is not JSON: unexpected at byte {}", position)});
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  bool enter() {
    if (keys_.size() == kMaxDepth) {
      return refuse({Errc::bad_json, fmt::format("the body is nested deeper than {} levels", kMaxDepth)});
    }
    keys_.emplace_back();
    return true;
  }

  bool leave() {
    keys_.pop_back();
    return true;
  }

  bool refuse(Error error) {
    error_ = std::move(error);
    return false;
  }

  std::vector<std::set<std::string>> keys_;  // of each level, the innermost last
  std::optional<Error> error_;
};

}  // namespace

Result<json> parse_object(std::string_view text) {
  Inspector inspector;
  json::sax_parse(text, &inspector);
  if (inspector.error()) return std::unexpected(*inspector.error());

  json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Errc::wrong_type, "the body is not a JSON object");
  return document;
}

}  // namespace ipvlanx::api
