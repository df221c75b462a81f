// SPDX-License-Identifier: Apache-2.0
// Can a person read the maps? `bpftool map dump pinned …` names every field, and
// prints addresses and words as people write them.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "check.h"
#include "ipvlanx/datapath_abi.h"
#include "print.h"

using namespace ipvlanx;
using namespace ipvlanx::test;
using nlohmann::json;

namespace {

// The entries as bpftool formats them by BTF; none of the maps is empty here.
json dump(const Given& given, const std::string& map) {
  const json entries = json::parse(output_of("bpftool -j map dump pinned " + given.root() + "/maps/" + map));
  json formatted = json::array();
  for (const json& entry : entries) {
    REQUIRE(entry.contains("formatted"));
    formatted.push_back(entry["formatted"]);
  }
  REQUIRE(!formatted.empty());
  return formatted;
}

std::vector<std::string> names(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;  // in the alphabet's order

}  // namespace

TEST_CASE("every map reads like a table") {
  Given given;
  given.port("m0").slave("web0", {"10.0.0.2", "fd00::2"});
  check(given, given.wire("m0"), ipv4().to("10.0.0.2"), redirected_to("web0"));
  check(given, given.from("web0"), Frame{kPause, Bytes(46)}.to_mac(kPauseGroup), dropped("pause"));
  const std::uint32_t m0 = number(given.index("m0"));
  const std::uint32_t host_end = number(given.index("ipvx1"));

  CHECK(dump(given, "ipvx_about")[0]["value"] == json{{"abi_version", IPVX_ABI_VERSION}});

  json addresses = dump(given, "ipvx_addrs");
  REQUIRE(addresses.size() == 2);
  if (addresses[0]["key"]["family"] != "IPVX_IPV4") std::swap(addresses[0], addresses[1]);
  const json four{
      {"master", m0}, {"family", "IPVX_IPV4"}, {"addr", {10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}};
  const json six{
      {"master", m0}, {"family", "IPVX_IPV6"}, {"addr", {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}}};
  CHECK(addresses[0]["key"] == four);
  CHECK(addresses[1]["key"] == six);
  const AddressRow row = given.address_row("web0", "10.0.0.2");
  CHECK(addresses[0]["value"] == json{{"host_end", host_end},
                                      {"way", "IPVX_BY_PEER"},
                                      {"slave", 1},
                                      {"mode", "IPVX_L2"},
                                      {"mac", {2, 0, 0, 0, 0, 0x10}},
                                      {"zero", {0, 0}},
                                      {"container_end", number(row.container_end)}});

  const json port = dump(given, "ipvx_ports")[0];
  CHECK(port["key"] == json{{"master", m0}});
  CHECK(port["value"] == json{{"mode", "IPVX_L2"},
                              {"flag", "IPVX_BRIDGE"},
                              {"strict_private", "IPVX_OFF"},
                              {"slots", 1},
                              {"mtu", 1500},
                              {"mac", {2, 0, 0, 0, 0, 0x10}},
                              {"zero", {0, 0}},
                              {"xdp", "IPVX_XDP_OFF"}});

  const json slave = dump(given, "ipvx_slaves")[0];
  CHECK(slave["key"] == json{{"host_end", host_end}});
  CHECK(slave["value"] == json{{"master", m0},
                               {"slave", 1},
                               {"mode", "IPVX_L2"},
                               {"flag", "IPVX_BRIDGE"},
                               {"mac", {2, 0, 0, 0, 0, 0x10}},
                               {"zero", {0, 0}}});

  const json member = dump(given, "ipvx_members")[0];
  CHECK(member["key"] == json{{"master", m0}, {"slot", 0}});
  CHECK(member["value"] == json{{"host_end", host_end}, {"slave", 1}});

  // Per CPU, so only the names are sure.
  const json stats = dump(given, "ipvx_stats")[0];
  CHECK(stats["key"] == json{{"slave", 1}});
  const json& cpu = stats["values"][0]["value"];
  CHECK(names(cpu) == Names{"rx", "tx"});
  CHECK(names(cpu["rx"]) == Names{"bytes", "dropped", "multicast", "packets"});
  CHECK(names(cpu["tx"]) == Names{"bytes", "dropped", "multicast", "packets"});

  const json drop = dump(given, "ipvx_drops")[0];
  CHECK(drop["key"] == json{{"slave", 1}, {"reason", "IPVX_DROP_PAUSE"}});
  CHECK(names(drop["values"][0]["value"]) == Names{"packets"});

  const json passed = dump(given, "ipvx_passed")[0];
  CHECK(passed["key"] == json{{"master", m0}});
  CHECK(names(passed["values"][0]["value"]) == Names{"bytes", "packets"});
}
