// SPDX-License-Identifier: Apache-2.0
// A controller on fakes of its two seams: master m0, namespaces ns0 and ns1.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>

#include "../../lib/control/state_file.h"
#include "catch.h"
#include "fakes/fake_datapath.h"
#include "fakes/fake_links.h"
#include "ipvlanx/control/controller.h"
#include "world.h"

namespace ipvlanx::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    // In memory, where there is such a place: thousands of files are written and synced.
    const std::filesystem::path memory = "/dev/shm";
    const auto where = exists(memory) ? memory : std::filesystem::temp_directory_path();
    std::string pattern = (where / "ipvlanx-unit-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string content(const std::string& path) {
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct World {
  TemporaryFolder folder;
  FakeLinks links;
  FakeDatapath datapath;
  std::string state_path = folder.file("state.json");
  Controller controller{links, datapath, state_path};

  World() {
    links.masters.emplace("m0", m0());
    links.namespaces.emplace("ns0", Nsid{1});
    links.namespaces.emplace("ns1", Nsid{2});
    REQUIRE(controller.start());
  }

  SlaveId add(std::string_view name, std::vector<Prefix> addresses = {}) {
    const auto id = controller.add_slave({.master = if_name("m0"),
                                          .name = if_name(name),
                                          .netns = "ns0",
                                          .mode = Mode::l2,
                                          .addresses = addresses});
    REQUIRE(id);
    return *id;
  }

  // The container end, to be changed as a tenant does.
  SlaveLink& end_of(SlaveId id) { return links.pairs.at(controller.state().slave(id)->ends.host_end); }
  std::vector<Error> notice(SlaveId id) { return controller.follow({.places = {end_of(id).place}}); }
};

// What a daemon that starts now would read.
struct Saved {
  std::map<IfIndex, SavedPort> ports;
  std::map<SlaveId, SavedSlave> slaves;
  bool operator==(const Saved&) const = default;
};

inline Saved on_disk(const World& world) {
  const auto read = StateFile{world.state_path, {}}.read();
  REQUIRE(read);
  const SavedState state = read->value_or(SavedState{});
  return {state.ports, state.slaves};
}

}  // namespace ipvlanx::test
