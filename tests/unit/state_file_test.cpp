// SPDX-License-Identifier: Apache-2.0
// The desired state on disk: what is written is read, wherever the writing ended.
#include "../../lib/control/state_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "catch.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ipvlanx-state-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  std::string state() const { return path_ / "state.json"; }
  std::string journal() const { return path_ / "state.journal"; }

 private:
  std::filesystem::path path_;
};

std::string content(const std::string& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void put(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::trunc} << text;
}

SavedPort port() {
  return {.master = kM0,
          .name = if_name("m0"),
          .mode = Mode::l2,
          .flag = Flag::bridge,
          .mac = m0().mac,
          .mtu = 1500};
}

SavedSlave slave(std::uint32_t id, std::string_view name = "web0") {
  return {.id = SlaveId{id},
          .master = kM0,
          .name = if_name(name),
          .place = {.in_host = false, .netns = "ns0"},
          .mtu = 1500,
          .up = true,
          .slot = id,
          .addr_policy = AddrPolicy::learn,
          .max_addresses = 64,
          .addresses = {prefix("10.0.0.5/24")}};
}

// What a file that was opened anew holds.
SavedState read(const Folder& folder) {
  const auto state = StateFile{folder.state(), "boot"}.read();
  INFO((state ? "" : state.error().message));
  REQUIRE(state);
  REQUIRE(*state);
  return **state;
}

struct Given {
  Folder folder;
  StateFile file{folder.state(), "boot"};
  Given() {
    REQUIRE(file.write_snapshot());
    REQUIRE(file.commit({port(), slave(1)}));
  }
};

}  // namespace

TEST_CASE("state file: what is written is read") {
  Given given;
  // A tenant's name for its interface need not be UTF-8.
  SavedSlave odd = slave(2, "\xff\xfe-\"x");
  odd.place = {.in_host = false, .netns = "100%\xff"};
  odd.held = {prefix("10.0.0.9/32")};
  SavedSlave here = slave(3);
  here.place = {};
  here.owner = "docker/c0ffee/e0d1";
  SavedSlave nameless = slave(4);
  nameless.place.netns.clear();
  REQUIRE(given.file.commit({odd}));
  REQUIRE(given.file.note({here, nameless}));
  REQUIRE(given.file.commit({DropSlave{SlaveId{1}}}));

  const auto check = [&] {
    const SavedState state = read(given.folder);
    CHECK(state.boot == "boot");
    CHECK(state.last_id == SlaveId{4});
    CHECK(state.ports == std::map<IfIndex, SavedPort>{{kM0, port()}});
    CHECK(state.slaves ==
          std::map<SlaveId, SavedSlave>{{SlaveId{2}, odd}, {SlaveId{3}, here}, {SlaveId{4}, nameless}});
  };
  check();
  REQUIRE(given.file.write_snapshot());
  CHECK(content(given.folder.journal()).empty());
  check();
}

TEST_CASE("state file: what is known already is not written") {
  Given given;
  const std::string before = content(given.folder.journal());
  REQUIRE(given.file.commit({port(), slave(1)}));
  REQUIRE(given.file.note({slave(1)}));
  CHECK(content(given.folder.journal()) == before);
}

TEST_CASE("state file: a last line that is torn anywhere was never told") {
  Given given;
  const SavedState before = read(given.folder);
  const std::string old = content(given.folder.journal());
  REQUIRE(given.file.commit({slave(2), DropSlave{SlaveId{1}}}));
  const SavedState after = read(given.folder);
  const std::string whole = content(given.folder.journal());
  for (std::size_t size = old.size(); size < whole.size(); ++size) {
    put(given.folder.journal(), whole.substr(0, size));
    CHECK(read(given.folder).slaves == before.slaves);
  }
  put(given.folder.journal(), whole);
  CHECK(read(given.folder).slaves == after.slaves);
  // The disk had its end already, but not its beginning.
  std::string holey = whole;
  std::fill_n(holey.begin() + static_cast<std::ptrdiff_t>(old.size()), 20, '\0');
  put(given.folder.journal(), holey);
  CHECK(read(given.folder).slaves == before.slaves);
}

TEST_CASE("state file: damage is told from a torn end") {
  Given given;
  REQUIRE(given.file.commit({slave(2)}));
  std::string text = content(given.folder.journal());
  const auto first = text.find('\n') + 1;
  text[first] = 'x';
  put(given.folder.journal(), text);
  const auto state = given.file.read();
  REQUIRE_FALSE(state);
  CHECK(state.error().code == Errc::bad_json);
  CHECK(state.error().message.starts_with(given.folder.journal()));

  const auto kept = given.file.keep_aside();
  REQUIRE(kept);
  CHECK(*kept == given.folder.state() + ".refused-1");
  CHECK(content(given.folder.journal() + ".refused-1") == text);
  CHECK(*given.file.keep_aside() == given.folder.state() + ".refused-2");
}

TEST_CASE("state file: a journal that the snapshot contains is nothing") {
  Given given;
  const std::string journal = content(given.folder.journal());
  REQUIRE(given.file.commit({DropSlave{SlaveId{1}}}));
  REQUIRE(given.file.write_snapshot());
  put(given.folder.journal(), journal);  // as a power loss before it is cut leaves it
  CHECK(read(given.folder).slaves.empty());
  put(given.folder.journal(), journal + "damage\n{}\n");
  CHECK(read(given.folder).slaves.empty());
}

TEST_CASE("state file: contradictions are damage") {
  Given given;
  REQUIRE(given.file.write_snapshot());
  const std::string good = content(given.folder.state());
  const auto refuse = [&](const std::string& from, const std::string& to) {
    INFO(from << " -> " << to);
    std::string text = good;
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    put(given.folder.state(), text.replace(at, from.size(), to));
    const auto state = given.file.read();
    REQUIRE_FALSE(state);
    CHECK(state.error().code == Errc::bad_json);
  };
  refuse("\"version\": 2", "\"version\": 3");
  refuse("\"mac\": \"02:", "\"mac\": \"0:");
  refuse("\"mtu\": 1500", "\"mtu\": -1");
  refuse("\"mtu\": 1500", "\"mtu\": 1.5");
  refuse("\"mtu\": 1500", "\"mtu\": true");
  refuse("\"up\": true", "\"up\": 1");
  refuse("\"id\": 1", "\"id\": 65534");
  refuse("\"name\": \"web0\"", "\"name\": \"a/b\"");
  refuse("\"10.0.0.5/24\"", "\"10.0.0.5/33\"");
  refuse("\"mode\": \"l2\"", "\"mode\": \"l4\"");
  refuse("\"ifindex\": 2", "\"ifindex\": 3");  // its slave is on no port
  const auto begin = good.find('{', good.find("\"slaves\""));
  const auto end = good.find('}', begin) + 1;
  refuse(good.substr(begin, end - begin),
         good.substr(begin, end - begin) + "," + good.substr(begin, end - begin));  // twice
  put(given.folder.state(), good);
  CHECK(read(given.folder).slaves.size() == 1);
}

TEST_CASE("state file: the journal does not outgrow what it tells") {
  Given given;
  std::size_t largest = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    SavedSlave one = slave(1);
    one.max_addresses = i;
    REQUIRE(given.file.commit({one}));
    REQUIRE(given.file.tidy());
    largest = std::max<std::size_t>(largest, std::filesystem::file_size(given.folder.journal()));
  }
  CHECK(largest > 60000);
  CHECK(largest < 80000);
  CHECK(read(given.folder).slaves.at(SlaveId{1}).max_addresses == 1999);
}
