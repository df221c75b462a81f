// SPDX-License-Identifier: Apache-2.0
// Whom do private and vepa keep apart, and do they for broadcasts? SEMANTICS.md rules
// 12, 28, 31 and section 0, rule 3 (strict-private).
#include "catch.h"
#include "check.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

enum class Strict { off, on };

// m0 with three slaves, in this flag.
class FlaggedPort {
 public:
  FlaggedPort(Flag flag, Strict strict) {
    given.port("m0")
        .in(Mode::l2, flag)
        .slave("web0", {"10.0.0.2", "fd00::2"})
        .slave("web1", {"10.0.0.3", "fd00::3"})
        .slave("web2", {"10.0.0.4"});
    PortRow port = given.port_row("m0");
    port.strict_private = strict == Strict::on;
    need(given.datapath().write(port));
  }
  Entry web0() const { return given.from("web0"); }
  Entry wire() const { return given.wire("m0"); }
  Given given;
};

}  // namespace

TEST_CASE("private slaves do not reach each other, but host and wire") {
  for (const Strict strict : {Strict::off, Strict::on}) {
    FlaggedPort port{Flag::private_, strict};
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.3"), dropped("private"));
    check(port.given, port.web0(), ipv6().to_mac(kM0).to("fd00::3"), dropped("private"));
    check(port.given, port.web0(), arp_reply().to_mac(kM0).to("10.0.0.3"), dropped("private"));
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.9"), to_host());
    check(port.given, port.web0(), ipv4().to("10.0.0.9"), to_wire());
    check(port.given, port.wire(), ipv4().to("10.0.0.3"), redirected_to("web1"));
  }
}

TEST_CASE("vepa: all that a slave sends goes to the switch, which may give it back") {
  for (const Strict strict : {Strict::off, Strict::on}) {
    FlaggedPort port{Flag::vepa, strict};
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.3"), to_wire());
    check(port.given, port.web0(), ipv4().to_mac(kM0).to("10.0.0.9"), to_wire());
    check(port.given, port.web0(), arp_reply().to_mac(kM0).to("10.0.0.3"), to_wire());
    check(port.given, port.wire(), ipv4().from_mac(kM0).from("10.0.0.2").to("10.0.0.3"),
          redirected_to("web1"));
  }
}

TEST_CASE("the flags do not hold for broadcasts, as in the kernel") {
  for (const Flag flag : {Flag::bridge, Flag::private_, Flag::vepa}) {
    FlaggedPort port{flag, Strict::off};
    check(port.given, port.web0(), arp_request().to_mac(kBroadcast).from("10.0.0.2"),
          to_wire().copied_to({"web1", "web2"}));
    check(port.given, port.wire(), arp_request().to_mac(kBroadcast).from("10.0.0.9"),
          passed_to_host().copied_to({"web0", "web1", "web2"}));
    check(port.given, port.wire(), arp_request().to_mac(kBroadcast).from_mac(kM0).from("10.0.0.2"),
          passed_to_host());
  }
}

TEST_CASE("with strict-private they do, and the wire still reaches all") {
  for (const Flag flag : {Flag::private_, Flag::vepa}) {
    FlaggedPort port{flag, Strict::on};
    check(port.given, port.web0(), arp_request().to_mac(kBroadcast).from("10.0.0.2"), to_wire());
    check(port.given, port.wire(), arp_request().to_mac(kBroadcast).from("10.0.0.9"),
          passed_to_host().copied_to({"web0", "web1", "web2"}));
  }
  FlaggedPort bridge{Flag::bridge, Strict::on};
  check(bridge.given, bridge.web0(), arp_request().to_mac(kBroadcast).from("10.0.0.2"),
        to_wire().copied_to({"web1", "web2"}));
}

TEST_CASE("strict vepa: what the switch gives back reaches all but its sender") {
  FlaggedPort vepa{Flag::vepa, Strict::on};
  check(vepa.given, vepa.wire(), arp_request().to_mac(kBroadcast).from_mac(kM0).from("10.0.0.2"),
        passed_to_host().copied_to({"web1", "web2"}));
}

TEST_CASE("strict private: what the wire gives back of our own is not copied again") {
  FlaggedPort port{Flag::private_, Strict::on};
  check(port.given, port.wire(), arp_request().to_mac(kBroadcast).from_mac(kM0).from("10.0.0.2"),
        passed_to_host());
}
