# SPDX-License-Identifier: Apache-2.0
"""Modes l3 and l3s where the host does not play along, and at the edges of what they are for.

The host has no route, forbids to forward, checks sources, has no room for flows, no IPv6, a slave
of its own, two ports with one address. Whoever is not concerned goes on, the daemon among them.
"""

from __future__ import annotations

import errno
import re
import socket

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ipvlanx import EXTERNAL, FAMILIES, HOST
from netfilter import forget_flows, nft, tracking
from routed import (
    A, B, FAR, LENGTHS, ROUTED_MODES, SECOND, Routed, RoutedSlave, default_routes,
    has_force_forwarding, read_sysctl,
)  # fmt: skip
from space import SLOW, Netns, eventually, family_of, ping_lost, ping_ok, tcp_exchange
from wire import Capture, Sender, carrying

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
by_mode = pytest.mark.parametrize("mode", ROUTED_MODES)
MARK = b"ipvlanx-test-marker"
# IP_RECVERR, IPV6_RECVERR: also those that may pass.
RECEIVE_ERRORS = {socket.AF_INET: (0, 11), socket.AF_INET6: (41, 25)}


def is_well(routed: Routed) -> None:
    """The daemon, and whoever is not concerned."""
    routed.daemon.get("/v1/slaves")
    a, b = routed.slaves[:2]
    for family in FAMILIES:
        ping_ok(a.netns, B[family])
        ping_ok(b.netns, EXTERNAL[family])
        ping_ok(routed.external, B[family])


def error_of(client: Netns, address: str) -> int | None:
    """The ICMP error that a datagram is answered with, as its sender is told. The kernel sends
    few of them in a second: who gets none asks again."""
    with client.socket(family_of(address), socket.SOCK_DGRAM) as mouth:
        mouth.settimeout(1)
        mouth.setsockopt(*RECEIVE_ERRORS[family_of(address)], 1)
        mouth.connect((address, 9))
        for _ in range(int(3 * SLOW)):
            try:
                mouth.send(MARK)
                mouth.recv(100)
            except TimeoutError:
                continue
            except OSError as error:
                return error.errno
    return None


def drops_of_traffic(routed: Routed, slave: RoutedSlave) -> dict[str, int]:
    """Without what a host says to its host ends, where it is a router on all interfaces: of
    which multicast groups it is a member."""
    drops = routed.drops(slave)
    if not has_force_forwarding(routed.host):
        drops.pop("host", None)
    return drops


# ----------------------------------------------------------------------------- no way


@by_mode
def test_no_route(routed: Routed, mode: str) -> None:
    """The slave is told so, by the host, and may try again."""
    a, _ = routed.add(mode), routed.add(mode)
    for family in FAMILIES:
        routed.host.ip(f"-{family} route del default")
        assert error_of(a.netns, FAR[family]) == errno.ENETUNREACH
        routed.host.ip(f"-{family} route add prohibit {FAR[family]}")
        assert error_of(a.netns, FAR[family]) in (errno.EHOSTUNREACH, errno.EACCES)
        is_well(routed)
        routed.host.ip(f"-{family} route del prohibit {FAR[family]}")
        routed.host.ip(f"-{family} route add default via {EXTERNAL[family]}")
        ping_ok(a.netns, FAR[family])
    assert drops_of_traffic(routed, a) == {}


@by_mode
def test_forwarding_forbidden_for_one_slave(routed: Routed, mode: str) -> None:
    a, _ = routed.add(mode), routed.add(mode)
    setting = f"net/ipv4/conf/{a.host_end}/forwarding"
    routed.host.sysctl(setting, 0)
    ping_lost(a.netns, EXTERNAL[4])
    is_well(routed)
    routed.host.sysctl(setting, 1)
    ping_ok(a.netns, EXTERNAL[4])


# ------------------------------------------------------------------ whose source is it?


def forged_ones_arrive(routed: Routed) -> bool:
    """A packet with another's source, and one with the slave's own, which does."""
    a, mac = routed.slaves[0], routed.net.mac
    packets = {
        source: Ether(src=mac, dst=mac)
        / IP(src=source, dst=EXTERNAL[4])
        / ICMP(type=0)
        / Raw(MARK + source.encode())
        for source in ("10.0.0.77", A[4])
    }
    with Sender(a.netns, a.name) as sender, Capture(routed.external, "x0") as wire:
        for packet in packets.values():
            sender.send(packet)
        wire.wait_for(carrying(MARK + A[4].encode()))
        wire.settle()
    return bool(wire.matching(carrying(MARK + b"10.0.0.77")))


@by_mode
@pytest.mark.parametrize("way", ["rp_filter 1", "rp_filter 2", "nft"])
def test_an_operator_who_checks_sources(routed: Routed, mode: str, way: str) -> None:
    """Rule 38 leaves sources to the tenant; a filter of the host's holds for slaves, too, and lets
    their own pass."""
    a, _ = routed.add(mode), routed.add(mode)
    ping_ok(a.netns, EXTERNAL[4])
    assert forged_ones_arrive(routed)
    if way == "nft":
        rule = "fib saddr . iif oif missing drop"
        chain = f"type filter hook prerouting priority raw; {rule}"
        nft(routed.host, f"table inet sources {{\nchain prerouting {{ {chain}\n}}\n}}")
    else:
        routed.host.sysctl("net/ipv4/conf/all/rp_filter", way.split()[1])
    assert not forged_ones_arrive(routed)
    is_well(routed)
    tcp_exchange(a.netns, routed.far, FAR[4])
    tcp_exchange(routed.far, a.netns, A[4])


# ------------------------------------------------------------------- no room for flows


def fill_conntrack(host: Netns, room: int) -> None:
    """With flows that are assured, so that none makes room for another."""
    lines = (
        f"-I -s 198.18.{n >> 20}.1 -d 198.19.{(n >> 12) & 255}.{(n >> 4) & 255} -p udp"
        f" --sport {1000 + (n & 15)} --dport 9 -t 3600 -u SEEN_REPLY,ASSURED"
        for n in range(room)
    )
    host.run("conntrack", "-R", "-", input="\n".join(lines), check=False)


def test_a_full_conntrack_table(routed: Routed) -> None:
    """The host drops what would be a new flow, and says so; known flows and siblings go on."""
    a, b = routed.add("l3s"), routed.add("l3s")
    with tracking(routed.host), routed.far.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((FAR[4], 5001))
        listener.listen()
        with a.netns.socket(socket.AF_INET, socket.SOCK_STREAM) as near:
            near.connect((FAR[4], 5001))
            far, _ = listener.accept()
            fill_conntrack(routed.host)
            for family in FAMILIES:
                ping_lost(a.netns, EXTERNAL[family])
                ping_lost(routed.external, B[family])
                ping_ok(a.netns, B[family])
            with far:
                for one, other in ((near, far), (far, near)):
                    one.sendall(MARK)
                    other.settimeout(3 * SLOW)
                    assert other.recv(100) == MARK
        stats = routed.host.run("conntrack", "-S").stdout
        assert any(int(drops) for drops in re.findall(r"[^y_]drop=(\d+)", stats)), stats
        assert drops_of_traffic(routed, a) == drops_of_traffic(routed, b) == {}
        forget_flows(routed.host)
        is_well(routed)


def fill_conntrack(host: Netns) -> None:
    """With flows that are assured, so that none makes room for another. The limit is the whole
    machine's, and not to be changed from here."""
    limit = int(read_sysctl(host, "net/netfilter/nf_conntrack_max"))
    lines = (
        f"-I -s 198.18.{n >> 20}.1 -d 198.19.{n >> 12 & 255}.{n >> 4 & 255} -p udp"
        f" --sport {n & 15} --dport 9 -t 3600 -u SEEN_REPLY,ASSURED"
        for n in range(limit)
    )
    # Not all of them find room.
    host.run("conntrack", "-R", "-", input="\n".join(lines), check=False)
    assert int(read_sysctl(host, "net/netfilter/nf_conntrack_count")) >= limit


# ------------------------------------------------------------------------- no IPv6


@by_mode
def test_a_host_without_ipv6(routed: Routed, mode: str) -> None:
    """Siblings need nothing of it; and it may come back."""
    routed.host.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
    a, b = routed.add(mode), routed.add(mode)
    for _ in range(2):
        ping_ok(a.netns, B[6])
        tcp_exchange(a.netns, b.netns, B[6])
        ping_ok(a.netns, FAR[4])
        ping_ok(routed.external, A[4])
        assert not answered(a.netns, EXTERNAL[6])
        routed.daemon.restart()
    routed.host.sysctl("net/ipv6/conf/all/disable_ipv6", 0)
    routed.host.ip(f"addr replace {HOST[6]}/64 dev m0 nodad")
    eventually("its way to the world", lambda: answered(a.netns, EXTERNAL[6]))
    eventually("the world's way to it", lambda: answered(routed.external, A[6]))
    is_well(routed)


def answered(source: Netns, address: str) -> bool:
    wait = str(0.3 * SLOW)
    return source.ping(address, "-c", "2", "-i", "0.1", "-W", wait).returncode == 0


# ---------------------------------------------------------- two ports with one address


@by_mode
@by_family
def test_each_port_has_its_own_slave_of_an_address(routed: Routed, mode: str, family: int) -> None:
    a = routed.add(mode)
    other, address = routed.net.netns("other"), A[family]
    routed.daemon.cli(
        f"link add link m1 name ipvl0 mode {mode} netns other addr {address}/{LENGTHS[family]}"
    )
    other.ip_lines(*default_routes("ipvl0"))
    for client, server in ((routed.external, a.netns), (routed.second, other)):
        with Capture(server, "ipvl0") as at_server:
            ping_ok(client, address)
        assert at_server.matching(lambda f: not f.outgoing)
        tcp_exchange(client, server, address)
    ping_ok(a.netns, EXTERNAL[family])
    ping_ok(other, SECOND[family])
    routed.daemon.cli("port del m0")
    ping_ok(routed.second, address)
    # Where IPv6 is forwarded everywhere, the host forwards it from there to the other one.
    if family == 4 or has_force_forwarding(routed.host):
        assert not answered(routed.external, address)


# ------------------------------------------------- a slave in the host's own namespace


@pytest.fixture
def at_home(routed: Routed, mode: str) -> Routed:
    """ipvl0 in ns0, and `home` in the host's namespace, with B's addresses."""
    routed.add(mode)
    words = " ".join(f"addr {B[family]}/{LENGTHS[family]}" for family in FAMILIES)
    routed.daemon.cli(f"link add link m0 name home mode {mode} {words}")
    return routed


@by_mode
@by_family
def test_a_slave_in_the_hosts_namespace_and_the_wire(
    at_home: Routed, mode: str, family: int
) -> None:
    if (mode, family) == ("l3", 4):
        # The host asks the wire with the slave's address, and the answer is the slave's, which
        # hears no ARP (rules 16, 20).
        assert not answered(at_home.external, B[4])
        at_home.host.sysctl("net/ipv4/conf/m0/arp_announce", 2)
    ping_ok(at_home.external, B[family])
    ping_ok(at_home.host, EXTERNAL[family], "-c", "3", "-i", "0.05", "-I", B[family])
    tcp_exchange(at_home.external, at_home.host, B[family])
    ping_ok(at_home.slaves[0].netns, EXTERNAL[family])


@by_mode
@by_family
def test_the_host_reaches_slaves_by_a_slave_of_its_own(
    at_home: Routed, mode: str, family: int
) -> None:
    """Rule 74's way around, with a route in the place of ours, which stays."""
    a = at_home.slaves[0].netns
    assert not answered(at_home.host, A[family])
    at_home.host.ip(f"-{family} route replace {A[family]} dev home")
    for _ in range(2):
        ping_ok(at_home.host, A[family])
        ping_ok(a, B[family])
        ping_ok(at_home.external, A[family])
        ping_ok(a, EXTERNAL[family])
        at_home.daemon.restart()


@by_mode
@by_family
def test_a_route_by_a_slave_of_the_hosts_is_no_endless_loop(
    at_home: Routed, mode: str, family: int
) -> None:
    """Its target is not there: what the host forwards that way comes back to it, and dies."""
    target = {4: "10.9.0.1", 6: "fd09::1"}[family]
    at_home.host.sysctl("net/ipv4/ip_forward", 1)
    at_home.host.sysctl("net/ipv6/conf/all/forwarding", 1)
    at_home.host.ip(f"-{family} route add {target} dev home")
    at_home.external.ip(f"-{family} route add {target} via {HOST[family]}")
    home = at_home.net.id_of("home")
    assert not answered(at_home.external, target)
    stats = at_home.daemon.get(f"/v1/slaves/{home}/stats")
    assert 2 <= stats["tx"]["packets"] <= 2 * 255 + 20


# ---------------------------------------------------------------- the host's hands


@by_mode
def test_host_ends_are_the_hosts_to_remove(routed: Routed, mode: str) -> None:
    a, b = routed.add(mode), routed.add(mode)
    routed.host.ip(f"link del {a.host_end}")
    eventually("one slave less", lambda: len(routed.daemon.get("/v1/slaves")) == 1)
    assert routed.routes() == routed.expected_routes(b)
    ping_ok(routed.external, B[4])
    ping_ok(b.netns, FAR[6])
