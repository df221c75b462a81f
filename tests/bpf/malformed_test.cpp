// SPDX-License-Identifier: Apache-2.0
// Which broken headers are nobody's? SEMANTICS.md rule 16, on the wire's side and on
// the slaves'. The kernel's ipvlan_get_L3_hdr() draws these lines.
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

constexpr unsigned kFrame = 60;   // ipv4() with Ethernet
constexpr unsigned kPacket = 46;  // without

}  // namespace

TEST_CASE("an ARP packet is read when all of it is there") {
  Given given;
  // Were it read shorter, the missing bytes of its target would be 0, or stale.
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("zero", {"0.0.0.0"});
  const Entry wire = given.wire("m0");
  const Frame request = arp_request().to("10.0.0.2");

  for (std::size_t size = kEthernet + 1; size < 42; ++size)
    check(given, wire, request.cut_to(size), passed_to_host());
  check(given, wire, request.cut_to(42), redirected_to("web0"));
  check(given, wire, request.cut_to(43), redirected_to("web0"));
  check(given, wire, request.padded(18), redirected_to("web0"));
}

TEST_CASE("an IPv4 header says 4 and at least five words") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");
  const Frame good = ipv4().to("10.0.0.2");

  for (unsigned version = 0; version < 16; ++version)
    check(given, wire, good.version(version), version == 4 ? redirected_to("web0") : passed_to_host());
  for (unsigned words = 0; words < 5; ++words) check(given, wire, good.ihl(words), passed_to_host());
  for (unsigned words = 5; words * 4 <= kPacket; ++words)
    check(given, wire, good.ihl(words), redirected_to("web0"));
  for (unsigned words = 12; words < 16; ++words) check(given, wire, good.ihl(words), passed_to_host());
  check(given, wire, good.with_options(), redirected_to("web0"));
}

TEST_CASE("an IPv4 total length lies between its header and the frame") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");
  const Frame good = ipv4().to("10.0.0.2");

  check(given, wire, good.tot_len(kPacket), redirected_to("web0"));
  check(given, wire, good.tot_len(kPacket + 1), passed_to_host());
  check(given, wire, good.tot_len(kFrame), passed_to_host());
  check(given, wire, good.tot_len(65535), passed_to_host());
  check(given, wire, good.tot_len(kPacket - 1), redirected_to("web0"));
  check(given, wire, good.tot_len(20), redirected_to("web0"));
  check(given, wire, good.tot_len(19), passed_to_host());
  check(given, wire, good.tot_len(0), passed_to_host());
  check(given, wire, good.with_options().tot_len(24), redirected_to("web0"));
  check(given, wire, good.with_options().tot_len(23), passed_to_host());
  // As Ethernet pads what is short.
  check(given, wire, good.with_payload(0).padded(18), redirected_to("web0"));
  check(given, wire, good.cut_to(kFrame - 1), passed_to_host());
}

TEST_CASE("an IPv4 header has twenty bytes") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");
  const Frame bare = ipv4().to("10.0.0.2").tot_len(20);

  check(given, wire, bare.cut_to(kEthernet + 20), redirected_to("web0"));
  for (std::size_t size = kEthernet; size < kEthernet + 20; ++size)
    check_frame(given, wire, bare.cut_to(size), passed_to_host());
}

TEST_CASE("a total length of 0 is that of a TCP packet beyond 64 KiB") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");

  check(given, wire, tcp_ipv4().to("10.0.0.2").tot_len(0), passed_to_host());
  check_run(given, wire, tcp_ipv4().to("10.0.0.2").tot_len(0).gso(1448), redirected_to("web0"));
  check_run(given, wire, tcp_ipv4().to("10.0.0.2").tot_len(41).gso(1448), passed_to_host());
}

TEST_CASE("an IPv6 header says 6 and has forty bytes") {
  Given given;
  given.port("m0").slave("web0", {"fd00::2"});
  const Entry wire = given.wire("m0");
  const Frame good = ipv6().to("fd00::2");

  for (unsigned version = 0; version < 16; ++version)
    check(given, wire, good.version(version), version == 6 ? redirected_to("web0") : passed_to_host());
  check(given, wire, good.cut_to(kEthernet + 40), redirected_to("web0"));
  for (const std::size_t size : {14u, 15u, 34u, 38u, 52u, 53u})
    check_frame(given, wire, good.cut_to(size), passed_to_host());
}

TEST_CASE("ICMPv6 from :: is read when all of it is there") {
  Given given;
  given.port("m0").slave("web0", {"fd00::2"}).slave("zero", {"fd00::"});
  const Entry wire = given.wire("m0");
  const Frame dad = solicitation("fd00::2").from("::").to("fd00::2");

  check(given, wire, dad.cut_to(78), redirected_to("web0"));
  for (const std::size_t size : {54u, 55u, 58u, 61u, 62u, 63u, 70u, 76u, 77u})
    check(given, wire, dad.cut_to(size), passed_to_host());
  // From elsewhere only the IPv6 header is.
  check(given, wire, dad.from("fd00::9").cut_to(54), redirected_to("web0"));
}

TEST_CASE("from a slave, too, broken headers are nobody's") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3", "fd00::3"});
  const Entry web0 = given.from("web0");
  const Frame four = ipv4().to_mac(kM0).to("10.0.0.3");
  const Frame six = ipv6().to_mac(kM0).to("fd00::3");

  check(given, web0, four, redirected_to("web1"));
  check(given, web0, six, redirected_to("web1"));
  check(given, web0, four.ihl(4), to_host());
  check(given, web0, four.version(6), to_host());
  check(given, web0, four.tot_len(kPacket + 1), to_host());
  check(given, web0, four.tot_len(19), to_host());
  check(given, web0, six.version(4), to_host());
  check_frame(given, web0, six.cut_to(53), to_host());
  check(given, web0, arp_reply().to_mac(kM0).to("10.0.0.3").cut_to(41), to_host());
  check(given, web0, solicitation("fd00::3").to_mac(kM0).from("::").cut_to(77), to_host());
  check(given, web0, solicitation("fd00::3").to_mac(kM0).from("::").type(136), to_host());
}
