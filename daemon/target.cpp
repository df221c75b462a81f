// SPDX-License-Identifier: Apache-2.0
#include "target.h"

#include <fmt/format.h>

#include "ipvlanx/base/number.h"

namespace ipvlanx::daemon {

namespace {

// The text up to `end`, which is taken away together with it.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t length = text.find(end);
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length == text.npos ? text.size() : length + 1);
  return taken;
}

// Segments are split before they are decoded: an address's %2F separates nothing.
Result<std::string> decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' && text[i] != '\0') {
      decoded += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    const auto byte = whole_number<unsigned char>(digits, 16);
    if (!byte || digits.size() != 2 || *byte == 0) {
      return fail(Errc::bad_request, fmt::format("'{}' is not well percent-encoded", text));
    }
    decoded += static_cast<char>(*byte);
    i += 2;
  }
  return decoded;
}

Result<std::vector<std::string>> parse_path(std::string_view text) {
  std::vector<std::string> path;
  if (!text.starts_with('/')) return fail(Errc::bad_request, fmt::format("'{}' is not a path", text));
  text.remove_prefix(1);
  while (true) {
    const bool last = text.find('/') == text.npos;
    auto segment = decode(take_until(text, '/'));
    if (!segment) return std::unexpected(std::move(segment.error()));
    path.push_back(std::move(*segment));
    if (last) return path;
  }
}

Result<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    std::string_view value = take_until(text, '&');
    auto key = decode(take_until(value, '='));
    if (!key) return std::unexpected(std::move(key.error()));
    auto decoded = decode(value);
    if (!decoded) return std::unexpected(std::move(decoded.error()).at(*key));
    if (!query.emplace(*key, std::move(*decoded)).second) {
      return fail(Errc::bad_request, fmt::format("the parameter '{}' is given twice", *key), *key);
    }
  }
  return query;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  auto path = parse_path(take_until(text, '?'));
  if (!path) return std::unexpected(std::move(path.error()));
  auto query = parse_query(text);
  if (!query) return std::unexpected(std::move(query.error()));
  return Target{.path = std::move(*path), .query = std::move(*query)};
}

}  // namespace ipvlanx::daemon
