// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>

#include "ini.h"
#include "ipvlanx/base/files.h"
#include "ipvlanx/settings/settings.h"

namespace ipvlanx {

namespace {

namespace fs = std::filesystem;

// What is wrong with this line, or nothing; `seen` says where each key of the file was before.
std::string take(const IniLine& line, std::map<const SettingsKey*, unsigned>& seen, Settings& out) {
  const auto in_section = [&](const SettingsKey& key) { return key.section == line.section; };
  if (std::ranges::none_of(settings_keys(), in_section)) {
    return line.key.empty() ? fmt::format("there is no section [{}]", line.section) : "";  // said once
  }
  if (line.key.empty()) return {};

  const auto key = std::ranges::find_if(
      settings_keys(), [&](const SettingsKey& key) { return in_section(key) && key.name == line.key; });
  if (key == settings_keys().end())
    return fmt::format("there is no key '{}' in [{}]", line.key, line.section);
  if (key->given == SettingsKey::Given::once) {
    const auto [first, is_new] = seen.emplace(&*key, line.number);
    if (!is_new) return fmt::format("'{}' is given twice, first in line {}", line.key, first->second);
  }
  std::string problem = key->set(out, line.value);
  return problem.empty() ? problem : fmt::format("{}: {}", line.key, problem);
}

// Names in the folder's order; a folder that is not there is empty.
std::vector<std::string> drop_ins(const std::string& folder, Problems& problems) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry{folder, error}, end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.ends_with(".conf") && !name.starts_with('.')) files.push_back(entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    problems.push_back({folder, 0, error.message()});
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::string to_string(const Problem& problem) {
  if (problem.file.empty()) return problem.sentence;
  if (problem.line == 0) return fmt::format("{}: {}", problem.file, problem.sentence);
  return fmt::format("{}:{}: {}", problem.file, problem.line, problem.sentence);
}

Error as_error(const Problems& problems) {
  std::vector<std::string> sentences;
  for (const Problem& problem : problems) sentences.push_back(to_string(problem));
  return {Errc::bad_settings, fmt::format("{}", fmt::join(sentences, "; "))};
}

std::expected<Settings, Problems> read_settings(std::span<const SettingsText> files) {
  Settings settings;
  Problems problems;
  for (const auto& [file, text] : files) {
    Ini ini = parse_ini(file, text);
    std::map<const SettingsKey*, unsigned> seen;
    for (const IniLine& line : ini.lines) {
      std::string problem = take(line, seen, settings);
      if (!problem.empty()) ini.problems.push_back({file, line.number, std::move(problem)});
    }
    std::ranges::sort(ini.problems, {}, &Problem::line);
    std::ranges::move(ini.problems, std::back_inserter(problems));
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return settings;
}

std::expected<Settings, Problems> read_settings(const std::string& file, Missing missing) {
  Problems problems;
  std::vector<std::string> names = drop_ins(fs::path{file}.parent_path() / "conf.d", problems);
  names.insert(names.begin(), file);

  std::vector<SettingsText> texts;
  for (const std::string& name : names) {
    auto text = read_file(name);
    if (!text) {
      problems.push_back({.sentence = std::move(text.error().message)});
    } else if (*text) {
      texts.push_back({name, **std::move(text)});
    } else if (name != file || missing == Missing::a_problem) {
      problems.push_back({name, 0, "there is no such file"});
    }
  }

  auto settings = read_settings(texts);
  if (problems.empty()) return settings;
  if (!settings) std::ranges::move(settings.error(), std::back_inserter(problems));
  return std::unexpected(std::move(problems));
}

}  // namespace ipvlanx
