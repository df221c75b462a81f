// SPDX-License-Identifier: Apache-2.0
// Do Links and LinkMonitor do to a real kernel what links.h says?
//
// The program starts in a network namespace of its own, which plays the host's, and
// with a /run of its own, so it leaves nothing behind. Needs root and iproute2.
//
//     "host"                        namespaces by `ip netns add`
//       nic0 ---- wire0               a, b, …
//       ipvx1 ------------------------- web0
#define CATCH_CONFIG_RUNNER
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "catch.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::test;
using namespace std::chrono_literals;

TEST_CASE("a slave is created in a namespace, seen, and removed") {
  const auto links = host_links();
  const Namespace a{"a"};
  const auto netns = need(links->find_netns("a"));
  REQUIRE(netns.has_value());
  const auto ends = need(
      links->create({.slave = SlaveId{7}, .name = ifname("web0"), .netns = netns, .mac = kMac, .mtu = 1400}));

  const auto slave = need(links->look(ends.host_end));
  CHECK(slave.place == ends.container_end);
  CHECK(slave.place.netns == netns);
  CHECK(slave.name.str() == "web0");
  CHECK(slave.mac == kMac);
  CHECK(slave.mtu == 1400);
  CHECK_FALSE(slave.up);
  CHECK(slave.addresses.empty());
  CHECK(need(links->host_ends()) == std::map<SlaveId, IfIndex>{{SlaveId{7}, ends.host_end}});

  need(links->settle({ends.host_end}, true));
  const auto host_end = output_of("ip -d link show dev ipvx7");
  CHECK(host_end.find(",UP") != std::string::npos);
  CHECK(host_end.find("group 6970") != std::string::npos);
  CHECK(host_end.find("mtu 1400") != std::string::npos);
  CHECK(host_end.find(to_string(kMac)) != std::string::npos);

  need(links->remove(ends));
  CHECK(code_of(links->look(ends.host_end)) == Errc::no_such_slave);
  CHECK(need(links->host_ends()).empty());
  CHECK(output_of("ip -n a link show web0 2>/dev/null").empty());
  need(links->remove(ends));  // gone already
}

TEST_CASE("a slave may stay in the host's namespace") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", std::nullopt};
  CHECK(pair.ends.container_end.netns == std::nullopt);
  const auto slave = need(links->look(pair.ends.host_end));
  CHECK(slave.place == pair.ends.container_end);
  CHECK(slave.name.str() == "ipvl0");
}

TEST_CASE("what is not a veth has no slave behind it") {
  const auto links = host_links();
  CHECK(code_of(links->look(need(links->master(ifname("lo"))).ifindex)) == Errc::no_such_slave);
  CHECK(code_of(links->look(IfIndex{99999})) == Errc::no_such_slave);
}

TEST_CASE("what is set on a container end is set there and not on the host's") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  const auto& place = pair.ends.container_end;

  need(links->set_up(place, true));
  need(links->set_mtu(place, 1300));
  need(links->assign(place, prefix("10.0.0.5/24")));
  need(links->assign(place, prefix("2001:db8::5/64")));
  auto slave = need(links->look(pair.ends.host_end));
  CHECK(slave.up);
  CHECK(slave.mtu == 1300);
  CHECK(has(addresses(*links, pair.ends.host_end), "10.0.0.5/24"));
  CHECK(has(addresses(*links, pair.ends.host_end), "2001:db8::5/64"));
  CHECK(output_of("ip -n a -6 addr show dev web0 | grep 2001").find("tentative") == std::string::npos);
  CHECK(output_of("ip -n a -4 addr show dev web0").find("brd") == std::string::npos);

  need(links->set_up(place, false));
  need(links->set_mtu(place, 1400));
  CHECK_FALSE(need(links->look(pair.ends.host_end)).up);
  need(links->set_up(place, true));
  need(links->set_up(place, false));
  // The carrier of the host end follows, nothing else does.
  CHECK(output_of("ip -o addr").find("10.0.0.5") == std::string::npos);
  CHECK(output_of("ip link").find("mtu 1300") == std::string::npos);
}

TEST_CASE("assigning and removing addresses twice is a success") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  const auto& place = pair.ends.container_end;
  for (const auto* text : {"10.0.0.5/24", "2001:db8::5/64"}) {
    need(links->assign(place, prefix(text)));
    need(links->assign(place, prefix(text)));
    CHECK(addresses(*links, pair.ends.host_end) == std::vector<std::string>{text});
    need(links->unassign(place, prefix(text)));
    need(links->unassign(place, prefix(text)));
    CHECK(addresses(*links, pair.ends.host_end).empty());
  }
  const Place nowhere{.netns = place.netns, .ifindex = IfIndex{99999}};
  need(links->unassign(nowhere, prefix("10.0.0.5/24")));
  need(links->unassign(nowhere, prefix("2001:db8::5/64")));
  CHECK(code_of(links->assign(nowhere, prefix("10.0.0.5/24"))) == Errc::kernel_refused);
}

TEST_CASE("IPv4 addresses are filed by the peer's, as ipvlan does (rule 43)") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  run("ip -n a addr add 10.0.0.1 peer 10.9.9.9/32 dev web0");
  run("ip -n a addr add 2001:db8::1 peer 2001:db8::9/128 dev web0");
  CHECK(addresses(*links, pair.ends.host_end) == std::vector<std::string>{"10.9.9.9/32", "2001:db8::1/128"});
  need(links->unassign(pair.ends.container_end, prefix("10.9.9.9/32")));
  need(links->unassign(pair.ends.container_end, prefix("2001:db8::1/128")));
  CHECK(addresses(*links, pair.ends.host_end).empty());
}

TEST_CASE("many addresses are all seen") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  {
    std::ofstream batch{"/run/batch"};
    for (int i = 0; i < 2000; ++i)
      batch << fmt::format("addr add 10.1.{}.{}/32 dev web0\n", i / 250, i % 250);
  }
  run("ip -n a -batch /run/batch");
  CHECK(addresses(*links, pair.ends.host_end).size() == 2000);
}

TEST_CASE("a slave is followed when `ip link` moves and renames it") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Namespace b{"b"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  auto monitor = need(LinkMonitor::open());

  // b has no nsid yet: that it arrived there is learnt from its leaving a.
  run("ip -n a link set web0 netns b");
  CHECK(has(need(monitor.read()), pair.ends.container_end));
  const auto moved = need(links->look(pair.ends.host_end));
  REQUIRE(moved.place.netns.has_value());
  CHECK(moved.place.netns != pair.ends.container_end.netns);
  CHECK(moved.place.netns == need(links->find_netns("b")));
  CHECK(links->netns_name(*moved.place.netns) == "b");

  run("ip -n b link set web0 name renamed");
  CHECK(has(need(monitor.read()), moved.place));
  CHECK(need(links->look(pair.ends.host_end)).name.str() == "renamed");

  run(fmt::format("ip -n b link set renamed netns {}", ::getpid()));
  CHECK(need(links->look(pair.ends.host_end)).place.netns == std::nullopt);
}

TEST_CASE("a name that the model does not take is shown all the same") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  run("ip -n a link set web0 name $(printf 'we\\001.b')");
  CHECK(need(links->look(pair.ends.host_end)).name.str() == "we?.b");
}

TEST_CASE("a slave is moved between namespaces, to the host and back") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Namespace b{"b"};
  const auto in_a = need(links->find_netns("a"));
  const auto in_b = need(links->find_netns("b"));
  const Pair pair{*links, 1, "web0", in_a};
  const auto place = [&] { return need(links->look(pair.ends.host_end)).place; };

  need(links->move(place(), in_b));
  CHECK(place().netns == in_b);
  need(links->move(place(), std::nullopt));
  CHECK(place().netns == std::nullopt);
  need(links->move(place(), in_a));
  CHECK(place().netns == in_a);

  run("ip -n b link add web0 type veth peer name other");
  const auto refused = links->move(place(), in_b);
  CHECK(code_of(refused) == Errc::name_in_use);
  CHECK(refused.error().message.find("'web0' exists") != std::string::npos);
  CHECK(place().netns == in_a);
}

TEST_CASE("a name that is taken leaves nothing behind") {
  const auto links = host_links();
  const Namespace a{"a"};
  const auto netns = need(links->find_netns("a"));
  run("ip -n a link add web0 type veth peer name other");
  const auto before = output_of("ip -o link; ip -n a -o link");

  const auto taken =
      links->create({.slave = SlaveId{1}, .name = ifname("web0"), .netns = netns, .mac = kMac, .mtu = 1500});
  CHECK(code_of(taken) == Errc::name_in_use);
  CHECK(taken.error().message.find("'web0' exists in the namespace already") != std::string::npos);
  CHECK(need(links->host_ends()).empty());
  CHECK(output_of("ip -o link; ip -n a -o link") == before);

  const Pair pair{*links, 1, "web1", netns};
  const auto same_id =
      links->create({.slave = SlaveId{1}, .name = ifname("web2"), .netns = netns, .mac = kMac, .mtu = 1500});
  CHECK(code_of(same_id) == Errc::kernel_refused);
  CHECK(same_id.error().message.find("'ipvx1' exists in the host's namespace") != std::string::npos);
}

TEST_CASE("what the kernel refuses is said in its own words") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", std::nullopt};
  const auto small = links->set_mtu(pair.ends.container_end, 10);
  CHECK(code_of(small) == Errc::kernel_refused);
  CHECK(small.error().message ==
        fmt::format("set the MTU of interface with index {} to 10: Invalid argument (mtu less than device "
                    "minimum)",
                    number(pair.ends.container_end.ifindex)));

  const auto large = links->create(
      {.slave = SlaveId{2}, .name = ifname("web0"), .netns = std::nullopt, .mac = kMac, .mtu = 9'000'000});
  CHECK(code_of(large) == Errc::kernel_refused);
  CHECK(need(links->host_ends()).size() == 1);
}

TEST_CASE("find_netns says what is wrong with the user's words") {
  const auto links = host_links();
  // It must not wait for a writer.
  ::alarm(30);
  run("touch /run/file && mkfifo /run/fifo && mkdir -p /run/netns && touch /run/netns/stale");
  CHECK(code_of(links->find_netns("nowhere")) == Errc::netns_gone);
  CHECK(code_of(links->find_netns("/run/nowhere")) == Errc::netns_gone);
  CHECK(code_of(links->find_netns("/run/file/below")) == Errc::netns_gone);
  CHECK(code_of(links->find_netns("4194305")) == Errc::netns_gone);
  CHECK(code_of(links->find_netns("99999999999999999999")) == Errc::netns_gone);
  CHECK(code_of(links->find_netns("")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("..")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("stale")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("/run/file")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("/run/fifo")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("/dev/null")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns("/proc/self/ns/uts")) == Errc::not_a_netns);
  CHECK(code_of(links->find_netns(std::string_view{"/proc/self/ns/net\0x", 19})) == Errc::not_a_netns);
  run("rm /run/file /run/fifo /run/netns/stale");
  ::alarm(0);
}

TEST_CASE("a namespace is found by name, path and pid") {
  const auto links = host_links();
  CHECK(need(links->find_netns("/proc/self/ns/net")) == std::nullopt);
  CHECK(need(links->find_netns(std::to_string(::getpid()))) == std::nullopt);

  const Namespace a{"a"};
  const auto netns = need(links->find_netns("a"));
  REQUIRE(netns.has_value());
  CHECK(need(links->find_netns("/run/netns/a")) == netns);
  CHECK(need(links->find_netns("/run/netns/../netns/a")) == netns);
  CHECK(links->netns_name(*netns) == "a");
  // Whoever has not been told finds out, and prefers the name.
  CHECK(host_links()->netns_name(*netns) == "a");
  CHECK(links->netns_name(Nsid{4711}) == std::nullopt);

  Process process;
  const auto of_process = need(links->find_netns(std::to_string(process.pid)));
  REQUIRE(of_process.has_value());
  CHECK(of_process != netns);
  CHECK(links->netns_name(*of_process) == fmt::format("/proc/{}/ns/net", process.pid));
  CHECK(host_links()->netns_name(*of_process) == fmt::format("/proc/{}/ns/net", process.pid));
  {
    const Pair pair{*links, 1, "web0", of_process};
    process.end();
    CHECK(soon([&] { return !links->look(pair.ends.host_end); }));
  }
  CHECK(links->netns_name(*of_process) == std::nullopt);
  CHECK(code_of(links->create(
            {.slave = SlaveId{1}, .name = ifname("web0"), .netns = of_process, .mac = kMac, .mtu = 1500})) ==
        Errc::netns_gone);
}

TEST_CASE("an nsid that passed on to another namespace is not mistaken") {
  const auto links = host_links();
  Netns first;
  {
    const Namespace a{"a"};
    first = need(links->find_netns("a"));
    CHECK(links->netns_name(*first) == "a");
  }
  const Namespace b{"b"};
  CHECK(soon([&] { return need(links->find_netns("b")).has_value(); }));
  const Namespace again{"a"};
  const auto in_a = need(links->find_netns("a"));
  const auto in_b = need(links->find_netns("b"));
  CHECK(links->netns_name(*in_a) == "a");
  CHECK(links->netns_name(*in_b) == "b");
  const Pair pair{*links, 1, "web0", in_b};
  CHECK_FALSE(output_of("ip -n b link show web0").empty());
}

TEST_CASE("a deleted namespace goes, and its slaves, although we were in it") {
  const auto links = host_links();
  auto monitor = need(LinkMonitor::open());
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  const auto& place = pair.ends.container_end;
  need(links->set_up(place, true));
  need(links->assign(place, prefix("10.0.0.5/24")));
  CHECK(links->netns_name(*place.netns) == "a");
  need(monitor.read());

  run("ip netns del a");
  CHECK(soon([&] { return need(links->host_ends()).empty(); }));
  CHECK(code_of(links->look(pair.ends.host_end)) == Errc::no_such_slave);
  CHECK(has(need(monitor.read()), Place{.netns = std::nullopt, .ifindex = pair.ends.host_end}));
  need(links->remove(pair.ends));
  need(links->unassign(place, prefix("10.0.0.5/24")));
  CHECK(code_of(links->set_up(place, true)) == Errc::netns_gone);
}

TEST_CASE("the host end never has an IPv6 address") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair pair{*links, 1, "web0", need(links->find_netns("a"))};
  need(links->set_up(pair.ends.container_end, true));
  // When the container end has its own, the host end would have had one too.
  CHECK(soon([&] { return !link_locals(*links, pair.ends.host_end).empty(); }));
  CHECK(output_of("ip -6 addr show dev ipvx1") == "");
  run("ip link set ipvx1 down && ip link set ipvx1 up");
  std::this_thread::sleep_for(300ms);
  CHECK(output_of("ip -6 addr show dev ipvx1") == "");
}

TEST_CASE("a start removes pairs that were on their way, and none that was settled or is wanted") {
  const auto links = host_links();
  const Namespace a{"a"};
  const auto netns = need(links->find_netns("a"));
  const auto make = [&](std::uint32_t id) {
    const auto name = ifname("web" + std::to_string(id));
    return need(links->create({.slave = SlaveId{id}, .name = name, .netns = netns, .mac = kMac, .mtu = 1400}))
        .host_end;
  };
  const IfIndex wanted = make(1);
  const IfIndex orphan = make(2);
  const IfIndex strangers = make(3);
  need(links->settle({strangers, IfIndex{4242}}, true));
  need(links->tidy({wanted}));
  CHECK(need(links->host_ends()) ==
        std::map<SlaveId, IfIndex>{{SlaveId{1}, wanted}, {SlaveId{3}, strangers}});
  CHECK(code_of(links->look(orphan)) == Errc::no_such_slave);
  CHECK(output_of("ip link show dev ipvx1").find("group 6970") != std::string::npos);
  need(links->remove(std::vector{wanted, strangers}));
}

TEST_CASE("many slaves go together, and only they") {
  const auto links = host_links();
  const Namespace a{"a"};
  const auto netns = need(links->find_netns("a"));
  std::vector<IfIndex> host_ends;
  for (std::uint32_t id = 1; id <= 20; ++id) {
    const auto name = ifname("web" + std::to_string(id));
    host_ends.push_back(
        need(links->create({.slave = SlaveId{id}, .name = name, .netns = netns, .mac = kMac, .mtu = 1400}))
            .host_end);
  }
  const Pair stays{*links, 21, "web21", netns};
  need(links->remove(Ends{.host_end = host_ends[3]}));  // gone already when its turn comes
  need(links->remove(host_ends));
  CHECK(need(links->host_ends()) == std::map<SlaveId, IfIndex>{{SlaveId{21}, stays.ends.host_end}});
  CHECK(output_of("ip link show dev ipvx21").find("group 6970") != std::string::npos);
  need(links->remove(host_ends));
  need(links->remove(std::vector<IfIndex>{}));
}

TEST_CASE("the relay is made once, up, with room for any frame and no addresses") {
  const auto links = host_links();
  const Relay relay = need(links->relay());
  CHECK(need(links->relay()) == relay);
  for (const char* end : {"ipvxrelay0", "ipvxrelay1"}) {
    const auto link = output_of(std::string{"ip -d link show dev "} + end);
    CHECK(link.find(",UP") != std::string::npos);
    CHECK(link.find("mtu 65535") != std::string::npos);
    CHECK(output_of(std::string{"ip addr show dev "} + end + " | grep inet").empty());
  }
  CHECK(need(links->host_ends()).empty());
  run("ip link del ipvxrelay1");
  CHECK(need(links->relay()) != relay);
  run("ip link del ipvxrelay0");
}

TEST_CASE("link-local addresses of two slaves differ although their MAC does not") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Namespace b{"b"};
  const Pair first{*links, 1, "web0", need(links->find_netns("a"))};
  const Pair second{*links, 2, "web0", need(links->find_netns("b"))};
  constexpr auto kShared = "fe80::11:22ff:fe33:4455/64";

  SECTION("random ones") {
    for (const auto* pair : {&first, &second}) {
      need(links->set_up(pair->ends.container_end, true));
      CHECK(soon([&] { return link_locals(*links, pair->ends.host_end).size() == 1; }));
      CHECK_FALSE(has(link_locals(*links, pair->ends.host_end), kShared));
    }
    CHECK(link_locals(*links, first.ends.host_end) != link_locals(*links, second.ends.host_end));
  }

  SECTION("ipvlan's, in place of those made from the MAC already") {
    for (const auto* name : {"a", "b"}) {
      run(fmt::format("ip -n {} link set web0 addrgenmode eui64 && ip -n {} link set web0 up", name, name));
    }
    for (const auto* pair : {&first, &second}) {
      CHECK(soon([&] { return has(link_locals(*links, pair->ends.host_end), kShared); }));
    }
    need(links->separate_link_locals(first.ends.container_end, SlaveId{1}, kMac));
    need(links->separate_link_locals(second.ends.container_end, SlaveId{2}, kMac));
    CHECK(link_locals(*links, first.ends.host_end) == std::vector<std::string>{"fe80::211:2200:133:4455/64"});
    CHECK(link_locals(*links, second.ends.host_end) ==
          std::vector<std::string>{"fe80::211:2200:233:4455/64"});
    // Again: nothing left to do.
    need(links->separate_link_locals(first.ends.container_end, SlaveId{1}, kMac));
    CHECK(link_locals(*links, first.ends.host_end).size() == 1);
  }

  SECTION("an interface without IPv6 needs none") {
    run("ip -n a link set web0 mtu 1000");  // below IPv6's least
    need(links->separate_link_locals(first.ends.container_end, SlaveId{1}, kMac));
    run("ip netns exec b sh -c 'echo 1 > /proc/sys/net/ipv6/conf/web0/disable_ipv6'");
    need(links->separate_link_locals(second.ends.container_end, SlaveId{2}, kMac));
  }
}

TEST_CASE("a master is described with the addresses no slave may take") {
  const auto links = host_links();
  run("ip link add nic0 type veth peer name wire0 && ip link set nic0 up && ip link set wire0 up");
  run("ip addr add 192.0.2.1/24 dev nic0 && ip addr add 192.0.2.3 peer 198.51.100.9/32 dev nic0");
  run("ip -6 addr add 2001:db8::1/64 dev nic0 nodad");
  run("ip route add default via 192.0.2.254 dev nic0");
  run("ip route add default metric 7 nexthop via 192.0.2.252 dev nic0 nexthop via 192.0.2.253 dev nic0");
  run("ip route add default via inet6 fe80::7 dev nic0 metric 9");
  run("ip route add default via 192.0.2.77 dev nic0 table 100");
  run("ip route add 203.0.113.0/24 via 192.0.2.78 dev nic0");
  run("ip -6 route add default via fe80::1 dev nic0");
  run("ip -6 route add default metric 3 nexthop via 2001:db8::fd dev nic0 nexthop via 2001:db8::fe dev nic0");
  run("ip addr add 172.16.0.1/24 dev wire0 && ip route add default via 172.16.0.254 dev wire0 metric 2");

  const auto master = need(links->master(ifname("nic0")));
  CHECK(master.name.str() == "nic0");
  CHECK(master.ethernet);
  CHECK_FALSE(master.loopback);
  CHECK(master.mtu == 1500);
  CHECK(output_of("ip link show nic0").find(to_string(master.mac)) != std::string::npos);
  std::vector<std::string> reserved;
  for (const auto& address : master.reserved) reserved.push_back(to_string(address));
  for (const auto* own : {"192.0.2.1", "192.0.2.3", "2001:db8::1"}) CHECK(has(reserved, own));
  for (const auto* gateway :
       {"192.0.2.254", "192.0.2.252", "192.0.2.253", "fe80::7", "fe80::1", "2001:db8::fd", "2001:db8::fe"}) {
    INFO(gateway);
    CHECK(has(reserved, gateway));
  }
  for (const auto* other : {"192.0.2.77", "192.0.2.78", "172.16.0.1", "172.16.0.254", "198.51.100.9"}) {
    INFO(other);
    CHECK_FALSE(has(reserved, other));
  }
  CHECK(std::ranges::count_if(reserved, [](const auto& text) { return text.starts_with("fe80::"); }) == 3);

  const auto by_index = need(links->master(master.ifindex));
  CHECK(by_index.name == master.name);
  CHECK(by_index.reserved == master.reserved);
  run("ip link del nic0");
  CHECK(code_of(links->master(ifname("nic0"))) == Errc::no_such_master);
  CHECK(code_of(links->master(master.ifindex)) == Errc::no_such_master);
  CHECK(need(links->master(ifname("lo"))).loopback);
}

TEST_CASE("the monitor names places once, in order, from all namespaces") {
  const auto links = host_links();
  const Namespace a{"a"};
  const Pair first{*links, 1, "web0", need(links->find_netns("a"))};
  const Pair second{*links, 2, "ipvl0", std::nullopt};
  auto monitor = need(LinkMonitor::open());
  CHECK(need(monitor.read()).places.empty());

  for (int i = 1; i < 4; ++i) {
    run(fmt::format("ip addr add 10.0.0.{}/24 dev ipvl0", i));
    run(fmt::format("ip -n a addr add 10.0.0.{}/24 dev web0", i));
    run(fmt::format("ip -n a addr add 2001:db8::{}/64 dev web0", i));
  }
  pollfd waiting{.fd = monitor.fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&waiting, 1, 1000) == 1);
  auto notices = need(monitor.read());
  // Of its carrier the kernel tells up to a second late.
  std::erase_if(notices.places, [&](const Place& place) {
    return !place.netns && (place.ifindex == first.ends.host_end || place.ifindex == second.ends.host_end);
  });
  CHECK(notices.places == std::vector{second.ends.container_end, first.ends.container_end});
  CHECK_FALSE(notices.lost);
  waiting.revents = 0;
  CHECK(::poll(&waiting, 1, 0) == 0);
}

TEST_CASE("the monitor says when it lost something, and goes on") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", std::nullopt};
  auto monitor = need(LinkMonitor::open());
  {
    std::ofstream batch{"/run/batch"};
    for (int i = 0; i < 4000; ++i) batch << fmt::format("link set ipvl0 mtu {}\n", 1300 + i % 2);
  }
  run("ip -batch /run/batch");
  const auto flooded = need(monitor.read());
  CHECK(flooded.lost);
  CHECK(has(flooded, pair.ends.container_end));

  run("ip link set ipvl0 mtu 1290");
  const auto after = need(monitor.read());
  CHECK_FALSE(after.lost);
  CHECK(has(after, pair.ends.container_end));
}

TEST_CASE("the monitor knows the host's namespace by whatever number") {
  const auto links = host_links();
  const Pair pair{*links, 1, "ipvl0", std::nullopt};
  auto monitor = need(LinkMonitor::open());
  run(fmt::format("ip netns attach self {}", ::getpid()));
  std::ignore = std::system("ip netns set self 77 2>/dev/null");  // unless it has one
  REQUIRE(output_of("ip netns list-id | grep self") != "");
  run("ip link set ipvl0 mtu 1290");
  CHECK(has(need(monitor.read()), pair.ends.container_end));
  CHECK(need(links->look(pair.ends.host_end)).place.netns == std::nullopt);
  CHECK(need(links->find_netns("self")) == std::nullopt);
  run("ip netns del self");
}

int main(int argc, char** argv) {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", "/run", "tmpfs", 0, nullptr) != 0 || std::system("ip link set lo up") != 0) {
    std::perror("links_test: a namespace to play in");
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
