// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/api/json_object.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "json_text.h"

namespace ipvlanx::api {

JsonObject::JsonObject(std::string_view text, Reading reading) : reading_(reading) {
  auto document = parse_object(text);
  if (document) {
    document_ = std::move(*document);
  } else {
    error_ = std::move(document.error());
  }
}

JsonObject::JsonObject(Field field, Reading reading) : prefix_(field.path + "."), reading_(reading) {
  if (field.value.is_object()) {
    document_ = field.value;
  } else {
    error_ = wrong_type(field, "an object").error();
  }
}

const nlohmann::json* JsonObject::find(std::string_view key, Presence presence) {
  if (error_) return nullptr;
  known_.emplace(key);
  const auto found = document_.find(key);
  const bool null_is_none = presence == Presence::nullable || reading_ == Reading::lenient;
  if (found != document_.end() && !(null_is_none && found->is_null())) return &*found;
  if (presence == Presence::required) {
    const std::string path = prefix_ + std::string{key};
    error_ = Error{Errc::missing_field, fmt::format("'{}' is missing", path), path};
  }
  return nullptr;
}

Result<void> JsonObject::finish() const {
  if (error_) return std::unexpected(*error_);
  if (reading_ == Reading::lenient) return {};
  for (const auto& [key, value] : document_.items()) {
    if (!known_.contains(key)) {
      const std::string path = prefix_ + key;
      std::string detail = fmt::format("there is no field '{}' here", path);
      if (!known_.empty()) detail += fmt::format(": there are {}", fmt::join(known_, ", "));
      return fail(Errc::unknown_field, std::move(detail), path);
    }
  }
  return {};
}

}  // namespace ipvlanx::api
