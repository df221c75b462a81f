// SPDX-License-Identifier: Apache-2.0
// Where the daemon's talk goes: the journal if it was started by systemd, else stderr.
#pragma once

#include "ipvlanx/model/event.h"

namespace ipvlanx::daemon {

void open_log();
void log_event(const Event& event);

}  // namespace ipvlanx::daemon
