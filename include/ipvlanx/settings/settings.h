// SPDX-License-Identifier: Apache-2.0
// What the operator has set: which keys there are, what they mean, and where they are
// read. Text in systemd's manner, sections of `key = value`.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/model/state.h"

namespace ipvlanx {

inline constexpr const char* kSettingsFile = "/etc/ipvlanx/ipvlanx.conf";

enum class LogLevel { error, warning, info, debug };
// automatic: journal where that reads stderr, else text.
enum class LogFormat { automatic, journal, text, json };

struct Settings {
  std::string socket = "/run/ipvlanx/api.sock";
  std::string pin_root = "/sys/fs/bpf/ipvlanx";
  std::string state_dir = "/var/lib/ipvlanx";
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::automatic;
  std::string write_group = {};  // whose members may change things; empty: root alone
  Defaults defaults = {};
  std::vector<std::string> documents = {};  // applied at start, in this order
};

// What is wrong, as `file:line: sentence`. Line 0: with the file as a whole; no file: the
// sentence names it.
struct Problem {
  std::string file = {};
  unsigned line = 0;
  std::string sentence;
  bool operator==(const Problem&) const = default;
};
using Problems = std::vector<Problem>;
std::string to_string(const Problem& problem);
Error as_error(const Problems& problems);  // bad_settings: all of them

// One of several files.
struct SettingsText {
  std::string file;  // its name, for problems
  std::string text;
};

// Of several files the later one wins; only [apply] file is collected. A key that is
// given twice in one file is a problem. All problems are found, not the first alone. Pure.
std::expected<Settings, Problems> read_settings(std::span<const SettingsText> files);

// The file, if there is one, and then `conf.d/*.conf` in its folder, in the order of
// their names.
enum class Missing { allowed, a_problem };
std::expected<Settings, Problems> read_settings(const std::string& file, Missing missing);

struct SettingsKey {
  enum class Takes { effect_at_once, a_restart };
  enum class Given { once, any_number_of_times };  // in one file

  std::string_view section;
  std::string_view name;
  Takes takes;
  std::string_view values;  // "PATH", "learn | static"
  // Returns what is wrong with the value, or nothing.
  std::string (*set)(Settings& out, std::string_view value);
  std::string (*get)(const Settings& settings);
  Given given = Given::once;

  std::string full_name() const;  // daemon.log-level
};
// All there are, those of a section side by side.
std::span<const SettingsKey> settings_keys();
// One that is there.
const SettingsKey& settings_key(std::string_view full_name);

// Of the keys whose values differ: full names.
struct SettingsChange {
  std::vector<std::string> at_once;
  std::vector<std::string> by_restart;
};
SettingsChange change(const Settings& before, const Settings& after);

}  // namespace ipvlanx
