// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/result.h"

#include <fmt/format.h>

#include <array>
#include <system_error>

namespace ipvlanx {

std::string_view name(Errc code) {
  switch (code) {
    case Errc::bad_json:
      return "bad-json";
    case Errc::bad_request:
      return "bad-request";
    case Errc::missing_field:
      return "missing-field";
    case Errc::unknown_field:
      return "unknown-field";
    case Errc::unknown_word:
      return "unknown-word";
    case Errc::wrong_type:
      return "wrong-type";
    case Errc::out_of_range:
      return "out-of-range";
    case Errc::bad_prefix:
      return "bad-prefix";
    case Errc::bad_name:
      return "bad-name";
    case Errc::name_too_long:
      return "name-too-long";
    case Errc::forbidden:
      return "forbidden";
    case Errc::no_such_slave:
      return "no-such-slave";
    case Errc::no_such_port:
      return "no-such-port";
    case Errc::no_such_address:
      return "no-such-address";
    case Errc::no_such_route:
      return "no-such-route";
    case Errc::method_not_allowed:
      return "method-not-allowed";
    case Errc::body_too_large:
      return "body-too-large";
    case Errc::address_in_use:
      return "address-in-use";
    case Errc::name_in_use:
      return "name-in-use";
    case Errc::mode_conflict:
      return "mode-conflict";
    case Errc::events_gone:
      return "events-gone";
    case Errc::no_such_master:
      return "no-such-master";
    case Errc::bad_master:
      return "bad-master";
    case Errc::netns_gone:
      return "netns-gone";
    case Errc::not_a_netns:
      return "not-a-netns";
    case Errc::address_reserved:
      return "address-reserved";
    case Errc::too_many_addresses:
      return "too-many-addresses";
    case Errc::idempotency_mismatch:
      return "idempotency-mismatch";
    case Errc::bad_settings:
      return "bad-settings";
    case Errc::map_full:
      return "map-full";
    case Errc::kernel_refused:
      return "kernel-refused";
    case Errc::no_daemon:
      return "no-daemon";
  }
  return "kernel-refused";
}

Error Error::within(std::string_view context) && {
  message = fmt::format("{}: {}", context, message);
  return std::move(*this);
}

Error Error::at(std::string_view path) && {
  field = path;
  return std::move(*this);
}

std::unexpected<Error> kernel_error(std::string_view what, int error_number) {
  return fail(Errc::kernel_refused,
              fmt::format("{}: {}", what, std::generic_category().message(error_number)));
}

}  // namespace ipvlanx
