// SPDX-License-Identifier: Apache-2.0
// Which settings are read, and which are refused with the line at fault?
#include "ipvlanx/settings/settings.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "catch.h"
#include "controller_world.h"

using namespace ipvlanx;
namespace fs = std::filesystem;

namespace {

Settings good(std::vector<SettingsText> files) {
  const auto settings = read_settings(files);
  if (!settings) INFO(to_string(settings.error().front()));
  REQUIRE(settings);
  return *settings;
}

// Of the file f.
std::vector<std::string> problems(const std::string& text) {
  const auto settings = read_settings(std::vector<SettingsText>{{"f", text}});
  std::vector<std::string> sentences;
  if (!settings) {
    for (const Problem& problem : settings.error()) sentences.push_back(to_string(problem));
  }
  return sentences;
}

using All = std::vector<std::string>;

// With a conf.d.
class Folder {
 public:
  Folder() { fs::create_directories(file("conf.d")); }
  std::string file(const std::string& name) const { return folder_.file(name); }
  void write(const std::string& name, const std::string& text) const { std::ofstream{file(name)} << text; }

 private:
  test::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("without files everything is as the man page says") {
  const Settings settings = good({});
  CHECK(settings.socket == "/run/ipvlanx/api.sock");
  CHECK(settings.log_level == LogLevel::info);
  CHECK(settings.write_group.empty());
  CHECK(settings.defaults.addr_policy == AddrPolicy::learn);
  CHECK(settings.defaults.max_addresses == 64);
  CHECK(settings.defaults.announce);
  CHECK(settings.documents.empty());
}

TEST_CASE("every key is read, and what it was set to is what it says") {
  const std::vector<std::pair<std::string, std::string>> values{
      {"daemon.socket", "/a b/c=d"},      {"daemon.pin-root", "/sys/fs/bpf/x"},
      {"daemon.state-dir", "/s"},         {"daemon.log-level", "debug"},
      {"daemon.log-format", "journal"},   {"api.write-group", "netadmins"},
      {"defaults.addr-policy", "static"}, {"defaults.max-addresses", "65536"},
      {"defaults.announce", "off"},       {"afxdp.direct", "on"},
      {"apply.file", "/etc/web.json"}};
  REQUIRE(values.size() == settings_keys().size());
  for (const SettingsKey& key : settings_keys()) {
    CAPTURE(key.full_name());
    const auto value =
        std::ranges::find(values, key.full_name(), &std::pair<std::string, std::string>::first);
    REQUIRE(value != values.end());
    const std::string text =
        "[" + std::string{key.section} + "]\n" + std::string{key.name} + " = " + value->second;
    const Settings settings = good({{"f", text}});
    CHECK(key.get(settings) == value->second);

    const SettingsChange changed = change(Settings{}, settings);
    const bool restarts =
        std::set<std::string>{"daemon.socket", "daemon.pin-root", "daemon.state-dir", "apply.file"}.contains(
            key.full_name());
    CHECK(changed.by_restart == (restarts ? All{key.full_name()} : All{}));
    CHECK(changed.at_once == (restarts ? All{} : All{key.full_name()}));
  }
}

TEST_CASE("blanks, comments and line ends do not count") {
  const Settings settings = good({{"f",
                                   "# [daemon\n ; log-level = none\r\n\n  [defaults]  \r\n"
                                   "\tmax-addresses=3\n[defaults]\n announce =\toff  \n[api]"}});
  CHECK(settings.defaults.max_addresses == 3);
  CHECK_FALSE(settings.defaults.announce);
}

TEST_CASE("the later file wins, but documents are collected") {
  const Settings settings =
      good({{"a", "[daemon]\nlog-level = debug\nsocket = /a\n[apply]\nfile = /1\nfile = /2\n"},
            {"b", "[daemon]\nlog-level = error\n[apply]\nfile = /3\n"}});
  CHECK(settings.log_level == LogLevel::error);
  CHECK(settings.socket == "/a");
  CHECK(settings.documents == All{"/1", "/2", "/3"});
}

TEST_CASE("a file without a fault but one") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"log-level = info", "f:1: there is no [section] before this key"},
      {"[daemon", "f:1: a section is written [name]"},
      {"[]", "f:1: a section is written [name]"},
      {"[daemon] x", "f:1: a section is written [name]"},
      {"[a]b]", "f:1: a section is written [name]"},
      {"[demon]\nlog-level = info", "f:1: there is no section [demon]"},
      {"[daemon]\nloglevel = info", "f:2: there is no key 'loglevel' in [daemon]"},
      {"[api]\nlog-level = info", "f:2: there is no key 'log-level' in [api]"},
      {"[daemon]\n\nlog-level", "f:3: this is neither [section] nor key = value"},
      {"[daemon]\n= info", "f:2: this is neither [section] nor key = value"},
      {"[daemon]\nlog-level = INFO", "f:2: log-level: 'INFO' is none of 'error', 'warning', 'info', 'debug'"},
      {"[daemon]\nlog-level =", "f:2: log-level: '' is none of 'error', 'warning', 'info', 'debug'"},
      {"[daemon]\nlog-level = info # usual",
       "f:2: log-level: 'info # usual' is none of 'error', 'warning', 'info', 'debug'"},
      {"[daemon]\nlog-format = xml", "f:2: log-format: 'xml' is none of 'auto', 'journal', 'text', 'json'"},
      {"[daemon]\nsocket = run/api.sock", "f:2: socket: 'run/api.sock' is no absolute path"},
      {"[daemon]\nsocket = \"/run\"", "f:2: socket: '\"/run\"' is no absolute path"},
      {"[daemon]\nsocket = /a\nlog-level = info\nsocket = /a",
       "f:4: 'socket' is given twice, first in line 2"},
      {"[daemon]\nsocket = /a\n[api]\n[daemon]\nsocket = /b",
       "f:5: 'socket' is given twice, first in line 2"},
      {"[api]\nwrite-group = a b", "f:2: write-group: 'a b' is no name of a group"},
      {"[defaults]\naddr-policy = none", "f:2: addr-policy: 'none' is none of 'learn', 'static'"},
      {"[defaults]\nmax-addresses = 0", "f:2: max-addresses: '0' is no number from 1 to 65536"},
      {"[defaults]\nmax-addresses = 65537", "f:2: max-addresses: '65537' is no number from 1 to 65536"},
      {"[defaults]\nmax-addresses = 99999999999",
       "f:2: max-addresses: '99999999999' is no number from 1 to 65536"},
      {"[defaults]\nmax-addresses = 1k", "f:2: max-addresses: '1k' is no number from 1 to 65536"},
      {"[defaults]\nannounce = yes", "f:2: announce: 'yes' is none of 'on', 'off'"},
      {"[apply]\nfile = web.json", "f:2: file: 'web.json' is no absolute path"},
      {std::string{"[daemon]\nsocket = /a\0b", 22}, "f:2: there is a control character in this line"},
      {"[daemon]\nsocket = /a\033[31m", "f:2: there is a control character in this line"},
  };
  for (const auto& [text, sentence] : cases) {
    CAPTURE(text);
    CHECK(problems(text) == All{sentence});
  }
}

TEST_CASE("all problems are told, in their order, and nothing is read") {
  CHECK(problems("x\n[daemon]\nsocket = a\n[demon]\na = b\nc = d\n[bad\ne = f\n[api]\ng = h\ni\n") ==
        All{"f:1: this is neither [section] nor key = value", "f:3: socket: 'a' is no absolute path",
            "f:4: there is no section [demon]", "f:7: a section is written [name]",
            "f:10: there is no key 'g' in [api]", "f:11: this is neither [section] nor key = value"});
}

TEST_CASE("conf.d is beside the file, and read after it in the order of names") {
  const Folder folder;
  const std::string main = folder.file("x.conf");
  CHECK(read_settings(main, Missing::allowed));
  REQUIRE_FALSE(read_settings(main, Missing::a_problem));
  CHECK(to_string(read_settings(main, Missing::a_problem).error().front()) ==
        main + ": there is no such file");

  folder.write("x.conf", "[daemon]\nlog-level = error\nsocket = /main\n");
  folder.write("conf.d/20.conf", "[daemon]\nlog-level = debug\n");
  folder.write("conf.d/10.conf", "[daemon]\nlog-level = warning\npin-root = /ten\n");
  folder.write("conf.d/.hidden.conf", "nonsense");
  folder.write("conf.d/30.conf.dpkg-old", "nonsense");
  folder.write("conf.d/empty.conf", "");
  const auto settings = read_settings(main, Missing::a_problem);
  REQUIRE(settings);
  CHECK(settings->socket == "/main");
  CHECK(settings->pin_root == "/ten");
  CHECK(settings->log_level == LogLevel::debug);
}

TEST_CASE("what cannot be read is a problem, beside all others") {
  const Folder folder;
  folder.write("x.conf", "nonsense");
  fs::create_directory(folder.file("conf.d/10.conf"));
  fs::create_symlink("/nowhere", folder.file("conf.d/20.conf"));
  const auto settings = read_settings(folder.file("x.conf"), Missing::a_problem);
  REQUIRE_FALSE(settings);
  REQUIRE(settings.error().size() == 3);
  CHECK(to_string(settings.error()[0]) == folder.file("conf.d/10.conf") + ": Is a directory");
  CHECK(to_string(settings.error()[1]) == folder.file("conf.d/20.conf") + ": there is no such file");
  CHECK(settings.error()[2].line == 1);
}
