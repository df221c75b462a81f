// SPDX-License-Identifier: Apache-2.0
#include "json_object.h"

#include <fmt/format.h>

#include "json_text.h"

namespace ipvlanx::api {

JsonObject::JsonObject(std::string_view text) {
  auto document = parse_object(text);
  if (document) {
    document_ = std::move(*document);
  } else {
    error_ = std::move(document.error());
  }
}

const nlohmann::json* JsonObject::find(const std::string& key, Presence presence) {
  if (error_) return nullptr;
  known_.insert(key);
  const auto found = document_.find(key);
  if (found != document_.end()) return &*found;
  if (presence == Presence::required) {
    error_ = Error{Errc::missing_field, fmt::format("'{}' is missing", key), key};
  }
  return nullptr;
}

Result<void> JsonObject::finish() const {
  if (error_) return std::unexpected(*error_);
  for (const auto& [key, value] : document_.items()) {
    if (!known_.contains(key)) {
      return fail(Errc::unknown_field, fmt::format("there is no field '{}' here", key), key);
    }
  }
  return {};
}

}  // namespace ipvlanx::api
