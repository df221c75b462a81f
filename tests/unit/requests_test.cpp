// SPDX-License-Identifier: Apache-2.0
// Which bodies the API takes, and what it says of those it refuses.
#include "ipvlanx/api/requests.h"

#include "../catch.h"

using namespace ipvlanx;
using namespace ipvlanx::api;

namespace {

struct Refused {
  std::string body;
  Errc code;
  std::string field;
};

// A new slave's body that is right except for `members`.
std::string slave_with(const std::string& members) {
  return R"({"master": "m0", "name": "web0", )" + members + "}";
}

std::string nested(std::size_t depth) {
  return R"({"master": )" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

}  // namespace

TEST_CASE("a new slave needs a master and a name; the rest has the kernel's defaults") {
  const auto slave = read_new_slave(R"({"master": "m0", "name": "web0"})");
  REQUIRE(slave);
  CHECK(slave->master.str() == "m0");
  CHECK(slave->name.str() == "web0");
  CHECK_FALSE(slave->netns);
  CHECK_FALSE(slave->mode);
  CHECK_FALSE(slave->flag);
  CHECK_FALSE(slave->mtu);
  CHECK_FALSE(slave->addr_policy);
  CHECK_FALSE(slave->max_addresses);
  CHECK(slave->addresses.empty());
}

TEST_CASE("a new slave with everything") {
  const auto slave = read_new_slave(slave_with(
      R"("netns": "/run/netns/a", "mode": "l3s", "flag": "private", "mtu": 9000, "addr_policy": "static",
         "max_addresses": 65536, "addresses": ["10.0.0.5/24", "2001:db8::5"])"));
  REQUIRE(slave);
  CHECK(slave->netns == "/run/netns/a");
  CHECK(slave->mode == Mode::l3s);
  CHECK(slave->flag == Flag::private_);
  CHECK(slave->mtu == 9000u);
  CHECK(slave->addr_policy == AddrPolicy::static_);
  CHECK(slave->max_addresses == 65536u);
  REQUIRE(slave->addresses.size() == 2);
  CHECK(to_string(slave->addresses[0]) == "10.0.0.5/24");
  CHECK(to_string(slave->addresses[1]) == "2001:db8::5/128");
}

TEST_CASE("what a new slave may not be is refused with the field's path") {
  const auto row = GENERATE(values<Refused>({
      // not JSON, or not one object
      {"", Errc::bad_json, ""},
      {"{", Errc::bad_json, ""},
      {"{} {}", Errc::bad_json, ""},
      {"{\"master\": \"\xff\"}", Errc::bad_json, ""},
      {R"({"master": 1e999})", Errc::bad_json, ""},
      {"[]", Errc::wrong_type, ""},
      {"null", Errc::wrong_type, ""},
      {nested(40), Errc::bad_json, ""},
      {nested(100'000), Errc::bad_json, ""},
      {slave_with(R"("name": "web1")"), Errc::bad_json, "name"},
      {slave_with(R"("netns": {"a": 1, "a": 2})"), Errc::bad_json, "a"},
      // keys
      {"{}", Errc::missing_field, "master"},
      {R"({"master": "m0"})", Errc::missing_field, "name"},
      {slave_with(R"("mod": "l2")"), Errc::unknown_field, "mod"},
      {slave_with(R"("id": 7)"), Errc::unknown_field, "id"},
      // types
      {R"({"master": 7, "name": "web0"})", Errc::wrong_type, "master"},
      {slave_with(R"("mode": null)"), Errc::wrong_type, "mode"},
      {slave_with(R"("netns": 4711)"), Errc::wrong_type, "netns"},
      {slave_with(R"("mtu": "1500")"), Errc::wrong_type, "mtu"},
      {slave_with(R"("mtu": 1500.5)"), Errc::wrong_type, "mtu"},
      {slave_with(R"("mtu": true)"), Errc::wrong_type, "mtu"},
      {slave_with(R"("addresses": "10.0.0.5")"), Errc::wrong_type, "addresses"},
      {slave_with(R"("addresses": ["10.0.0.5", 7])"), Errc::wrong_type, "addresses[1]"},
      // values
      {slave_with(R"("mode": "l4")"), Errc::unknown_word, "mode"},
      {slave_with(R"("mode": "L2")"), Errc::unknown_word, "mode"},
      {slave_with(R"("flag": "private_")"), Errc::unknown_word, "flag"},
      {slave_with(R"("addr_policy": "off")"), Errc::unknown_word, "addr_policy"},
      {slave_with(R"("mtu": 67)"), Errc::out_of_range, "mtu"},
      {slave_with(R"("mtu": 65536)"), Errc::out_of_range, "mtu"},
      {slave_with(R"("mtu": -1)"), Errc::out_of_range, "mtu"},
      {slave_with(R"("mtu": 4294968796)"), Errc::out_of_range, "mtu"},
      {slave_with(R"("mtu": 99999999999999999999)"), Errc::out_of_range, "mtu"},
      {slave_with(R"("max_addresses": 0)"), Errc::out_of_range, "max_addresses"},
      {slave_with(R"("max_addresses": 65537)"), Errc::out_of_range, "max_addresses"},
      {slave_with(R"("addresses": ["10.0.0.5/24", "10.0.0.256"])"), Errc::bad_prefix, "addresses[1]"},
      {slave_with(R"("addresses": ["10.0.0.5/33"])"), Errc::bad_prefix, "addresses[0]"},
      {slave_with(R"("netns": "a\u0000b")"), Errc::bad_name, "netns"},
      {R"({"master": "m0", "name": "a\u0000b"})", Errc::bad_name, "name"},
      {R"({"master": "m0", "name": ""})", Errc::bad_name, "name"},
      {R"({"master": "m0", "name": "a/b"})", Errc::bad_name, "name"},
      {R"({"master": "m0", "name": "sixteen-letters-"})", Errc::name_too_long, "name"},
  }));
  CAPTURE(row.body.substr(0, 200));
  const auto slave = read_new_slave(row.body);
  REQUIRE_FALSE(slave);
  CHECK(name(slave.error().code) == name(row.code));
  CHECK(slave.error().field == row.field);
  CHECK_FALSE(slave.error().message.empty());
}

TEST_CASE("a change says only what changes") {
  const auto nothing = read_slave_change("{}");
  REQUIRE(nothing);
  CHECK_FALSE(nothing->mode);
  CHECK_FALSE(nothing->up);

  const auto change = read_slave_change(R"({"up": false, "mtu": 68, "flag": "vepa"})");
  REQUIRE(change);
  CHECK(change->up == false);
  CHECK(change->mtu == 68u);
  CHECK(change->flag == Flag::vepa);
  CHECK_FALSE(change->mode);

  const auto renamed = read_slave_change(R"({"name": "web1"})");
  REQUIRE_FALSE(renamed);
  CHECK(renamed.error().code == Errc::unknown_field);
  const auto number = read_slave_change(R"({"up": 1})");
  REQUIRE_FALSE(number);
  CHECK(number.error().code == Errc::wrong_type);
}

TEST_CASE("a new address is one prefix") {
  const auto address = read_new_address(R"({"address": "2001:db8::7/64"})");
  REQUIRE(address);
  CHECK(to_string(address->address) == "2001:db8::7/64");

  const auto multicast = read_new_address(R"({"address": "224.0.0.1"})");
  REQUIRE_FALSE(multicast);
  CHECK(multicast.error().code == Errc::bad_prefix);
  CHECK(multicast.error().field == "address");
}

TEST_CASE("a request that says all by its path has no fields") {
  CHECK(read_nothing(""));
  CHECK(read_nothing(" {} "));
  REQUIRE_FALSE(read_nothing(R"({"a": 1})"));
  CHECK(read_nothing(R"({"a": 1})").error().code == Errc::unknown_field);
  CHECK(read_nothing("[]").error().code == Errc::wrong_type);
}

TEST_CASE("what a client writes, the server reads as it was meant") {
  const std::string full = slave_with(
      R"("netns": "a", "mode": "l2", "flag": "vepa", "mtu": 1400, "addr_policy": "static",
         "max_addresses": 7, "addresses": ["10.0.0.5/24"])");
  const auto slave = read_new_slave(full);
  REQUIRE(slave);
  const auto again = read_new_slave(write(*slave));
  REQUIRE(again);
  CHECK(again->master == slave->master);
  CHECK(again->name == slave->name);
  CHECK(again->netns == slave->netns);
  CHECK(again->mode == slave->mode);
  CHECK(again->flag == slave->flag);
  CHECK(again->mtu == slave->mtu);
  CHECK(again->addr_policy == slave->addr_policy);
  CHECK(again->max_addresses == slave->max_addresses);
  CHECK(again->addresses == slave->addresses);

  CHECK(write(SlaveChange{}) == "{}");
  const auto change = read_slave_change(write(SlaveChange{.netns = "b", .up = true}));
  REQUIRE(change);
  CHECK(change->netns == "b");
  CHECK(change->up == true);

  const auto address = Prefix::parse("10.0.0.5/24");
  REQUIRE(address);
  CHECK(write(NewAddress{*address}) == R"({"address":"10.0.0.5/24"})");
}
