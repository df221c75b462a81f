// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace ipvlanx::daemon {

namespace {

struct KeyOption {
  const char* option;
  const char* key;
  const char* sentence;
};
constexpr KeyOption kKeyOptions[] = {
    {"--socket", "daemon.socket", "where to serve the API"},
    {"--pin-root", "daemon.pin-root", "where in bpffs the maps, programs and links are"},
    {"--state-dir", "daemon.state-dir", "where the desired state is kept"},
    {"--log-level", "daemon.log-level", "how much is logged"},
    {"--log-format", "daemon.log-format", "how it is written"},
};

constexpr const char* kPurpose = "ipvlanxd: interfaces that share one NIC and its MAC address";

// What is said on the command line goes to `words`.
void add_options(CLI::App& app, CommandLine& words) {
  app.set_version_flag("--version", "ipvlanxd " IPVLANX_VERSION);
  app.add_option("--config", words.config, fmt::format("the settings [{}]", kSettingsFile));
  app.add_flag("--check-config", words.check_config, "say what is wrong with the settings, and end");
  for (const auto& [option, name, sentence] : kKeyOptions) {
    const SettingsKey& key = settings_key(name);
    const auto take = [&words, name](const std::string& text) { words.keys[name] = text; };
    const auto wrong = [&key](const std::string& text) {
      Settings scrap;
      return key.set(scrap, text);
    };
    app.add_option_function<std::string>(option, take, fmt::format("{} [{}]", sentence, key.get(Settings{})))
        ->check(wrong, std::string{key.values});
  }
  app.add_flag("--allow-private-bpffs", words.allow_private_bpffs,
               "accept a bpffs that PID 1 does not see: what is pinned there ends with its mount");
  app.add_option("--boot-id", words.boot, "which boot this is (tests)")->group("");  // not in --help
}

}  // namespace

std::expected<CommandLine, int> read_command_line(int argc, char** argv) {
  CommandLine words;
  CLI::App app{kPurpose, "ipvlanxd"};
  add_options(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);  // CLI11 numbers its complaints from 100
    return std::unexpected(status == 0 ? 0 : 1);
  }
  return words;
}

std::string command_line_help() {
  CommandLine words;
  CLI::App app{kPurpose, "ipvlanxd"};
  add_options(app, words);
  return app.help();
}

std::expected<Settings, Problems> read_settings(const CommandLine& words) {
  auto settings = read_settings(words.config.value_or(kSettingsFile),
                                words.config ? Missing::a_problem : Missing::allowed);
  if (!settings) return settings;
  for (const auto& [name, value] : words.keys) settings_key(name).set(*settings, value);
  return settings;
}

}  // namespace ipvlanx::daemon
