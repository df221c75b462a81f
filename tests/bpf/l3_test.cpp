// SPDX-License-Identifier: Apache-2.0
// Where do packets go in l3 and l3s? SEMANTICS.md rules 14 to 16, 20 to 22, 32, 74;
// DESIGN.md 3.5 for TTL and hop limit.
#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

constexpr Mode kRouted[] = {Mode::l3, Mode::l3s};

// m0 with two slaves.
class RoutedPort {
 public:
  explicit RoutedPort(Mode mode, Flag flag = Flag::bridge) {
    given.port("m0")
        .in(mode, flag)
        .slave("web0", {"10.0.0.2", "fd00::2"})
        .slave("web1", {"10.0.0.3", "fd00::3"});
  }
  Entry web0() const { return given.from("web0"); }
  Entry wire() const { return given.wire("m0"); }
  Given given;
};

}  // namespace

TEST_CASE("l3 and l3s: a slave reaches its siblings by IP address, whatever the MAC address") {
  for (const Mode mode : kRouted) {
    RoutedPort port{mode};
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.3"), redirected_to("web1"));
    check(port.given, port.web0(), ipv4().to("10.0.0.3"), redirected_to("web1"));
    check(port.given, port.web0(), ipv6().to_mac(kM0).to("fd00::3"), redirected_to("web1"));
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.3").ttl(1), redirected_to("web1"));
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.3").fragment(1480, false),
          redirected_to("web1"));
    check(port.given, port.web0(), ipv4().from_mac(kForged).to_mac(kM0).to("10.0.0.3"),
          redirected_to("web1").with_source_mac(kM0));
  }
}

TEST_CASE("l3 and l3s: private drops what is for a sibling, vepa leaves it to the switch") {
  for (const Mode mode : kRouted) {
    RoutedPort isolated{mode, Flag::private_};
    check(isolated.given, isolated.web0(), ipv4().to_mac(kM0).to("10.0.0.3"), dropped("private"));
    check(isolated.given, isolated.web0(), ipv6().to_mac(kM0).to("fd00::3"), dropped("private"));
  }
  for (const Mode mode : kRouted) {
    RoutedPort vepa{mode, Flag::vepa};
    check(vepa.given, vepa.web0(), ipv4().to_mac(kM0).to("10.0.0.3"), to_wire());
    check(vepa.given, vepa.web0(), ipv6().to_mac(kM0).to("fd00::3"), to_wire());
    check(vepa.given, vepa.web0(), ipv4().to_mac(kM0).to("192.0.2.1"), through_stack().with_longer_life());
    check(vepa.given, vepa.web0(), arp_request().to_mac(kBroadcast).to("10.0.0.3"), dropped("group"));
    check(vepa.given, vepa.web0(), arp_reply().to_mac(kM0).to("10.0.0.3"), dropped("not_ip"));
  }
}

TEST_CASE("l3 and l3s: everything else of a slave is the host's to route") {
  for (const Mode mode : kRouted) {
    RoutedPort port{mode};
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("192.0.2.1"), through_stack().with_longer_life());
    check(port.given, port.web0(), ipv6().to_mac(kM0).to("2001:db8::1"), through_stack().with_longer_life());
    // A slave that was in l2 a moment ago: the frame is for the host all the same.
    check(port.given, port.web0(), ipv4().to("192.0.2.1"), through_stack().with_longer_life());
    check(port.given, port.web0(), ipv4().from("10.0.0.3").to("192.0.2.1"),
          through_stack().with_longer_life());
    check(port.given, port.web0(), ipv4().from_mac(kForged).to_mac(kM0),
          through_stack().with_longer_life().with_source_mac(kM0));
  }
}

TEST_CASE("what forwarding will take of TTL and hop limit is added before, where there is room") {
  RoutedPort port{Mode::l3};
  for (const unsigned hops : {1u, 2u, 64u, 254u}) {
    INFO("TTL " << hops);
    check(port.given, port.web0(), ipv4().to_mac(kM0).ttl(hops), through_stack().with_longer_life());
    check(port.given, port.web0(), ipv6().to_mac(kM0).ttl(hops), through_stack().with_longer_life());
  }
  check(port.given, port.web0(), ipv4().to_mac(kM0).ttl(255), through_stack());
  check(port.given, port.web0(), ipv6().to_mac(kM0).ttl(255), through_stack());
}

TEST_CASE("l3 and l3s: no slave sends broadcasts, or anything but IP") {
  for (const Mode mode : kRouted) {
    RoutedPort port{mode};
    check(port.given, port.web0(), ipv4().to_mac(kBroadcast).to("10.0.0.255"), dropped("group"));
    check(port.given, port.web0(), ipv6().to_mac(kAllNodes).to("ff02::1"), dropped("group"));
    check(port.given, port.web0(), arp_request().to_mac(kBroadcast).to("10.0.0.9"), dropped("group"));
    // A NOARP interface gives a broadcast its own MAC address.
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("255.255.255.255"), dropped("group"));
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("224.0.0.1"), dropped("group"));
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("223.255.255.255"),
          through_stack().with_longer_life());
    check(port.given, port.web0(), ipv6().to_mac(kM0).to("ff05::1"), dropped("group"));
    check(port.given, port.web0(), arp_reply().to("10.0.0.9"), dropped("not_ip"));
    check(port.given, port.web0(), Frame{kExperimental, Bytes(46)}, dropped("not_ip"));
    check(port.given, port.web0(), ipv4().tagged(7).to_mac(kM0), dropped("not_ip"));
    // As the kernel: the IP address decides before the MAC address does.
    check(port.given, port.web0(), ipv4().to_mac(kBroadcast).to("10.0.0.3"), redirected_to("web1"));
    check(port.given, port.web0(), arp_request().to_mac(kBroadcast).to("10.0.0.3"), redirected_to("web1"));
  }
}

TEST_CASE("l3: from the wire every frame for a slave's address goes there, and no copies") {
  RoutedPort port{Mode::l3};
  check(port.given, port.wire(), ipv4().to("10.0.0.3"), redirected_to("web1"));
  check(port.given, port.wire(), ipv4().to("10.0.0.3").ttl(1), redirected_to("web1"));
  check(port.given, port.wire(), ipv6().to("fd00::3"), redirected_to("web1"));
  // The slave, NOARP, swallows it: rules 20 and 22.
  check(port.given, port.wire(), arp_request().to_mac(kBroadcast).to("10.0.0.3"), redirected_to("web1"));
  check(port.given, port.wire(), solicitation("fd00::3").to_mac(kAllNodes).from("::").to("ff02::1"),
        redirected_to("web1"));
  check(port.given, port.wire(), ipv4().to_mac(kBroadcast).to("10.0.0.3"), redirected_to("web1"));

  check(port.given, port.wire(), ipv4().to("10.0.0.9"), passed_to_host());
  check(port.given, port.wire(), ipv4().to_mac(kBroadcast).to("10.0.0.255"), passed_to_host());
  check(port.given, port.wire(), ipv6().to_mac(kAllNodes).to("ff02::1"), passed_to_host());
  check(port.given, port.wire(), arp_request().to_mac(kBroadcast).to("10.0.0.9"), passed_to_host());
}

TEST_CASE("l3s: what the wire brings for a slave goes there by the host's stack") {
  RoutedPort port{Mode::l3s};
  check(port.given, port.wire(), ipv4().to("10.0.0.3"), through_stack());
  check(port.given, port.wire(), ipv6().to("fd00::3"), through_stack());
  check(port.given, port.wire(), ipv4().to("10.0.0.3").ttl(255), through_stack());
  // It would end there: what forwarding will take is added before.
  check(port.given, port.wire(), ipv4().to("10.0.0.3").ttl(1), through_stack().with_longer_life());
  check(port.given, port.wire(), ipv6().to("fd00::3").ttl(1), through_stack().with_longer_life());
  // The host may answer for its slaves (proxy_arp, rule 21).
  check(port.given, port.wire(), arp_request().to_mac(kBroadcast).to("10.0.0.3"), through_stack());
  check(port.given, port.wire(), ipv4().to("10.0.0.9"), passed_to_host());
  check(port.given, port.wire(), ipv4().to_mac(kBroadcast).to("10.0.0.255"), passed_to_host());
}

TEST_CASE("what the host's stack forwards reaches the slave with its old TTL") {
  for (const Mode mode : kRouted) {
    RoutedPort port{mode};
    const Entry stack = port.given.stack_to("web1");
    for (const unsigned hops : {1u, 63u, 254u}) {
      check_run(port.given, stack, ipv4().ttl(hops), handed_over().with_longer_life());
      check_run(port.given, stack, ipv6().ttl(hops), handed_over().with_longer_life());
    }
    check_run(port.given, stack, ipv4().ttl(255), handed_over());
  }
}

TEST_CASE("the host itself does not reach its slaves, but what it says of their packets does") {
  RoutedPort port{Mode::l3s};
  Entry host = port.given.stack_to("web1");
  host.came_by = 0;
  constexpr unsigned kIcmp = 1;
  const auto icmp = [&](unsigned type) {
    Bytes header(20 + 8 + 28);
    const Bytes ip = ipv4().bytes(kM0, kM0);
    std::copy(ip.begin() + kEthernet, ip.begin() + kEthernet + 20, header.begin());
    header[3] = static_cast<std::uint8_t>(header.size());
    header[9] = kIcmp;
    header[20] = static_cast<std::uint8_t>(type);
    return Frame{0x0800, header};
  };
  check_run(port.given, host, ipv4(), dropped("host"));
  check_run(port.given, host, tcp_ipv4(), dropped("host"));
  check_run(port.given, host, icmp(0), dropped("host"));
  check_run(port.given, host, icmp(8), dropped("host"));
  for (const unsigned error : {3u, 11u, 12u}) check_run(port.given, host, icmp(error), handed_over());

  const Frame icmpv6 = solicitation("fd00::3");
  check_run(port.given, host, icmpv6, dropped("host"));
  check_run(port.given, host, icmpv6.type(128), dropped("host"));
  for (const unsigned error : {1u, 2u, 3u, 4u})
    check_run(port.given, host, icmpv6.type(error), handed_over());
}
