// SPDX-License-Identifier: Apache-2.0
// Which keys are there, and what may be their values? Their man page is
// deploy/man/ipvlanx.conf.5.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "ipvlanx/base/number.h"
#include "ipvlanx/settings/settings.h"

namespace ipvlanx {

namespace {

using Takes = SettingsKey::Takes;

template <class Value>
struct Word {
  Value value;
  std::string_view text;
};
constexpr Word<LogLevel> kLogLevels[] = {{LogLevel::error, "error"},
                                         {LogLevel::warning, "warning"},
                                         {LogLevel::info, "info"},
                                         {LogLevel::debug, "debug"}};
constexpr Word<LogFormat> kLogFormats[] = {{LogFormat::automatic, "auto"},
                                           {LogFormat::journal, "journal"},
                                           {LogFormat::text, "text"},
                                           {LogFormat::json, "json"}};
constexpr Word<AddrPolicy> kAddrPolicies[] = {{AddrPolicy::learn, "learn"}, {AddrPolicy::static_, "static"}};
constexpr Word<bool> kSwitches[] = {{true, "on"}, {false, "off"}};

template <class Value, std::size_t size>
std::string word_of(const Word<Value> (&words)[size], Value value) {
  return std::string{std::ranges::find(words, value, &Word<Value>::value)->text};
}

template <class Value, std::size_t size>
Result<Value> parse_word(const Word<Value> (&words)[size], std::string_view text) {
  std::string expected;
  for (const auto& word : words) {
    if (word.text == text) return word.value;
    expected += fmt::format("{}'{}'", expected.empty() ? "" : ", ", word.text);
  }
  return fail(Errc::unknown_word, fmt::format("'{}' is none of {}", text, expected));
}

template <class T>
std::string take(Result<T> value, T& out) {
  if (!value) return std::move(value.error().message);
  out = *std::move(value);
  return {};
}

Result<std::string> parse_path(std::string_view text) {
  if (text.starts_with('/')) return std::string{text};
  return fail(Errc::bad_request, fmt::format("'{}' is no absolute path", text));
}

Result<std::uint32_t> parse_count(std::string_view text, std::uint32_t most) {
  const auto value = whole_number<std::uint32_t>(text);
  if (!value || *value < 1 || *value > most) {
    return fail(Errc::out_of_range, fmt::format("'{}' is no number from 1 to {}", text, most));
  }
  return *value;
}

// Group names as useradd takes them, and numbers; whether there is such a group is asked
// where it is used.
Result<std::string> parse_group(std::string_view text) {
  if (text.size() <= 32 && text.find_first_of(" \t:,/") == text.npos) return std::string{text};
  return fail(Errc::bad_name, fmt::format("'{}' is no name of a group", text));
}

constexpr SettingsKey kKeys[] = {
    {"daemon", "socket", Takes::a_restart, "PATH",
     [](Settings& out, std::string_view text) { return take(parse_path(text), out.socket); },
     [](const Settings& settings) { return settings.socket; }},
    {"daemon", "pin-root", Takes::a_restart, "PATH",
     [](Settings& out, std::string_view text) { return take(parse_path(text), out.pin_root); },
     [](const Settings& settings) { return settings.pin_root; }},
    {"daemon", "state-dir", Takes::a_restart, "PATH",
     [](Settings& out, std::string_view text) { return take(parse_path(text), out.state_dir); },
     [](const Settings& settings) { return settings.state_dir; }},
    {"daemon", "log-level", Takes::effect_at_once, "error | warning | info | debug",
     [](Settings& out, std::string_view text) { return take(parse_word(kLogLevels, text), out.log_level); },
     [](const Settings& settings) { return word_of(kLogLevels, settings.log_level); }},
    {"daemon", "log-format", Takes::effect_at_once, "auto | journal | text | json",
     [](Settings& out, std::string_view text) { return take(parse_word(kLogFormats, text), out.log_format); },
     [](const Settings& settings) { return word_of(kLogFormats, settings.log_format); }},
    {"api", "write-group", Takes::effect_at_once, "GROUP",
     [](Settings& out, std::string_view text) { return take(parse_group(text), out.write_group); },
     [](const Settings& settings) { return settings.write_group; }},
    {"defaults", "addr-policy", Takes::effect_at_once, "learn | static",
     [](Settings& out, std::string_view text) {
       return take(parse_word(kAddrPolicies, text), out.defaults.addr_policy);
     },
     [](const Settings& settings) { return word_of(kAddrPolicies, settings.defaults.addr_policy); }},
    {"defaults", "max-addresses", Takes::effect_at_once, "N",
     [](Settings& out, std::string_view text) {
       return take(parse_count(text, kMostMaxAddresses), out.defaults.max_addresses);
     },
     [](const Settings& settings) { return fmt::to_string(settings.defaults.max_addresses); }},
    {"defaults", "announce", Takes::effect_at_once, "on | off",
     [](Settings& out, std::string_view text) {
       return take(parse_word(kSwitches, text), out.defaults.announce);
     },
     [](const Settings& settings) { return word_of(kSwitches, settings.defaults.announce); }},
    {"afxdp", "direct", Takes::effect_at_once, "on | off",
     [](Settings& out, std::string_view text) {
       return take(parse_word(kSwitches, text), out.defaults.may_be_direct);
     },
     [](const Settings& settings) { return word_of(kSwitches, settings.defaults.may_be_direct); }},
    {"apply", "file", Takes::a_restart, "PATH",
     [](Settings& out, std::string_view text) {
       std::string path;
       std::string problem = take(parse_path(text), path);
       if (problem.empty()) out.documents.push_back(std::move(path));
       return problem;
     },
     [](const Settings& settings) { return fmt::format("{}", fmt::join(settings.documents, "\n")); },
     SettingsKey::Given::any_number_of_times},
};

}  // namespace

std::string SettingsKey::full_name() const {
  return fmt::format("{}.{}", section, name);
}

std::span<const SettingsKey> settings_keys() {
  return kKeys;
}

const SettingsKey& settings_key(std::string_view full_name) {
  return *std::ranges::find(kKeys, full_name, &SettingsKey::full_name);
}

SettingsChange change(const Settings& before, const Settings& after) {
  SettingsChange change;
  for (const SettingsKey& key : kKeys) {
    if (key.get(before) == key.get(after)) continue;
    (key.takes == Takes::a_restart ? change.by_restart : change.at_once).push_back(key.full_name());
  }
  return change;
}

}  // namespace ipvlanx
