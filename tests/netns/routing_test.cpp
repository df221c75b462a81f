// SPDX-License-Identifier: Apache-2.0
// Does the host route for its slaves, and only while it must? DESIGN.md 3.3.
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;

namespace {

std::string sysctl(const std::string& name) {
  std::ifstream file{"/proc/sys/net/" + name};
  std::string value;
  file >> value;
  return value;
}

void set_sysctl(const std::string& name, const std::string& value) {
  std::ofstream{"/proc/sys/net/" + name} << value;
  REQUIRE(sysctl(name) == value);
}

bool has_force_forwarding() {
  return sysctl("ipv6/conf/all/force_forwarding") != "";
}

bool has_flag(const std::string& interface, const std::string& flag) {
  return output_of("ip link show dev " + interface).find(flag) != std::string::npos;
}

// A NIC, and a record of settings that outlives a daemon.
struct Nic {
  Nic() {
    run("ip link add nic0 type veth peer name wire0");
    run("ip link set nic0 up");
    set_sysctl("ipv6/conf/all/forwarding", "0");  // a forged record left it
    std::ignore = std::remove(record.c_str());
    ifindex = need(host_links()->master(ifname("nic0"))).ifindex;
  }
  Nic(const Nic&) = delete;
  ~Nic() { std::ignore = std::system("ip link del nic0"); }
  std::unique_ptr<Links> links() const { return need(open_kernel_links(record)); }

  std::string record = "/run/ipvlanx-routing-test-settings";
  IfIndex ifindex{};
};

}  // namespace

TEST_CASE("a routed slave resolves nobody, and its host end forwards") {
  const auto links = host_links();
  const Pair plain{*links, 1, "ipvl0", Netns{}};
  CHECK(has_flag("ipvx1", "NOARP"));
  CHECK_FALSE(has_flag("ipvl0", "NOARP"));
  CHECK(sysctl("ipv4/conf/ipvx1/forwarding") == "0");

  need(links->set_routed(plain.ends, true));
  CHECK(has_flag("ipvl0", "NOARP"));
  CHECK(sysctl("ipv4/conf/ipvx1/forwarding") == "1");
  CHECK(sysctl("ipv4/conf/ipvx1/rp_filter") == "0");
  if (has_force_forwarding()) CHECK(sysctl("ipv6/conf/ipvx1/force_forwarding") == "1");

  need(links->set_routed(plain.ends, false));
  CHECK_FALSE(has_flag("ipvl0", "NOARP"));
  CHECK(sysctl("ipv4/conf/ipvx1/forwarding") == "0");
  if (has_force_forwarding()) CHECK(sysctl("ipv6/conf/ipvx1/force_forwarding") == "0");

  const Ends routed = need(links->create(
      {.slave = SlaveId{2}, .name = ifname("ipvl1"), .netns = {}, .mac = kMac, .mtu = 1500, .routed = true}));
  CHECK(has_flag("ipvl1", "NOARP"));
  CHECK(sysctl("ipv4/conf/ipvx2/forwarding") == "1");
  need(links->remove(routed));
  need(links->set_routed(routed, false));  // gone: nothing to do
}

TEST_CASE("routes are added and removed, twice without harm, and read back") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", Netns{}};
  for (const char* text : {"10.0.0.5", "fd00::5"}) {
    const RouteRow route{pair.ends.host_end, *IpAddress::parse(text)};
    need(links->write(route));
    need(links->write(route));
    CHECK(need(links->routes()) == std::vector{route});
    const std::string shown = output_of(std::string{"ip route get "} + text);
    CHECK(shown.find("dev ipvx1") != std::string::npos);
    need(links->erase(route));
    need(links->erase(route));
    CHECK(need(links->routes()).empty());
  }
  // Another port may have a slave of the same address: both routes stand.
  const Pair other{*links, 2, "ipvl1", Netns{}};
  const RouteRow one{pair.ends.host_end, *IpAddress::parse("10.0.0.5")};
  const RouteRow two{other.ends.host_end, *IpAddress::parse("10.0.0.5")};
  need(links->write(one));
  need(links->write(two));
  CHECK(need(links->routes()).size() == 2);
  need(links->erase(one));
  CHECK(need(links->routes()) == std::vector{two});
  need(links->erase(two));

  // A port's own table is out of everybody else's way.
  const RouteRow own{pair.ends.host_end, *IpAddress::parse("10.0.0.5"), IfIndex{7}};
  need(links->write(own));
  CHECK(need(links->routes()) == std::vector{own});
  CHECK(output_of("ip route show") == "");
  CHECK(output_of("ip route show table 15500007").starts_with("10.0.0.5 dev ipvx1"));
  need(links->erase(own));
  CHECK(need(links->routes()).empty());

  // Somebody else's are not ours.
  run("ip route add 10.0.0.6 dev ipvx1");
  CHECK(need(links->routes()).empty());
}

TEST_CASE("only what an l3s master brings asks its port's table") {
  const Nic nic;
  const auto links = nic.links();
  run("ip rule del priority 200 2>/dev/null; ip rule add iif nic0 lookup 100 priority 200");
  const auto rules = [] { return output_of("ip rule; ip -6 rule"); };
  const std::string before = rules();
  need(links->tune(nic.ifindex, Mode::l3));
  CHECK(rules() == before);
  need(links->tune(nic.ifindex, Mode::l3s));
  const std::string table = std::to_string(15'500'000 + number(nic.ifindex));
  const std::string rule = "155:\tfrom all iif nic0 lookup " + table + " proto 155";
  const std::string during = rules();
  CHECK(during.find(rule) != during.rfind(rule));  // IPv4 and IPv6

  SECTION("also by its new name") {
    run("ip link set nic0 down && ip link set nic0 name nic1");
    need(links->tune(nic.ifindex, Mode::l3s));
    CHECK(rules().find("iif nic1 lookup " + table) != std::string::npos);
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(rules().find("lookup " + table) == std::string::npos);
    run("ip link set nic1 down && ip link set nic1 name nic0");
  }
  SECTION("what another daemon left goes") {
    need(nic.links()->tune({}));
    CHECK(rules() == before);
  }
}

TEST_CASE("where the host has no IPv6, a slave's IPv6 address needs no route") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", Netns{}};
  set_sysctl("ipv6/conf/ipvx1/disable_ipv6", "1");
  const RouteRow route{pair.ends.host_end, *IpAddress::parse("fd00::5")};
  need(links->write(route));
  need(links->erase(route));
}

TEST_CASE("the master forwards while its port is in l3s, and as before afterwards") {
  const Nic nic;
  const auto links = nic.links();
  need(links->tune(nic.ifindex, Mode::l3));
  CHECK(sysctl("ipv4/conf/nic0/forwarding") == "0");
  need(links->tune(nic.ifindex, Mode::l3s));
  CHECK(sysctl("ipv4/conf/nic0/forwarding") == "1");
  CHECK(sysctl("ipv4/conf/wire0/forwarding") == "0");

  SECTION("until it is not") {
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv4/conf/nic0/forwarding") == "0");
  }
  SECTION("whatever its name is by then") {
    // Before 6.2 an interface must be down for that.
    run("ip link set nic0 down && ip link set nic0 name nic1 && ip link set nic1 up");
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv4/conf/nic1/forwarding") == "0");
    run("ip link set nic1 down && ip link set nic1 name nic0");
  }
  SECTION("also when another daemon gives it back") {
    const auto next = nic.links();
    need(next->tune({}));
    CHECK(sysctl("ipv4/conf/nic0/forwarding") == "0");
  }
  SECTION("what was on before stays on") {
    need(links->tune(nic.ifindex, Mode::l2));
    set_sysctl("ipv4/conf/nic0/forwarding", "1");
    need(links->tune(nic.ifindex, Mode::l3s));
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv4/conf/nic0/forwarding") == "1");
  }
  SECTION("what somebody switched on everywhere since stays on") {
    set_sysctl("ipv4/conf/all/forwarding", "1");
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv4/conf/nic0/forwarding") == "1");
    set_sysctl("ipv4/conf/all/forwarding", "0");
  }
  SECTION("another boot's record is history") {
    std::ofstream{nic.record} << "00000000-0000-0000-0000-000000000000\n4 1 forwarding 0 1 0\n";
    const auto next = nic.links();
    need(next->tune({}));
    CHECK(sysctl("ipv4/conf/nic0/forwarding") == "1");
  }
}

TEST_CASE("the master receives all multicast while its port has slaves in l2") {
  const Nic nic;
  const auto links = nic.links();
  const auto all = [](const char* name = "nic0") { return has_flag(name, "ALLMULTI"); };
  CHECK_FALSE(all());
  need(links->tune(nic.ifindex, Mode::l2));
  CHECK(all());
  CHECK_FALSE(all("wire0"));

  SECTION("until it has none") {
    need(links->tune(nic.ifindex, std::nullopt));
    CHECK_FALSE(all());
  }
  SECTION("or they are in another mode") {
    need(links->tune(nic.ifindex, Mode::l3));
    CHECK_FALSE(all());
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(all());
    need(links->tune(nic.ifindex, std::nullopt));
  }
  SECTION("also when another daemon gives it back") {
    need(nic.links()->tune({}));
    CHECK_FALSE(all());
  }
  SECTION("what was on before stays on") {
    need(links->tune(nic.ifindex, std::nullopt));
    run("ip link set nic0 allmulticast on");
    need(links->tune(nic.ifindex, Mode::l2));
    need(links->tune(nic.ifindex, std::nullopt));
    CHECK(all());
  }
  SECTION("what somebody switched off since stays off") {
    run("ip link set nic0 allmulticast off");
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK_FALSE(all());
    run("ip link set nic0 allmulticast on && ip link set nic0 allmulticast off");
    need(links->tune(nic.ifindex, std::nullopt));
    CHECK_FALSE(all());
  }
  SECTION("a master that is gone needs nothing") {
    run("ip link del nic0");
    need(links->tune(nic.ifindex, std::nullopt));
    run("ip link add nic0 type veth peer name wire0");
  }
}

TEST_CASE("IPv6 is forwarded from l3s masters alone where the kernel can, else everywhere") {
  const Nic nic;
  const auto links = nic.links();
  set_sysctl("ipv6/conf/nic0/accept_ra", "1");
  set_sysctl("ipv6/conf/wire0/forwarding", "1");
  if (has_force_forwarding()) {
    need(links->tune(nic.ifindex, Mode::l3s));
    CHECK(sysctl("ipv6/conf/nic0/force_forwarding") == "1");
    CHECK(sysctl("ipv6/conf/all/forwarding") == "0");
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv6/conf/nic0/force_forwarding") == "0");
  } else {
    need(links->tune(nic.ifindex, Mode::l3));
    CHECK(sysctl("ipv6/conf/all/forwarding") == "1");
    CHECK(sysctl("ipv6/conf/nic0/accept_ra") == "2");
    need(links->tune(nic.ifindex, Mode::l2));
    CHECK(sysctl("ipv6/conf/all/forwarding") == "0");
    CHECK(sysctl("ipv6/conf/nic0/forwarding") == "0");
  }
  CHECK(sysctl("ipv6/conf/nic0/accept_ra") == "1");
  CHECK(sysctl("ipv6/conf/wire0/forwarding") == "1");
}

TEST_CASE("a MAC address is set on either end") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "ipvl0", need(links->find_netns("a"))};
  MacAddress other = kMac;
  other.bytes[5] ^= 1;
  need(links->set_mac(pair.ends.container_end, other));
  CHECK(need(links->look(pair.ends.host_end)).mac == other);
  need(links->set_mac({.netns = std::nullopt, .ifindex = pair.ends.host_end}, other));
  CHECK(has_flag("ipvx1", to_string(other)));
}

TEST_CASE("an announcement is what other stacks believe") {
  const Namespace wire{"wire"};
  run("ip link add nic0 type veth peer name wire0 netns wire && ip link set nic0 up && ip -n wire link set "
      "wire0 up");
  run("ip -n wire addr add 10.0.0.1/24 dev wire0 && ip -n wire addr add fd00::1/64 dev wire0 nodad");
  const auto links = host_links();
  const IfIndex nic = need(links->master(ifname("nic0"))).ifindex;
  REQUIRE(soon([] { return has_flag("nic0", "LOWER_UP"); }));
  for (const char* text : {"10.0.0.5", "fd00::5"}) {
    const std::string neighbour = std::string{text} + " dev wire0";
    run("ip -n wire neigh replace " + neighbour + " lladdr 02:00:00:00:00:07 nud stale");
    need(links->announce(nic, std::nullopt, kMac, *IpAddress::parse(text)));
    CHECK(soon([&] {
      return output_of("ip -n wire neigh show " + neighbour).find(to_string(kMac)) != std::string::npos;
    }));
  }
  // Nobody is told, and that is that: down, gone, and no relay to speak by.
  const IpAddress address = *IpAddress::parse("10.0.0.5");
  run("ip link set nic0 down");
  need(links->announce(nic, std::nullopt, kMac, address));
  run("ip link del nic0");
  need(links->announce(nic, std::nullopt, kMac, address));
  need(links->announce(nic, IfIndex{7}, kMac, address));
}
