// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "handlers.h"
#include "target.h"

namespace ipvlanx::daemon {

namespace {

struct Route {
  std::string_view method;
  std::string_view pattern;
  Handler handler;
  std::span<const std::string_view> parameters = {};  // that its query may have
  Act act = method == "GET" ? Act::looks : Act::changes;
};

constexpr std::array<std::string_view, 3> kSlaveFilters{"master", "name", "netns"};
constexpr std::array<std::string_view, 1> kEventStart{"since"};

constexpr Route kRoutes[] = {
    {"GET", "/v1/version", get_version},
    {"GET", "/v1/health", get_health},
    {"GET", "/v1/check", get_check},
    {"GET", "/metrics", get_metrics},
    {"GET", "/v1/ports", list_ports},
    {"GET", "/v1/ports/{master}", get_port},
    {"PATCH", "/v1/ports/{master}", change_port},
    {"DELETE", "/v1/ports/{master}", delete_port},
    {"POST", "/v1/ports/{master}/flush", flush_port},
    {"GET", "/v1/slaves", list_slaves, kSlaveFilters},
    {"POST", "/v1/slaves", add_slave},
    {"GET", "/v1/slaves/{id}", get_slave},
    {"PATCH", "/v1/slaves/{id}", change_slave},
    {"DELETE", "/v1/slaves/{id}", delete_slave},
    {"GET", "/v1/slaves/{id}/stats", get_slave_stats},
    {"POST", "/v1/slaves/{id}/addresses", add_address},
    {"DELETE", "/v1/slaves/{id}/addresses/{address}", delete_address},
    {"GET", "/v1/drops", get_drops},
    {"POST", "/v1/trace", trace_packet, {}, Act::looks},
    {"GET", "/v1/save", save_document},
    {"POST", "/v1/apply", apply_document},
    {"POST", "/v1/reload", reload_settings},
    {"GET", "/v1/events", follow_events, kEventStart},
    {"POST", "/Plugin.Activate", docker_activate},
    {"POST", "/NetworkDriver.GetCapabilities", docker_get_capabilities},
    {"POST", "/NetworkDriver.GwAllocCheck", docker_check_gateways},
    {"POST", "/NetworkDriver.CreateNetwork", docker_create_network},
    {"POST", "/NetworkDriver.DeleteNetwork", docker_delete_network},
    {"POST", "/NetworkDriver.CreateEndpoint", docker_create_endpoint},
    {"POST", "/NetworkDriver.DeleteEndpoint", docker_delete_endpoint},
    {"POST", "/NetworkDriver.EndpointOperInfo", docker_describe_endpoint},
    {"POST", "/NetworkDriver.Join", docker_join},
    {"POST", "/NetworkDriver.Leave", docker_leave},
    {"POST", "/NetworkDriver.ProgramExternalConnectivity", docker_take_note},
    {"POST", "/NetworkDriver.RevokeExternalConnectivity", docker_take_note},
    {"POST", "/NetworkDriver.DiscoverNew", docker_take_note},
    {"POST", "/NetworkDriver.DiscoverDelete", docker_take_note},
};

// What the path has where the pattern says {…}, or nothing where it does not match.
std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string>& path) {
  std::vector<std::string> arguments;
  for (const std::string& segment : path) {
    if (pattern.empty()) return std::nullopt;
    pattern.remove_prefix(1);  // the '/'
    const std::string_view expected = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(expected.size());
    if (expected.starts_with('{') && !segment.empty()) {
      arguments.push_back(segment);
    } else if (expected != segment) {
      return std::nullopt;
    }
  }
  if (!pattern.empty()) return std::nullopt;
  return arguments;
}

// The reply when no route has this path with this method.
Reply no_route(const Request& request, const Target& target) {
  std::vector<std::string_view> allowed;
  for (const Route& route : kRoutes) {
    if (match(route.pattern, target.path)) allowed.push_back(route.method);
  }
  if (allowed.empty()) {
    return problem_reply({Errc::no_such_route, fmt::format("there is nothing at '{}'", request.target)});
  }
  Reply reply = problem_reply(
      {Errc::method_not_allowed, fmt::format("{} is not possible at '{}'", request.method, request.target)});
  reply.headers.emplace_back("Allow", fmt::format("{}", fmt::join(allowed, ", ")));
  return reply;
}

Result<void> check_query(const Route& route, const Target& target) {
  for (const auto& [parameter, value] : target.query) {
    if (std::ranges::find(route.parameters, parameter) == route.parameters.end()) {
      return fail(Errc::unknown_field, fmt::format("there is no parameter '{}' here", parameter), parameter);
    }
  }
  return {};
}

Reply call(const Route& route, const Call& call) {
  auto reply = route.handler(call);
  return reply ? std::move(*reply) : problem_reply(reply.error());
}

// Notes how long a request took when it is over.
class Measured {
 public:
  Measured(RequestTimes& times, const Route& route, const Request& request)
      : times_(times), route_(route), arrived_(request.arrived) {}
  ~Measured() { times_.add({route_.method, route_.pattern}, std::chrono::steady_clock::now() - arrived_); }
  Measured(const Measured&) = delete;

 private:
  RequestTimes& times_;
  const Route& route_;
  std::chrono::steady_clock::time_point arrived_;
};

}  // namespace

std::vector<RouteRow> all_routes() {
  std::vector<RouteRow> rows;
  for (const Route& route : kRoutes) rows.push_back({route.method, route.pattern, route.parameters});
  return rows;
}

bool Routes::changes_something(const Request& request) {
  return request.method != "GET";
}

Reply Routes::answer(const Request& request, Idempotency::Clock::time_point now) {
  const auto target = parse_target(request.target);
  if (!target) return problem_reply(target.error());

  for (const Route& route : kRoutes) {
    auto arguments = route.method == request.method ? match(route.pattern, target->path) : std::nullopt;
    if (!arguments) continue;

    const Measured measured{times_, route, request};
    const auto may = check_access(access_, route.act, request.peer);
    if (!may) return problem_reply(may.error());
    if (const auto known = check_query(route, *target); !known) return problem_reply(known.error());

    std::shared_lock<std::shared_mutex> reading;
    if (!changes_something(request)) reading = controller_.reading();
    const Call this_call{controller_,           reload_,       times_,      docker_,
                         std::move(*arguments), target->query, request.body};
    const bool once = request.method == "POST" && route.act == Act::changes;
    if (!once || request.idempotency_key.empty()) return call(route, this_call);

    auto past = idempotency_.find(request, now);
    if (!past) return problem_reply(past.error());
    if (*past) return std::move(**past);
    Reply reply = call(route, this_call);
    if (reply.status < 300) idempotency_.remember(request, reply, now);
    return reply;
  }
  return no_route(request, *target);
}

}  // namespace ipvlanx::daemon
