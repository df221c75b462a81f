// SPDX-License-Identifier: Apache-2.0
// What the daemon has to say to an operator: to the journal with fields to search by
// (`journalctl SLAVE_ID=7`), or to stderr as text or JSON.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipvlanx/base/result.h"
#include "ipvlanx/model/event.h"
#include "ipvlanx/settings/settings.h"
#include "message.h"

namespace ipvlanx::daemon {

// By the journal's names, such as SLAVE_ID. In JSON they are in lower case.
using LogFields = std::vector<std::pair<std::string_view, std::string>>;

struct LogEntry {
  LogLevel level = LogLevel::info;
  std::string message;  // one line, whatever a tenant put into it: made printable here
  LogFields fields = {};
};

// From here on; what was set before is forgotten.
void open_log(LogLevel level, LogFormat format);

// These may be called by any thread.
void log(const LogEntry& entry);
inline void log_error(std::string message) {
  log({LogLevel::error, std::move(message)});
}
inline void log_warning(std::string message) {
  log({LogLevel::warning, std::move(message)});
}
inline void log_info(std::string message) {
  log({LogLevel::info, std::move(message)});
}

// These are what others make happen: of each kind and slave, or user, as LogLimit admits.
// `netns`: the name of the slave's namespace, asked only for what is said.
void log_event(const Event& event, const std::function<std::optional<std::string>()>& netns);
// Refused, or at level debug answered.
void log_request(const Request& request, const Reply& reply);
// What could not be followed, or sent, or accepted.
void log_trouble(const Error& error);
// How many of them have not been said, where nothing has come since that tells it.
void log_unsaid();

// What is said of them.
LogEntry entry_of(const Event& event);
LogEntry entry_of(const Request& request, const Error& why);

// What of a tenant's text is written: printable, and not all of what has no end.
std::string clean(std::string_view text);
// How an entry is written; pure. `time`: seconds since the epoch. With the newline.
std::string as_text(const LogEntry& entry, double time);
std::string as_json(const LogEntry& entry, double time);

}  // namespace ipvlanx::daemon
