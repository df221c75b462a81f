// SPDX-License-Identifier: Apache-2.0
// And on a kernel without TCX (before 6.6)? The cases here run in a second process,
// to which the kernel refuses TCX links as such a kernel would.
#include <bpf/bpf.h>

#include <algorithm>
#include <filesystem>

#include "catch.h"
#include "check.h"
#include "pinned.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

constexpr int kShot = 2;
constexpr int kNext = -1;

std::uint32_t pinned_program(const Given& given, const std::string& name) {
  const UniqueFd program{bpf_obj_get((given.root() + "/progs/" + name).c_str())};
  return id_of_program(program.get());
}

}  // namespace

TEST_CASE("without TCX clsact filters do it") {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  CHECK_NOTHROW(output_of(std::string{kWithoutTcx} + "=1 '" + self + "' '[without-tcx]'"));
}

TEST_CASE("filters steer, and pass to the next one", "[.][without-tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"}).slave("web1", {"10.0.0.3"});
  CHECK(std::filesystem::is_empty(given.root() + "/links"));
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.wire("m0"), ipv4().to("10.0.0.9"), passed_to_host());
  check(given, given.wire("m0"), arp_request().to_mac(kBroadcast),
        passed_to_host().copied_to({"web0", "web1"}));
  check(given, given.from("web0"), ipv4().to_mac(kM0).to("10.0.0.3"), redirected_to("web1"));
  check(given, given.from("web0"), ipv4(), to_wire());
  check(given, given.from("web0"), ipv4().to_mac(kM0), to_host());

  const UniqueFd firewall = load_foreign_program(kShot);
  attach_clsact(given.index("m0"), firewall.get(), 7000);
  const Bytes ours = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  given.wire("m0").sender->send(ipv4().to("10.0.0.9").bytes(kM0, kOutside));
  given.wire("m0").sender->send(ours);
  CHECK(listen(given, {{"web0", {ours}}}) == Heard{{"web0", {ours}}});
}

TEST_CASE("filters are written, replaced and erased; others' stay", "[.][without-tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const std::uint32_t first = pinned_program(given, "ipvx_master_rx");
  CHECK(programs_at("m0") == std::vector{first});
  CHECK(programs_at("ipvx1") == std::vector{pinned_program(given, "ipvx_slave_tx")});

  const UniqueFd foreign = load_foreign_program(kNext);
  attach_clsact(given.index("m0"), foreign.get(), 100);
  const std::uint32_t stranger = id_of_program(foreign.get());
  need(given.datapath().write(given.port_row("m0")));
  CHECK(programs_at("m0") == std::vector{stranger, first});

  given.close();
  CHECK(programs_at("m0") == std::vector{stranger, first});
  need(given.open());
  const std::uint32_t second = pinned_program(given, "ipvx_master_rx");
  CHECK(second != first);
  CHECK(programs_at("m0") == std::vector{stranger, second});

  for (int i = 0; i < 2; ++i) {
    need(given.datapath().erase(given.port_row("m0")));
    need(given.datapath().erase(given.slave_row("web0")));
    CHECK(programs_at("m0") == std::vector{stranger});
    CHECK(programs_at("ipvx1").empty());
  }
}

TEST_CASE("filters of interfaces that are gone, or never had one, can be erased", "[.][without-tcx]") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const PortRow port = given.port_row("m0");
  const SlaveRow slave = given.slave_row("web0");
  PortRow other = port;
  other.master = given.index("m0-wire");
  CHECK(given.datapath().erase(other).has_value());
  remove_interfaces();
  CHECK(given.datapath().erase(slave).has_value());
  CHECK(given.datapath().erase(port).has_value());
}
