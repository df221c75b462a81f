// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace ipvlanx::daemon {

namespace {

bool journal_reads_stderr() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat file{};
  return stream && ::fstat(STDERR_FILENO, &file) == 0 &&
         fmt::format("{}:{}", file.st_dev, file.st_ino) == stream;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

void open_log(LogLevel level, LogFormat format) {
  const bool journal =
      format == LogFormat::journal || (format == LogFormat::automatic && journal_reads_stderr());
  spdlog::sink_ptr sink;
  if (journal) {
    sink = std::make_shared<spdlog::sinks::systemd_sink_mt>("ipvlanxd");
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  }
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("ipvlanxd", std::move(sink)));
  spdlog::set_level(level_of(level));
  spdlog::flush_on(spdlog::level::debug);
}

void log_event(const Event& event) {
  std::string line{to_string(event.type)};
  if (event.slave) line += fmt::format(" slave {} '{}'", number(*event.slave), event.name);
  if (!event.master.empty()) line += fmt::format(" on '{}'", event.master);
  if (!event.address.empty()) line += fmt::format(" {}", event.address);
  if (event.owner) line += fmt::format(" owned by slave {}", number(*event.owner));
  if (!event.detail.empty()) line += fmt::format(": {}", event.detail);
  const auto level = event.type == EventType::state_refused ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "{}", line);
}

}  // namespace ipvlanx::daemon
