// SPDX-License-Identifier: Apache-2.0
// What does the next daemon find, and what happens to traffic in between? The rows of
// the tables, written, erased, and adopted.
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <filesystem>

#include "catch.h"
#include "check.h"
#include "ipvlanx/datapath_abi.h"
#include "pinned.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;
using Catch::Matchers::Contains;

namespace {

std::string link_path(const Given& given, const std::string& interface, const std::string& hook) {
  return fmt::format("{}/links/{}-{}", given.root(), number(given.index(interface)), hook);
}

std::uint32_t pinned_program(const Given& given, const std::string& name) {
  const UniqueFd program{bpf_obj_get((given.root() + "/progs/" + name).c_str())};
  return id_of_program(program.get());
}

std::size_t entries(const Given& given, const std::string& map) {
  const UniqueFd fd{bpf_obj_get((given.root() + "/maps/" + map).c_str())};
  std::uint8_t key[64];
  std::size_t count = 0;
  const void* from = nullptr;
  while (bpf_map_get_next_key(fd.get(), from, key) == 0) {
    from = key;
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("what is written is found, as it was written") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("here", {}, Link::up, Space::host);
  given.port("m1", kM1).slave("web1", {"10.0.0.2"}).slave("idle", {}, Link::down);

  Tables expected;
  for (const char* name : {"m0", "m1"}) expected.ports[given.index(name)] = given.port_row(name);
  for (const char* name : {"web0", "here", "web1", "idle"}) {
    const SlaveRow row = given.slave_row(name);
    expected.slaves[row.key()] = row;
  }
  for (const char* name : {"web0", "here", "web1"}) {
    const MemberRow row = given.member_row(name);
    expected.members[row.key()] = row;
  }
  for (const auto& [name, address] :
       {std::pair{"web0", "10.0.0.2"}, {"web0", "fd00::2"}, {"web1", "10.0.0.2"}}) {
    const AddressRow row = given.address_row(name, address);
    expected.addresses.emplace(row.key(), row);
  }
  CHECK(given.tables() == expected);

  given.close();
  need(given.open());
  CHECK(given.tables() == expected);
}

TEST_CASE("all is counted at once as it is slave by slave") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.from("web1"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), dropped("pause"));
  const auto all = given.datapath().all_stats();
  REQUIRE(all);
  REQUIRE(all->slaves.size() == 2);
  for (const auto& [id, together] : all->slaves) {
    const auto alone = given.datapath().stats(id);
    CHECK(together.rx.packets == alone->rx.packets);
    CHECK(together.rx.bytes == alone->rx.bytes);
    CHECK(together.tx.dropped == alone->tx.dropped);
    CHECK(together.drops == alone->drops);
  }
  CHECK(all->slaves.at(given.id("web0")).rx.packets > 0);
  CHECK(all->slaves.at(given.id("web1")).drops.at("pause") > 0);
  for (const MapUse& map : all->maps) {
    CAPTURE(map.name);
    CHECK(map.entries == entries(given, map.name));
    CHECK(map.most >= map.entries);
    CHECK(map.most >= 1024);
  }
}

TEST_CASE("rows bear every mode, flag and way") {
  Given given;
  given.port("m0").slave("web0", {});
  for (const Mode mode : {Mode::l2, Mode::l3, Mode::l3s}) {
    for (const Flag flag : {Flag::bridge, Flag::private_, Flag::vepa}) {
      PortRow port = given.port_row("m0");
      port.mode = mode;
      port.flag = flag;
      need(given.datapath().write(port));
      SlaveRow slave = given.slave_row("web0");
      slave.mode = mode;
      slave.flag = flag;
      need(given.datapath().write(slave));
      const auto tables = given.tables();
      CHECK(tables.ports.at(port.key()) == port);
      CHECK(tables.slaves.at(slave.key()) == slave);
    }
  }
  for (const Way way : {Way::by_peer, Way::by_host_end}) {
    AddressRow row = given.address_row("web0", "fd00::2");
    row.way = way;
    need(given.datapath().write(row));
    CHECK(given.tables().addresses.at(row.key()) == row);
  }
}

TEST_CASE("the next daemon adopts rows, counters and attachments, with its own programs", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.from("web0"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), dropped("pause"));
  const Counters counters = given.counters();
  const AttachedLink m0 = pinned_link(link_path(given, "m0", "master_rx"));
  const std::uint32_t old_program = pinned_program(given, "ipvx_master_rx");
  CHECK(m0.program == old_program);
  CHECK(m0.ifindex == number(given.index("m0")));

  given.close();
  // Nobody there, traffic goes on and is counted.
  const Bytes frame = ipv4().to("10.0.0.3").bytes(kM0, kOutside);
  given.wire("m0").sender->send(frame);
  CHECK(listen(given, {{"web1", {frame}}}) == Heard{{"web1", {frame}}});

  need(given.open());
  CHECK(difference(counters, given.counters()) ==
        Counters{{"web1.rx.packets", 1}, {"web1.rx.bytes", frame.size()}});
  CHECK(given.datapath().stats(given.id("web0"))->drops.at("pause") == 2);

  const AttachedLink m0_now = pinned_link(link_path(given, "m0", "master_rx"));
  CHECK(pinned_program(given, "ipvx_master_rx") != old_program);
  CHECK(m0_now.id == m0.id);
  CHECK(m0_now.program == pinned_program(given, "ipvx_master_rx"));
  CHECK(programs_at("ipvx1") == std::vector{pinned_program(given, "ipvx_slave_tx")});
  CHECK(programs_at("m0") == std::vector{m0_now.program});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.from("web0"), ipv4().to_mac(kM0).to("10.0.0.3"), redirected_to("web1"));
}

TEST_CASE("the next daemon forgets the counters of a slave that was half made") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {});
  given.close();
  const ipvx_slave_key key{.host_end = number(given.slave_row("web1").host_end)};
  const UniqueFd slaves{bpf_obj_get((given.root() + "/maps/ipvx_slaves").c_str())};
  REQUIRE(bpf_map_delete_elem(slaves.get(), &key) == 0);
  CHECK(entries(given, "ipvx_stats") == 2);
  need(given.open());
  CHECK(entries(given, "ipvx_stats") == 1);
}

TEST_CASE("to write a row again changes nothing") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.wire("m0"), ipv4().to("10.0.0.9"), passed_to_host());
  const auto tables = given.tables();
  const Counters counters = given.counters();
  const PinnedIds pins = pinned_under(given.root());

  need(given.datapath().write(given.port_row("m0")));
  need(given.datapath().write(given.slave_row("web0")));
  need(given.datapath().write(given.member_row("web0")));
  need(given.datapath().write(given.address_row("web0", "10.0.0.2")));
  CHECK(given.tables() == tables);
  CHECK(given.counters() == counters);
  CHECK(pinned_under(given.root()) == pins);
  CHECK(programs_at("m0").size() == 1);
  CHECK(programs_at("ipvx1").size() == 1);
}

TEST_CASE("to erase rows leaves nothing of them") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.from("web0"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), dropped("pause"));
  const Bytes frame = ipv4().to("10.0.0.2").bytes(kM0, kOutside);

  // Twice: an absent row is erased already.
  for (int i = 0; i < 2; ++i) {
    need(given.datapath().erase(given.address_row("web0", "10.0.0.2")));
    need(given.datapath().erase(given.member_row("web0")));
    need(given.datapath().erase(given.slave_row("web0")));
    need(given.datapath().erase(given.port_row("m0")));
  }
  CHECK(given.tables() == Tables{});
  for (const char* map : {"ipvx_addrs", "ipvx_members", "ipvx_slaves", "ipvx_ports", "ipvx_stats",
                          "ipvx_drops", "ipvx_passed"}) {
    INFO(map);
    CHECK(entries(given, map) == 0);
  }
  CHECK(std::filesystem::is_empty(given.root() + "/links"));
  CHECK(programs_at("m0").empty());
  CHECK(programs_at("ipvx1").empty());
  given.wire("m0").sender->send(frame);
  CHECK(listen(given, {{"host of m0", {frame}}}) == Heard{{"host of m0", {frame}}});

  // The next slave of that number counts from 0.
  need(given.datapath().write(given.slave_row("web0")));
  CHECK(given.counters().empty());
}

TEST_CASE("rows of interfaces that are gone can be erased") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const PortRow port = given.port_row("m0");
  const SlaveRow slave = given.slave_row("web0");
  remove_interfaces();
  need(given.datapath().erase(slave));
  need(given.datapath().erase(port));
  CHECK(std::filesystem::is_empty(given.root() + "/links"));
  CHECK(given.tables().slaves.empty());
}

TEST_CASE("an interface that is not there cannot have a program, and the error names it") {
  Given given;
  PortRow row{
      .master = IfIndex{4242}, .mode = Mode::l2, .flag = Flag::bridge, .slots = 0, .mac = kM0, .mtu = 1500};
  const auto done = given.datapath().write(row);
  REQUIRE(!done);
  CHECK(done.error().code == Errc::kernel_refused);
  CHECK_THAT(done.error().message, Contains("4242") && Contains("No such device"));
}

TEST_CASE("a full map says so, and what was there stays") {
  Given given{4};
  given.port("m0").slave("web0", {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"});
  const auto done = given.datapath().write(given.address_row("web0", "10.0.0.6"));
  REQUIRE(!done);
  CHECK(done.error().code == Errc::map_full);
  CHECK_THAT(done.error().message, Contains("ipvx_addrs"));
  CHECK(given.tables().addresses.size() == 4);
  // A row that is there can be written still.
  need(given.datapath().write(given.address_row("web0", "10.0.0.5")));

  need(given.datapath().erase(given.address_row("web0", "10.0.0.2")));
  need(given.datapath().write(given.address_row("web0", "10.0.0.6")));
  check(given, given.wire("m0"), ipv4().to("10.0.0.6"), redirected_to("web0"));
}

TEST_CASE("statistics of a slave that was never written are zero") {
  Given given;
  const auto stats = given.datapath().stats(SlaveId{77});
  REQUIRE(stats);
  CHECK(stats->rx.packets + stats->tx.packets == 0);
  CHECK(stats->drops.empty());
}
