// SPDX-License-Identifier: Apache-2.0
// Where may the data path pin itself, and who may use what is there? DESIGN.md 4.
#include <bpf/bpf.h>
#include <unistd.h>

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

Error refusal(const DatapathOptions& options) {
  const auto opened = open_bpf_datapath(options);
  REQUIRE(!opened);
  return opened.error();
}

void set_pinned_abi(const std::string& root, std::uint32_t version) {
  const UniqueFd about{bpf_obj_get((root + "/maps/ipvx_about").c_str())};
  constexpr std::uint32_t first = 0;
  const ipvx_about value{version};
  REQUIRE(bpf_map_update_elem(about.get(), &first, &value, BPF_ANY) == 0);
}

}  // namespace

TEST_CASE("a pin root is on a bpffs, and on the one that PID 1 sees") {
  const std::string here = std::string{kBpffs} + "/place";
  const std::string elsewhere = "/tmp/ipvlanx-bpf-tests-" + std::to_string(::getpid());
  const Error no_bpffs = refusal({.pin_root = elsewhere, .allow_private_bpffs = true});
  CHECK(no_bpffs.code == Errc::kernel_refused);
  CHECK_THAT(no_bpffs.message, Contains("/tmp is no bpffs"));
  CHECK(!std::filesystem::exists(elsewhere));

  CHECK(refusal({.pin_root = here}).code == Errc::kernel_refused);
  CHECK_THAT(refusal({.pin_root = here}).message, Contains("PID 1"));
  CHECK(!std::filesystem::exists(here));

  CHECK(refusal({.pin_root = here + "/deeper", .allow_private_bpffs = true}).code == Errc::kernel_refused);
  CHECK(refusal({.pin_root = "place", .allow_private_bpffs = true}).code == Errc::bad_request);
  CHECK(refusal({.pin_root = "", .allow_private_bpffs = true}).code == Errc::bad_request);
}

TEST_CASE("slashes at the end of a pin root are none of its name") {
  const std::string root = std::string{kBpffs} + "/slashes";
  CHECK(open_bpf_datapath({.pin_root = root + "//", .allow_private_bpffs = true}).has_value());
  CHECK(std::filesystem::exists(root + "/maps/ipvx_addrs"));
  std::filesystem::remove_all(root);
}

TEST_CASE("everything is pinned by its name, and nothing else is") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const std::string m0 = std::to_string(number(given.index("m0")));
  std::vector<std::string> names;
  for (const auto& [name, id] : pinned_under(given.root())) names.push_back(name);
  std::vector<std::string> expected{"maps/ipvx_about",     "maps/ipvx_addrs",     "maps/ipvx_drops",
                                    "maps/ipvx_fanouts",   "maps/ipvx_members",   "maps/ipvx_passed",
                                    "maps/ipvx_ports",     "maps/ipvx_relay",     "maps/ipvx_slaves",
                                    "maps/ipvx_sockets",   "maps/ipvx_stats",     "progs/ipvx_master_rx",
                                    "progs/ipvx_relay_rx", "progs/ipvx_slave_rx", "progs/ipvx_slave_tx"};
  if (has_tcx()) expected.push_back("links/" + m0 + "-master_rx");
  std::ranges::sort(expected);
  CHECK(names == expected);
}

TEST_CASE("a pin root has one user") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const PinnedIds before = pinned_under(given.root());

  const Error error = refusal(given.options());
  CHECK(error.code == Errc::kernel_refused);
  CHECK_THAT(error.message, Contains("another ipvlanxd uses it"));
  CHECK(pinned_under(given.root()) == before);
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));

  given.close();
  CHECK(given.open().has_value());
}

TEST_CASE("two roots do not know each other") {
  Given given, other;
  given.port("m0").slave("web0", {"10.0.0.2"});
  CHECK(other.tables() == Tables{});
  CHECK(given.tables() != Tables{});
}

TEST_CASE("maps of another ABI are refused, and nothing is touched") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2"});
  const Bytes frame = ipv4().to("10.0.0.2").bytes(kM0, kOutside);
  const auto tables = given.tables();
  given.close();
  const PinnedIds before = pinned_under(given.root());
  const auto attached = programs_at("m0");

  for (const std::uint32_t version : {IPVX_ABI_VERSION + 1u, 0xffffffffu}) {
    set_pinned_abi(given.root(), version);
    const auto opened = given.open();
    REQUIRE(!opened);
    CHECK(opened.error().code == Errc::kernel_refused);
    CHECK_THAT(opened.error().message, Contains(std::to_string(version)) && Contains("ABI"));
    CHECK(pinned_under(given.root()) == before);
    CHECK(programs_at("m0") == attached);
    // Traffic goes on.
    given.wire("m0").sender->send(frame);
    CHECK(listen(given, {{"web0", {frame}}}) == Heard{{"web0", {frame}}});
  }
  // The build that made them may come back.
  set_pinned_abi(given.root(), IPVX_ABI_VERSION);
  need(given.open());
  CHECK(given.tables() == tables);
}

TEST_CASE("maps of another size are refused, and nothing is touched") {
  Given given{16};
  given.port("m0").slave("web0", {"10.0.0.2"});
  given.close();
  const PinnedIds before = pinned_under(given.root());

  given.options().addresses = 32;
  const auto opened = given.open();
  REQUIRE(!opened);
  CHECK(opened.error().code == Errc::kernel_refused);
  CHECK_THAT(opened.error().message, Contains("ipvx_addrs"));
  CHECK(pinned_under(given.root()) == before);
  given.options().addresses = 16;
  need(given.open());
}

TEST_CASE("a start that was cut short before it said its ABI can be taken up") {
  Given given;
  given.close();
  set_pinned_abi(given.root(), 0);
  need(given.open());
  const UniqueFd about{bpf_obj_get((given.root() + "/maps/ipvx_about").c_str())};
  constexpr std::uint32_t first = 0;
  ipvx_about value{};
  REQUIRE(bpf_map_lookup_elem(about.get(), &first, &value) == 0);
  CHECK(value.abi_version == IPVX_ABI_VERSION);
}
