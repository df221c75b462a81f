# SPDX-License-Identifier: Apache-2.0
"""What of the host's settings and routes do modes l3 and l3s change, and is it given back?

All of /proc/sys/net in the host's namespace is read before, during and after. In l2 it is that the
master receives all multicast. The drawing is that
of routed.py; the README's "Firewall rules" names what may change.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Callable

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether

from ipvlanx import FAMILIES, Topology
from routed import A, B, FAR, ROUTED_MODES, Routed, has_force_forwarding, read_sysctl
from space import SLOW, Netns, eventually, ping_lost, ping_ok
from wire import Sender

by_mode = pytest.mark.parametrize("mode", ROUTED_MODES)
Settings = dict[str, str]
Change = dict[str, tuple[str | None, str | None]]
ROOT = Path("/proc/sys/net")
# What m0 brings asks a table of the port's own.
RULES = {"l2": [], "l3": [], "l3s": [(4, "m0"), (6, "m0")]}


def settings(space: Netns) -> Settings:
    """But for ipvlanx's own interfaces."""

    def read() -> Settings:
        found: Settings = {}
        for path in ROOT.rglob("*"):
            try:
                if path.is_file() and "/ipvx" not in str(path):
                    found[str(path.relative_to(ROOT))] = path.read_text().strip()
            except OSError:
                pass  # not for reading
        return found

    return space.inside(read)


def changes(before: Settings, after: Settings) -> Change:
    names = before.keys() | after.keys()
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def documented(routed: Routed, modes: dict[str, str]) -> Change:
    """What the README says, with ports (master: mode) on a host that forwarded nothing."""
    expected: Change = {}
    for master, mode in modes.items():
        if mode == "l3s":
            expected[f"ipv4/conf/{master}/forwarding"] = ("0", "1")
            if has_force_forwarding(routed.host):
                expected[f"ipv6/conf/{master}/force_forwarding"] = ("0", "1")
    if has_force_forwarding(routed.host) or not set(modes.values()) & set(ROUTED_MODES):
        return expected
    for interface in ("all", "default", "lo", "m0", "m1"):
        expected[f"ipv6/conf/{interface}/forwarding"] = ("0", "1")
    for interface in ("lo", "m0", "m1"):
        expected[f"ipv6/conf/{interface}/accept_ra"] = ("1", "2")
    return expected


# ----------------------------------------------------------------- as long as it lasts


def leave_by_link_del(routed: Routed) -> None:
    for slave in routed.slaves:
        routed.daemon.cli(f"link del {slave.name}")


def leave_by_port_del(routed: Routed) -> None:
    routed.daemon.cli("port del m0")


def leave_by_mode(routed: Routed) -> None:
    routed.set_mode("l2")


def leave_by_the_tenants_hand(routed: Routed) -> None:
    for slave in routed.slaves:
        slave.ip("link del {}")
    eventually("no slaves", lambda: routed.daemon.get("/v1/slaves") == [])


def leave_while_the_daemon_is_dead(routed: Routed) -> None:
    routed.daemon.kill()
    for slave in routed.slaves:
        slave.ip("link del {}")
    routed.daemon.start()


ENDS = {
    f.__name__: f
    for f in (
        leave_by_link_del,
        leave_by_port_del,
        leave_by_mode,
        leave_by_the_tenants_hand,
        leave_while_the_daemon_is_dead,
    )
}


@by_mode
@pytest.mark.parametrize("leave", ENDS.values(), ids=ENDS)
def test_given_back_when_the_last_slave_goes(
    routed: Routed, mode: str, leave: Callable[[Routed], None]
) -> None:
    before = settings(routed.host)
    assert len(before) > 500
    for _ in range(2):
        routed.add(mode)
        during = settings(routed.host)
        assert changes(before, during) == documented(routed, {"m0": mode})
    assert routed.routes() == routed.expected_routes(*routed.slaves)
    assert routed.rules() == RULES[mode]
    leave(routed)
    eventually("all is as it was", lambda: changes(before, settings(routed.host)) == {})
    assert routed.routes() == set()
    assert routed.rules() == []


def test_each_mode_has_what_it_needs(routed: Routed) -> None:
    before = settings(routed.host)
    a = routed.add("l2")
    for mode in ("l2", "l3", "l3s", "l3", "l2", "l3s", "l2"):
        routed.set_mode(mode)
        assert changes(before, settings(routed.host)) == documented(routed, {"m0": mode})
        forwards = read_sysctl(routed.host, f"net/ipv4/conf/{a.host_end}/forwarding")
        assert forwards == ("0" if mode == "l2" else "1")
        assert routed.routes() == routed.expected_routes(a)
        assert routed.rules() == RULES[mode]


def test_each_port_for_itself(routed: Routed) -> None:
    before = settings(routed.host)
    routed.add("l3s")
    routed.daemon.cli("link add link m1 name other mode l3s netns ns0 addr 10.2.0.20/24")
    both = {"m0": "l3s", "m1": "l3s"}
    assert changes(before, settings(routed.host)) == documented(routed, both)
    routed.daemon.cli("port del m0")
    assert changes(before, settings(routed.host)) == documented(routed, {"m1": "l3s"})
    routed.daemon.cli("port del m1")
    assert changes(before, settings(routed.host)) == {}


@by_mode
def test_a_killed_daemon_leaves_all_in_place_and_finds_it_again(routed: Routed, mode: str) -> None:
    before = settings(routed.host)
    a = routed.add(mode)
    routes = routed.routes()
    for _ in range(2):
        routed.daemon.kill()
        assert changes(before, settings(routed.host)) == documented(routed, {"m0": mode})
        assert routed.routes() == routes
        for family in FAMILIES:
            ping_ok(a.netns, FAR[family])
        routed.daemon.start()
        assert changes(before, settings(routed.host)) == documented(routed, {"m0": mode})
        assert routed.routes() == routes
    routed.daemon.cli("link del ipvl0")
    assert changes(before, settings(routed.host)) == {}


# ----------------------------------------------------------------------- what others set


def test_what_was_on_before_stays_on(routed: Routed) -> None:
    routed.host.sysctl("net/ipv4/ip_forward", 1)
    routed.host.sysctl("net/ipv6/conf/all/forwarding", 1)
    before = settings(routed.host)
    routed.add("l3s")
    force = {"ipv6/conf/m0/force_forwarding": ("0", "1")}
    assert changes(before, settings(routed.host)) in ({}, force)
    routed.daemon.cli("link del ipvl0")
    assert changes(before, settings(routed.host)) == {}


def test_what_the_user_sets_meanwhile_stays(routed: Routed) -> None:
    """Switched off, and then even an l3s slave is not reached any more."""
    a = routed.add("l3s")
    routed.host.sysctl("net/ipv4/conf/m0/forwarding", 0)
    ping_lost(routed.external, A[4])
    before = settings(routed.host)
    routed.add("l3s")
    routed.daemon.kill()
    routed.daemon.start()
    assert changes(before, settings(routed.host)) == {}
    ping_ok(a.netns, B[4])
    routed.daemon.cli("port del m0")
    assert read_sysctl(routed.host, "net/ipv4/conf/m0/forwarding") == "0"


def test_forwarding_that_the_user_switches_on_meanwhile_stays_on(routed: Routed) -> None:
    """As Docker does when it starts: on all interfaces, the master among them."""
    routed.add("l3s")
    routed.host.sysctl("net/ipv4/ip_forward", 1)
    routed.daemon.cli("link del ipvl0")
    assert read_sysctl(routed.host, "net/ipv4/conf/m0/forwarding") == "1"


ROUTER_ALONE, PREFIX = "fe80::1234", "2001:db8:a"


def advertise(routed: Routed, number: int) -> None:
    """Of a router that is on the wire, with one more prefix."""
    advertisement = (
        Ether(src=routed.net.external_mac, dst="33:33:00:00:00:01")
        / IPv6(src=ROUTER_ALONE, dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(routerlifetime=1800)
        / ICMPv6NDOptPrefixInfo(prefix=f"{PREFIX}{number}::", prefixlen=64)
    )
    with Sender(routed.external, "x0") as sender:
        sender.send(advertisement)

    def has_address() -> bool:
        return any(a["local"].startswith(PREFIX + str(number)) for a in routed.host.addresses("m0"))

    eventually(f"the host heard of prefix {number}", has_address)


@by_mode
def test_the_host_goes_on_listening_to_router_advertisements(routed: Routed, mode: str) -> None:
    def default_routes() -> list[str]:
        return [r["gateway"] for r in routed.host.ip_json("-6 route show default proto ra")]

    advertise(routed, 1)
    assert default_routes() == [ROUTER_ALONE]
    routed.add(mode)
    assert default_routes() == [ROUTER_ALONE]
    advertise(routed, 2)
    routed.daemon.cli("link del ipvl0")
    assert default_routes() == [ROUTER_ALONE]
    advertise(routed, 3)


# ---------------------------------------------------------------------- l2: multicast


def takes_all_multicast(space: Netns, interface: str = "m0") -> bool:
    return "ALLMULTI" in space.link(interface)["flags"]


def leave_by_another_mode(routed: Routed) -> None:
    routed.set_mode("l3")


@pytest.mark.parametrize(
    "leave",
    [leave for leave in ENDS.values() if leave is not leave_by_mode] + [leave_by_another_mode],
)
def test_a_master_receives_all_multicast_while_it_has_slaves_in_l2(
    routed: Routed, leave: Callable[[Routed], None]
) -> None:
    before = settings(routed.host)
    for _ in range(2):
        routed.add("l2")
        assert takes_all_multicast(routed.host)
        assert not takes_all_multicast(routed.host, "m1")
    assert changes(before, settings(routed.host)) == {}
    routed.daemon.kill()
    assert takes_all_multicast(routed.host)
    routed.daemon.start()
    assert takes_all_multicast(routed.host)
    leave(routed)
    eventually("it is as it was", lambda: not takes_all_multicast(routed.host))


def test_whose_master_received_it_before_goes_on(routed: Routed) -> None:
    routed.host.ip("link set m0 allmulticast on")
    routed.add("l2")
    routed.daemon.cli("port del m0")
    assert takes_all_multicast(routed.host)


def test_who_switches_it_off_has_it_off(routed: Routed) -> None:
    routed.add("l2")
    routed.host.ip("link set m0 allmulticast off")
    routed.add("l2")
    routed.daemon.restart()
    assert not takes_all_multicast(routed.host)
    routed.daemon.cli("port del m0")
    assert not takes_all_multicast(routed.host)
    routed.add("l2")
    assert takes_all_multicast(routed.host), "a new port, anew"


def test_what_a_slave_joins_passes_a_master_that_filters(net: Topology) -> None:
    """A veth hears everything; a macvlan interface has a filter, as a NIC has."""
    groups = [f"239.9.9.{n}" for n in range(1, 9)]
    net.host.ip("link add nic0 link m0 type macvlan mode bridge")
    net.host.ip("link set nic0 up")
    space = net.netns("ns0")
    net.daemon.cli("link add link nic0 name ipvl0 mode l2 netns ns0 addr 10.0.0.10/24")
    net.external.ip("route add 239.9.9.0/24 dev x0")

    def heard() -> set[str]:
        with space.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.bind(("", 5009))
            ear.settimeout(0.3 * SLOW)
            for group in groups:
                request = socket.inet_aton(group) + socket.inet_aton("10.0.0.10")
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            with net.external.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
                for group in groups:
                    mouth.sendto(group.encode(), (group, 5009))
            said = set()
            try:
                while len(said) < len(groups):
                    said.add(ear.recv(100).decode())
            except TimeoutError:
                pass
            return said

    assert heard() == set(groups)
    net.host.ip("link set nic0 allmulticast off")
    assert heard() < set(groups), "it does filter"


# ---------------------------------------------------------------- stale routes and rules


def test_routes_and_rules_that_lead_to_no_slave_go_at_start(idle: Topology) -> None:
    host = idle.host
    for forged, foreign in (("10.9.9.9", "10.9.9.8"), ("fd09::9", "fd09::8")):
        host.ip_lines(
            f"route add {forged} dev m0 proto 155",
            f"route add {forged} dev m0 proto 155 table 15500099",
            f"route add {foreign} dev m0",
        )
    for family in FAMILIES:
        host.ip(f"-{family} rule add iif m0 priority 155 table 15500099 proto 155")
        host.ip(f"-{family} rule add iif m0 priority 156 table 99")
    idle.daemon.start()
    for family, foreign in ((4, "10.9.9.8"), (6, "fd09::8")):
        assert host.ip_json(f"-{family} route show table all proto 155") == []
        assert foreign in [route["dst"] for route in host.ip_json(f"-{family} route show dev m0")]
        rules = {rule["priority"] for rule in host.ip_json(f"-{family} rule show")}
        assert 156 in rules and 155 not in rules


@by_mode
def test_routes_to_addresses_that_went_meanwhile_go_at_start(routed: Routed, mode: str) -> None:
    a, b = routed.add(mode), routed.add(mode)
    learnt, forged = "10.0.0.40", "10.0.0.77"
    a.ip(f"addr add {learnt}/32 {{}}")
    routed.net.wait_steered(a, learnt)
    routed.daemon.kill()
    a.ip(f"addr del {learnt}/32 {{}}")
    for table in ("main", 15_500_000 + routed.net.master):
        routed.host.ip(f"route add {forged} dev {b.host_end} proto 155 table {table}")
    routed.daemon.start()
    assert routed.routes() == routed.expected_routes(a, b)
    assert routed.rules() == RULES[mode]
