# SPDX-License-Identifier: Apache-2.0
"""Modes l3 and l3s: who reaches whom, and which way? SEMANTICS.md rules 14 to 16, 20, 21, 32 to 36.

The drawing is that of routed.py. Siblings by IP address, whatever their subnets; the world by the
host's routes; the host itself not at all (rule 74); no broadcasts and no ARP (rules 14, 32, 47).
"""

from __future__ import annotations

import contextlib
import socket
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, HOST, NOBODY
from netfilter import counting_echoes
from routed import (
    A, B, C, FAR, ROUTED_MODES, SECOND, Routed, datagram, has_force_forwarding, read_sysctl, running,
)  # fmt: skip
from space import (
    SLOW, Netns, eventually, family_of, iperf, ping_lost, ping_ok, tcp_exchange,
)  # fmt: skip
from wire import Capture, Frame, Sender, carrying

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
MARK = b"ipvlanx-test-marker"
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module", params=ROUTED_MODES)
def routed(request: pytest.FixtureRequest) -> Iterator[Routed]:
    with running(request.param) as drawing:
        yield drawing


def echo_reply(source: str, destination: str) -> Packet:
    """What every stack takes and none answers."""
    if ":" in destination:
        return IPv6(src=source, dst=destination) / ICMPv6EchoReply(id=1, data=MARK)
    return IP(src=source, dst=destination) / ICMP(type=0, id=1) / Raw(MARK)


# ---------------------------------------------------------------------- who reaches whom


@by_family
@pytest.mark.parametrize("number", [0, 1, 2])
def test_slave_and_world(routed: Routed, number: int, family: int) -> None:
    slave = routed.slaves[number]
    address = slave.addresses[family]
    for space, its in ((routed.external, EXTERNAL), (routed.far, FAR)):
        ping_ok(slave.netns, its[family])
        ping_ok(space, address)
        tcp_exchange(slave.netns, space, its[family])
        tcp_exchange(space, slave.netns, address)


@by_family
def test_slave_and_slave(routed: Routed, family: int) -> None:
    """Also in different subnets; the wire sees nothing of it."""
    with Capture(routed.external, "x0") as wire:
        for one in routed.slaves:
            for other in routed.slaves:
                if one is not other:
                    ping_ok(one.netns, other.addresses[family])
        tcp_exchange(routed.slaves[0].netns, routed.slaves[2].netns, C[family])
    own = {slave.addresses[family] for slave in routed.slaves}
    seen = wire.matching(lambda f: (IP in f.packet or IPv6 in f.packet) and own & ends(f))
    assert not seen, [frame.packet.summary() for frame in seen]


def ends(frame: Frame) -> set[str]:
    packet = frame.packet
    layer = packet[IP] if IP in packet else packet[IPv6]
    return {layer.src, layer.dst}


@by_family
def test_slave_and_host(routed: Routed, family: int) -> None:
    """Neither reaches the other, and the reason is counted."""
    a = routed.slaves[0]
    for source, address in ((a.netns, HOST[family]), (routed.host, A[family])):
        before = routed.drops(a).get("host", 0)
        ping_lost(source, address)
        assert routed.drops(a)["host"] >= before + 3
    with routed.host.socket(family_of(HOST[family]), socket.SOCK_STREAM) as ear:
        ear.bind((HOST[family], 5001))
        ear.listen()
        with a.netns.socket(family_of(HOST[family]), socket.SOCK_STREAM) as mouth:
            mouth.settimeout(1)
            with pytest.raises(TimeoutError):
                mouth.connect((HOST[family], 5001))


@by_family
def test_frames_on_the_wire_bear_the_masters_mac_and_the_next_hops(
    routed: Routed, family: int
) -> None:
    a, c = routed.slaves[0].netns, routed.slaves[2].netns
    with Capture(routed.external, "x0") as wire:
        ping_ok(a, FAR[family])
        ping_ok(c, EXTERNAL[family])
        ping_ok(routed.far, C[family])
        wire.settle()
    of_slaves = wire.matching(
        lambda f: (IP in f.packet or IPv6 in f.packet) and {A[family], C[family]} & ends(f)
    )
    sent = {(f.source, f.destination) for f in of_slaves if not f.outgoing}
    received = {(f.source, f.destination) for f in of_slaves if f.outgoing}
    assert sent == {(routed.net.mac, routed.net.external_mac)}
    assert received == {(routed.net.external_mac, routed.net.mac)}


@by_family
def test_a_forged_source_leaves_with_the_masters_mac(routed: Routed, family: int) -> None:
    """Rule 38: whose source it is, is not asked."""
    a = routed.slaves[0]
    forged = {4: "10.0.0.77", 6: "fd00::77"}[family]
    packet = echo_reply(forged, EXTERNAL[family])
    with Sender(a.netns, a.name) as sender, Capture(routed.external, "x0") as wire:
        sender.send(Ether(src="02:de:ad:be:ef:01", dst=routed.net.mac) / packet)
        (arrived,) = wire.wait_for(carrying(MARK))
    assert arrived.source == routed.net.mac
    assert ends(arrived) == {forged, EXTERNAL[family]}


# ------------------------------------------------------------- routes of host and slave


@by_family
def test_an_address_of_the_tenants_choice(routed: Routed, family: int) -> None:
    """ip addr add inside the namespace: siblings and wire follow; and its removal. It draws what
    the master brings, and nothing else of the host's."""
    a, b = routed.slaves[:2]
    extra = {4: "10.0.0.40/32", 6: "fd00::40/128"}[family]
    address = extra.split("/")[0]
    before = routed.routes()
    route = {(address, a.host_end, "m0")} if routed.mode == "l3s" else set()
    a.ip(f"addr add {extra} {{}}{' nodad' if family == 6 else ''}")
    try:
        routed.net.wait_steered(a, address)
        eventually("its route", lambda: routed.routes() == before | route)
        routed.know(address)
        ping_ok(routed.external, address)
        ping_ok(b.netns, address)
        ping_ok(a.netns, FAR[family], "-c", "1", "-W", "5", "-I", address)
    finally:
        a.ip(f"addr del {extra} {{}}")
    eventually("no route", lambda: routed.routes() == before)
    assert not answered(b.netns, address)


def answered(source: Netns, address: str) -> bool:
    wait = str(0.3 * SLOW)
    return source.ping(address, "-c", "2", "-i", "0.1", "-W", wait).returncode == 0


def test_a_slave_that_is_down_has_no_routes(routed: Routed) -> None:
    a, b, c = routed.slaves
    assert routed.routes() == routed.expected_routes(a, b, c)
    b.ip("link set {} down")
    eventually("no routes", lambda: routed.routes() == routed.expected_routes(a, c))
    b.netns.ip_lines(
        f"link set {b.name} up",
        f"addr replace {B[6]}/64 dev {b.name} nodad",  # the kernel removed it
        f"route replace 0.0.0.0/0 dev {b.name}",
        f"route replace ::/0 dev {b.name}",
    )
    eventually("its routes", lambda: routed.routes() == routed.expected_routes(a, b, c))
    for family in FAMILIES:
        ping_ok(routed.external, B[family])
        ping_ok(a.netns, B[family])


@by_family
def test_another_uplink_is_the_operators_to_open(routed: Routed, family: int) -> None:
    """Replies come back by it, and forwarding from there is not ipvlanx's to switch on. (Of IPv6
    it is on everywhere, where the kernel knows no other way.)"""
    if family == 4 or has_force_forwarding(routed.host):
        assert not answered(routed.slaves[0].netns, SECOND[family])
    with routed.forwarding_from_second():
        for slave in routed.slaves:
            ping_ok(slave.netns, SECOND[family])
            ping_ok(routed.second, slave.addresses[family])
        tcp_exchange(routed.slaves[0].netns, routed.second, SECOND[family])
        tcp_exchange(routed.second, routed.slaves[2].netns, C[family])


@by_family
def test_the_hosts_policy_chooses_the_uplink(routed: Routed, family: int) -> None:
    """By source address, and by the slave's host end."""
    a, b, c = routed.slaves
    rules = (f"from {B[family]}", f"iif {c.host_end}")
    # second is no way to far: nothing comes back, and nothing has to.
    routed.host.ip(f"-{family} route add default via {SECOND[family]} table 100")
    for rule in rules:
        routed.host.ip(f"-{family} rule add {rule} lookup 100")
    try:
        with Capture(routed.second, "y0") as second, Capture(routed.external, "x0") as external:
            ping_ok(a.netns, FAR[family])
            for slave in (b, c):
                slave.netns.ping(FAR[family], "-c", "1", "-W", "0.1")
                second.wait_for(lambda f, s=slave: is_from(f, s.addresses[family]))
    finally:
        for rule in rules:
            routed.host.ip(f"-{family} rule del {rule} lookup 100")
        routed.host.ip(f"-{family} route flush table 100")
    assert not second.matching(lambda f: is_from(f, A[family]))
    assert external.matching(lambda f: is_from(f, A[family]))
    for slave in (b, c):
        assert not external.matching(lambda f: is_from(f, slave.addresses[family]))


def is_from(frame: Frame, address: str) -> bool:
    packet = frame.packet
    return any(layer in packet and packet[layer].src == address for layer in (IP, IPv6))


# ------------------------------------------------------------------------ no ARP, no broadcasts


def test_what_is_not_unicast_ip_stays_in_the_slave(routed: Routed) -> None:
    a, b = routed.slaves[:2]
    mac = routed.net.mac
    lost = {
        "group": Ether(src=mac, dst=BROADCAST) / IP(src=A[4], dst="255.255.255.255") / Raw(MARK),
        "not_ip": Ether(src=mac, dst=mac, type=0x88B5) / Raw(MARK),
    }
    with (
        Capture(routed.external, "x0") as wire,
        Capture(b.netns, b.name) as at_b,
        Capture(routed.host, "m0") as at_host,
        Sender(a.netns, a.name) as sender,
    ):
        before = routed.drops(a)
        for frame in lost.values():
            sender.send(frame, 4)
        sender.send(Ether(src=mac, dst=mac) / echo_reply(A[4], EXTERNAL[4]))
        wire.wait_for(carrying(MARK))
    after = routed.drops(a)
    for reason in lost:
        assert after[reason] - before.get(reason, 0) == 4, after
    for capture in (wire, at_b, at_host):
        seen = capture.matching(carrying(MARK))
        assert all(f.is_unicast and f.data[12:14] == b"\x08\x00" for f in seen)


@by_family
def test_broadcasts_of_the_wire_are_the_hosts_alone(routed: Routed, family: int) -> None:
    group = {4: BROADCAST, 6: "33:33:00:00:00:01"}[family]
    destination = {4: "255.255.255.255", 6: "ff02::1"}[family]
    packet = echo_reply(EXTERNAL[family], destination)
    with contextlib.ExitStack() as stack:
        at_slaves = [stack.enter_context(Capture(s.netns, s.name)) for s in routed.slaves]
        at_host = stack.enter_context(Capture(routed.host, "m0"))
        sender = stack.enter_context(Sender(routed.external, "x0"))
        sender.send(Ether(src=routed.net.external_mac, dst=group) / packet)
        at_host.wait_for(carrying(MARK))
        at_host.settle()
    assert not [f for capture in at_slaves for f in capture.matching(carrying(MARK))]


@contextlib.contextmanager
def asking(routed: Routed, address: str) -> Iterator[None]:
    """External has no neighbour entry for this address, and asks."""
    routed.external.ip(f"neigh del {address} dev x0")
    try:
        yield
    finally:
        routed.know(address)


@by_family
def test_nobody_answers_for_a_slave(routed: Routed, family: int) -> None:
    with asking(routed, A[family]), Capture(routed.external, "x0") as wire:
        assert not answered(routed.external, A[family])
    assert not wire.matching(lambda f: not f.outgoing and is_answer(f))


def is_answer(frame: Frame) -> bool:
    return ARP in frame.packet and frame.packet[ARP].op == 2 or ICMPv6ND_NA in frame.packet


@by_family
def test_the_host_answers_for_slaves_where_it_is_told_to(routed: Routed, family: int) -> None:
    """proxy_arp: in l3s alone, as in l3 the slave gets the question (rules 20, 21). proxy_ndp needs
    an entry for each address, and that the master's own `forwarding` is on: the kernel does not
    ask `force_forwarding`."""
    settings = ("net/ipv4/conf/m0/proxy_arp",)
    if family == 6:
        settings = ("net/ipv6/conf/m0/proxy_ndp", "net/ipv6/conf/m0/forwarding")
        routed.host.ip(f"neigh add proxy {A[6]} dev m0")
    before = {name: read_sysctl(routed.host, name) for name in settings}
    for name in settings:
        routed.host.sysctl(name, 1)
    try:
        with asking(routed, A[family]):
            if family == 4 and routed.mode == "l3":
                assert not answered(routed.external, A[4])
            else:
                ping_ok(routed.external, A[family])
                (entry,) = routed.external.ip_json(f"neigh show {A[family]}")
                assert entry["lladdr"] == routed.net.mac
        assert not answered(routed.external, NOBODY[family])
    finally:
        for name, value in before.items():
            routed.host.sysctl(name, value)
        if family == 6:
            routed.host.ip(f"neigh del proxy {A[6]} dev m0")


# ------------------------------------------------------------------------ flags


@pytest.fixture
def flagged(request: pytest.FixtureRequest, routed: Routed) -> Iterator[Routed]:
    routed.daemon.cli(f"port set m0 {request.param}")
    yield routed
    routed.daemon.cli("port set m0 bridge")


@by_family
@pytest.mark.parametrize("flagged", ["private"], indirect=True)
def test_private_keeps_slaves_apart_but_not_from_the_wire(flagged: Routed, family: int) -> None:
    a, b = flagged.slaves[:2]
    before = flagged.drops(a).get("private", 0)
    assert not answered(a.netns, B[family])
    assert flagged.drops(a)["private"] >= before + 2
    ping_ok(a.netns, EXTERNAL[family])
    ping_ok(flagged.far, A[family])


@by_family
@pytest.mark.parametrize("flagged", ["vepa"], indirect=True)
def test_vepa_sends_all_to_the_switch(flagged: Routed, family: int) -> None:
    """And not by the host's routes to the sibling."""
    a, b = flagged.slaves[:2]
    with (
        Capture(flagged.external, "x0") as wire,
        counting_echoes(flagged.host, {"a": A[family]}) as host,
    ):
        assert not answered(a.netns, B[family])
        sent = wire.wait_for(lambda f: is_from(f, A[family]) and B[family] in ends(f))
        assert host.read() == {"a": (0, 0, 0, 0, 0)}
        assert all((f.source, f.destination) == (flagged.net.mac,) * 2 for f in sent)
    ping_ok(a.netns, EXTERNAL[family])
    ping_ok(flagged.far, A[family])


# ------------------------------------------------------------------------ size


@by_family
@pytest.mark.parametrize("way", ["in", "out", "between"])
def test_a_bulk_stream_is_not_segmented_on_the_way(routed: Routed, family: int, way: str) -> None:
    a, b = routed.slaves[:2]
    client, server, address, receiver, interface = {
        "in": (routed.external, a.netns, A, a.netns, a.name),
        "out": (a.netns, routed.external, EXTERNAL, routed.external, "x0"),
        "between": (a.netns, b.netns, B, b.netns, b.name),
    }[way]
    with Capture(receiver, interface, keep=64) as capture:
        report = iperf(client, server, address[family])
    assert report["end"]["sum_received"]["bytes"] > 1_000_000
    assert capture.matching(lambda frame: not frame.outgoing and frame.length > 3 * 1514)


@by_family
def test_fragments_arrive_all_of_them(routed: Routed, family: int) -> None:
    a, b = routed.slaves[:2]
    for client, server, address in (
        (routed.far, a.netns, A[family]),
        (a.netns, routed.far, FAR[family]),
        (a.netns, b.netns, B[family]),
    ):
        datagram(client, server, address, 8000)
