// SPDX-License-Identifier: Apache-2.0
// What is announced, how often, and never too much of it at once: rule 64.
#include "ipvlanx/model/announcements.h"

#include <array>
#include <functional>
#include <map>

#include "catch.h"
#include "ipvlanx/model/plan.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;
using namespace std::chrono_literals;

namespace {

using Time = Announcements::Time;

constexpr Time kStart{1h};

AddressKey key(std::string_view text) {
  return {kM0, ip(text)};
}

AddressKey nth(int n, IfIndex master = kM0) {
  const std::array bytes{std::uint8_t{10}, std::uint8_t{1}, static_cast<std::uint8_t>(n >> 8),
                         static_cast<std::uint8_t>(n)};
  return {master, *IpAddress::from_bytes(bytes)};
}

const Announcement kToAll{key("10.0.0.5"), Audience::link};
const Announcement kToWire{key("10.0.0.5"), Audience::wire};

using Taken = std::vector<Announcement>;

}  // namespace

TEST_CASE("an address is said twice, two seconds apart, to its siblings once") {
  Announcements announcements;
  CHECK_FALSE(announcements.next());
  announcements.add(kToAll);
  CHECK(announcements.next() <= kStart);
  CHECK(announcements.take(kStart) == Taken{kToAll});
  CHECK(announcements.take(kStart).empty());
  CHECK(announcements.next() == kStart + 2s);
  CHECK(announcements.take(kStart + 1999ms).empty());
  CHECK(announcements.take(kStart + 2s) == Taken{kToWire});
  CHECK(announcements.take(kStart + 1h).empty());
  CHECK_FALSE(announcements.next());
}

TEST_CASE("an address that waits is not queued twice") {
  Announcements announcements;
  for (const auto& one : {kToWire, kToAll, kToWire}) announcements.add(one);
  CHECK(announcements.take(kStart) == Taken{kToAll});
  CHECK(announcements.take(kStart + 2s) == Taken{kToWire});
  CHECK(announcements.take(kStart + 4s).empty());
}

TEST_CASE("an address that comes and goes is not said twice within a second") {
  Announcements announcements;
  announcements.add(kToAll);
  CHECK(announcements.take(kStart).size() == 1);
  for (auto after = 100ms; after < 1s; after += 100ms) {
    announcements.forget(kToAll.address);
    announcements.add(kToAll);
    CHECK(announcements.take(kStart + after).empty());
  }
  CHECK(announcements.next() == kStart + 1s);
  CHECK(announcements.take(kStart + 1s) == Taken{kToAll});

  // From the beginning: once more two seconds later, but for who is gone by then.
  announcements.forget(kToAll.address);
  CHECK(announcements.take(kStart + 1h).empty());
  CHECK_FALSE(announcements.next());
}

TEST_CASE("an address that went before its turn is not said") {
  Announcements announcements;
  announcements.add(kToAll);
  announcements.forget(kToAll.address);
  announcements.forget(key("10.0.0.6"));
  CHECK_FALSE(announcements.next());
  CHECK(announcements.take(kStart).empty());
}

TEST_CASE("of two thousand addresses, two hundred a second, and all of them twice") {
  Announcements announcements;
  constexpr int kMany = 2000;
  for (int n = 0; n < kMany; ++n) announcements.add({nth(n), Audience::wire});
  std::map<AddressKey, std::vector<Time>> said;
  std::map<Time, int> at;
  int woken = 0;
  for (Time now = kStart; announcements.next(); now = std::max(now + 1ms, *announcements.next())) {
    for (const auto& one : announcements.take(now)) {
      said[one.address].push_back(now);
      ++at[now];
    }
    REQUIRE(++woken < 3 * kMany);
    if (!announcements.next()) break;
  }
  CHECK(said.size() == kMany);
  for (const auto& [address, times] : said) {
    REQUIRE(times.size() == 2);
    CHECK(times[1] - times[0] >= 2s);
  }
  // Neither a second nor a tenth of one has more than its share.
  for (const auto& [window, most] : {std::pair<std::chrono::milliseconds, int>{1s, 200}, {100ms, 20}}) {
    for (const auto& [from, first] : at) {
      int sum = 0;
      for (auto each = at.find(from); each != at.end() && each->first < from + window; ++each) {
        sum += each->second;
      }
      CHECK(sum <= most);
    }
  }
  CHECK(at.rbegin()->first - kStart < 21s);
}

TEST_CASE("what is new goes before what is said again, and masters do not wait for each other") {
  Announcements announcements;
  for (int n = 0; n < 100; ++n) announcements.add({nth(n), Audience::wire});
  CHECK(announcements.take(kStart).size() == 20);
  CHECK(announcements.take(kStart + 99ms).empty());
  announcements.add({nth(1, IfIndex{3}), Audience::wire});
  CHECK(announcements.next() <= kStart + 99ms);
  CHECK(announcements.take(kStart + 99ms) == Taken{{nth(1, IfIndex{3}), Audience::wire}});
  for (int i = 1; i < 5; ++i) CHECK(announcements.take(kStart + i * 100ms).size() >= 20);
  // All have been said once; some wait for their second time by now.
  announcements.add({nth(500), Audience::link});
  CHECK(announcements.take(kStart + 3s).front() == Announcement{nth(500), Audience::link});
}

// ------------------------------------------------------------------ what a plan announces

namespace {

Plan must_plan(const State& state, const Command& command) {
  auto plan = ipvlanx::plan(state, command);
  REQUIRE(plan);
  return *plan;
}

State after(const State& state, const Command& command) {
  return done(state, must_plan(state, command));
}

std::vector<Announcement> news(const State& state, const Command& command) {
  return must_plan(state, command).announcements;
}

Observe observed(const State& state, SlaveId id, const std::function<void(SlaveLink&)>& change) {
  SlaveLink link = seen(*state.slave(id));
  change(link);
  return {.id = id, .link = link};
}

constexpr SlaveId kWeb{1}, kDb{2};
const Taken kNothing;

}  // namespace

TEST_CASE("an address is announced when it begins to steer") {
  const State empty;
  const AddSlave add = add_l2("web0", {prefix("10.0.0.5/24")});
  CHECK(news(empty, add) == Taken{kToAll});
  const State state = after(empty, add);
  const Announcement six{key("fd00::6"), Audience::link};
  CHECK(news(state, AddAddress{kWeb, prefix("fd00::6/64"), {}}) == Taken{six});
  CHECK(news(state, AddAddress{kWeb, prefix("10.0.0.5/24"), {}}) == kNothing);
  CHECK(news(state, DeleteAddress{kWeb, ip("10.0.0.5")}) == kNothing);
  CHECK(news(state, observed(state, kWeb, [](SlaveLink& link) {
               link.addresses.push_back(prefix("fd00::6/64"));
             })) == Taken{six});

  SECTION("and when its slave comes up, or moves") {
    CHECK(news(state, ChangeSlave{.id = kWeb, .up = false}) == kNothing);
    const State down = after(state, ChangeSlave{.id = kWeb, .up = false});
    CHECK(news(down, ChangeSlave{.id = kWeb, .up = true}) == Taken{kToAll});
    CHECK(news(down, observed(down, kWeb, [](SlaveLink& link) { link.up = true; })) == Taken{kToAll});
    CHECK(news(state, ChangeSlave{.id = kWeb, .netns = Netns{Nsid{9}}}) == kNothing);
    CHECK(news(state, ChangeSlave{.id = kWeb, .netns = Netns{Nsid{9}}, .up = true}) == Taken{kToAll});
  }
  SECTION("not when something else about the slave changes") {
    CHECK(news(state, ChangeSlave{.id = kWeb, .mtu = 1400}) == kNothing);
    CHECK(news(state, observed(state, kWeb, [](SlaveLink& link) { link.name = if_name("x"); })) == kNothing);
  }
}

TEST_CASE("of a conflict the owner's is announced, and the heir's when it inherits") {
  State state = after({}, add_l2("web0", {prefix("10.0.0.5/24")}));
  state = after(state, add_l2("db0"));
  const Observe duplicate = observed(state, kDb, [](SlaveLink& link) {
    link.up = true;
    link.addresses = {prefix("10.0.0.5/24"), prefix("10.0.0.1/24")};
  });
  Observe refused = duplicate;
  refused.reserved = {ip("10.0.0.1")};
  CHECK(news(state, refused) == kNothing);
  state = after(state, refused);
  CHECK(news(state, DeleteAddress{kWeb, ip("10.0.0.5")}) == Taken{kToAll});
  CHECK(news(state, DeleteSlave{kWeb}) == Taken{kToAll});
  CHECK(news(state, DeleteSlave{kDb}) == kNothing);
}

TEST_CASE("an address is not announced before it is known that nobody else has it") {
  State state = after({}, add_l2("web0"));
  const auto with = [&](std::vector<IpAddress> silent) {
    return observed(state, kWeb, [&](SlaveLink& link) {
      link.up = true;
      link.addresses = {prefix("fd00::6/64")};
      link.silent = silent;
    });
  };
  CHECK(news(state, with({ip("fd00::6")})) == kNothing);
  state = after(state, with({ip("fd00::6")}));
  CHECK(tables_of(state).addresses.size() == 1);
  CHECK(news(state, with({ip("fd00::6")})) == kNothing);
  CHECK(news(state, with({})) == Taken{{key("fd00::6"), Audience::link}});
  state = after(state, with({}));
  CHECK(news(state, with({})) == kNothing);
}

TEST_CASE("of a new MAC address and a carrier that is back the wire hears, of a conflict's owner once") {
  State state = after({}, add_l2("web0", {prefix("10.0.0.5/24")}));
  state = after(state, add_l2("db0"));
  const auto master = [](const std::function<void(MasterLink&)>& change) {
    MasterLink link = m0();
    change(link);
    return ObserveMaster{kM0, link};
  };
  CHECK(news(state, master([](MasterLink& link) { link.mtu = 1400; })) == kNothing);
  CHECK(news(state, master([](MasterLink& link) { link.mac.bytes[5] = 9; })) == Taken{kToWire});
  const auto no_carrier = master([](MasterLink& link) { link.carrier = false; });
  CHECK(news(state, no_carrier) == kNothing);
  const State cut = after(state, no_carrier);
  CHECK(news(cut, AddAddress{kWeb, prefix("10.0.0.6/24"), {}}) == kNothing);
  CHECK(news(cut, master([](MasterLink&) {})) == Taken{kToWire});
}

TEST_CASE("announce off") {
  State state = after({}, ChangePort{.master = m0(), .announce = false});
  state = after(state, add_l2("web0", {prefix("10.0.0.5/24")}));
  CHECK_FALSE(state.port(kM0)->announce);
  CHECK(news(state, AddAddress{kWeb, prefix("10.0.0.6/24"), {}}) == kNothing);
  MasterLink other = m0();
  other.mac.bytes[5] = 9;
  CHECK(news(state, ObserveMaster{kM0, other}) == kNothing);
  CHECK(news(state, ChangePort{.master = m0(), .mode = Mode::l3}) == kNothing);
  CHECK(news(after(state, ChangePort{.master = m0(), .mode = Mode::l3}),
             ChangePort{.master = m0(), .mode = Mode::l2}) == kNothing);
}

TEST_CASE("in l3 what the API gives, but for link-locals, and nothing that a tenant takes") {
  const State state = after({}, add_l3("web0", {prefix("10.0.0.5/24")}));
  const Observe taken =
      observed(state, kWeb, [](SlaveLink& link) { link.addresses.push_back(prefix("10.0.0.7/24")); });
  CHECK(news(state, taken) == kNothing);
  CHECK(news(after(state, taken), AddAddress{kWeb, prefix("10.0.0.7/24"), {}}) ==
        Taken{{key("10.0.0.7"), Audience::link}});
  CHECK(news(after(state, taken), ChangePort{.master = m0(), .mode = Mode::l2}).size() == 2);
  CHECK(news(state, AddAddress{kWeb, prefix("fd00::6/64"), {}}) == Taken{{key("fd00::6"), Audience::link}});
  CHECK(news(state, AddAddress{kWeb, prefix("fe80::6/64"), {}}) == kNothing);
}
