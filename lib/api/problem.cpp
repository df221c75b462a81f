// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/api/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace ipvlanx::api {

namespace {

using nlohmann::json;

// What a person reads first: the code without its hyphens.
std::string title(Errc code) {
  std::string words{name(code)};
  std::ranges::replace(words, '-', ' ');
  return words;
}

std::optional<Errc> code_named(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(Errc::kernel_refused); ++i) {
    if (name(static_cast<Errc>(i)) == word) return static_cast<Errc>(i);
  }
  return std::nullopt;
}

std::string text_of(const json& document, const char* key) {
  const auto found = document.find(key);
  if (found == document.end() || !found->is_string()) return {};
  return found->get<std::string>();
}

}  // namespace

unsigned http_status(Errc code) {
  switch (code) {
    case Errc::bad_json:
    case Errc::bad_request:
    case Errc::missing_field:
    case Errc::unknown_field:
    case Errc::unknown_word:
    case Errc::wrong_type:
    case Errc::out_of_range:
    case Errc::bad_prefix:
    case Errc::bad_name:
    case Errc::name_too_long:
      return 400;
    case Errc::forbidden:
      return 403;
    case Errc::no_such_slave:
    case Errc::no_such_port:
    case Errc::no_such_address:
    case Errc::no_such_route:
      return 404;
    case Errc::method_not_allowed:
      return 405;
    case Errc::address_in_use:
    case Errc::name_in_use:
    case Errc::mode_conflict:
      return 409;
    case Errc::events_gone:
      return 410;
    case Errc::body_too_large:
      return 413;
    case Errc::no_such_master:  // a POST names it: the route itself exists
    case Errc::bad_master:
    case Errc::netns_gone:
    case Errc::not_a_netns:
    case Errc::address_reserved:
    case Errc::too_many_addresses:
    case Errc::idempotency_mismatch:
    case Errc::bad_settings:
      return 422;
    case Errc::map_full:
    case Errc::kernel_refused:
    case Errc::no_daemon:  // the client's own; no server answers with it
      return 503;
  }
  return 503;
}

json problem(const Error& error) {
  json out{{"type", fmt::format("urn:ipvlanx:problem:{}", name(error.code))},
           {"title", title(error.code)},
           {"status", http_status(error.code)},
           {"code", name(error.code)},
           {"detail", error.message}};
  if (!error.field.empty()) out["field"] = error.field;
  return out;
}

Error read_problem(std::string_view body, unsigned status) {
  const json document = json::parse(body, nullptr, false);
  if (document.is_object()) {
    const auto code = code_named(text_of(document, "code"));
    if (code) return {*code, text_of(document, "detail"), text_of(document, "field")};
  }
  return {Errc::bad_request, fmt::format("the server answered with status {} and no reason", status)};
}

}  // namespace ipvlanx::api
