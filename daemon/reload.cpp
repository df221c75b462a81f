// SPDX-License-Identifier: Apache-2.0
#include "reload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace ipvlanx::daemon {

Reloader::Reloader(CommandLine words, Settings settings, std::function<void(const Settings&)> take)
    : words_(std::move(words)), at_start_(settings), in_force_(std::move(settings)), take_(std::move(take)) {
  take_(in_force_);
}

Result<SettingsChange> Reloader::reload() {
  auto settings = read_settings(words_);
  if (!settings) return std::unexpected(as_error(settings.error()));
  SettingsChange done{.at_once = change(in_force_, *settings).at_once,
                      .by_restart = change(at_start_, *settings).by_restart};
  in_force_ = *std::move(settings);
  take_(in_force_);
  return done;
}

}  // namespace ipvlanx::daemon
