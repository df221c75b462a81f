// SPDX-License-Identifier: Apache-2.0
// The settings' files, two of them, the second one behind a line of dashes.
#include "ipvlanx/settings/settings.h"

#include <algorithm>
#include <vector>

#include "fuzz.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;

namespace {

constexpr std::string_view kNextFile = "\n---\n";

std::string written(const Settings& settings) {
  std::string text;
  for (const SettingsKey& key : settings_keys()) {
    const std::string all = key.get(settings);
    std::string_view values = all;
    if (key.given == SettingsKey::Given::any_number_of_times && all.empty()) continue;
    text += "[" + std::string{key.section} + "]\n";
    while (true) {
      text += std::string{key.name} + "=" + std::string{values.substr(0, values.find('\n'))} + "\n";
      if (!values.contains('\n')) break;
      values.remove_prefix(values.find('\n') + 1);
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  std::vector<SettingsText> files{{"a", std::string{text.substr(0, text.find(kNextFile))}}};
  if (text.contains(kNextFile)) {
    files.push_back({"b", std::string{text.substr(text.find(kNextFile) + kNextFile.size())}});
  }
  const auto settings = read_settings(files);
  if (!settings) {
    must(!settings.error().empty(), "a refusal has a reason");
    for (const Problem& problem : settings.error()) {
      const std::string& of = problem.file == "a" ? files.front().text : files.back().text;
      must(problem.line >= 1 && problem.line <= std::ranges::count(of, '\n') + 1, "in a line that is there");
      must(!problem.sentence.empty() && !problem.sentence.contains('\n'), "in one sentence");
    }
    return 0;
  }
  const auto again = read_settings(std::vector<SettingsText>{{"again", written(*settings)}});
  must(again.has_value(), "what was read can be written");
  const SettingsChange nothing = change(*settings, *again);
  must(nothing.at_once.empty() && nothing.by_restart.empty(), "and says the same");
  return 0;
}
