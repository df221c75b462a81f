// SPDX-License-Identifier: Apache-2.0
// Which texts are names, addresses and prefixes, and what is said of the others?
#include "ipvlanx/model/types.h"

#include <string>

#include "catch.h"

using namespace ipvlanx;

TEST_CASE("interface names are those the kernel takes") {
  for (const char* good : {"a", "eth0", "ipvl0", "eth0.100", "exactly15chars_"}) {
    INFO(good);
    REQUIRE(IfName::parse(good));
    CHECK(IfName::parse(good)->str() == good);
  }
  struct Bad {
    std::string text;
    Errc code;
  };
  for (const auto& [text, code] :
       {Bad{"", Errc::bad_name}, Bad{".", Errc::bad_name}, Bad{"..", Errc::bad_name},
        Bad{"a/b", Errc::bad_name}, Bad{"a:b", Errc::bad_name}, Bad{"a b", Errc::bad_name},
        Bad{"a\n", Errc::bad_name}, Bad{"eth%d", Errc::bad_name}, Bad{std::string{"a\0b", 3}, Errc::bad_name},
        Bad{"\x1b[31m", Errc::bad_name}, Bad{"exactly16chars__", Errc::name_too_long}}) {
    INFO(text);
    REQUIRE_FALSE(IfName::parse(text));
    CHECK(IfName::parse(text).error().code == code);
  }
}

TEST_CASE("the host end's name bears the id, and only such a name does") {
  CHECK(host_end_name(SlaveId{7}).str() == "ipvx7");
  CHECK(id_of_host_end("ipvx7") == SlaveId{7});
  CHECK(id_of_host_end("ipvx65533") == SlaveId{65533});
  for (const char* other : {"ipvx", "ipvx0", "ipvx07", "ipvx65534", "ipvx7a", "xipvx7", "eth0", "ipvx-1"}) {
    INFO(other);
    CHECK_FALSE(id_of_host_end(other));
  }
}

TEST_CASE("words of modes and flags are ipvlan's") {
  CHECK(parse_mode("l2") == Mode::l2);
  CHECK(parse_mode("l3s") == Mode::l3s);
  CHECK(to_string(Flag::private_) == "private");
  CHECK(parse_flag("vepa") == Flag::vepa);
  CHECK(parse_mode("L2").error().code == Errc::unknown_word);
  CHECK(parse_mode("l").error().message == "mode 'l' is none of 'l2', 'l3', 'l3s'");
}

TEST_CASE("a prefix is an address an interface can own") {
  struct Good {
    const char* text;
    const char* shown;
  };
  for (const auto& [text, shown] :
       {Good{"10.0.0.5/24", "10.0.0.5/24"}, Good{"10.0.0.5", "10.0.0.5/32"},
        Good{"2001:db8::5/64", "2001:db8::5/64"}, Good{"2001:DB8:0::5", "2001:db8::5/128"},
        Good{"fe80::1/64", "fe80::1/64"}, Good{"10.0.0.5/0", "10.0.0.5/0"}}) {
    INFO(text);
    REQUIRE(Prefix::parse(text));
    CHECK(to_string(*Prefix::parse(text)) == shown);
  }
  for (const char* bad : {"", "10.0.0", "10.0.0.5/", "10.0.0.5/33", "10.0.0.5/-1", "10.0.0.5/2x",
                          "10.0.0.5/24/24", "2001:db8::5/129", "::", "0.0.0.0/0", "127.0.0.1/8", "::1/128",
                          "224.0.0.1", "ff02::1", "255.255.255.255", "host", "10.0.0.5 /24"}) {
    INFO(bad);
    REQUIRE_FALSE(Prefix::parse(bad));
    CHECK(Prefix::parse(bad).error().code == Errc::bad_prefix);
  }
  CHECK_FALSE(IpAddress::parse(std::string_view{"10.0.0.5\0", 9}));
}
