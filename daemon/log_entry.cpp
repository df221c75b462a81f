// SPDX-License-Identifier: Apache-2.0
// What is said, and how it is written.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "ipvlanx/api/problem.h"
#include "ipvlanx/api/replies.h"
#include "ipvlanx/base/printable.h"
#include "log.h"
#include "target.h"

namespace ipvlanx::daemon {

namespace {

std::string_view word_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
  }
  return "info";
}

// 2026-11-21T10:15:00.123Z
std::string timestamp(double time) {
  const double seconds = std::floor(time);
  const auto milliseconds = static_cast<int>((time - seconds) * 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(seconds)),
                     milliseconds);
}

void put(LogFields& fields, std::string_view name, const std::string& value) {
  if (!value.empty()) fields.emplace_back(name, value);
}

// The id in /v1/slaves/7/..., or nothing.
std::string slave_in(const Request& request) {
  const auto target = parse_target(request.target);
  const bool there = target && target->path.size() > 2 && target->path[1] == "slaves";
  return there ? target->path[2] : "";
}

}  // namespace

std::string clean(std::string_view text) {
  constexpr std::size_t kMostCharacters = 1000;
  if (text.size() <= kMostCharacters) return printable(text);
  return printable(text.substr(0, kMostCharacters)) + "...";
}

std::string as_text(const LogEntry& entry, double time) {
  return fmt::format("{} {}: {}\n", timestamp(time), word_of(entry.level), clean(entry.message));
}

std::string as_json(const LogEntry& entry, double time) {
  nlohmann::ordered_json out{
      {"time", timestamp(time)}, {"level", word_of(entry.level)}, {"message", clean(entry.message)}};
  for (const auto& [name, value] : entry.fields) {
    std::string key{name};
    std::ranges::transform(key, key.begin(), [](unsigned char c) { return std::tolower(c); });
    out[key] = clean(value);
  }
  return out.dump() + "\n";
}

LogEntry entry_of(const Event& event) {
  LogEntry entry{LogLevel::info, std::string{to_string(event.type)}};
  std::string& line = entry.message;
  if (event.slave) line += fmt::format(" slave {} '{}'", number(*event.slave), event.name);
  if (!event.master.empty()) line += fmt::format(" on '{}'", event.master);
  if (!event.address.empty()) line += fmt::format(" {}", event.address);
  if (event.owner) line += fmt::format(" owned by slave {}", number(*event.owner));
  if (!event.detail.empty()) line += fmt::format(": {}", event.detail);
  if (event.type == EventType::state_refused) entry.level = LogLevel::warning;

  put(entry.fields, "EVENT", std::string{to_string(event.type)});
  if (event.slave) put(entry.fields, "SLAVE_ID", fmt::to_string(number(*event.slave)));
  put(entry.fields, "IFNAME", event.name);
  put(entry.fields, "MASTER", event.master);
  put(entry.fields, "ADDRESS", event.address);
  if (event.owner) put(entry.fields, "OWNER_ID", fmt::to_string(number(*event.owner)));
  return entry;
}

LogEntry entry_of(const Request& request, const Error& why) {
  const unsigned status = api::http_status(why.code);
  LogEntry entry{status >= 500 || why.code == Errc::forbidden ? LogLevel::warning : LogLevel::info,
                 fmt::format("refused {} {} of uid {}: {}: {}", request.method, request.target,
                             static_cast<int>(request.peer.uid), name(why.code), why.message)};
  put(entry.fields, "CODE", std::string{name(why.code)});
  put(entry.fields, "FIELD", why.field);
  put(entry.fields, "PEER_UID", fmt::to_string(static_cast<int>(request.peer.uid)));
  put(entry.fields, "SLAVE_ID", slave_in(request));
  return entry;
}

}  // namespace ipvlanx::daemon
