// SPDX-License-Identifier: Apache-2.0
// The shape of what the API answers, which scripts outside the project rely on.
#include "ipvlanx/api/replies.h"

#include "../catch.h"
#include "ipvlanx/api/problem.h"

using namespace ipvlanx;
using namespace ipvlanx::api;
using nlohmann::json;

namespace {

const IfIndex kMaster{3};

State one_slave() {
  State state;
  state.put(Port{.master = kMaster,
                 .name = *IfName::parse("m0"),
                 .mode = Mode::l2,
                 .flag = Flag::private_,
                 .mac = {{2, 0, 0, 0, 0, 1}},
                 .mtu = 1500});
  state.put(Slave{.id = SlaveId{7},
                  .master = kMaster,
                  .name = *IfName::parse("web0"),
                  .ends = {.host_end = IfIndex{10}, .container_end = {Nsid{0}, IfIndex{11}}},
                  .mac = {{2, 0, 0, 0, 0, 1}},
                  .mtu = 1500,
                  .up = true,
                  .addresses = {{.prefix = *Prefix::parse("10.0.0.5/24"), .origin = Origin::api}}});
  return state;
}

}  // namespace

TEST_CASE("a slave, as DESIGN.md section 6 has it") {
  const State state = one_slave();
  const json expected = json::parse(R"({
    "id": 7, "name": "web0", "ifindex": 11, "master": "m0", "mode": "l2", "flag": "private", "netns": "a",
    "mac": "02:00:00:00:00:01", "mtu": 1500, "up": true, "via": "veth",
    "addresses": [{"address": "10.0.0.5/24", "origin": "api", "state": "active"}],
    "addr_policy": "learn", "max_addresses": 64, "source_guard": false, "persistent": false})");
  CHECK(json(slave_reply(state, *state.slave(SlaveId{7}), "a")) == expected);
}

TEST_CASE("a slave without a named namespace or an interface has null there") {
  State state = one_slave();
  Slave slave = *state.slave(SlaveId{7});
  slave.ends.container_end.ifindex = {};
  const json reply = slave_reply(state, slave, std::nullopt);
  CHECK(reply.at("netns").is_null());
  CHECK(reply.at("ifindex").is_null());

  const auto read = reply.get<SlaveReply>();
  CHECK_FALSE(read.netns);
  CHECK_FALSE(read.ifindex);
  CHECK(read.name == "web0");
  CHECK(read.addresses.size() == 1);
}

TEST_CASE("a port counts its slaves") {
  const State state = one_slave();
  const json expected = json::parse(R"({"master": "m0", "ifindex": 3, "mode": "l2", "flag": "private",
    "mac": "02:00:00:00:00:01", "mtu": 1500, "options": {"strict_private": false, "announce": true},
    "xdp": {"wanted": "auto", "attached": "off", "why": "it is a veth"}, "slaves": 1})");
  CHECK(json(port_reply(state, *state.port(kMaster), {"auto", "off", "it is a veth"})) == expected);
}

TEST_CASE("counters keep their names and all their bits") {
  const StatsReply stats{.rx = {.packets = 1, .bytes = ~std::uint64_t{0}, .multicast = 2, .dropped = 3},
                         .drops = {{"private", 3}}};
  const json out = stats;
  CHECK(out.at("rx") ==
        json::parse(R"({"packets": 1, "bytes": 18446744073709551615, "multicast": 2, "dropped": 3})"));
  const auto read = json::parse(to_text(out)).get<StatsReply>();
  CHECK(read.rx.bytes == ~std::uint64_t{0});
  CHECK(read.drops.at("private") == 3);
}

TEST_CASE("an event leaves out what it has not") {
  CHECK(event_json({.type = EventType::resync}, 1, 2.5) ==
        json::parse(R"({"seq": 1, "time": 2.5, "type": "resync"})"));

  const Event conflict{.type = EventType::address_conflict,
                       .slave = SlaveId{8},
                       .name = "web1",
                       .master = "m0",
                       .address = "10.0.0.5",
                       .owner = SlaveId{7},
                       .detail = "a sentence"};
  CHECK(event_json(conflict, 9, 0.0) == json::parse(R"({"seq": 9, "time": 0.0, "type": "address-conflict",
    "slave": 8, "name": "web1", "master": "m0", "address": "10.0.0.5", "owner": 7, "detail": "a sentence"})"));
}

TEST_CASE("a name that is not UTF-8 does not keep the document from being written") {
  CHECK(to_text({{"name", "w\xff"}}) == "{\"name\":\"w\xef\xbf\xbd\"}");
}

TEST_CASE("a problem document has all its members and comes back as the same error") {
  const Error error{Errc::address_in_use, "10.0.0.5 belongs to slave 'web0'", "addresses[1]"};
  const json document = problem(error);
  CHECK(document == json::parse(R"({"type": "urn:ipvlanx:problem:address-in-use", "title": "address in use",
    "status": 409, "code": "address-in-use", "detail": "10.0.0.5 belongs to slave 'web0'",
    "field": "addresses[1]"})"));

  const Error read = read_problem(to_text(document), 409);
  CHECK(read.code == error.code);
  CHECK(read.message == error.message);
  CHECK(read.field == error.field);
  CHECK_FALSE(problem({Errc::forbidden, "no"}).contains("field"));
}

TEST_CASE("an answer that is no problem document is a bad request") {
  for (const char* body : {"", "<html>", "[]", R"({"code": 7})", R"({"code": "no-such-code"})"}) {
    CAPTURE(body);
    CHECK(read_problem(body, 502).code == Errc::bad_request);
  }
}

TEST_CASE("a code's status") {
  CHECK(http_status(Errc::name_too_long) == 400);
  CHECK(http_status(Errc::no_such_address) == 404);
  CHECK(http_status(Errc::no_such_master) == 422);
  CHECK(http_status(Errc::mode_conflict) == 409);
  CHECK(http_status(Errc::body_too_large) == 413);
  CHECK(http_status(Errc::events_gone) == 410);
  CHECK(http_status(Errc::map_full) == 503);
}
