// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets have in common. Each is one function, LLVMFuzzerTestOneInput(): it may
// neither crash, nor trip a sanitizer, nor break a promise it asks for by `must`.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "../fakes/fake_datapath.h"
#include "../fakes/fake_links.h"
#include "ipvlanx/control/controller.h"

namespace ipvlanx::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline void must(bool promise, const char* what) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// A controller on fakes: master m0, namespaces ns0 and ns1, slave web0 in ns0.
class World {
 public:
  World() {
    std::filesystem::remove_all(folder());
    std::filesystem::create_directory(folder());
    links.masters.emplace("m0", MasterLink{.ifindex = IfIndex{2},
                                           .name = *IfName::parse("m0"),
                                           .mac = {{2, 0, 0, 0, 0, 1}},
                                           .mtu = 1500,
                                           .ethernet = true,
                                           .reserved = {*IpAddress::parse("10.0.0.1")}});
    links.namespaces.emplace("ns0", Nsid{1});
    links.namespaces.emplace("ns1", Nsid{2});
    must(controller.start().has_value(), "the world begins");
    must(controller
             .add_slave({.master = *IfName::parse("m0"),
                         .name = *IfName::parse("web0"),
                         .netns = "ns0",
                         .mode = Mode::l2,
                         .addresses = {*Prefix::parse("10.0.0.5/24")}})
             .has_value(),
         "there is a slave");
  }

  FakeLinks links;
  FakeDatapath datapath;
  Controller controller{links, datapath, folder() / "state.json", "boot"};

  // In memory, and of this process: it is made anew for each input. Never destroyed, as it is
  // removed at the very end.
  static const std::filesystem::path& folder() {
    static const std::filesystem::path& path = *new std::filesystem::path{[] {
      std::string pattern = "/dev/shm/ipvlanx-fuzz-XXXXXX";
      must(mkdtemp(pattern.data()) != nullptr, "/dev/shm is there");
      std::atexit([] { std::filesystem::remove_all(folder()); });
      return pattern;
    }()};
    return path;
  }
};

}  // namespace ipvlanx::fuzz
