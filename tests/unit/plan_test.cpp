// SPDX-License-Identifier: Apache-2.0
// The rules of ipvlan, one line each: in this state this command gives this plan,
// or this refusal.
#include "ipvlanx/model/plan.h"

#include <algorithm>

#include "catch.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

State with(std::initializer_list<AddSlave> commands) {
  State state;
  for (const AddSlave& command : commands) {
    const auto plan = ipvlanx::plan(state, command);
    REQUIRE(plan);
    state = done(state, *plan);
  }
  return state;
}

void check_refused(const State& state, const Command& command, Errc code, std::string_view field = "") {
  const auto plan = ipvlanx::plan(state, command);
  REQUIRE_FALSE(plan);
  INFO(plan.error().message);
  CHECK(name(plan.error().code) == name(code));
  CHECK(plan.error().field == field);
}

std::vector<Step> all_steps(const Plan& plan) {
  std::vector<Step> all = plan.steps;
  if (plan.last) all.push_back(*plan.last);
  std::ranges::copy(plan.attempts, std::back_inserter(all));
  return all;
}

template <class S>
std::vector<S> steps_of(const Plan& plan) {
  std::vector<S> found;
  for (const Step& step : plan.steps) {
    if (const auto* one = std::get_if<S>(&step)) found.push_back(*one);
  }
  return found;
}

std::vector<std::string> events_of(const Plan& plan) {
  std::vector<std::string> texts;
  for (const Event& event : plan.events) {
    texts.push_back(std::string{to_string(event.type)} + " " + event.name +
                    (event.address.empty() ? "" : " " + event.address));
  }
  return texts;
}

// The plan's table steps, carried out on the tables before, must give the tables
// after: the incremental way and tables_of() are one truth.
void check_tables(const State& before, const Plan& plan) {
  Tables tables = tables_of(before);
  const auto write = [](auto& rows, const auto& step) {
    if (step.before) {
      REQUIRE(rows.contains(step.before->key()));
      CHECK(rows.at(step.before->key()) == *step.before);
      rows.erase(step.before->key());
    }
    if (step.after) rows.emplace(step.after->key(), *step.after);
  };
  for (const Step& step : all_steps(plan)) {
    if (const auto* s = std::get_if<step::Write<PortRow>>(&step)) write(tables.ports, *s);
    if (const auto* s = std::get_if<step::Write<SlaveRow>>(&step)) write(tables.slaves, *s);
    if (const auto* s = std::get_if<step::Write<MemberRow>>(&step)) write(tables.members, *s);
    if (const auto* s = std::get_if<step::Write<AddressRow>>(&step)) write(tables.addresses, *s);
    if (const auto* s = std::get_if<step::Write<RouteRow>>(&step)) write(tables.routes, *s);
  }
  CHECK(tables == tables_of(applied(before, plan)));
}

Plan must_plan(const State& state, const Command& command) {
  auto plan = ipvlanx::plan(state, command);
  REQUIRE(plan);
  check_tables(state, *plan);
  return *plan;
}

constexpr SlaveId kWeb{1};
constexpr SlaveId kDb{2};

}  // namespace

TEST_CASE("what may be a master") {
  MasterLink lo = m0();
  lo.loopback = true;
  check_refused({}, AddSlave{.master = lo, .name = if_name("web0"), .mode = Mode::l2}, Errc::bad_master,
                "master");
  MasterLink tun = m0();
  tun.ethernet = false;
  check_refused({}, AddSlave{.master = tun, .name = if_name("web0"), .mode = Mode::l2}, Errc::bad_master,
                "master");
}

TEST_CASE("what a request does not say is as it is set") {
  State state;
  state.set_defaults({.addr_policy = AddrPolicy::static_, .max_addresses = 3, .announce = false});
  const auto set = plan(state, add_l2("web0"));
  REQUIRE(set);
  state = done(state, *set);
  CHECK(state.slave(kWeb)->addr_policy == AddrPolicy::static_);
  CHECK(state.slave(kWeb)->max_addresses == 3);
  CHECK_FALSE(state.port(kM0)->announce);

  AddSlave own = add_l2("db0");
  own.addr_policy = AddrPolicy::learn;
  own.max_addresses = 5;
  const auto said = plan(state, own);
  REQUIRE(said);
  state = done(state, *said);
  const Slave& db = *state.slave(said->slave);
  CHECK(db.addr_policy == AddrPolicy::learn);
  CHECK(db.max_addresses == 5);

  State without = State{};
  without.set_defaults({.announce = false});
  const auto port = plan(without, ChangePort{.master = m0(), .announce = true});
  REQUIRE(port);
  CHECK(applied(without, *port).port(kM0)->announce);
}

TEST_CASE("the port's mode and flag: rule 54") {
  SECTION("a new port is l3 bridge as in the kernel") {
    const State state = with({AddSlave{.master = m0(), .name = if_name("web0")}});
    CHECK(state.port(kM0)->mode == Mode::l3);
    CHECK(state.port(kM0)->flag == Flag::bridge);
  }
  SECTION("a port that exists gives its mode to a slave that asks for none") {
    const State state = with({add_l2("web0")});
    CHECK(plan(state, AddSlave{.master = m0(), .name = if_name("db0")}));
  }
  SECTION("another mode or flag is a conflict while there are other slaves") {
    const State state = with({add_l2("web0")});
    AddSlave other = add_l2("db0");
    other.mode = Mode::l3;
    check_refused(state, other, Errc::mode_conflict, "mode");
    other.mode = Mode::l2;
    other.flag = Flag::vepa;
    check_refused(state, other, Errc::mode_conflict, "flag");
    const State two = with({add_l2("web0"), add_l2("db0")});
    check_refused(two, ChangeSlave{.id = kWeb, .mode = Mode::l3s}, Errc::mode_conflict, "mode");
  }
  SECTION("the only slave may ask for any") {
    const State state = with({add_l2("web0")});
    CHECK(plan(state, ChangeSlave{.id = kWeb, .flag = Flag::private_}));
    const Plan l3s = must_plan(state, ChangeSlave{.id = kWeb, .mode = Mode::l3s});
    CHECK(applied(state, l3s).port(kM0)->mode == Mode::l3s);
    CHECK(steps_of<step::SetRouted>(l3s).size() == 1);
  }
}

TEST_CASE("a slave's MTU never exceeds its master's: rule 8") {
  AddSlave big = add_l2("web0");
  big.mtu = 1501;
  check_refused({}, big, Errc::out_of_range, "mtu");
  big.mtu = 67;
  check_refused({}, big, Errc::out_of_range, "mtu");
  big.mtu = 1400;
  CHECK(steps_of<step::CreateLinks>(must_plan({}, big)).front().mtu == 1400);
  check_refused(with({add_l2("web0")}), ChangeSlave{.id = kWeb, .mtu = 9000}, Errc::out_of_range, "mtu");
}

TEST_CASE("who may own an address: rule 44") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  SECTION("not the master's own, nor a default gateway's") {
    check_refused(state, AddAddress{kDb, prefix("10.0.0.1/24"), m0().reserved}, Errc::address_reserved,
                  "address");
    check_refused({}, add_l2("web0", {prefix("10.0.0.254")}), Errc::address_reserved, "addresses[0]");
  }
  SECTION("not another slave's, whatever the prefix length") {
    check_refused(state, AddAddress{kDb, prefix("10.0.0.5/32"), {}}, Errc::address_in_use, "address");
    check_refused(state, add_l2("x0", {prefix("10.0.0.6"), prefix("10.0.0.5")}), Errc::address_in_use,
                  "addresses[1]");
  }
  SECTION("also while the owner is down") {
    const State down = done(state, must_plan(state, ChangeSlave{.id = kWeb, .up = false}));
    check_refused(down, AddAddress{kDb, prefix("10.0.0.5/24"), {}}, Errc::address_in_use, "address");
  }
  SECTION("twice in one request") {
    check_refused({}, add_l2("x0", {prefix("10.0.0.6/24"), prefix("10.0.0.6/32")}), Errc::address_in_use,
                  "addresses[1]");
  }
  SECTION("no more than max-addresses") {
    AddSlave narrow = add_l2("x0", {prefix("10.0.0.7"), prefix("10.0.0.8")});
    narrow.max_addresses = 1;
    check_refused({}, narrow, Errc::too_many_addresses, "addresses[1]");
  }
  SECTION("its own again: a success that changes nothing on the interface") {
    CHECK(must_plan(state, AddAddress{kWeb, prefix("10.0.0.5/24"), {}}).steps.empty());
  }
  SECTION("the same address on another master") {
    MasterLink m1 = m0();
    m1.ifindex = IfIndex{3};
    m1.name = if_name("m1");
    AddSlave elsewhere = add_l2("x0", {prefix("10.0.0.5/24")});
    elsewhere.master = m1;
    CHECK(plan(state, elsewhere));
  }
}

TEST_CASE("a new slave: links first, then the tables, and then it may send") {
  const Plan plan = must_plan({}, add_l2("web0", {prefix("10.0.0.5/24")}));
  REQUIRE(plan.steps.size() == 7);
  CHECK(std::holds_alternative<step::CreateLinks>(plan.steps[0]));
  CHECK(std::holds_alternative<step::AssignAddress>(plan.steps[1]));
  CHECK(std::holds_alternative<step::Write<PortRow>>(plan.steps[2]));
  CHECK(std::holds_alternative<step::Write<MemberRow>>(plan.steps[3]));
  CHECK(std::holds_alternative<step::Write<SlaveRow>>(plan.steps[4]));
  CHECK(std::holds_alternative<step::Write<AddressRow>>(plan.steps[5]));
  CHECK(std::holds_alternative<step::SetUp>(plan.steps[6]));
  CHECK(events_of(plan) == std::vector<std::string>{"slave-added web0", "address-added web0 10.0.0.5"});
}

TEST_CASE("a slave via AF_XDP is reached by its host end, wherever it is") {
  AddSlave request = add_l2("web0", {prefix("10.0.0.5/24")});
  request.via = Via::afxdp;
  const Plan plan = must_plan({}, request);
  CHECK(std::get<step::CreateLinks>(plan.steps[0]).via == Via::afxdp);
  CHECK(std::get<step::ServeSockets>(plan.steps[1]).served);
  const State state = with({request});
  CHECK(tables_of(state).addresses.begin()->second.way == Way::to_sockets);
  CHECK(tables_of(with({add_l2("web0", {prefix("10.0.0.5/24")})})).addresses.begin()->second.way ==
        Way::by_peer);
  Plan move = must_plan(state, ChangeSlave{.id = kWeb, .netns = Netns{Nsid{9}}, .up = true});
  set_ends(move, kWeb, {IfIndex{100}, {Nsid{9}, IfIndex{56}}});
  const auto rows = steps_of<step::Write<AddressRow>>(move);
  REQUIRE_FALSE(rows.empty());
  CHECK(rows.back().after->way == Way::to_sockets);
  CHECK(rows.back().after->container_end == IfIndex{56});
}

TEST_CASE("the last slave takes its port along, addresses first") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")})});
  const Plan plan = must_plan(state, DeleteSlave{kWeb});
  REQUIRE(plan.steps.size() == 4);
  CHECK(std::holds_alternative<step::Write<AddressRow>>(plan.steps[0]));
  CHECK(std::holds_alternative<step::Write<MemberRow>>(plan.steps[1]));
  CHECK(std::holds_alternative<step::Write<PortRow>>(plan.steps[2]));
  CHECK(std::holds_alternative<step::Settle>(plan.steps[3]));
  CHECK(std::holds_alternative<step::RemoveLinks>(*plan.last));
  REQUIRE(plan.attempts.size() == 1);
  CHECK(std::holds_alternative<step::Write<SlaveRow>>(plan.attempts[0]));
  const State after = applied(state, plan);
  CHECK(after.ports().empty());
  CHECK(after.slaves().empty());

  const State two = with({add_l2("web0"), add_l2("db0")});
  CHECK(applied(two, must_plan(two, DeleteSlave{kWeb})).ports().size() == 1);
  check_refused(two, DeleteSlave{SlaveId{9}}, Errc::no_such_slave);
}

TEST_CASE("an address of an interface is learnt, and forgotten with it: rule 43") {
  const State state = with({add_l2("web0")});
  SlaveLink link = seen(*state.slave(kWeb));
  link.addresses = {prefix("10.0.0.5/24")};
  link.up = true;
  const Plan learnt = must_plan(state, Observe{kWeb, link, {}});
  CHECK(events_of(learnt) == std::vector<std::string>{"slave-changed web0", "address-added web0 10.0.0.5"});
  const State after = applied(state, learnt);
  CHECK(tables_of(after).addresses.size() == 1);

  link.addresses.clear();
  const Plan forgotten = must_plan(after, Observe{kWeb, link, {}});
  CHECK(events_of(forgotten) == std::vector<std::string>{"address-removed web0 10.0.0.5"});
  CHECK(tables_of(applied(after, forgotten)).addresses.empty());

  CHECK(must_plan(after, Observe{kWeb, seen(*after.slave(kWeb)), {}}).events.empty());
  CHECK(must_plan(after, Observe{kWeb, seen(*after.slave(kWeb)), {}}).steps.empty());
}

TEST_CASE("a slave that is down owns its addresses, but nothing steers: rule 47") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")})});
  SlaveLink down = seen(*state.slave(kWeb));
  down.up = false;
  const State after = applied(state, must_plan(state, Observe{kWeb, down, {}}));
  CHECK(tables_of(after).addresses.empty());
  CHECK(tables_of(after).members.empty());
  CHECK(after.state_of(*after.slave(kWeb), after.slave(kWeb)->addresses.begin()[0]) ==
        AddressState::inactive);
}

TEST_CASE("a duplicate from inside a namespace: the first owner keeps the traffic") {
  State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  SlaveLink db = seen(*state.slave(kDb));
  db.up = true;
  db.addresses = {prefix("10.0.0.5/24")};
  const Plan conflict = must_plan(state, Observe{kDb, db, {}});
  CHECK(events_of(conflict) ==
        std::vector<std::string>{"slave-changed db0", "address-conflict db0 10.0.0.5"});
  CHECK(conflict.events[1].owner == kWeb);
  CHECK(steps_of<step::Write<AddressRow>>(conflict).empty());
  state = applied(state, conflict);
  CHECK(state.state_of(*state.slave(kDb), state.slave(kDb)->addresses.begin()[0]) == AddressState::conflict);

  SECTION("and the second one has it in one step when the first gives it up") {
    const Plan heir = must_plan(state, DeleteAddress{kWeb, ip("10.0.0.5")});
    const auto rows = steps_of<step::Write<AddressRow>>(heir);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].before->slave == kWeb);
    CHECK(rows[0].after->slave == kDb);
    CHECK(events_of(heir) ==
          std::vector<std::string>{"address-removed web0 10.0.0.5", "address-added db0 10.0.0.5"});
  }
  SECTION("or when the first is deleted") {
    const Plan heir = must_plan(state, DeleteSlave{kWeb});
    CHECK(tables_of(applied(state, heir)).addresses.begin()->second.slave == kDb);
  }
  SECTION("but not when the first goes down") {
    const State down = applied(state, must_plan(state, ChangeSlave{.id = kWeb, .up = false}));
    CHECK(tables_of(down).addresses.empty());
  }
}

TEST_CASE("what a tenant may not learn is refused with an event") {
  const State state = with({add_l2("web0")});
  SlaveLink link = seen(*state.slave(kWeb));
  link.up = true;
  link.addresses = {prefix("10.0.0.254/24")};
  const Plan gateway = must_plan(state, Observe{kWeb, link, m0().reserved});
  CHECK(events_of(gateway) ==
        std::vector<std::string>{"slave-changed web0", "address-refused web0 10.0.0.254"});
  CHECK(tables_of(applied(state, gateway)).addresses.empty());

  link.addresses.clear();
  for (int i = 0; i < 70; ++i) link.addresses.push_back(prefix("10.0.1." + std::to_string(i) + "/24"));
  const State many = applied(state, must_plan(state, Observe{kWeb, link, {}}));
  CHECK(tables_of(many).addresses.size() == kDefaultMaxAddresses);
  link.addresses.erase(link.addresses.begin(), link.addresses.begin() + 10);
  CHECK(tables_of(applied(many, must_plan(many, Observe{kWeb, link, {}}))).addresses.size() == 60);
}

TEST_CASE("policy static: only the API's addresses steer") {
  AddSlave fixed = add_l2("web0", {prefix("10.0.0.5/24")});
  fixed.addr_policy = AddrPolicy::static_;
  const State state = with({fixed});
  SlaveLink link = seen(*state.slave(kWeb));
  link.addresses = {prefix("10.0.0.6/24")};
  const State after = applied(state, must_plan(state, Observe{kWeb, link, {}}));
  REQUIRE(after.slave(kWeb)->addresses.size() == 1);
  CHECK(to_string(after.slave(kWeb)->addresses.begin()[0].prefix) == "10.0.0.5/24");
}

TEST_CASE("link-local addresses made from the shared MAC are not learnt but replaced: rule 48") {
  const State state = with({add_l2("web0")});
  SlaveLink link = seen(*state.slave(kWeb));
  link.up = true;
  link.addresses = {prefix("fe80::ff:fe00:1/64"), prefix("fe80::1234/64")};
  const Plan plan = must_plan(state, Observe{kWeb, link, {}});
  REQUIRE(plan.attempts.size() == 1);
  CHECK(std::get<step::SeparateLinkLocals>(plan.attempts[0]).place == link.place);
  CHECK(events_of(plan).back() == "address-added web0 fe80::1234");
}

TEST_CASE("a slave that moves is steered to where it is, and gets its API addresses back") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")})});
  SlaveLink link = seen(*state.slave(kWeb));
  link.place = {std::nullopt, IfIndex{55}};
  link.up = true;
  link.addresses.clear();
  const Plan plan = must_plan(state, Observe{kWeb, link, {}});
  const auto rows = steps_of<step::Write<AddressRow>>(plan);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].after->way == Way::by_host_end);
  CHECK(rows[0].after->container_end == IfIndex{55});
  REQUIRE(plan.attempts.size() == 2);
  CHECK(std::holds_alternative<step::SeparateLinkLocals>(plan.attempts[0]));
  CHECK(std::get<step::AssignAddress>(plan.attempts[1]).prefix == prefix("10.0.0.5/24"));
}

TEST_CASE("the interface of a slave with an owner is configured by the owner alone") {
  AddSlave add = add_l2("web0", {prefix("10.0.0.5/24")});
  add.owner = "somebody";
  const Plan added = must_plan({}, add);
  CHECK(steps_of<step::AssignAddress>(added).empty());
  CHECK(steps_of<step::SetUp>(added).empty());
  CHECK(steps_of<step::Write<AddressRow>>(added).empty());  // it is down
  State state = done({}, added);
  const Slave before = *state.slave(kWeb);
  CHECK(before.owner == "somebody");
  CHECK(before.find(ip("10.0.0.5"))->origin == Origin::api);
  check_refused(state, add_l2("other", {prefix("10.0.0.5/24")}), Errc::address_in_use, "addresses[0]");

  const Plan more = must_plan(state, AddAddress{kWeb, prefix("10.0.0.6/24"), {}});
  CHECK(steps_of<step::AssignAddress>(more).empty());

  SlaveLink link = seen(before);
  link.place = {Nsid{9}, IfIndex{55}};
  link.up = true;
  link.addresses.clear();
  const Plan moved = must_plan(state, Observe{kWeb, link, {}});
  CHECK(steps_of<step::Write<AddressRow>>(moved).size() == 1);
  for (const Step& attempt : moved.attempts)
    CHECK_FALSE(std::holds_alternative<step::AssignAddress>(attempt));
}

TEST_CASE("a slave whose interface is gone is dropped") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")})});
  const Plan plan = must_plan(state, Observe{.id = kWeb});
  CHECK(steps_of<step::RemoveLinks>(plan).empty());
  CHECK(events_of(plan) == std::vector<std::string>{"address-removed web0 10.0.0.5", "slave-removed web0"});
  CHECK(applied(state, plan).slaves().empty());
}

TEST_CASE("an address that is not there cannot be deleted") {
  check_refused(with({add_l2("web0")}), DeleteAddress{kWeb, ip("10.0.0.9")}, Errc::no_such_address);
}

TEST_CASE("every step that can be undone is undone by its inverse's effect") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")})});
  for (const Command& command :
       {Command{add_l2("db0", {prefix("10.0.0.6/24")})}, Command{DeleteAddress{kWeb, ip("10.0.0.5")}},
        Command{ChangeSlave{.id = kWeb, .netns = Netns{}, .mtu = 1400, .up = true}}}) {
    for (const Step& step : must_plan(state, command).steps) {
      const auto back = inverse(step);
      REQUIRE(back);
      if (std::holds_alternative<step::CreateLinks>(step)) continue;
      CHECK(inverse(*back) == step);
    }
  }
}

TEST_CASE("ids count up and are not soon reused; slots are") {
  State state = with({add_l2("a0"), add_l2("b0"), add_l2("c0")});
  state = applied(state, must_plan(state, DeleteSlave{SlaveId{2}}));
  CHECK(state.free_id() == SlaveId{4});
  CHECK(state.free_slot(kM0) == 1);
  CHECK(state.slots(kM0) == 3);
  state = done(state, must_plan(state, add_l2("d0")));
  CHECK(state.slave(SlaveId{4})->slot == 1);

  state.set_last_id(SlaveId{kMaxSlaveId});
  CHECK(state.free_id() == SlaveId{2});
}

TEST_CASE("port set changes all slaves, and only what is given") {
  const State state = with({add_l2("web0"), add_l2("db0")});
  const Plan plan = must_plan(state, ChangePort{.master = m0(), .flag = Flag::private_});
  CHECK(steps_of<step::Write<SlaveRow>>(plan).size() == 2);
  const State after = applied(state, plan);
  CHECK(after.port(kM0)->mode == Mode::l2);
  CHECK(after.port(kM0)->flag == Flag::private_);
  CHECK(events_of(plan) == std::vector<std::string>{"port-changed "});

  const Plan strict = must_plan(after, ChangePort{.master = m0(), .strict_private = true});
  CHECK(steps_of<step::Write<SlaveRow>>(strict).empty());
  CHECK(steps_of<step::Write<PortRow>>(strict).front().after->strict_private);
  CHECK(applied(after, strict).port(kM0)->flag == Flag::private_);

  CHECK(
      must_plan(applied(after, strict), ChangePort{.master = m0(), .strict_private = true}).changes.empty());
  MasterLink lo = m0();
  lo.loopback = true;
  check_refused(state, ChangePort{.master = lo}, Errc::bad_master, "master");
}

TEST_CASE("a master needs a program for XDP while a slave serves sockets, or it is told so") {
  const auto needed = [](const State& state) { return tables_of(state).ports.at(kM0).xdp; };
  State state = with({add_l2("web0")});
  CHECK(needed(state) == Xdp::off);

  AddSlave app = add_l2("app0");
  app.via = Via::afxdp;
  const Plan added = must_plan(state, app);
  CHECK(steps_of<step::Write<PortRow>>(added).front().after->xdp == Xdp::auto_);
  state = applied(state, added);
  CHECK(needed(state) == Xdp::auto_);

  // Of an l3s slave the host's stack has the frames first.
  const State l3s = applied(state, must_plan(state, ChangePort{.master = m0(), .mode = Mode::l3s}));
  CHECK(needed(l3s) == Xdp::off);

  const Plan removed = must_plan(state, DeleteSlave{added.slave});
  CHECK(steps_of<step::Write<PortRow>>(removed).front().after->xdp == Xdp::off);
  for (const Xdp told : {Xdp::native, Xdp::off}) {
    const State after = applied(state, must_plan(state, ChangePort{.master = m0(), .xdp = told}));
    CHECK(needed(after) == told);
    CHECK(needed(applied(after, must_plan(after, DeleteSlave{added.slave}))) == told);
  }
}

TEST_CASE("a slave is direct where the settings allow it, and never in l3s") {
  State state = with({add_l2("web0")});
  AddSlave app = add_l2("app0");
  app.via = Via::direct;
  check_refused(state, app, Errc::forbidden, "via");

  state.set_defaults({.may_be_direct = true});
  const Plan added = must_plan(state, app);
  CHECK(steps_of<step::Write<PortRow>>(added).front().after->xdp == Xdp::any);
  CHECK(steps_of<step::ServeSockets>(added).front().via == Via::direct);
  state = applied(state, added);
  check_refused(state, ChangePort{.master = m0(), .mode = Mode::l3s}, Errc::mode_conflict, "mode");
  const State alone = applied(state, must_plan(state, DeleteSlave{SlaveId{1}}));
  check_refused(alone, ChangeSlave{.id = added.slave, .mode = Mode::l3s}, Errc::mode_conflict, "mode");

  State l3s;
  l3s.set_defaults({.may_be_direct = true});
  app.mode = Mode::l3s;
  check_refused(l3s, app, Errc::mode_conflict, "via");
}

TEST_CASE("a port that was set stays without slaves; mode and flag do not") {
  State state;
  const Plan made = must_plan(
      state, ChangePort{.master = m0(), .mode = Mode::l2, .flag = Flag::vepa, .strict_private = true});
  CHECK(made.steps.empty());
  state = applied(state, made);
  CHECK(tables_of(state) == Tables{});

  state = done(state, must_plan(state, AddSlave{.master = m0(), .name = if_name("web0")}));
  CHECK(tables_of(state).slaves.begin()->second.flag == Flag::vepa);
  CHECK(tables_of(state).ports.begin()->second.strict_private);

  state = applied(state, must_plan(state, DeleteSlave{kWeb}));
  REQUIRE(state.port(kM0));
  CHECK(state.port(kM0)->mode == kDefaultMode);
  CHECK(state.port(kM0)->flag == kDefaultFlag);
  CHECK(state.port(kM0)->strict_private);
  CHECK(tables_of(state) == Tables{});

  CHECK(applied(state, must_plan(state, DeletePort{kM0})).ports().empty());
  check_refused({}, DeletePort{kM0}, Errc::no_such_port);
}

TEST_CASE("port del takes all slaves in one step, their table rows first") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  const Plan plan = must_plan(state, DeletePort{kM0});
  const auto& removal = std::get<step::RemoveManyLinks>(*plan.last);
  CHECK(removal.host_ends == std::vector{IfIndex{100}, IfIndex{200}});
  CHECK(events_of(plan) == std::vector<std::string>{"address-removed web0 10.0.0.5", "slave-removed web0",
                                                    "slave-removed db0", "port-removed "});
  const State after = applied(state, plan);
  CHECK(after.slaves().empty());
  CHECK(after.ports().empty());
}

TEST_CASE("port flush takes all slaves in one step, and leaves the port with its options") {
  State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  state = applied(state, must_plan(state, ChangePort{.master = m0(), .strict_private = true}));
  const Plan plan = must_plan(state, FlushPort{kM0});
  CHECK(std::get<step::RemoveManyLinks>(*plan.last).host_ends == std::vector{IfIndex{100}, IfIndex{200}});
  CHECK(events_of(plan) == std::vector<std::string>{"address-removed web0 10.0.0.5", "slave-removed web0",
                                                    "slave-removed db0", "port-changed "});
  const State after = applied(state, plan);
  CHECK(after.slaves().empty());
  REQUIRE(after.port(kM0));
  CHECK(after.port(kM0)->strict_private);
  CHECK(after.port(kM0)->mode == kDefaultMode);
  CHECK(tables_of(after) == Tables{});

  CHECK_FALSE(must_plan(after, FlushPort{kM0}).durable);
  CHECK(events_of(must_plan(after, FlushPort{kM0})).empty());
  check_refused({}, FlushPort{kM0}, Errc::no_such_port);
}

TEST_CASE("port flush keeps a port that nobody set") {
  const State state = with({add_l2("web0")});
  CHECK(applied(state, must_plan(state, FlushPort{kM0})).port(kM0));
}

TEST_CASE("in l3 slaves get no broadcasts, resolve no MAC addresses, and have routes") {
  const State state = with({add_l3("web0", {prefix("10.0.0.5/24"), prefix("fd00::5/64")}), add_l3("db0")});
  const Tables tables = tables_of(state);
  CHECK(tables.members.empty());
  CHECK(tables.addresses.at({kM0, ip("10.0.0.5")}).mode == Mode::l3);
  CHECK(tables.routes.size() == 2);
  CHECK(tables.routes.contains({IfIndex{100}, ip("10.0.0.5"), std::nullopt}));

  const Plan plan = must_plan(state, add_l3("app0", {prefix("10.0.0.7/24")}));
  CHECK(steps_of<step::CreateLinks>(plan).front().routed);
}

TEST_CASE("a tenant's word draws no packets of the host's or of other ports") {
  const State l3 = with({add_l3("web0")});
  SlaveLink link = seen(*l3.slave(kWeb));
  link.up = true;
  link.addresses = {prefix("192.0.2.53/32"), prefix("fe80::1/64")};
  const State learnt = applied(l3, must_plan(l3, Observe{kWeb, link}));
  CHECK(tables_of(learnt).addresses.size() == 2);
  CHECK(tables_of(learnt).routes.empty());

  // In l3s it gets what its own master brings, as with the kernel's; a link-local address is
  // of one link, and the host routes none.
  const State l3s = applied(learnt, must_plan(learnt, ChangePort{.master = m0(), .mode = Mode::l3s}));
  REQUIRE(tables_of(l3s).routes.size() == 1);
  CHECK(tables_of(l3s).routes.begin()->second == RouteRow{IfIndex{100}, ip("192.0.2.53"), kM0});

  // The API's word is the host's own.
  const State given = applied(l3s, must_plan(l3s, AddAddress{kWeb, prefix("192.0.2.53/32"), {}}));
  CHECK(tables_of(given).routes.size() == 2);
}

// Where a step of this kind is in the plan; -1: nowhere.
template <class S>
std::ptrdiff_t place_of(const Plan& plan) {
  const auto found =
      std::ranges::find_if(plan.steps, [](const Step& step) { return std::holds_alternative<S>(step); });
  return found == plan.steps.end() ? -1 : found - plan.steps.begin();
}

TEST_CASE("a live change of mode: no frame finds the data path in a mode it was not made for") {
  const State l2 = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  const Plan to_l3 = must_plan(l2, ChangePort{.master = m0(), .mode = Mode::l3});
  const auto off = steps_of<step::SetRouted>(to_l3);
  REQUIRE(off.size() == 2);
  CHECK(off[0].routed);
  CHECK(place_of<step::Write<SlaveRow>>(to_l3) < place_of<step::SetRouted>(to_l3));

  const State l3 = applied(l2, to_l3);
  const Plan back = must_plan(l3, ChangePort{.master = m0(), .mode = Mode::l2});
  CHECK(place_of<step::SetRouted>(back) < place_of<step::Write<SlaveRow>>(back));
  CHECK(tables_of(applied(l3, back)) == tables_of(l2));
  // A slave that asked its siblings too early need not ask again.
  CHECK(back.announcements == std::vector{Announcement{{kM0, ip("10.0.0.5")}, Audience::link_at_once}});

  // From l3 to l3s no interface changes.
  CHECK(steps_of<step::SetRouted>(must_plan(l3, ChangePort{.master = m0(), .mode = Mode::l3s})).empty());
}

TEST_CASE("a host end has its slave's MTU, whoever sets it, and enough for IPv6") {
  const State state = with({add_l2("web0")});
  const Place host_end{.netns = std::nullopt, .ifindex = IfIndex{100}};
  const Plan asked = must_plan(state, ChangeSlave{.id = kWeb, .netns = Netns{Nsid{9}}, .mtu = 1400});
  const auto set = steps_of<step::SetMtu>(asked);
  REQUIRE(set.size() == 2);
  CHECK(set[1].place == host_end);
  CHECK(set[1].after == 1400);
  // Where the container end went to is none of the host end's business.
  Plan moved = asked;
  set_ends(moved, kWeb, {IfIndex{100}, {Nsid{9}, IfIndex{7}}});
  CHECK(steps_of<step::SetMtu>(moved)[0].place == Place{Nsid{9}, IfIndex{7}});
  CHECK(steps_of<step::SetMtu>(moved)[1].place == host_end);

  SlaveLink link = seen(*state.slave(kWeb));
  link.mtu = 68;
  const Plan followed = must_plan(state, Observe{kWeb, link});
  REQUIRE(followed.attempts.size() == 1);
  CHECK(std::get<step::SetMtu>(followed.attempts[0]) == step::SetMtu{kWeb, host_end, 1500, 1280});
}

TEST_CASE("slaves follow their master: rules 58, 59, 63") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  MasterLink link = m0();

  SECTION("nothing new, nothing done") {
    const Plan plan = must_plan(state, ObserveMaster{kM0, link});
    CHECK(plan.steps.empty());
    CHECK(plan.events.empty());
    CHECK_FALSE(plan.durable);
  }
  SECTION("its MAC address is every slave's, at both ends") {
    link.mac.bytes[5] = 9;
    const Plan plan = must_plan(state, ObserveMaster{kM0, link});
    CHECK(steps_of<step::Write<PortRow>>(plan).front().after->mac == link.mac);
    CHECK(steps_of<step::Write<SlaveRow>>(plan).size() == 2);
    CHECK(plan.attempts.size() == 4);
    CHECK(std::get<step::SetMac>(plan.attempts[0]).place == Place{{}, IfIndex{100}});
    CHECK(std::get<step::SetMac>(plan.attempts[1]).after == link.mac);
  }
  SECTION("its MTU overwrites a slave's own") {
    link.mtu = 1400;
    const Plan plan = must_plan(state, ObserveMaster{kM0, link});
    CHECK(plan.attempts.size() == 4);
    CHECK(std::get<step::SetMtu>(plan.attempts[3]).after == 1400);
    CHECK(applied(state, plan).port(kM0)->mtu == 1400);
    link.mtu = 1000;  // the host ends' stays where IPv6 is
    const auto ends = [](const Plan& plan, std::size_t i) {
      return std::get<step::SetMtu>(plan.attempts[i]);
    };
    const Plan small = must_plan(state, ObserveMaster{kM0, link});
    CHECK(ends(small, 0).after == 1280);
    CHECK(ends(small, 1).after == 1000);
  }
  SECTION("without its carrier they have none, and with it their routes come back") {
    const State l3 = with({add_l3("web0", {prefix("10.0.0.5/24")})});
    link.carrier = false;
    const Plan down = must_plan(l3, ObserveMaster{kM0, link});
    REQUIRE(down.attempts.size() == 1);
    CHECK(std::get<step::SetUp>(down.attempts[0]) == step::SetUp{kWeb, {{}, IfIndex{100}}, false});
    const State dark = applied(l3, down);
    CHECK_FALSE(steps_of<step::CreateLinks>(must_plan(dark, add_l3("db0"))).front().carrier);

    link.carrier = true;
    const Plan up = must_plan(dark, ObserveMaster{kM0, link});
    REQUIRE(up.attempts.size() == 2);
    CHECK(std::get<step::SetUp>(up.attempts[0]).up);
    CHECK(std::holds_alternative<step::Write<RouteRow>>(up.attempts[1]));
  }
  SECTION("its name is kept") {
    link.name = if_name("nic7");
    const Plan plan = must_plan(state, ObserveMaster{kM0, link});
    CHECK(plan.steps.empty());
    CHECK(applied(state, plan).port(kM0)->name == if_name("nic7"));
  }
  SECTION("without it there is no port") {
    const Plan plan = must_plan(state, ObserveMaster{kM0, std::nullopt});
    CHECK(applied(state, plan).ports().empty());
    CHECK(applied(state, plan).slaves().empty());
    CHECK(plan.events.back().detail == "its master is gone");
  }
  SECTION("a stranger is none of ours") {
    CHECK(must_plan(state, ObserveMaster{IfIndex{77}, link}).changes.empty());
  }
}

TEST_CASE("a port whose master moves to another namespace waits for it") {
  const State state = with({add_l2("web0", {prefix("10.0.0.5/24")}), add_l2("db0")});
  const Plan leave = must_plan(state, ObserveMaster{.master = kM0, .moved = true});
  const State away = applied(state, leave);
  const Port& port = away.ports().begin()->second;

  SECTION("nothing is lost, nothing is steered, nobody has a carrier") {
    CHECK(is_away(port.master));
    CHECK(away.ports().size() == 1);
    CHECK(away.slaves_of(port.master).size() == 2);
    CHECK(away.slave(kWeb)->addresses.size() == 1);
    CHECK(away.state_of(*away.slave(kWeb), *away.slave(kWeb)->addresses.begin()) == AddressState::inactive);
    CHECK(tables_of(away) == Tables{});
    CHECK(steps_of<step::Write<PortRow>>(leave).size() == 1);
    REQUIRE(leave.attempts.size() == 2);
    CHECK(std::get<step::SetUp>(leave.attempts[0]) == step::SetUp{kWeb, {{}, IfIndex{100}}, false});
  }
  SECTION("back under another number, with what was asked of the port meanwhile") {
    const Slave& web = *away.slave(kWeb);
    const State alone = applied(away, must_plan(away, DeleteSlave{away.slaves_of(port.master)[1]}));
    const State routed = applied(alone, must_plan(alone, ChangeSlave{.id = kWeb, .mode = Mode::l3s}));
    MasterLink link = m0();
    link.ifindex = IfIndex{9};
    const Plan back = must_plan(routed, ObserveMaster{port.master, link});
    const State now = applied(routed, back);
    CHECK(now.ports().size() == 1);
    CHECK(now.port(IfIndex{9})->mode == Mode::l3s);
    CHECK(now.slave(kWeb)->ends == web.ends);
    CHECK(tables_of(now).addresses.contains({IfIndex{9}, ip("10.0.0.5")}));
    REQUIRE(steps_of<step::SetRouted>(back).size() == 1);
    CHECK(steps_of<step::SetRouted>(back)[0].routed);
    CHECK(std::get<step::SetUp>(back.attempts[0]) == step::SetUp{kWeb, {{}, IfIndex{100}}, true});
  }
  SECTION("what a tenant takes meanwhile is learnt when the master can be asked") {
    SlaveLink link = seen(*away.slave(kWeb));
    link.addresses.push_back(prefix("10.0.0.6/24"));
    CHECK(must_plan(away, Observe{kWeb, link}).changes.empty());
    const auto refused = plan(away, AddAddress{kWeb, prefix("10.0.0.7/24")});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::no_such_master);
  }
  SECTION("its number is its own") {
    State two = away;
    Port other = port;
    other.master = two.free_away();
    CHECK(other.master != port.master);
    CHECK(is_away(other.master));
  }
}
