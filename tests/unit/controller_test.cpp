// SPDX-License-Identifier: Apache-2.0
// All or nothing: whatever step of a request fails, interfaces, tables, state and
// the file on disk are as before. And: a controller that starts finds what was.
#include "ipvlanx/control/controller.h"

#include <filesystem>
#include <fstream>

#include "catch.h"
#include "controller_world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

// Makes each change of one seam fail in turn, until the request gets through.
template <class Seam, class Request>
void check_all_or_nothing(World& world, Seam& seam, Request request) {
  for (int n = 1; n < 100; ++n) {
    const auto links = world.links.pairs;
    const auto tables = world.datapath.held;
    const auto slaves = world.controller.state().slaves();
    const auto saved = on_disk(world);
    seam.fail_on(n);
    const bool done = request(world.controller);
    seam.fail_on(0);
    if (done) {
      CHECK(n > 1);
      return;
    }
    INFO("change " << n);
    CHECK(links == world.links.pairs);
    CHECK(tables == world.datapath.held);
    CHECK(slaves == world.controller.state().slaves());
    CHECK(saved == on_disk(world));
  }
  FAIL("the request never gets through");
}

}  // namespace

TEST_CASE("a new slave, all or nothing") {
  const auto request = [](Controller& controller) {
    return controller
        .add_slave({.master = if_name("m0"),
                    .name = if_name("web0"),
                    .netns = "ns0",
                    .mode = Mode::l2,
                    .addresses = {prefix("10.0.0.5/24"), prefix("2001:db8::5/64")}})
        .has_value();
  };
  SECTION("whatever the interfaces refuse") {
    World world;
    check_all_or_nothing(world, world.links, request);
    CHECK(world.datapath.held.addresses.size() == 2);
  }
  SECTION("whatever the data path refuses") {
    World world;
    check_all_or_nothing(world, world.datapath, request);
    CHECK(world.datapath.held.addresses.size() == 2);
  }
}

TEST_CASE("a deletion that fails leaves the slave working") {
  World world;
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  const Tables before = world.datapath.held;
  world.links.fail_on(1);
  REQUIRE_FALSE(world.controller.delete_slave(id));
  CHECK(world.datapath.held == before);
  CHECK(world.controller.state().slave(id) != nullptr);
  REQUIRE(world.controller.delete_slave(id));
  CHECK(world.datapath.held == Tables{});
  CHECK(world.links.pairs.empty());
}

TEST_CASE("a change of everything at once, all or nothing") {
  World world;
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  const auto request = [&](Controller& controller) {
    return controller.change_slave(id, {.netns = "ns1", .mtu = 1400, .up = true}).has_value();
  };
  SECTION("whatever the interfaces refuse") {
    check_all_or_nothing(world, world.links, request);
  }
  SECTION("whatever the data path refuses") {
    check_all_or_nothing(world, world.datapath, request);
  }
  const Slave& slave = *world.controller.state().slave(id);
  CHECK(slave.ends.container_end.netns == Nsid{2});
  CHECK(slave.mtu == 1400);
  CHECK(slave.up);
  CHECK(world.end_of(id).addresses == std::vector{prefix("10.0.0.5/24")});
  CHECK(world.datapath.held.addresses.begin()->second.container_end == slave.ends.container_end.ifindex);
  CHECK(world.links.separated == std::vector{id});
}

TEST_CASE("a live change of a port's mode, all or nothing") {
  World world;
  world.add("web0", {prefix("10.0.0.5/24")});
  world.add("db0");
  const auto check_untouched = [&] {
    const auto& state = world.controller.state();
    const Mode mode = state.port(kM0)->mode;
    const bool routed = mode != Mode::l2;
    CHECK(world.links.routed.size() == (routed ? 2 : 0));
    CHECK(world.links.tuned == std::map<IfIndex, Mode>{{kM0, mode}});
    CHECK(world.links.host_routes.size() == (mode == Mode::l3s ? 2 : mode == Mode::l3 ? 1 : 0));
  };
  const auto turn_to = [&](Mode mode) {
    return [&, mode](Controller& controller) {
      check_untouched();
      return controller.change_port(if_name("m0"), {.mode = mode}).has_value();
    };
  };
  for (const Mode mode : {Mode::l3, Mode::l3s}) {
    check_all_or_nothing(world, world.links, turn_to(mode));
    check_all_or_nothing(world, world.datapath, turn_to(Mode::l2));
    check_all_or_nothing(world, world.datapath, turn_to(mode));
    check_all_or_nothing(world, world.links, turn_to(Mode::l2));
  }
  check_untouched();
}

TEST_CASE("a host end that was down has its routes again") {
  World world;
  REQUIRE(world.controller.change_port(if_name("m0"), {.mode = Mode::l3s}));
  const auto id = world.controller.add_slave({.master = if_name("m0"),
                                              .name = if_name("web0"),
                                              .netns = "ns0",
                                              .addresses = {prefix("10.0.0.5/24")}});
  REQUIRE(id);
  const auto routes = std::exchange(world.links.host_routes, {});
  CHECK(routes.size() == 2);
  CHECK(world.notice(*id).empty());
  CHECK(world.links.host_routes.empty());
  const IfIndex host_end = world.controller.state().slave(*id)->ends.host_end;
  CHECK(world.controller.follow({.places = {{std::nullopt, host_end}}}).empty());
  CHECK(world.links.host_routes == routes);
}

TEST_CASE("a master's change reaches its slaves, its end ends them") {
  World world;
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  MasterLink& link = world.links.masters.at("m0");
  link.mac.bytes[5] = 9;
  link.mtu = 1400;
  CHECK(world.controller.follow({.places = {{std::nullopt, kM0}}}).empty());
  CHECK(world.end_of(id).mac == link.mac);
  CHECK(world.end_of(id).mtu == 1400);
  CHECK(world.datapath.held.slaves.begin()->second.mac == link.mac);

  // While nobody looks, and the daemon is dead.
  link.mtu = 1300;
  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  CHECK(world.end_of(id).mtu == 1300);

  // It is on its way: what became of it is told in a moment.
  world.links.masters.clear();
  CHECK(next.follow({.places = {{std::nullopt, kM0}}}).empty());
  CHECK(next.state().slaves().size() == 1);
  CHECK(next.follow({.places = {{std::nullopt, kM0}}, .left = {{kM0, Notices::Departure::removed}}}).empty());
  CHECK(next.state().slaves().empty());
  CHECK(world.datapath.held == Tables{});
}

TEST_CASE("a port waits for its master that is elsewhere, whoever noticed") {
  World world;
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  const MasterLink link = std::exchange(world.links.masters, {}).at("m0");
  const Tables before = world.datapath.held;
  std::optional<Controller> next;
  next.emplace(world.links, world.datapath, world.state_path);

  SECTION("told by the kernel") {
    REQUIRE(next->start());
    world.links.masters.emplace("m0", link);
    CHECK(next->follow({.places = {{std::nullopt, kM0}}}).empty());
    world.links.masters.clear();
    CHECK(
        next->follow({.places = {{std::nullopt, kM0}}, .left = {{kM0, Notices::Departure::moved}}}).empty());
  }
  SECTION("found after notices were lost") {
    world.links.masters.emplace("m0", link);
    REQUIRE(next->start());
    world.links.masters.clear();
    CHECK(next->follow({.lost = true}).empty());
  }
  SECTION("found at start") {
    REQUIRE(next->start());
  }
  CHECK(world.datapath.held == Tables{});
  CHECK(is_away(next->state().slave(id)->master));

  // Also for the daemon after that.
  next.emplace(world.links, world.datapath, world.state_path);
  REQUIRE(next->start());
  CHECK(is_away(next->state().slave(id)->master));
  world.links.masters.emplace("m0", link);
  CHECK(next->follow({.places = {{std::nullopt, kM0}}}).empty());
  CHECK(world.datapath.held == before);
  CHECK(next->state().ports().size() == 1);
}

TEST_CASE("what is due is announced as it is by then") {
  using namespace std::chrono_literals;
  using Time = Announcements::Time;
  constexpr Time kStart{1h};
  World world;
  int woken = 0;
  world.controller.on_announcement([&] { ++woken; });
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  CHECK(woken == 1);
  CHECK(world.links.announced.empty());
  const IfIndex host_end = world.controller.state().slave(id)->ends.host_end;
  const MacAddress mac = m0().mac;
  const IpAddress five = ip("10.0.0.5");
  auto& announced = world.links.announced;

  SECTION("first as the slave, then by the master alone") {
    CHECK(world.controller.announce(kStart).empty());
    CHECK(announced == std::vector<FakeLinks::Announced>{{kM0, host_end, mac, five}});
    CHECK(world.controller.next_announcement() == kStart + 2s);
    CHECK(world.controller.announce(kStart + 2s).empty());
    CHECK(announced.back() == FakeLinks::Announced{kM0, std::nullopt, mac, five});
    CHECK(announced.size() == 2);
  }
  SECTION("nothing of a slave that is gone, or its master") {
    if (GENERATE(true, false)) {
      REQUIRE(world.controller.delete_slave(id));
    } else {
      world.links.masters.clear();
      const auto departure = GENERATE(Notices::Departure::moved, Notices::Departure::removed);
      CHECK(world.controller.follow({.places = {{std::nullopt, kM0}}, .left = {{kM0, departure}}}).empty());
    }
    CHECK_FALSE(world.controller.next_announcement());
    CHECK(world.controller.announce(kStart).empty());
    CHECK(announced.empty());
  }
  SECTION("not where that was switched off meanwhile") {
    REQUIRE(world.controller.change_port(if_name("m0"), {.announce = false}));
    CHECK(world.controller.announce(kStart).empty());
    CHECK(announced.empty());
  }
  SECTION("with the MAC address of then") {
    world.links.masters.at("m0").mac.bytes[5] = 9;
    CHECK(world.controller.follow({.places = {{std::nullopt, kM0}}}).empty());
    CHECK(world.controller.announce(kStart).empty());
    REQUIRE(announced.size() == 1);
    CHECK(announced[0].mac == world.links.masters.at("m0").mac);
    CHECK(announced[0].as_slave == host_end);
  }
  SECTION("again to the wire, when its master has failed over") {
    CHECK(world.controller.announce(kStart).empty());
    CHECK(world.controller.follow({.failed_over = {kM0, IfIndex{77}}}).empty());
    CHECK(woken == 2);
    CHECK(world.controller.announce(kStart + 1s).empty());
    CHECK(world.controller.announce(kStart + 3s).empty());
    CHECK(announced.size() == 3);
    CHECK(announced.back() == FakeLinks::Announced{kM0, std::nullopt, mac, five});
  }
  SECTION("in l3 there are no siblings to tell") {
    REQUIRE(world.controller.change_port(if_name("m0"), {.mode = Mode::l3}));
    CHECK(world.controller.announce(kStart).empty());
    CHECK(announced == std::vector<FakeLinks::Announced>{{kM0, std::nullopt, mac, five}});
  }
  SECTION("a daemon that starts has nothing new to say, but of what is new") {
    CHECK(world.controller.announce(kStart).size() + announced.size() == 1);
    world.end_of(id).addresses.push_back(prefix("fd00::6/64"));
    Controller next{world.links, world.datapath, world.state_path};
    REQUIRE(next.start());
    announced.clear();
    CHECK(next.announce(kStart).empty());
    CHECK(announced == std::vector<FakeLinks::Announced>{{kM0, host_end, mac, ip("fd00::6")}});
  }
}

TEST_CASE("requests that name what is not there") {
  World world;
  const auto check = [&](const api::NewSlave& request, Errc code, std::string_view field) {
    const auto id = world.controller.add_slave(request);
    REQUIRE_FALSE(id);
    CHECK(id.error().code == code);
    CHECK(id.error().field == field);
  };
  check({.master = if_name("m9"), .name = if_name("a0"), .mode = Mode::l2}, Errc::no_such_master, "master");
  check({.master = if_name("m0"), .name = if_name("a0"), .netns = "nowhere", .mode = Mode::l2},
        Errc::netns_gone, "netns");
  world.add("a0");
  check({.master = if_name("m0"), .name = if_name("a0"), .netns = "ns0", .mode = Mode::l2}, Errc::name_in_use,
        "name");
  CHECK(world.controller.delete_slave(SlaveId{5}).error().code == Errc::no_such_slave);
  CHECK(world.controller.stats(SlaveId{5}).error().code == Errc::no_such_slave);
}

TEST_CASE("what happens inside a namespace is followed") {
  World world;
  const SlaveId id = world.add("web0");
  world.end_of(id).addresses = {prefix("10.0.0.5/24")};
  world.end_of(id).up = true;
  CHECK(world.notice(id).empty());
  CHECK(world.datapath.held.addresses.size() == 1);

  SECTION("a notice about somebody else's interface changes nothing") {
    const int changes = world.datapath.changes();
    CHECK(
        world.controller.follow({.places = {{Nsid{1}, IfIndex{4711}}, {std::nullopt, IfIndex{1}}}}).empty());
    CHECK(world.datapath.changes() == changes);
  }
  SECTION("lost notices lead to a look at everything, and an event says so") {
    const auto before = world.controller.events().last_seq();
    world.end_of(id).addresses = {prefix("10.0.0.6/24")};
    CHECK(world.controller.follow({.lost = true}).empty());
    CHECK(to_string(world.datapath.held.addresses.begin()->first.address) == "10.0.0.6");
    const auto events = world.controller.events().since(before);
    REQUIRE(events);
    CHECK(events->front().event.type == EventType::resync);
  }
  SECTION("a slave deleted from inside is dropped") {
    const IfIndex host_end = world.controller.state().slave(id)->ends.host_end;
    world.links.pairs.erase(host_end);
    CHECK(world.controller.follow({.places = {{std::nullopt, host_end}}}).empty());
    CHECK(world.controller.state().slaves().empty());
    CHECK(world.datapath.held == Tables{});
  }
  SECTION("what fails is reported, and looked at again with the next notice") {
    world.end_of(id).addresses.push_back(prefix("10.0.0.7/24"));
    world.datapath.fail_on(1);
    const auto troubles = world.notice(id);
    REQUIRE(troubles.size() == 1);
    CHECK(troubles[0].message.starts_with("slave 'web0' (id 1): "));
    CHECK(world.datapath.held.addresses.size() == 1);
    CHECK(world.notice(id).empty());
    CHECK(world.datapath.held.addresses.size() == 2);
  }
}

TEST_CASE("a controller that starts finds its slaves as they are now") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24")});
  const SlaveId db = world.add("db0");
  const SlaveId gone = world.add("gone0", {prefix("10.0.0.7/24")});
  // While nobody looks: an address is added, a duplicate too, one slave is deleted.
  world.end_of(db).addresses = {prefix("10.0.0.5/24"), prefix("10.0.0.6/24")};
  world.end_of(db).up = true;
  world.links.pairs.erase(world.controller.state().slave(gone)->ends.host_end);
  std::erase_if(world.links.ids, [&](const auto& entry) { return entry.first == gone; });

  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  CHECK(next.state().slaves().size() == 2);
  CHECK(world.datapath.held == tables_of(next.state()));
  const auto& addresses = world.datapath.held.addresses;
  CHECK(addresses.size() == 2);
  CHECK(addresses.at({kM0, ip("10.0.0.5")}).slave == web);
  CHECK(addresses.at({kM0, ip("10.0.0.6")}).slave == db);
  CHECK(next.state().free_id() == SlaveId{4});
}

TEST_CASE("a conflict does not change hands by a restart") {
  World world;
  const SlaveId web = world.add("web0");
  const SlaveId db = world.add("db0");
  for (const SlaveId id : {db, web}) {
    world.end_of(id).addresses = {prefix("10.0.0.5/24")};
    world.end_of(id).up = true;
    CHECK(world.notice(id).empty());
  }
  CHECK(world.datapath.held.addresses.begin()->second.slave == db);
  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  CHECK(world.datapath.held.addresses.begin()->second.slave == db);
}

TEST_CASE("a state that cannot be written undoes the request") {
  World world;
  const SlaveId id = world.add("web0", {prefix("10.0.0.5/24")});
  const auto pairs = world.links.pairs;
  const Tables tables = world.datapath.held;
  std::filesystem::create_directory(world.state_path + ".new");
  Controller blocked{world.links, world.datapath, world.state_path};
  REQUIRE(blocked.start());  // a full disk costs changes, not what is there
  const auto check_untouched = [&](const Error& error) {
    CHECK(error.message.starts_with(world.state_path));
    CHECK(world.links.pairs == pairs);
    CHECK(world.datapath.held == tables);
    CHECK(blocked.state().slaves().size() == 1);
  };
  const auto added =
      blocked.add_slave({.master = if_name("m0"), .name = if_name("db0"), .netns = "ns0", .mode = Mode::l2});
  REQUIRE_FALSE(added);
  check_untouched(added.error());
  // Interfaces that are gone would stay gone: this is asked before.
  const auto deleted = blocked.delete_slave(id);
  REQUIRE_FALSE(deleted);
  check_untouched(deleted.error());
  const auto ended = blocked.delete_port(if_name("m0"));
  REQUIRE_FALSE(ended);
  check_untouched(ended.error());

  std::filesystem::remove(world.state_path + ".new");
  CHECK(blocked.delete_slave(id));
}

TEST_CASE("a state file that cannot be understood is kept aside, and what steers goes on") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24")});
  const SlaveId down = world.add("down0");
  world.end_of(web).addresses.push_back(prefix("10.0.0.6/24"));
  CHECK(world.notice(web).empty());
  CHECK(world.datapath.held.addresses.size() == 2);
  const auto tables = world.datapath.held;
  const auto pairs = world.links.pairs;
  int n = 0;
  for (
      const char* text :
      {"", "{", "[]", R"({"version": 99})", R"({"version": 2})",
       R"({"version":2,"boot":"b","journal":1,"last_id":1,"ports":[],"waiting":[],"slaves":[{"id":"x"}]})"}) {
    INFO(text);
    std::ofstream{world.state_path} << text;
    Controller next{world.links, world.datapath, world.state_path};
    REQUIRE(next.start());
    CHECK(content(world.folder.file("state.json.refused-" + std::to_string(++n))) == text);
    CHECK(world.datapath.held == tables);
    CHECK(world.links.pairs == pairs);
    const auto events = next.events().since(next.events().last_seq() - 1);
    REQUIRE(events);
    const Event& event = events->front().event;
    CHECK(event.type == EventType::state_refused);
    CHECK(event.detail.find("refused-" + std::to_string(n)) != event.detail.npos);

    const Slave& slave = *next.state().slave(web);
    CHECK(slave.addr_policy == AddrPolicy::static_);
    CHECK(slave.addresses == AddressList{Address{prefix("10.0.0.5/24"), Origin::api},
                                         Address{prefix("10.0.0.6/24"), Origin::api}});
    CHECK(next.state().slave(down)->addresses.empty());
    CHECK(next.state().free_id() == SlaveId{3});
    // A tenant gains nothing.
    world.end_of(web).addresses.push_back(prefix("10.0.0.7/24"));
    CHECK(next.follow({.lost = true}).empty());
    CHECK(world.datapath.held == tables);
    world.end_of(web).addresses.pop_back();
  }
  // What was made of it is the state now.
  Controller next{world.links, world.datapath, world.state_path};
  const auto last = world.controller.events().last_seq();
  REQUIRE(next.start());
  CHECK(next.events().last_seq() == last + static_cast<std::uint64_t>(2 * n));  // refused, resync
  CHECK(world.datapath.held == tables);
}

TEST_CASE("without a state, a learnt address gets no route of the host's") {
  World world;
  const auto id = world.controller.add_slave({.master = if_name("m0"),
                                              .name = if_name("web0"),
                                              .netns = "ns0",
                                              .mode = Mode::l3,
                                              .addresses = {prefix("10.0.0.5/24")}});
  REQUIRE(id);
  world.end_of(*id).addresses.push_back(prefix("8.8.8.8/32"));
  CHECK(world.notice(*id).empty());
  const auto routes = world.links.host_routes;
  CHECK(routes.size() == 1);
  const Tables tables = world.datapath.held;
  CHECK(tables.addresses.size() == 2);
  std::filesystem::remove(world.state_path);
  for (int start = 0; start < 2; ++start) {  // the second time by the file
    Controller next{world.links, world.datapath, world.state_path};
    REQUIRE(next.start());
    CHECK(world.links.host_routes == routes);
    CHECK(world.datapath.held == tables);
    // Nor does another change take it away.
    REQUIRE(next.change_slave(*id, {.max_addresses = 65u + static_cast<std::uint32_t>(start)}));
    CHECK(world.datapath.held == tables);
  }
}

TEST_CASE("a daemon that was killed while it made a slave leaves nothing of it") {
  World world;
  world.add("web0", {prefix("10.0.0.5/24")});
  const auto pairs = world.links.pairs;
  REQUIRE(world.links.create({.slave = SlaveId{2}, .name = if_name("half0"), .netns = Nsid{1}}));
  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  CHECK(world.links.pairs == pairs);
  CHECK(next.add_slave({.master = if_name("m0"), .name = if_name("half0"), .netns = "ns0"}) == SlaveId{2});
}

// ---------------------------------------------------------------------- reboot

namespace {

// The machine was off: of the kernel's nothing is left, masters have other numbers.
void reboot(World& world) {
  world.links.pairs.clear();
  world.links.ids.clear();
  world.links.tuned.clear();
  world.links.host_routes.clear();
  world.links.routed.clear();
  world.datapath.held = {};
  for (auto& [name, link] : world.links.masters) link.ifindex = IfIndex{number(link.ifindex) + 10};
}

// What matters of a slave, without numbers.
struct Known {
  SlaveId id;
  std::string name, netns;
  std::uint32_t mtu;
  bool up;
  AddrPolicy policy;
  std::uint32_t max_addresses;
  AddressList addresses;
  bool operator==(const Known&) const = default;
};

std::vector<Known> known(Controller& controller) {
  std::vector<Known> slaves;
  for (const auto& [id, slave] : controller.state().slaves()) {
    slaves.push_back({id, slave.name.str(), controller.netns_name(slave).value_or(""), slave.mtu, slave.up,
                      slave.addr_policy, slave.max_addresses, slave.addresses});
  }
  return slaves;
}

std::vector<EventType> types_since(Controller& controller, std::uint64_t since) {
  std::vector<EventType> types;
  const auto events = controller.events().since(since);
  REQUIRE(events);
  for (const LoggedEvent& logged : *events) types.push_back(logged.event.type);
  return types;
}

}  // namespace

TEST_CASE("after a reboot slaves are made again") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24"), prefix("2001:db8::5/64")});
  REQUIRE(world.controller.change_slave(web, {.mtu = 1400, .max_addresses = 7}));
  const auto here = world.controller.add_slave({.master = if_name("m0"),
                                                .name = if_name("here0"),
                                                .addr_policy = AddrPolicy::static_,
                                                .addresses = {prefix("10.0.0.6/24")}});
  REQUIRE(here);
  const SlaveId gone = world.add("gone0", {prefix("10.0.0.7/24")});
  REQUIRE(world.controller.delete_slave(world.add("last0")));
  // By plain `ip`: renamed, moved, set up, and given an address that only the tenant wants.
  const SlaveId moved = world.add("moved0");
  world.end_of(moved).place.netns = Nsid{2};
  world.end_of(moved).name = if_name("eth0");
  world.end_of(moved).up = true;
  world.end_of(moved).addresses = {prefix("10.0.0.8/24")};
  const IfIndex host_end = world.controller.state().slave(moved)->ends.host_end;
  CHECK(world.controller.follow({.places = {{std::nullopt, host_end}}}).empty());
  REQUIRE(world.controller.change_port(if_name("m0"), {.flag = Flag::private_, .strict_private = true}));
  world.links.namespaces.emplace("doomed", Nsid{3});
  REQUIRE(world.controller.change_slave(gone, {.netns = "doomed"}));

  std::vector<Known> before = known(world.controller);
  std::erase_if(before, [&](const Known& slave) { return slave.id == gone; });
  before.back().addresses = {};
  world.links.namespaces.erase("doomed");
  reboot(world);

  for (const char* boot : {"second", "second", "third"}) {
    INFO(boot);
    Controller next{world.links, world.datapath, world.state_path, boot};
    REQUIRE(next.start());
    CHECK(known(next) == before);
    const Port& port = *next.state().port_named("m0");
    CHECK(port.flag == Flag::private_);
    CHECK(port.strict_private);
    CHECK(world.datapath.held == tables_of(next.state()));
    CHECK(world.datapath.held.addresses.size() == 3);
    CHECK(world.links.pairs.size() == 3);
    CHECK(next.state().free_id() == SlaveId{6});
    const auto& web_link = world.links.pairs.at(next.state().slave(web)->ends.host_end);
    CHECK(web_link.addresses.size() == 2);
    CHECK(web_link.mac == m0().mac);
  }
}

TEST_CASE("after a reboot a port waits for its master") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24")});
  REQUIRE(world.controller.change_port(if_name("m0"), {.flag = Flag::vepa}));
  const auto before = known(world.controller);
  reboot(world);
  const auto masters = std::exchange(world.links.masters, {});
  const auto last = world.controller.events().last_seq();
  std::optional<Controller> next;
  for (int start = 0; start < 2; ++start) {  // it still waits
    next.emplace(world.links, world.datapath, world.state_path, "second");
    REQUIRE(next->start());
    CHECK(known(*next) == before);
    CHECK(is_away(next->state().slave(web)->master));
    CHECK(world.datapath.held == Tables{});
    if (start == 0) CHECK(std::ranges::count(types_since(*next, last), EventType::port_waiting) == 1);
  }

  SECTION("and serves its slaves when it appears") {
    world.links.masters = masters;
    world.links.masters.at("m0").mac.bytes[5] = 7;
    const IfIndex master = masters.at("m0").ifindex;
    CHECK(next->follow({.places = {{std::nullopt, master}}}).empty());
    CHECK(known(*next) == before);
    CHECK(next->state().port(master)->flag == Flag::vepa);
    CHECK(world.datapath.held == tables_of(next->state()));
    CHECK(world.datapath.held.addresses.size() == 1);
    CHECK(world.links.pairs.at(next->state().slave(web)->ends.host_end).mac.bytes[5] == 7);
    Controller again{world.links, world.datapath, world.state_path, "second"};
    REQUIRE(again.start());
    CHECK(known(again) == before);
    CHECK(world.datapath.held == tables_of(again.state()));
  }
  SECTION("unless it is deleted") {
    CHECK(next->delete_port(if_name("m0")));
    CHECK(next->delete_port(if_name("m0")).error().code == Errc::no_such_port);
    world.links.masters = masters;
    CHECK(next->follow({.lost = true}).empty());
    CHECK(next->state().ports().empty());
    CHECK(world.links.pairs.empty());
  }
}

TEST_CASE("no new slave gets the id of one that waits") {
  State state;
  state.set_last_id(SlaveId{kMaxSlaveId - 1});
  state.reserve_ids({SlaveId{kMaxSlaveId}, SlaveId{1}});
  CHECK(state.free_id() == SlaveId{2});
}

TEST_CASE("a slave that cannot be made again waits for the next start") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24")});
  reboot(world);
  const auto taken = world.links.create({.slave = SlaveId{99}, .name = if_name("web0"), .netns = Nsid{1}});
  REQUIRE(taken);
  world.links.ids.clear();  // somebody else's
  world.links.unsettled.clear();
  Controller next{world.links, world.datapath, world.state_path, "second"};
  const auto last = world.controller.events().last_seq();
  REQUIRE(next.start());
  CHECK(types_since(next, last) == std::vector{EventType::slave_waiting});
  CHECK(world.datapath.held == Tables{});
  CHECK(next.follow({.lost = true}).empty());
  CHECK(next.state().slaves().empty());

  world.links.pairs.clear();
  Controller again{world.links, world.datapath, world.state_path, "second"};
  REQUIRE(again.start());
  CHECK(again.state().slave(web)->up);
  CHECK(world.datapath.held.addresses.size() == 1);
}

TEST_CASE("what is repaired at the start is told once, of each slave") {
  World world;
  const SlaveId web = world.add("web0", {prefix("10.0.0.5/24"), prefix("2001:db8::5/64")});
  world.add("db0", {prefix("10.0.0.6/24")});
  std::erase_if(world.datapath.held.addresses, [&](const auto& entry) { return entry.second.slave == web; });
  const auto last = world.controller.events().last_seq();
  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  REQUIRE(types_since(next, last) == std::vector{EventType::repaired});
  CHECK(next.events().since(last)->front().event.slave == web);
  CHECK(world.datapath.held == tables_of(next.state()));
  Controller again{world.links, world.datapath, world.state_path};
  REQUIRE(again.start());
  CHECK(again.events().last_seq() == last + 1);
}

TEST_CASE("event numbers go on across restarts, and old ones are gone") {
  World world;
  world.add("web0");
  const auto last = world.controller.events().last_seq();
  CHECK(world.controller.events().since(last)->empty());
  CHECK(world.controller.events().since(last - 1)->size() == 1);
  CHECK(world.controller.events().since(0)->size() == last);
  CHECK(world.controller.events().since(last + 1).error().code == Errc::events_gone);

  Controller next{world.links, world.datapath, world.state_path};
  REQUIRE(next.start());
  CHECK(next.events().last_seq() == last);
  CHECK(next.events().since(last)->empty());
  CHECK(next.events().since(last - 1).error().code == Errc::events_gone);
  REQUIRE(next.delete_slave(SlaveId{1}));
  CHECK(next.events().since(last)->front().seq == last + 1);
}
