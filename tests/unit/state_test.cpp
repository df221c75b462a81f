// SPDX-License-Identifier: Apache-2.0
// Do the indexes say what a look at every slave would say?
#include "ipvlanx/model/state.h"

#include <algorithm>
#include <map>
#include <random>

#include "catch.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

TEST_CASE("the free slot is the smallest one, whoever comes and goes") {
  std::mt19937 random{GENERATE(1u, 2u, 3u)};
  State state;
  std::map<std::uint32_t, SlaveId> used;
  for (std::uint32_t step = 1; step <= 400; ++step) {
    const bool comes = used.empty() || random() % 5 < 3;
    if (comes) {
      // As a plan does it, or, in any order, as a start does it.
      std::uint32_t slot = state.free_slot(kM0);
      if (random() % 4 == 0) slot = static_cast<std::uint32_t>(random() % 90);
      if (used.contains(slot)) continue;
      state.put(Slave{.id = SlaveId{step}, .master = kM0, .name = if_name("any"), .slot = slot});
      used[slot] = SlaveId{step};
    } else {
      const auto one = std::next(used.begin(), static_cast<std::ptrdiff_t>(random() % used.size()));
      state.drop(one->second);
      used.erase(one);
    }
    std::uint32_t smallest = 0;
    while (used.contains(smallest)) ++smallest;
    REQUIRE(state.free_slot(kM0) == smallest);
    REQUIRE(state.slots(kM0) == (used.empty() ? 0 : used.rbegin()->first + 1));
    REQUIRE(state.count_slaves(kM0) == used.size());
    REQUIRE(state.slaves_of(kM0).size() == used.size());
  }
}
