// SPDX-License-Identifier: Apache-2.0
// How everything in ipvlanx says that it failed: a value, never an exception.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace ipvlanx {

// The API's error codes. `name()` gives the stable kebab-case word of DESIGN.md
// section 6, `http_status()` (api/problem.h) its status: one table each.
enum class Errc {
  // 400: the request itself is wrong
  bad_json,
  bad_request,
  missing_field,
  unknown_field,
  unknown_word,
  wrong_type,
  out_of_range,
  bad_prefix,
  bad_name,
  name_too_long,
  // 403, 404, 405, 413
  forbidden,
  no_such_slave,
  no_such_port,
  no_such_address,
  no_such_route,
  method_not_allowed,
  body_too_large,
  // 409: the request contradicts what exists
  address_in_use,
  name_in_use,
  mode_conflict,
  // 410
  events_gone,
  // 422: the request names something that cannot be used
  no_such_master,
  bad_master,
  netns_gone,
  not_a_netns,
  address_reserved,
  too_many_addresses,
  idempotency_mismatch,
  bad_settings,
  // 503: the machine refused
  map_full,
  kernel_refused,
  // never on the wire: what the client says when nobody answers
  no_daemon,
};

std::string_view name(Errc code);

// A sentence with a subject, such as "ipvx_addrs: update: No space left on device".
struct Error {
  Errc code;
  std::string message;
  std::string field = {};  // JSON path of the request's field at fault, or empty

  // The same error seen from one floor higher: "add slave 'web0': <message>".
  Error within(std::string_view context) &&;
  // The same error, blamed on a field of the request.
  Error at(std::string_view path) &&;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string message, std::string field = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(field)});
}

// What the kernel said: kernel_refused with the errno's text (map_full for E2BIG
// and ENOSPC of a map, which only the datapath can tell).
std::unexpected<Error> kernel_error(std::string_view what, int error_number);

}  // namespace ipvlanx
