// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include "ipvlanx/api/problem.h"
#include "ipvlanx/api/replies.h"

namespace ipvlanx::daemon {

Reply json_reply(unsigned status, const nlohmann::json& document) {
  return {.status = status, .content_type = "application/json", .body = api::to_text(document) + "\n"};
}

Reply no_content() {
  return {.status = 204};
}

Reply problem_reply(const Error& error) {
  return {.status = api::http_status(error.code),
          .content_type = "application/problem+json",
          .body = api::to_text(api::problem(error)) + "\n",
          .refusal = error};
}

}  // namespace ipvlanx::daemon
