// SPDX-License-Identifier: Apache-2.0
// Whose programs are where? Pins that went stale, interfaces that took over a number,
// and other people's programs at the same hooks.
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>

#include "catch.h"
#include "check.h"
#include "pinned.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

constexpr int kShot = 2;
constexpr int kNext = -1;

std::string master_pin(const Given& given) {
  return fmt::format("{}/links/{}-master_rx", given.root(), number(given.port_row("m0").master));
}

// Another interface under the number of the old m0.
void reuse_index_of_m0(const Given& given, const std::string& name) {
  const IfIndex index = given.port_row("m0").master;
  ip(Space::host, "link del m0\n");
  ip(Space::host, fmt::format("link add {0} index {1} address {2} type veth peer name {0}-wire\n"
                              "link set {0} group 6970 up\n"
                              "link set {0}-wire up\n",
                              name, number(index), to_string(kM0)));
  wait_for_carrier(Space::host, name);
  wait_for_carrier(Space::host, name + "-wire");
}

bool has(const std::vector<std::uint32_t>& ids, int program) {
  return std::ranges::count(ids, id_of_program(program)) == 1;
}

}  // namespace

TEST_CASE("a pin of an interface that is gone is replaced", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const AttachedLink old = pinned_link(master_pin(given));
  reuse_index_of_m0(given, "m0");
  CHECK(pinned_link(master_pin(given)).ifindex == 0);

  need(given.datapath().write(given.port_row("m0")));
  const AttachedLink now = pinned_link(master_pin(given));
  CHECK(now.id != old.id);
  CHECK(now.ifindex == number(given.port_row("m0").master));
  CHECK(programs_at("m0") == std::vector{now.program});

  const Bytes frame = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  PacketSocket::tap(Space::host, "m0-wire").send(frame);
  CHECK(listen(given, {{"web0", {frame}}}) == Heard{{"web0", {frame}}});
}

TEST_CASE("a pin that is no link of this interface is replaced", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const UniqueFd stranger = load_foreign_program(kNext);
  need(given.datapath().erase(given.port_row("m0")));

  SECTION("a program") {
    REQUIRE(bpf_obj_pin(stranger.get(), master_pin(given).c_str()) == 0);
  }
  SECTION("a link of another interface") {
    const UniqueFd link = attach_tcx(given.index("ipvx1"), stranger.get());
    REQUIRE(bpf_obj_pin(link.get(), master_pin(given).c_str()) == 0);
  }
  need(given.datapath().write(given.port_row("m0")));
  CHECK(pinned_link(master_pin(given)).ifindex == number(given.index("m0")));
  CHECK(!has(programs_at("m0"), stranger.get()));
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
}

TEST_CASE("to erase a row detaches no link of another interface", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const UniqueFd stranger = load_foreign_program(kNext);
  const UniqueFd link = attach_tcx(given.index("ipvx1"), stranger.get());
  need(given.datapath().erase(given.port_row("m0")));
  REQUIRE(bpf_obj_pin(link.get(), master_pin(given).c_str()) == 0);
  need(given.datapath().erase(given.port_row("m0")));
  CHECK(has(programs_at("ipvx1"), stranger.get()));
}

// A daemon that starts must not put its programs on an interface that only bears the
// number of one that is gone: nobody asked for that, and it would lose its traffic.
TEST_CASE("adoption leaves strangers alone", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  given.close();

  SECTION("under a master's number") {
    reuse_index_of_m0(given, "stranger");
  }
  SECTION("under a host end's number") {
    const IfIndex index = given.index("ipvx1");
    ip(Space::host, "link del ipvx1\n");
    ip(Space::host, fmt::format("link add stranger index {} type veth peer name stranger-wire\n"
                                "link set stranger group 6970 up\n",
                                number(index)));
  }
  need(given.open());
  CHECK(programs_at("stranger").empty());
}

TEST_CASE("rows of interfaces that are gone are not adopted") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  given.close();
  remove_interfaces();
  need(given.open());
  CHECK(given.tables().ports.empty());
  CHECK(given.tables().slaves.empty());
}

TEST_CASE("other people's programs stay, and run before and after ours", "[tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const UniqueFd filter = load_foreign_program(kNext);
  const UniqueFd tcx = load_foreign_program(kNext);
  attach_clsact(given.index("m0"), filter.get(), 100);
  const UniqueFd link = attach_tcx(given.index("m0"), tcx.get());

  const auto both_there = [&] {
    const auto ids = programs_at("m0");
    return has(ids, filter.get()) && has(ids, tcx.get());
  };
  CHECK(both_there());
  CHECK(programs_at("m0").size() == 3);
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  need(given.datapath().write(given.port_row("m0")));
  CHECK(both_there());
  given.close();
  need(given.open());
  CHECK(both_there());
  CHECK(programs_at("m0").size() == 3);
  need(given.datapath().erase(given.port_row("m0")));
  CHECK(both_there());
  CHECK(programs_at("m0").size() == 2);
  need(given.datapath().write(given.port_row("m0")));
  CHECK(both_there());
}

TEST_CASE("what we pass, the next program decides; what we take, it never sees") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const UniqueFd firewall = load_foreign_program(kShot);
  UniqueFd link;
  if (has_tcx()) {
    SECTION("as a TCX link") {
      link = attach_tcx(given.index("m0"), firewall.get());
    }
  }
  SECTION("as a clsact filter") {
    attach_clsact(given.index("m0"), firewall.get(), 7000);
  }
  const PacketSocket& wire = *given.wire("m0").sender;
  const Bytes ours = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  wire.send(ours);
  CHECK(listen(given, {{"web0", {ours}}}) == Heard{{"web0", {ours}}});
  wire.send(ipv4().to("10.0.0.9").bytes(kM0, kOutside));
  wire.send(ours);
  CHECK(listen(given, {{"web0", {ours}}}) == Heard{{"web0", {ours}}});
}
