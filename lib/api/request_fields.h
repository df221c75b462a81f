// SPDX-License-Identifier: Apache-2.0
// Fields that more than one request has.
#pragma once

#include "ipvlanx/api/json_object.h"
#include "ipvlanx/api/requests.h"

namespace ipvlanx::api {

PortChange read_port_options(JsonObject& in);
// Of the slave alone: neither mode nor flag, which are its port's, nor where it is.
SlaveChange read_slave_options(JsonObject& in);

}  // namespace ipvlanx::api
