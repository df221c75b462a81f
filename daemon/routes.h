// SPDX-License-Identifier: Apache-2.0
// Which handler answers a request, and whether this peer may ask for it.
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "access.h"
#include "handlers.h"
#include "idempotency.h"
#include "ipvlanx/control/controller.h"
#include "message.h"
#include "metrics.h"

namespace ipvlanx::daemon {

struct RouteRow {
  std::string_view method;
  std::string_view pattern;                      // /v1/slaves/{id}
  std::span<const std::string_view> parameters;  // that its query may have
};
std::vector<RouteRow> all_routes();

// Borrows what it is given. Requests that change something are answered in the thread that owns
// it, one after the other; those that do not in any thread.
class Routes {
 public:
  Routes(Controller& controller, const Access& access, Docker& docker, Reload reload)
      : controller_(controller), access_(access), docker_(docker), reload_(std::move(reload)) {}

  static bool changes_something(const Request& request);
  // Always a reply: an error is a problem document.
  Reply answer(const Request& request, Idempotency::Clock::time_point now = Idempotency::Clock::now());

 private:
  Controller& controller_;
  const Access& access_;
  Docker& docker_;
  Reload reload_;
  RequestTimes times_;
  Idempotency idempotency_;
};

}  // namespace ipvlanx::daemon
