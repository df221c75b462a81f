// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

namespace ipvlanx::daemon {

void open_log() {
  spdlog::sink_ptr sink;
  if (std::getenv("JOURNAL_STREAM")) {
    sink = std::make_shared<spdlog::sinks::systemd_sink_mt>("ipvlanxd");
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  }
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("ipvlanxd", std::move(sink)));
  spdlog::flush_on(spdlog::level::info);
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
