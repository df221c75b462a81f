// SPDX-License-Identifier: Apache-2.0
// What each route of the API does: read the request, ask the controller, say what
// it said.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ipvlanx/control/controller.h"
#include "ipvlanx/settings/settings.h"
#include "message.h"
#include "metrics.h"

namespace ipvlanx::daemon {

class Docker;
using Reload = std::function<Result<SettingsChange>()>;

struct Call {
  Controller& controller;
  const Reload& reload;
  const RequestTimes& times;
  Docker& docker;
  std::vector<std::string> arguments;               // what stands for the pattern's {…}
  const std::map<std::string, std::string>& query;  // only what the route knows
  const std::string& body;
};

using Handler = Result<Reply> (*)(const Call&);

Result<Reply> get_version(const Call& call);
Result<Reply> get_health(const Call& call);
Result<Reply> get_check(const Call& call);
Result<Reply> get_metrics(const Call& call);

Result<Reply> list_ports(const Call& call);
Result<Reply> get_port(const Call& call);
Result<Reply> change_port(const Call& call);
Result<Reply> delete_port(const Call& call);
Result<Reply> flush_port(const Call& call);

Result<Reply> list_slaves(const Call& call);
Result<Reply> add_slave(const Call& call);
Result<Reply> get_slave(const Call& call);
Result<Reply> change_slave(const Call& call);
Result<Reply> delete_slave(const Call& call);
Result<Reply> get_slave_stats(const Call& call);
Result<Reply> get_drops(const Call& call);
Result<Reply> trace_packet(const Call& call);

Result<Reply> add_address(const Call& call);
Result<Reply> delete_address(const Call& call);

Result<Reply> save_document(const Call& call);
Result<Reply> apply_document(const Call& call);
Result<Reply> reload_settings(const Call& call);
Result<Reply> follow_events(const Call& call);

// Docker's engine (docker_handlers.cpp)
Result<Reply> docker_activate(const Call& call);
Result<Reply> docker_get_capabilities(const Call& call);
Result<Reply> docker_check_gateways(const Call& call);
Result<Reply> docker_create_network(const Call& call);
Result<Reply> docker_delete_network(const Call& call);
Result<Reply> docker_create_endpoint(const Call& call);
Result<Reply> docker_delete_endpoint(const Call& call);
Result<Reply> docker_describe_endpoint(const Call& call);
Result<Reply> docker_join(const Call& call);
Result<Reply> docker_leave(const Call& call);
Result<Reply> docker_take_note(const Call& call);

}  // namespace ipvlanx::daemon
