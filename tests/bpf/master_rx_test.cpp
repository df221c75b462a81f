// SPDX-License-Identifier: Apache-2.0
// What the wire brings for one receiver: whose is it? SEMANTICS.md rules 10, 11,
// 14, 17 to 19, 22, 24.
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

TEST_CASE("unicast from the wire goes to the owner of its destination") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"}).slave("web1", {"10.0.0.3", "fd00::3"});
  const Entry wire = given.wire("m0");

  check(given, wire, ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, wire, ipv4().to("10.0.0.3"), redirected_to("web1"));
  check(given, wire, ipv6().to("fd00::2"), redirected_to("web0"));
  check(given, wire, ipv6().to("fd00::3"), redirected_to("web1"));
  check(given, wire, tcp_ipv4().to("10.0.0.3"), redirected_to("web1"));

  check(given, wire, ipv4().to("10.0.0.9"), passed_to_host());
  check(given, wire, ipv6().to("fd00::9"), passed_to_host());
  // The first four bytes of the one are the address of the other.
  check(given, wire, ipv6().to("0a00:2::"), passed_to_host());
  // The source decides nothing.
  check(given, wire, ipv4().from("10.0.0.2").to("10.0.0.9"), passed_to_host());
  check(given, wire, ipv4().from("10.0.0.2").to("10.0.0.3"), redirected_to("web1"));
  check(given, wire, ipv6().from("fd00::2").to("fd00::9"), passed_to_host());
}

TEST_CASE("the owner of an IPv4 address does not own the IPv6 address of the same bytes") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"a00:2::"});
  const Entry wire = given.wire("m0");

  check(given, wire, ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, wire, ipv6().to("a00:2::"), redirected_to("web1"));
}

TEST_CASE("each master has its own owners") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  given.port("m1", kM1).slave("web1", {"10.0.0.2", "10.0.0.3"});

  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.wire("m0"), ipv4().to("10.0.0.3"), passed_to_host());
  check(given, given.wire("m1"), ipv4().to("10.0.0.2"), redirected_to("web1"));
  check(given, given.wire("m1"), ipv4().to("10.0.0.3"), redirected_to("web1"));
}

TEST_CASE("a slave that is down has no address") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}, Link::down);
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), passed_to_host());
}

TEST_CASE("what is for another MAC address, on a promiscuous master, is no slave's") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");

  check(given, wire, ipv4().to_mac(kForged).to("10.0.0.2"), passed_to_host());
  check(given, wire, ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, wire, ipv4().to_mac(kForged).to("10.0.0.9"), passed_to_host());
  check(given, wire, ipv4().from_mac(kM0).to("10.0.0.2"), redirected_to("web0"));
}

TEST_CASE("protocols without such an address stay with the host") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");

  check(given, wire, Frame{kExperimental, Bytes(46)}, passed_to_host());
  // An IPv4 header behind another protocol's number is no IPv4 header.
  const Bytes whole = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  check(given, wire, Frame{kExperimental, {whole.begin() + kEthernet, whole.end()}}, passed_to_host());
  check(given, wire, Frame{kPause, Bytes(46)}, passed_to_host());
}

TEST_CASE("unicast ARP goes to the owner of its target, whatever it asks or says") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  const Entry wire = given.wire("m0");

  check(given, wire, arp_request().to("10.0.0.2"), redirected_to("web0"));
  check(given, wire, arp_reply().to("10.0.0.3"), redirected_to("web1"));
  check(given, wire, arp_reply().operation(0), passed_to_host());
  for (const unsigned operation : {0u, 3u, 8u, 255u})
    check(given, wire, arp_request().operation(operation).to("10.0.0.2"), redirected_to("web0"));
  check(given, wire, arp_request().to("10.0.0.9"), passed_to_host());
  check(given, wire, arp_request().from("10.0.0.2").to("10.0.0.9"), passed_to_host());
  check(given, wire, arp_reply().from("10.0.0.2").to("10.0.0.3"), redirected_to("web1"));
}

TEST_CASE("a solicitation from :: goes to the owner of its target, others to their destination's") {
  Given given;
  given.port("m0").slave("web0", {"fd00::2"}).slave("web1", {"fd00::3"});
  const Entry wire = given.wire("m0");
  const Frame dad = solicitation("fd00::2").from("::");

  check(given, wire, dad.to("fd00::9"), redirected_to("web0"));
  check(given, wire, dad.to("fd00::3"), redirected_to("web0"));
  check(given, wire, solicitation("fd00::9").from("::").to("fd00::3"), passed_to_host());

  check(given, wire, solicitation("fd00::2").to("fd00::3"), redirected_to("web1"));
  check(given, wire, solicitation("fd00::2").to("fd00::9"), passed_to_host());
  // Every word of the source counts.
  for (const char* almost : {"1::", "0:0:1::", "::1:0:0", "::1"})
    check(given, wire, solicitation("fd00::2").from(almost).to("fd00::3"), redirected_to("web1"));
}

TEST_CASE("what else comes from :: in ICMPv6 is nobody's") {
  Given given;
  given.port("m0").slave("web0", {"fd00::2"});
  const Entry wire = given.wire("m0");
  const Frame dad = solicitation("fd00::2").from("::").to("fd00::2");

  check(given, wire, dad, redirected_to("web0"));
  for (const unsigned type : {128u, 131u, 133u, 134u, 136u, 143u})
    check(given, wire, dad.type(type), passed_to_host());
  // Of other protocols it is an ordinary packet.
  check(given, wire, ipv6().from("::").to("fd00::2"), redirected_to("web0"));
  check(given, wire, dad.next_header(IPPROTO_TCP), redirected_to("web0"));
}

TEST_CASE("extension headers are not walked") {
  Given given;
  given.port("m0").slave("web0", {"fd00::2"}).slave("web1", {"fd00::3"});
  const Entry wire = given.wire("m0");

  check(given, wire, ipv6().to("fd00::2").next_header(IPPROTO_HOPOPTS), redirected_to("web0"));
  check(given, wire, ipv6().to("fd00::2").next_header(IPPROTO_ROUTING), redirected_to("web0"));
  check(given, wire, ipv6().to("fd00::2").next_header(IPPROTO_FRAGMENT), redirected_to("web0"));
  // A solicitation behind one is none: the destination decides.
  check(given, wire, solicitation("fd00::2").from("::").to("fd00::3").next_header(IPPROTO_HOPOPTS),
        redirected_to("web1"));
}

TEST_CASE("all fragments go the same way") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Entry wire = given.wire("m0");

  check(given, wire, ipv4().to("10.0.0.2").fragment(0, true), redirected_to("web0"));
  check(given, wire, ipv4().to("10.0.0.2").fragment(1480, true), redirected_to("web0"));
  check(given, wire, ipv4().to("10.0.0.2").fragment(2960, false), redirected_to("web0"));
}
