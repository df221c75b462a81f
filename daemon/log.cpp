// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "log_limit.h"

namespace ipvlanx::daemon {

namespace {

struct Log {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  LogLimit limit;
  std::mutex mutex;  // of all of it
};

Log& the_log() {
  static Log log;
  return log;
}

bool journal_reads_stderr() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat file{};
  return stream && ::fstat(STDERR_FILENO, &file) == 0 &&
         fmt::format("{}:{}", file.st_dev, file.st_ino) == stream;
}

int priority(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return LOG_ERR;
    case LogLevel::warning:
      return LOG_WARNING;
    case LogLevel::info:
      return LOG_INFO;
    case LogLevel::debug:
      return LOG_DEBUG;
  }
  return LOG_INFO;
}

void send_to_journal(const LogEntry& entry) {
  std::vector<std::string> lines{"MESSAGE=" + clean(entry.message),
                                 fmt::format("PRIORITY={}", priority(entry.level)),
                                 "SYSLOG_IDENTIFIER=ipvlanxd"};
  for (const auto& [name, value] : entry.fields) lines.push_back(fmt::format("{}={}", name, clean(value)));
  std::vector<iovec> parts;
  for (std::string& line : lines) parts.push_back({line.data(), line.size()});
  ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Whether to say it; what was not said before is told then.
bool admit(LogEntry& entry, const std::string& kind, const std::string& subject) {
  const std::lock_guard lock{the_log().mutex};
  if (entry.level > the_log().level) return false;
  const auto unsaid = the_log().limit.admit(kind, subject, LogLimit::Clock::now());
  if (unsaid.value_or(0) > 0) entry.message += fmt::format(" ({} more like this were not logged)", *unsaid);
  return unsaid.has_value();
}

}  // namespace

void open_log(LogLevel level, LogFormat format) {
  const std::lock_guard lock{the_log().mutex};
  the_log().level = level;
  the_log().format = format;
  if (format == LogFormat::automatic) {
    the_log().format = journal_reads_stderr() ? LogFormat::journal : LogFormat::text;
  }
}

void log(const LogEntry& entry) {
  const std::lock_guard lock{the_log().mutex};
  if (entry.level > the_log().level) return;
  if (the_log().format == LogFormat::journal) return send_to_journal(entry);
  const bool json = the_log().format == LogFormat::json;
  std::fputs((json ? as_json(entry, now()) : as_text(entry, now())).c_str(), stderr);
}

void log_event(const Event& event, const std::function<std::optional<std::string>()>& netns) {
  LogEntry entry = entry_of(event);
  const std::string slave = event.slave ? fmt::to_string(number(*event.slave)) : "";
  if (!admit(entry, std::string{to_string(event.type)}, slave)) return;
  if (const auto name = netns()) entry.fields.emplace_back("NETNS", *name);
  log(entry);
}

void log_request(const Request& request, const Reply& reply) {
  if (reply.refusal) {
    LogEntry entry = entry_of(request, *reply.refusal);
    if (admit(entry, std::string{name(reply.refusal->code)}, fmt::to_string(request.peer.uid))) log(entry);
  } else {
    log({LogLevel::debug, fmt::format("{} {} of uid {}: {}", request.method, request.target,
                                      static_cast<int>(request.peer.uid), reply.status)});
  }
}

void log_trouble(const Error& error) {
  LogEntry entry{LogLevel::warning, error.message, {{"CODE", std::string{name(error.code)}}}};
  if (admit(entry, std::string{name(error.code)}, "")) log(entry);
}

void log_unsaid() {
  std::vector<LogLimit::Unsaid> all;
  {
    const std::lock_guard lock{the_log().mutex};
    all = the_log().limit.take_unsaid();
  }
  for (const auto& [kind, subject, count] : all) {
    log_info(
        fmt::format("{} more were not logged: {}{}{}", count, kind, subject.empty() ? "" : " of ", subject));
  }
}

}  // namespace ipvlanx::daemon
