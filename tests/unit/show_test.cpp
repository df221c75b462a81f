// SPDX-License-Identifier: Apache-2.0
// What does the CLI print?
#include "show.h"

#include "../catch.h"
#include "ipvlanx/base/printable.h"

using namespace ipvlanx;
using namespace ipvlanx::cli;

namespace {

api::SlaveReply ipvl0() {
  api::SlaveReply slave;
  slave.id = 1;
  slave.name = "ipvl0";
  slave.ifindex = 3;
  slave.master = "m0";
  slave.mode = "l2";
  slave.flag = "bridge";
  slave.netns = "ns0";
  slave.mac = "02:00:00:00:00:01";
  slave.mtu = 1500;
  slave.up = true;
  slave.via = "veth";
  slave.addresses = {{"10.0.0.5/24", "learnt", "active"}, {"fd00::5/64", "api", "conflict"}};
  slave.addr_policy = "learn";
  slave.max_addresses = 64;
  return slave;
}

// Created, not yet in anybody's namespace, down.
api::SlaveReply fresh() {
  auto slave = ipvl0();
  slave.id = 2;
  slave.name = "ipvl1";
  slave.ifindex = std::nullopt;
  slave.netns = std::nullopt;
  slave.up = false;
  slave.addresses = {};
  return slave;
}

const api::StatsReply kStats{{10, 1000, 1, 2}, {20, 123456, 0, 0}, {{"pause", 0}, {"truncated", 2}}};

}  // namespace

TEST_CASE("links look like ip's") {
  CHECK(text::links({}) == "");
  CHECK(
      text::links({{ipvl0()}, {fresh()}}) ==
      "3: ipvl0@m0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP netns ns0 id 1\n"
      "    link/ether 02:00:00:00:00:01 ipvlan mode l2 bridge via veth addr-policy learn max-addresses 64\n"
      "    inet 10.0.0.5/24 learnt active\n"
      "    inet6 fd00::5/64 api conflict\n"
      "?: ipvl1@m0: <BROADCAST,MULTICAST> mtu 1500 state DOWN id 2\n"
      "    link/ether 02:00:00:00:00:01 ipvlan mode l2 bridge via veth addr-policy learn max-addresses 64\n");
}

TEST_CASE("links with statistics") {
  const auto text = text::links({{fresh(), kStats}});
  CHECK(
      text.ends_with("    RX:  bytes  packets  mcast  dropped\n"
                     "          1000       10      1        2\n"
                     "    TX:   bytes  packets  mcast  dropped\n"
                     "         123456       20      0        0\n"));
}

TEST_CASE("links as ip -j -d link has them") {
  CHECK(json::links({}).dump() == "[]");
  CHECK(json::links({{ipvl0()}}).dump() ==
        R"([{"ifindex":3,"ifname":"ipvl0","link":"m0",)"
        R"("flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"operstate":"UP",)"
        R"("address":"02:00:00:00:00:01",)"
        R"("linkinfo":{"info_kind":"ipvlan","info_data":{"mode":"l2","bridge":true}},)"
        R"("id":1,"netns":"ns0","via":"veth","addresses":[)"
        R"({"family":"inet","local":"10.0.0.5","prefixlen":24,"origin":"learnt","state":"active"},)"
        R"({"family":"inet6","local":"fd00::5","prefixlen":64,"origin":"api","state":"conflict"}],)"
        R"("addr_policy":"learn","max_addresses":64,"source_guard":false}])");

  const auto down = json::links({{fresh(), kStats}}).at(0);
  CHECK(down.at("ifindex").is_null());
  CHECK(down.at("netns").is_null());
  CHECK(down.at("operstate") == "DOWN");
  CHECK(down.at("flags").size() == 2);
  CHECK(down.at("addresses").dump() == "[]");
  CHECK(down.at("stats").at("rx").at("packets") == 10);
  CHECK(down.at("stats").at("tx").at("bytes") == 123456);
}

TEST_CASE("addresses") {
  CHECK(text::addresses({{ipvl0()}, {fresh()}}) ==
        "DEV    NETNS  ADDRESS      ORIGIN  STATE\n"
        "ipvl0  ns0    10.0.0.5/24  learnt  active\n"
        "ipvl0  ns0    fd00::5/64   api     conflict\n");
  CHECK(json::addresses({{ipvl0()}}).at(0).dump() ==
        R"({"dev":"ipvl0","netns":"ns0","address":"10.0.0.5/24","origin":"learnt","state":"active"})");
}

TEST_CASE("ports") {
  const ShownPorts ports{{"m0",
                          7,
                          "l2",
                          "bridge",
                          "02:00:00:00:00:01",
                          1500,
                          {.strict_private = true, .announce = false},
                          {"auto", "off"},
                          2}};
  const std::string shown =
      "7: m0: mtu 1500 slaves 2\n"
      "    link/ether 02:00:00:00:00:01 ipvlan mode l2 bridge strict-private on announce off\n";
  CHECK(text::ports(ports) == shown);
  ShownPorts with_program = ports;
  with_program[0].xdp = {"native", "native"};
  CHECK(text::ports(with_program) == shown + "    xdp wanted native attached native\n");
  with_program[0].xdp = {"auto", "off", "it is a veth"};
  CHECK(text::ports(with_program) == shown + "    xdp wanted auto attached off (it is a veth)\n");
  CHECK(json::ports(ports).dump() ==
        R"([{"master":"m0","ifindex":7,"mode":"l2","flag":"bridge",)"
        R"("mac":"02:00:00:00:00:01","mtu":1500,"options":{"strict_private":true,"announce":false},)"
        R"("xdp":{"wanted":"auto","attached":"off","why":null},"slaves":2}])");
}

TEST_CASE("statistics") {
  CHECK(text::stats({{ipvl0(), kStats}, {fresh(), api::StatsReply{}}}) ==
        "DEV    NETNS  DIR  PACKETS   BYTES  MULTICAST  DROPPED  DROPS BY REASON\n"
        "ipvl0  ns0    rx        10    1000          1        2  truncated 2\n"
        "ipvl0  ns0    tx        20  123456          0        0\n"
        "ipvl1  -      rx         0       0          0        0\n"
        "ipvl1  -      tx         0       0          0        0\n");
  CHECK(json::stats({{fresh(), kStats}}).dump() ==
        R"([{"dev":"ipvl1","netns":null,)"
        R"("rx":{"packets":10,"bytes":1000,"multicast":1,"dropped":2},)"
        R"("tx":{"packets":20,"bytes":123456,"multicast":0,"dropped":0},)"
        R"("drops":{"pause":0,"truncated":2}}])");
}

TEST_CASE("drops") {
  const api::DropsReply drops{.host = {{"truncated", 2}},
                              .slaves = {{.id = 1, .name = "ipvl0", .netns = "ns0", .drops = {{"pause", 10}}},
                                         {.id = 2, .name = "ipvl1", .drops = {{"pause", 1}}}}};
  CHECK(text::drops(drops) ==
        "DEV    NETNS  REASON     PACKETS\n"
        "-      -      truncated        2\n"
        "ipvl0  ns0    pause           10\n"
        "ipvl1  -      pause            1\n");
  CHECK(json::drops(drops).dump() == R"([{"dev":null,"netns":null,"drops":{"truncated":2}},)"
                                     R"({"dev":"ipvl0","netns":"ns0","drops":{"pause":10}},)"
                                     R"({"dev":"ipvl1","netns":null,"drops":{"pause":1}}])");
}

TEST_CASE("version") {
  const api::VersionReply version{"0.1.0", "v1", "6.18.0"};
  CHECK(text::version(version) == "ipvlanx 0.1.0, API v1, kernel 6.18.0\n");
  CHECK(json::version(version).dump() == R"({"version":"0.1.0","api":"v1","kernel":"6.18.0"})");
}

TEST_CASE("a tenant's names do not reach the terminal as they are") {
  CHECK(printable("eth0.5") == "eth0.5");
  CHECK(printable("a\x1b[2Jb\\\n\xc2\x9b") == "a\\x1b[2Jb\\\\\\x0a\\xc2\\x9b");

  auto slave = fresh();
  slave.name = "\x1b]0;x";
  slave.netns = "\x1b[2J";
  CHECK_FALSE(text::links({{slave}}).contains('\x1b'));
  CHECK_FALSE(text::addresses({{slave}}).contains('\x1b'));
  CHECK_FALSE(text::stats({{slave, kStats}}).contains('\x1b'));
  CHECK(json::links({{slave}}).dump().contains("\\u001b"));
}

TEST_CASE("events and reloads, with what tenants name made printable") {
  const api::EventReply event{.seq = 12,
                              .time = 1.5,
                              .type = "address-conflict",
                              .slave = 2,
                              .name = "a\x1b[2J",
                              .master = "eth0",
                              .address = "10.0.0.5",
                              .owner = 1,
                              .detail = "later"};
  CHECK(text::event(event) ==
        "12: address-conflict slave 2 a\\x1b[2J on eth0 10.0.0.5 owned by slave 1: later\n");
  CHECK(text::event({.seq = 3, .type = "resync"}) == "3: resync\n");
  CHECK(json::event({.seq = 3, .time = 2, .type = "port-removed", .master = "eth0"}).dump() ==
        R"({"seq":3,"time":2.0,"type":"port-removed","master":"eth0"})");

  const api::ReloadedReply reloaded{.changed = {"daemon.log-level"}, .needs_restart = {"apply.file"}};
  CHECK(text::reloaded(reloaded) == "changed: daemon.log-level\nneeds a restart: apply.file\n");
  CHECK(json::reloaded(reloaded).dump() ==
        R"({"changed":["daemon.log-level"],"needs_restart":["apply.file"]})");
}
