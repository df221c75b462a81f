// SPDX-License-Identifier: Apache-2.0
// Broadcast and multicast: who gets a copy? SEMANTICS.md rules 10, 12, 25 to 27, 30.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

TEST_CASE("a broadcast from the wire goes to the host and to every slave that is up") {
  Given given;
  given.port("m0")
      .slave("web0", {"10.0.0.2"})
      .slave("idle", {"10.0.0.4"}, Link::down)
      .slave("web1", {"10.0.0.3"})
      .slave("here", {"10.0.0.5"}, Link::up, Space::host);
  given.port("m1", kM1).slave("other", {"10.0.0.2"});
  const Entry wire = given.wire("m0");
  const Verdict all = passed_to_host().copied_to({"web0", "web1", "here"});

  check(given, wire, arp_request().to("10.0.0.2").to_mac(kBroadcast), all);
  check(given, wire, arp_request().to("10.0.0.9").to_mac(kBroadcast), all);
  check(given, wire, ipv4().to("10.0.0.255").to_mac(kBroadcast), all);
  // One receiver's address behind a group's MAC is a broadcast all the same.
  check(given, wire, ipv4().to("10.0.0.2").to_mac(kBroadcast), all);
  check(given, wire, ipv4().to("224.0.0.1").to_mac(kAllHosts), all);
  check(given, wire, ipv6().to("ff02::1").to_mac(kAllNodes), all);
  check(given, wire, solicitation("fd00::2").from("::").to_mac(kAllNodes), all);
  check(given, wire, Frame{kExperimental, Bytes(46)}.to_mac(kBroadcast), all);
  // Broken ones, too: the kernel copies before it reads.
  check(given, wire, ipv4().version(5).to_mac(kBroadcast), all);
  check(given, wire, arp_request().to_mac(kBroadcast).cut_to(20), all);
}

TEST_CASE("a slot without a member is a gap") {
  Given given;
  given.port("m0").slave("web0", {}).slave("gone", {}).slave("web1", {});
  need(given.datapath().erase(given.member_row("gone")));
  check(given, given.wire("m0"), arp_request().to_mac(kBroadcast),
        passed_to_host().copied_to({"web0", "web1"}));
  // Slots end where the port's row says.
  PortRow shorter = given.port_row("m0");
  shorter.slots = 2;
  need(given.datapath().write(shorter));
  check(given, given.wire("m0"), arp_request().to_mac(kBroadcast), passed_to_host().copied_to({"web0"}));
}

TEST_CASE("what the wire gives back of our own is not copied again") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3"});
  const Entry wire = given.wire("m0");
  const Verdict all = passed_to_host().copied_to({"web0", "web1"});
  const Frame arp = arp_request().to("10.0.0.9").to_mac(kBroadcast);
  const Frame four = ipv4().to("10.0.0.255").to_mac(kBroadcast);
  const Frame six = ipv6().to("ff02::1").to_mac(kAllNodes);

  check(given, wire, arp.from_mac(kM0).from("10.0.0.2"), passed_to_host());
  check(given, wire, four.from_mac(kM0).from("10.0.0.3"), passed_to_host());
  check(given, wire, six.from_mac(kM0).from("fd00::2"), passed_to_host());

  SECTION("but what only looks alike is") {
    check(given, wire, arp.from_mac(kM0).from("10.0.0.9"), all);
    check(given, wire, four.from_mac(kM0).from("10.0.0.9"), all);
    check(given, wire, six.from_mac(kM0).from("fd00::9"), all);
    check(given, wire, arp.from("10.0.0.2"), all);
    check(given, wire, four.from("10.0.0.2"), all);
    // The destination does not make it ours.
    check(given, wire, arp.from_mac(kM0).to("10.0.0.2"), all);
    check(given, wire, four.from_mac(kM0).to("10.0.0.2"), all);
    // Nor does a source in a header that is none.
    check(given, wire, four.from_mac(kM0).from("10.0.0.3").tot_len(19), all);
    check(given, wire, Frame{kExperimental, Bytes(46)}.to_mac(kBroadcast).from_mac(kM0), all);
  }
  SECTION("a solicitation from :: is known by its target") {
    const Frame dad = solicitation("fd00::2").from("::").to_mac(kAllNodes);
    check(given, wire, dad.from_mac(kM0), passed_to_host());
    check(given, wire, solicitation("fd00::9").from("::").to_mac(kAllNodes).from_mac(kM0), all);
  }
  SECTION("each byte of the MAC address counts") {
    for (std::size_t i = 0; i < 6; ++i) {
      MacAddress near = kM0;
      near.bytes[i] ^= 0x40;
      check(given, wire, arp.from_mac(near).from("10.0.0.2"), all);
    }
  }
}

TEST_CASE("a PAUSE frame from the wire is the host's alone") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  check(given, given.wire("m0"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), passed_to_host());
}

TEST_CASE("a broadcast of a slave goes to the others and to the wire, not to the host") {
  Given given;
  given.port("m0")
      .slave("web0", {"10.0.0.2"})
      .slave("web1", {"10.0.0.3"})
      .slave("here", {"10.0.0.5"}, Link::up, Space::host)
      .slave("idle", {"10.0.0.4"}, Link::down);
  given.port("m1", kM1).slave("other", {"10.0.0.2"});

  check(given, given.from("web0"), arp_request().from("10.0.0.2").to("10.0.0.3").to_mac(kBroadcast),
        to_wire().copied_to({"web1", "here"}));
  check(given, given.from("here"), ipv4().to("10.0.0.255").to_mac(kBroadcast),
        to_wire().copied_to({"web0", "web1"}));
  check(given, given.from("web1"), ipv6().to("ff02::1").to_mac(kAllNodes),
        to_wire().copied_to({"web0", "here"}));
  check(given, given.from("idle"), arp_request().to_mac(kBroadcast),
        to_wire().copied_to({"web0", "web1", "here"}));
  check(given, given.from("other"), arp_request().to_mac(kBroadcast), to_wire());
  check(given, given.from("web0"), ipv4().version(5).to_mac(kBroadcast),
        to_wire().copied_to({"web1", "here"}));
  check(given, given.from("web0"), arp_request().to_mac(kBroadcast).from_mac(kForged),
        to_wire().copied_to({"web1", "here"}).with_source_mac(kM0));
}

TEST_CASE("a PAUSE frame of a slave is dropped") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  check(given, given.from("web0"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), dropped("pause"));
}

TEST_CASE("a copy that its slave cannot take is a drop of that slave, with its reason") {
  Given given;
  given.port("m0").slave("web0", {}).slave("web1", {});
  ip(Space::host, "link set " + given.host_end("web1") + " down\n");

  const Counters before = given.counters();
  given.wire("m0").sender->send(arp_request().to_mac(kBroadcast).bytes(kM0, kOutside));
  const Counters counted = difference(before, given.counters());
  CHECK(counted == Counters{{"m0.passed.bytes", 42},
                            {"m0.passed.packets", 1},
                            {"web0.rx.bytes", 42},
                            {"web0.rx.multicast", 1},
                            {"web0.rx.packets", 1},
                            {"web1.drop.clone_failed", 1},
                            {"web1.rx.dropped", 1}});
}

// Rule 10: what the kernel loops back to the host's own listeners (PACKET_LOOPBACK)
// came from no wire, and has no Ethernet header.
TEST_CASE("the host's own multicast, looped back, passes") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  ip(Space::host, "addr add 10.0.0.1/24 dev m0\n");
  const UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_in group{.sin_family = AF_INET, .sin_port = htons(5353), .sin_addr = {}, .sin_zero = {}};
  ::inet_pton(AF_INET, "224.0.0.251", &group.sin_addr);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&group), sizeof group) == 0);
  const ip_mreqn on_m0{.imr_multiaddr = group.sin_addr,
                       .imr_address = {},
                       .imr_ifindex = static_cast<int>(number(given.index("m0")))};
  REQUIRE(::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &on_m0, sizeof on_m0) == 0);
  REQUIRE(::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &on_m0, sizeof on_m0) == 0);

  constexpr char text[] = "to whom it may concern";
  const Counters before = given.counters();
  REQUIRE(::sendto(socket.get(), text, sizeof text, 0, reinterpret_cast<const sockaddr*>(&group),
                   sizeof group) == sizeof text);
  char heard[64];
  REQUIRE(::recv(socket.get(), heard, sizeof heard, 0) == sizeof text);
  CHECK(difference(before, given.counters()).at("m0.passed.packets") == 1);
  CHECK(difference(before, given.counters()).count("web0.rx.dropped") == 0);
  CHECK(difference(before, given.counters()).count("web0.rx.packets") == 0);
}

TEST_CASE("a trace counts all copies, also those that a broadcast would get in later batches") {
  constexpr unsigned kSlaves = 20;
  Given given;
  given.port("m0");
  for (unsigned i = 0; i < kSlaves; ++i) given.slave("web" + std::to_string(i), {});
  const Counters before = given.counters();
  const auto copies = [&](Entrance entrance, const Entry& at) {
    const Bytes frame = arp_request().to_mac(kBroadcast).bytes(at.to, at.from);
    return given.datapath().trace(entrance, at.interface, frame).value().copies;
  };
  CHECK(copies(Entrance::master, given.wire("m0")) == kSlaves);
  CHECK(copies(Entrance::host_end, given.from("web7")) == kSlaves - 1);
  CHECK(difference(before, given.counters()).empty());
  CHECK(listen(given, {}).empty());
}

TEST_CASE("a trace asks the maps as they are, and of an interface that is gone nothing") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");
  const Bytes frame = ipv4().to("10.0.0.2").bytes(wire.to, wire.from);
  const auto kind = [&] {
    return given.datapath().trace(Entrance::master, wire.interface, frame).value().kind;
  };
  CHECK(kind() == ipvlanx::Fate::Kind::slave);
  need(given.datapath().erase(given.address_row("web0", "10.0.0.2")));
  CHECK(kind() == ipvlanx::Fate::Kind::host);
  CHECK(given.datapath().trace(Entrance::master, IfIndex{0x7ffffff0}, frame).error().code ==
        Errc::kernel_refused);
}
