// SPDX-License-Identifier: Apache-2.0
// Do the man pages name everything there is, and nothing else?
#include <fmt/format.h>

#include <regex>
#include <set>

#include "../catch.h"
#include "command_line.h"
#include "commands.h"
#include "controller_world.h"
#include "ipvlanx/api/problem.h"
#include "ipvlanx/settings/settings.h"
#include "routes.h"
#include "xsk/arguments.h"

using namespace ipvlanx;
using ipvlanx::test::content;

namespace {

using Words = std::set<std::string>;

std::string page(const std::string& name) {
  const std::string text = content(IPVLANX_SOURCE_DIR "/deploy/man/" + name);
  REQUIRE_FALSE(text.empty());
  return text;
}

// The part that begins with the line of this heading, up to the next one of its kind.
std::string part(const std::string& page, const std::string& heading) {
  const auto begin = page.find("\n" + heading + "\n");
  INFO(heading);
  REQUIRE(begin != page.npos);
  return page.substr(begin, page.find("\n" + heading.substr(0, 3) + " ", begin + 1) - begin);
}

// What the pattern's first group matches.
Words found(const std::string& text, const std::string& pattern) {
  Words words;
  const std::regex expression{pattern};
  for (std::sregex_iterator match{text.begin(), text.end(), expression}, end; match != end; ++match) {
    words.insert((*match)[1]);
  }
  return words;
}

// With one blank between words, whatever there was.
std::string joined(std::string_view text) {
  return std::regex_replace(std::string{text}, std::regex{"\\s+"}, " ");
}

}  // namespace

TEST_CASE("ipvlanx.conf(5) has each key with its values, its default and when it takes effect") {
  const std::string text = page("ipvlanx.conf.5");
  Words sections;
  std::map<std::string, Words> keys;
  for (const SettingsKey& key : settings_keys()) {
    CAPTURE(key.full_name());
    sections.insert(std::string{key.section});
    keys[std::string{key.section}].insert(std::string{key.name});

    const std::string section = part(text, fmt::format(".Ss Section {}", key.section));
    const std::string item = part(section, fmt::format(".It Cm {}", key.name));
    const std::string usual = key.get(Settings{});
    CHECK(item.find(usual.empty() ? "Default: empty." : fmt::format("Default:\n.Li {} .", usual)) !=
          item.npos);
    CHECK((item.find("Takes a restart.") != item.npos) == (key.takes == SettingsKey::Takes::a_restart));
    for (const std::string& value : found(std::string{key.values}, "([a-z]+)")) {
      CAPTURE(value);
      CHECK(std::regex_search(item, std::regex{"\\.Cm " + value + "( |\n)"}));
    }
  }
  CHECK(found(text, "\n\\.Ss Section ([a-z]+)") == sections);
  for (const auto& [section, names] : keys) {
    CHECK(found(part(text, ".Ss Section " + section), "\n\\.It Cm ([a-z-]+)") == names);
  }
}

TEST_CASE("the file that is installed has each key with its default, as a comment") {
  const std::string text = content(IPVLANX_SOURCE_DIR "/deploy/ipvlanx.conf");
  CHECK(read_settings(std::vector<SettingsText>{{"f", text}}));
  Words keys;
  for (const SettingsKey& key : settings_keys()) keys.insert(std::string{key.name});
  CHECK(found(text, "\n#([a-z-]+) =") == keys);

  const std::string as_set = std::regex_replace(text, std::regex{"\n#([a-z-]+ =)"}, "\n$1");
  const auto settings = read_settings(std::vector<SettingsText>{{"f", as_set}});
  REQUIRE(settings);
  CHECK(change(Settings{}, *settings).at_once.empty());
  CHECK(change(Settings{}, *settings).by_restart == std::vector<std::string>{"apply.file"});
}

TEST_CASE("ipvlanx(8) has each command as the program's help does, and explains each word") {
  const std::string text = page("ipvlanx.8");
  std::string shown;
  for (const std::string& block : found(part(text, ".Sh COMMANDS"), "\\.Bd -literal\n([^]*?)\\.Ed")) {
    shown += std::regex_replace(block, std::regex{"\n +"}, " ");
  }
  Words usages;
  Words words;
  for (const cli::CommandRow& row : cli::commands()) {
    usages.insert(joined(row.usage));
    std::string options = joined(row.usage).substr(row.object.size());
    if (!row.command.empty()) options.erase(0, row.command.size() + 1);
    words.merge(found(options, "\\b([a-z][a-z0-9-]+)\\b"));
  }
  Words lines;
  for (const std::string& line : found(shown, "([^\n]+)\n")) lines.insert(joined(line));
  CHECK(lines == usages);

  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(std::regex_search(text, std::regex{"(Cm|It Cm \\w+|\\|) " + word + "\\b"}));
  }
}

TEST_CASE("ipvlanxd(8) has each option") {
  const Words options = found(daemon::command_line_help(), "\n  (?:-h,)?--([a-z-]+)");
  CHECK(options.contains("config"));
  CHECK(found(page("ipvlanxd.8"), "\n\\.It Fl -([a-z-]+)") == options);
}

TEST_CASE("ipvlanx-xsk(1) has each option of each command") {
  const std::string text = page("ipvlanx-xsk.1");
  const auto in = [&](const std::string& heading) {
    return found(part(text, ".Ss " + heading), "\n\\.It Fl -([a-z-]+)");
  };
  for (const char* command : {"drop", "echo", "generate", "forward"}) {
    CAPTURE(command);
    const char* words[] = {"ipvlanx-xsk", command, "--help"};
    const auto help = xsk::read_arguments(3, words);
    REQUIRE_FALSE(help);
    Words options = in(std::string{"Command "} + command);
    options.merge(in("Options of each command"));
    if (std::string{command} != "generate") options.merge(in("How frames come to its socket"));
    CHECK(found(help.error().text, "\n  (?:-[a-z],)?--([a-z-]+)") == options);
  }
}

TEST_CASE("ipvlanx-api(7) has each route, event and code") {
  const std::string text = page("ipvlanx-api.7");
  Words routes;
  for (const daemon::RouteRow& route : daemon::all_routes()) {
    routes.insert(fmt::format("{} {}", route.method, route.pattern));
    const std::string item = part(text, fmt::format(".It Ic {} {}", route.method, route.pattern));
    for (const std::string_view parameter : route.parameters) {
      CAPTURE(parameter);
      CHECK(std::regex_search(item, std::regex{"(\\.Cm|,) " + std::string{parameter} + "\\b"}));
    }
  }
  CHECK(found(text, "\n\\.It Ic ([A-Z]+ [^\n]+)") == routes);

  // What is no event or code has the last one's name.
  Words events;
  for (int i = 0; i < 100; ++i) events.insert(std::string{to_string(static_cast<EventType>(i))});
  CHECK(found(part(text, ".Sh EVENTS"), "\n\\.It Cm ([a-z-]+)") == events);

  const std::string problems = part(text, ".Sh PROBLEMS");
  Words codes;
  for (int i = 0; i < 100; ++i) {
    const auto code = static_cast<Errc>(i);
    if (code == Errc::no_daemon) continue;  // the client's own
    const std::string word{name(code)};
    codes.insert(word);
    CAPTURE(word);
    CHECK(found(part(problems, fmt::format(".It {}", api::http_status(code))), "\n\\.Cm ([a-z-]+)")
              .contains(word));
  }
  CHECK(found(problems, "\n\\.Cm ([a-z-]+)") == codes);
}
