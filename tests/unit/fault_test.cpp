// SPDX-License-Identifier: Apache-2.0
// Every call to the kernel and the data path fails once, in every kind of request: all is
// as before, and the cause is told. Then another one fails while that is undone: it is
// reported, and the next start makes the best of what is left.
#include <array>
#include <functional>

#include "controller_world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

struct Request {
  std::string name;
  std::function<void(World&)> given;
  std::function<Result<void>(World&)> ask;
};

// What the kernel tells of, instead of a request.
struct Happening {
  std::string name;
  std::function<void(World&)> given;
  std::function<Notices(World&)> happen;
};

template <class T>
Result<void> whether(const Result<T>& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

const SlaveId kWeb{1};
const SlaveId kDb{2};

api::NewSlave slave(std::string_view name, Mode mode, std::vector<Prefix> addresses) {
  return {.master = if_name("m0"),
          .name = if_name(name),
          .netns = "ns0",
          .mode = mode,
          .addresses = std::move(addresses)};
}

void nothing(World&) {
}

// Two slaves: of one the API gave two addresses; the other has one of its own, one that
// the first has too, and one that the API gave.
auto two_slaves(Mode mode) {
  return [mode](World& world) {
    REQUIRE(world.controller.add_slave(
        slave("web0", mode, {prefix("10.0.0.5/24"), prefix("2001:db8::5/64"), prefix("10.0.0.15/24")})));
    REQUIRE(world.controller.add_slave(slave("db0", mode, {prefix("10.0.0.6/24")})));
    SlaveLink& db = world.end_of(kDb);
    db.addresses.push_back(prefix("10.0.0.7/24"));
    db.addresses.push_back(prefix("10.0.0.5/24"));
    REQUIRE(world.notice(kDb).empty());
  };
}

auto one_slave(Mode mode) {
  return [mode](World& world) {
    REQUIRE(world.controller.add_slave(slave("web0", mode, {prefix("10.0.0.5/24")})));
    world.end_of(kWeb).addresses.push_back(prefix("2001:db8::7/64"));
    REQUIRE(world.notice(kWeb).empty());
  };
}

auto one_via_afxdp(Mode mode) {
  return [mode](World& world) {
    auto request = slave("web0", mode, {prefix("10.0.0.5/24")});
    request.via = Via::afxdp;
    REQUIRE(world.controller.add_slave(request));
  };
}

auto kept_port(Mode mode) {
  return [mode](World& world) {
    REQUIRE(world.controller.change_port(if_name("m0"), {.mode = mode, .strict_private = true}));
    one_slave(mode)(world);
  };
}

std::vector<Request> requests() {
  std::vector<Request> all;
  const auto add = [&](const std::string& name, auto given, auto ask) {
    all.push_back({name, given, [ask](World& world) { return whether(ask(world.controller)); }});
  };
  for (const Mode mode : {Mode::l2, Mode::l3, Mode::l3s}) {
    const std::string in = " in " + std::string{to_string(mode)};
    const auto two = two_slaves(mode);
    add("first slave" + in, nothing, [=](Controller& c) { return c.add_slave(slave("web0", mode, {})); });
    add("slave with addresses" + in, two, [=](Controller& c) {
      return c.add_slave(slave("more0", mode, {prefix("10.0.0.8/24"), prefix("2001:db8::8/64")}));
    });
    add("slave via AF_XDP" + in, two, [=](Controller& c) {
      auto request = slave("more0", mode, {prefix("10.0.0.8/24")});
      request.via = Via::afxdp;
      return c.add_slave(request);
    });
    add("delete slave via AF_XDP" + in, one_via_afxdp(mode),
        [](Controller& c) { return c.delete_slave(kWeb); });
    add("move via AF_XDP" + in, one_via_afxdp(mode),
        [](Controller& c) { return c.change_slave(kWeb, {.netns = "ns1", .up = true}); });
    add("address" + in, two, [](Controller& c) { return c.add_address(kWeb, {prefix("10.0.0.9/24")}); });
    add("learnt address by the API" + in, two,
        [](Controller& c) { return c.add_address(kDb, {prefix("10.0.0.7/24")}); });
    add("delete address" + in, two, [](Controller& c) { return c.delete_address(kWeb, ip("10.0.0.15")); });
    add("delete address that has an heir" + in, two,
        [](Controller& c) { return c.delete_address(kWeb, ip("10.0.0.5")); });
    add("move" + in, two, [](Controller& c) { return c.change_slave(kWeb, {.netns = "ns1", .up = true}); });
    add("MTU" + in, two, [](Controller& c) { return c.change_slave(kWeb, {.mtu = 1400}); });
    add("down" + in, two, [](Controller& c) { return c.change_slave(kWeb, {.up = false}); });
    add("static addresses" + in, two,
        [](Controller& c) { return c.change_slave(kDb, {.addr_policy = AddrPolicy::static_}); });
    add("everything of a slave" + in, one_slave(mode), [=](Controller& c) {
      return c.change_slave(kWeb, {.mode = mode == Mode::l2 ? Mode::l3s : Mode::l2,
                                   .flag = Flag::vepa,
                                   .netns = "ns1",
                                   .mtu = 1400,
                                   .up = true,
                                   .addr_policy = AddrPolicy::static_,
                                   .max_addresses = 9});
    });
    add("delete slave" + in, two, [](Controller& c) { return c.delete_slave(kWeb); });
    add("delete last slave" + in, one_slave(mode), [](Controller& c) { return c.delete_slave(kWeb); });
    add("delete last slave of a kept port" + in, kept_port(mode),
        [](Controller& c) { return c.delete_slave(kWeb); });
    add("delete port" + in, two, [](Controller& c) { return c.delete_port(if_name("m0")); });
    add("flag" + in, two,
        [](Controller& c) { return c.change_port(if_name("m0"), {.flag = Flag::private_}); });
    for (const Mode other : {Mode::l2, Mode::l3, Mode::l3s}) {
      if (other == mode) continue;
      add("to " + std::string{to_string(other)} + in, two,
          [=](Controller& c) { return c.change_port(if_name("m0"), {.mode = other}); });
    }
  }
  return all;
}

std::vector<Happening> happenings() {
  std::vector<Happening> all;
  const auto at = [](const Place& place) { return Notices{.places = {place}}; };
  for (const Mode mode : {Mode::l2, Mode::l3, Mode::l3s}) {
    const std::string in = " in " + std::string{to_string(mode)};
    const auto to_web = [&](const std::string& name, auto edit) {
      all.push_back({name + in, two_slaves(mode), [=](World& world) {
                       SlaveLink& web = world.end_of(kWeb);
                       const Place before = web.place;
                       edit(web);
                       return at(before);
                     }});
    };
    to_web("a new address", [](SlaveLink& web) { web.addresses.push_back(prefix("10.0.0.9/24")); });
    to_web("down", [](SlaveLink& web) { web.up = false; });
    to_web("renamed", [](SlaveLink& web) { web.name = if_name("eth0"); });
    to_web("moved", [](SlaveLink& web) {
      web.place.netns = Nsid{2};
      web.addresses.clear();
      web.up = false;
    });
    all.push_back({"a slave that is gone" + in, two_slaves(mode), [=](World& world) {
                     const IfIndex host_end = world.controller.state().slave(kWeb)->ends.host_end;
                     world.links.pairs.erase(host_end);
                     return at({std::nullopt, host_end});
                   }});
    const auto to_master = [&](const std::string& name, auto edit) {
      all.push_back({name + in, two_slaves(mode), [=](World& world) {
                       edit(world.links.masters);
                       return at({std::nullopt, kM0});
                     }});
    };
    to_master("master's MAC", [](auto& masters) { masters.at("m0").mac.bytes[5] = 9; });
    to_master("master's MTU", [](auto& masters) { masters.at("m0").mtu = 1300; });
    to_master("master without carrier", [](auto& masters) { masters.at("m0").carrier = false; });
    to_master("master renamed", [](auto& masters) { masters.at("m0").name = if_name("lan0"); });
    for (const auto departure : {Notices::Departure::removed, Notices::Departure::moved}) {
      const bool moved = departure == Notices::Departure::moved;
      all.push_back({(moved ? "no master, for now" : "no master") + in, two_slaves(mode), [=](World& world) {
                       world.links.masters.clear();
                       return Notices{.places = {{std::nullopt, kM0}}, .left = {{kM0, departure}}};
                     }});
    }
  }
  return all;
}

struct FaultyWorld : World {
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();

  explicit FaultyWorld(const std::function<void(World&)>& given) {
    given(*this);
    faults->reads_too = true;
    links.faults = faults;
    datapath.faults = faults;
  }
};

struct Everything {
  explicit Everything(World& world)
      : ports(world.controller.state().ports()),
        slaves(world.controller.state().slaves()),
        last_id(world.controller.state().last_id()),
        tables(world.datapath.held),
        pairs(world.links.pairs),
        ids(world.links.ids),
        sets{world.links.unsettled, world.links.routed, world.links.carriers},
        host_mtus(world.links.host_mtus),
        tuned(world.links.tuned),
        routes(world.links.host_routes),
        sockets(world.datapath.sockets),
        saved(on_disk(world)) {}

  std::map<IfIndex, Port> ports;
  std::map<SlaveId, Slave> slaves;
  SlaveId last_id;
  Tables tables;
  std::map<IfIndex, SlaveLink> pairs;
  std::map<SlaveId, IfIndex> ids;
  std::array<std::set<IfIndex>, 3> sets;
  std::map<IfIndex, std::uint32_t> host_mtus;
  std::map<IfIndex, Mode> tuned;
  std::set<RouteKey> routes;
  std::set<SlaveId> sockets;
  Saved saved;
};

void check_same(const Everything& before, const Everything& after) {
  CHECK(before.ports == after.ports);
  CHECK(before.slaves == after.slaves);
  CHECK(before.last_id == after.last_id);
  CHECK(before.tables == after.tables);
  CHECK(before.pairs == after.pairs);
  CHECK(before.ids == after.ids);
  CHECK(before.sets == after.sets);
  CHECK(before.host_mtus == after.host_mtus);
  CHECK(before.tuned == after.tuned);
  CHECK(before.routes == after.routes);
  CHECK(before.sockets == after.sockets);
  CHECK(before.saved == after.saved);
}

// State, tables and interfaces say the same.
void check_agreed(World& world, const State& state) {
  Tables held = world.datapath.held;
  for (const auto& [host_end, address, port] : world.links.host_routes) {
    const RouteRow row{host_end, address, port};
    held.routes.emplace(row.key(), row);
  }
  const Tables wanted = tables_of(state);
  CHECK(held == wanted);
  CHECK(world.links.unsettled.empty());
  std::set<SlaveId> served;
  for (const auto& [id, slave] : state.slaves()) {
    if (slave.via == Via::afxdp) served.insert(id);
  }
  CHECK(world.datapath.sockets == served);
  CHECK(world.links.pairs.size() == state.slaves().size());
  for (const auto& [master, mode] : world.links.tuned) CHECK(wanted.ports.at(master).mode == mode);
}

std::string texts(const std::vector<Error>& errors) {
  std::string all;
  for (const Error& error : errors) all += error.message + "\n";
  return all;
}

int calls_of(const Request& request) {
  FaultyWorld world{request.given};
  const auto done = request.ask(world);
  if (!done) FAIL(request.name << ": " << done.error().message);
  CHECK(world.controller.follow({}).empty());
  check_agreed(world, world.controller.state());
  return world.faults->calls();
}

constexpr std::array kFaults{Fault::refused, Fault::unheard};

}  // namespace

TEST_CASE("whichever call of a request fails, all is as before") {
  for (const Request& request : requests()) {
    const int calls = calls_of(request);
    INFO(request.name);
    CHECK(calls > 0);
    for (int n = 1; n <= calls; ++n) {
      for (const Fault fault : kFaults) {
        FaultyWorld world{request.given};
        const Everything before{world};
        world.faults->fail_on(n, fault);
        const auto done = request.ask(world);
        world.faults->forget();
        REQUIRE(world.faults->failed().size() == 1);
        INFO("call " << n << ": " << world.faults->failed().front()
                     << (fault == Fault::unheard ? ", done" : ""));
        const auto troubles = world.controller.follow({});
        INFO(texts(troubles));
        if (done) {
          // What comes after the commit is made good later; it is not kept silent.
          CHECK(texts(troubles).find(": fault ") != std::string::npos);
          continue;
        }
        INFO(done.error().message);
        CHECK(done.error().message.find(": fault ") != std::string::npos);
        CHECK(troubles.empty());
        check_same(before, Everything{world});
        CHECK(request.ask(world));
        check_agreed(world, world.controller.state());
      }
    }
  }
}

TEST_CASE("an undoing that fails, too, is reported, and the next start makes the best of it") {
  for (const Request& request : requests()) {
    const int calls = calls_of(request);
    INFO(request.name);
    for (int n = 1; n <= calls; ++n) {
      int all = calls;
      for (int second = n + 1; second <= all; ++second) {
        FaultyWorld world{request.given};
        world.faults->fail_on(n);
        world.faults->fail_on(second);
        const auto done = request.ask(world);
        world.faults->forget();
        all = world.faults->calls();
        if (done || world.faults->failed().size() < 2) continue;
        INFO("calls " << n << ", " << second << ": " << world.faults->failed()[0] << ", "
                      << world.faults->failed()[1]);
        CHECK(done.error().message.starts_with(world.faults->failed()[0]));
        const auto troubles = world.controller.follow({});
        CHECK(texts(troubles).find("undo: " + world.faults->failed()[1]) != std::string::npos);

        Controller next{world.links, world.datapath, world.state_path};
        REQUIRE(next.start());
        next.follow({.lost = true});
        check_agreed(world, next.state());
      }
    }
  }
}

TEST_CASE("what happens is followed in the end, whichever call fails") {
  for (const Happening& happening : happenings()) {
    INFO(happening.name);
    FaultyWorld reference{happening.given};
    REQUIRE(reference.controller.follow(happening.happen(reference)).empty());
    check_agreed(reference, reference.controller.state());
    const int calls = reference.faults->calls();
    for (int n = 1; n <= calls; ++n) {
      FaultyWorld world{happening.given};
      world.faults->fail_on(n);
      const Notices notices = happening.happen(world);
      const auto troubles = world.controller.follow(notices);
      world.faults->forget();
      REQUIRE(world.faults->failed().size() == 1);
      INFO("call " << n << ": " << world.faults->failed().front());
      CHECK(texts(troubles).find(world.faults->failed().front()) != std::string::npos);
      CHECK(world.controller.follow({}).empty());
      CHECK(world.controller.state().ports() == reference.controller.state().ports());
      CHECK(world.controller.state().slaves() == reference.controller.state().slaves());
      CHECK(world.datapath.held == reference.datapath.held);
    }
  }
}
