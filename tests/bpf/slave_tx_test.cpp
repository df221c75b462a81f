// SPDX-License-Identifier: Apache-2.0
// What a slave sends to one receiver: a sibling, the host or the wire? SEMANTICS.md
// rules 31, 37, 38, 41.
#include <bpf/bpf.h>

#include "catch.h"
#include "check.h"
#include "ipvlanx/datapath_abi.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

TEST_CASE("what a slave sends to another MAC address goes to the wire") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3"});
  const Entry web0 = given.from("web0");

  check(given, web0, ipv4().from("10.0.0.2").to("10.0.0.9"), to_wire());
  check(given, web0, ipv6().from("fd00::2").to("fd00::9"), to_wire());
  check(given, web0, arp_reply().from("10.0.0.2").to("10.0.0.9"), to_wire());
  check(given, web0, Frame{kExperimental, Bytes(46)}, to_wire());
  check(given, web0, ipv4().version(5), to_wire());
  // The MAC address decides, not a sibling's IP address.
  check(given, web0, ipv4().to("10.0.0.3"), to_wire());
  check(given, web0, arp_reply().to("10.0.0.3"), to_wire());
}

TEST_CASE("a slave's IP source is its own affair") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry web0 = given.from("web0");

  check(given, web0, ipv4().from("10.0.0.3").to("10.0.0.9"), to_wire());
  check(given, web0, ipv4().from("192.0.2.1").to("10.0.0.9"), to_wire());
  check(given, web0, arp_request().from("10.0.0.3"), to_wire());
}

TEST_CASE("every frame of a slave bears the master's MAC address") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3", "fd00::3"});
  const Entry web0 = given.from("web0");

  check(given, web0, ipv4().from_mac(kForged), to_wire().with_source_mac(kM0));
  check(given, web0, Frame{kExperimental, Bytes(46)}.from_mac(kForged), to_wire().with_source_mac(kM0));
  // Only Ethernet's header: an ARP sender is rule 38's.
  check(given, web0, arp_request().from_mac(kForged), to_wire().with_source_mac(kM0));
  check(given, web0, ipv4().from_mac(kBroadcast), to_wire().with_source_mac(kM0));
  for (std::size_t i = 0; i < 6; ++i) {
    MacAddress near = kM0;
    near.bytes[i] ^= 0x40;
    check(given, web0, ipv4().from_mac(near), to_wire().with_source_mac(kM0));
  }
  check(given, web0, ipv4().from_mac(kForged).to_mac(kM0).to("10.0.0.3"),
        redirected_to("web1").with_source_mac(kM0));
  check(given, web0, ipv6().from_mac(kForged).to_mac(kM0).to("fd00::3"),
        redirected_to("web1").with_source_mac(kM0));
  check(given, web0, ipv4().from_mac(kForged).to_mac(kM0), to_host().with_source_mac(kM0));
  // The kernel compares the frame's own two; ours is the frame as it leaves.
  check(given, web0, ipv4().from_mac(kForged).to_mac(kForged).to("10.0.0.3"), to_wire().with_source_mac(kM0));
}

TEST_CASE("what a slave sends to the shared MAC address goes to the owner of its destination") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3", "fd00::3"});
  const Entry web0 = given.from("web0");
  const Entry web1 = given.from("web1");

  check(given, web0, ipv4().to_mac(kM0).from("10.0.0.2").to("10.0.0.3"), redirected_to("web1"));
  check(given, web1, ipv4().to_mac(kM0).from("10.0.0.3").to("10.0.0.2"), redirected_to("web0"));
  check(given, web0, ipv6().to_mac(kM0).from("fd00::2").to("fd00::3"), redirected_to("web1"));
  check(given, web0, arp_reply().to_mac(kM0).from("10.0.0.2").to("10.0.0.3"), redirected_to("web1"));
  check(given, web0, arp_request().to_mac(kM0).to("10.0.0.3"), redirected_to("web1"));
  check(given, web0, solicitation("fd00::3").to_mac(kM0).from("::").to("fd00::9"), redirected_to("web1"));
  check(given, web0, solicitation("fd00::9").to_mac(kM0).to("fd00::3"), redirected_to("web1"));
  check(given, web0, ipv4().to_mac(kM0).to("10.0.0.3").fragment(1480, false), redirected_to("web1"));
  // To itself, as in the kernel.
  check(given, web0, ipv4().to_mac(kM0).from("10.0.0.2").to("10.0.0.2"), redirected_to("web0"));
}

TEST_CASE("what is nobody's goes to the host") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("idle", {"10.0.0.4"}, Link::down);
  given.port("m1", kM1).slave("other", {"10.0.0.7"});
  const Entry web0 = given.from("web0");

  check(given, web0, ipv4().to_mac(kM0).to("10.0.0.9"), to_host());
  check(given, web0, ipv6().to_mac(kM0).to("fd00::9"), to_host());
  check(given, web0, arp_reply().to_mac(kM0).to("10.0.0.9"), to_host());
  check(given, web0, Frame{kExperimental, Bytes(46)}.to_mac(kM0), to_host());
  check(given, web0, ipv4().to_mac(kM0).to("10.0.0.4"), to_host());
  // Of another port, and sent there by its MAC address.
  check(given, web0, ipv4().to_mac(kM0).to("10.0.0.7"), to_host());
  check(given, web0, ipv4().to_mac(kM1).to("10.0.0.7"), to_wire());
  check(given, given.from("idle"), ipv4().to_mac(kM0).to("10.0.0.2"), redirected_to("web0"));
}

TEST_CASE("a host end that is nobody's drops, and blames no slave") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry web0 = given.from("web0");
  const UniqueFd slaves{bpf_obj_get((given.root() + "/maps/ipvx_slaves").c_str())};
  const ipvx_slave_key key{number(web0.interface)};
  REQUIRE(bpf_map_delete_elem(slaves.get(), &key) == 0);

  check(given, web0, ipv4(), dropped("no_slave"));
  check(given, web0, ipv4().to_mac(kM0).to("10.0.0.3"), dropped("no_slave"));
  check(given, web0, arp_request().to_mac(kBroadcast), dropped("no_slave"));
  CHECK(given.datapath().stats(SlaveId{0})->drops.at("no_slave") == 6);
}

TEST_CASE("drops are counted by reason and slave") {
  Given given;
  given.port("m0").slave("web0", {}).slave("web1", {});
  const Frame pause = Frame{kPause, Bytes(46)}.to_mac(kPauseGroup);
  for (int i = 0; i < 3; ++i) check(given, given.from("web0"), pause, dropped("pause"));
  check(given, given.from("web1"), pause, dropped("pause"));

  const auto web0 = given.datapath().stats(given.id("web0"));
  REQUIRE(web0);
  CHECK(web0->drops == std::map<std::string, std::uint64_t>{{"pause", 6}});
  CHECK(web0->tx.dropped == 6);
  CHECK(web0->tx.packets == 0);
  CHECK(given.datapath().stats(given.id("web1"))->drops.at("pause") == 2);
}
