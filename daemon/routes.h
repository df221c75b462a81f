// SPDX-License-Identifier: Apache-2.0
// Which handler answers a request, and whether this peer may ask for it.
#pragma once

#include "idempotency.h"
#include "ipvlanx/control/controller.h"
#include "message.h"

namespace ipvlanx::daemon {

// Borrows the controller. Used on the loop's thread.
class Routes {
 public:
  explicit Routes(Controller& controller) : controller_(controller) {}

  // Always a reply: an error is a problem document.
  Reply answer(const Request& request, Idempotency::Clock::time_point now = Idempotency::Clock::now());

 private:
  Controller& controller_;
  Idempotency idempotency_;
};

}  // namespace ipvlanx::daemon
