// SPDX-License-Identifier: Apache-2.0
// Where the daemon's talk goes: the journal or stderr.
#pragma once

#include "ipvlanx/model/event.h"
#include "ipvlanx/settings/settings.h"

namespace ipvlanx::daemon {

// From here on; what was set before is forgotten.
void open_log(LogLevel level, LogFormat format);
void log_event(const Event& event);

}  // namespace ipvlanx::daemon
