# SPDX-License-Identifier: Apache-2.0
"""l3s: does the host's firewall do for its slaves what it does for any host it forwards for?

    far                external              host                    ns0, ns1
    192.0.2.1 ------- 10.0.0.1 ------------- m0 ==== l3s slaves ===  ipvl0, ipvl1
                                             10.0.0.2                10.0.0.10, 10.0.0.11

Conntrack, default drop, REJECT, NAT and a helper; by nftables and by legacy iptables.
"""

from __future__ import annotations

import contextlib
import ftplib
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, HOST
from netfilter import (
    TABLE, Direction, Firewall, LegacyIptables, Nftables, flows, forget_flows, nft, tracking,
)  # fmt: skip
from routed import A, B, FAR, FAR_GATEWAY, SECOND, Routed, datagram, running
from space import SLOW, Netns, eventually, family_of, ping_ok, tcp_exchange
from stream import Stream
from wire import Capture, Frame, Sender

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
MARK = b"ipvlanx-test-marker"
SERVICE, FORWARDED = 5001, 8080


@pytest.fixture(scope="module")
def routed() -> Iterator[Routed]:
    with running("l3s") as drawing:
        yield drawing


@pytest.fixture(params=[Nftables, LegacyIptables], ids=["nft", "legacy"])
def firewall(request: pytest.FixtureRequest, routed: Routed, family: int) -> Iterator[Firewall]:
    rules = request.param(routed.host, family)
    yield rules
    rules.clear()
    forget_flows(routed.host)


# ---------------------------------------------------------------------- two ends


@dataclass(frozen=True)
class Seen:
    """Whom the ends of a connection take each other for."""

    by_server: str
    by_client: str


def connect(client: Netns, server: Netns, to: str, at: str, port: int = SERVICE) -> Seen:
    """A connection to `to` and `port` arrives at `at` and SERVICE, and carries bytes both ways."""
    kind = family_of(to)
    with (
        server.socket(kind, socket.SOCK_STREAM) as listener,
        client.socket(kind, socket.SOCK_STREAM) as near,
    ):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(3 * SLOW)
        listener.bind((at, SERVICE))
        listener.listen()
        near.settimeout(3 * SLOW)
        near.connect((to, port))
        far, peer = listener.accept()
        with far:
            far.settimeout(3 * SLOW)
            for sender, receiver in ((near, far), (far, near)):
                payload = os.urandom(5000)
                sender.sendall(payload)
                received = b""
                while len(received) < len(payload):
                    received += receiver.recv(5000)
                assert received == payload
        return Seen(by_server=peer[0], by_client=near.getpeername()[0])


def error_of(
    client: Netns, address: str, kind: int, port: int = SERVICE, seconds: float = 3
) -> OSError:
    """What a connection, or a datagram, comes to."""
    with client.socket(family_of(address), kind) as mouth:
        mouth.settimeout(seconds * SLOW)
        with pytest.raises(OSError) as caught:
            mouth.connect((address, port))
            mouth.send(MARK)
            mouth.recv(100)
        return caught.value


# -------------------------------------------------------------------- conntrack


@by_family
@pytest.mark.parametrize("initiator", ["slave", "external"])
def test_a_flow_is_one_entry_that_counts_both_directions(
    routed: Routed, initiator: str, family: int
) -> None:
    a = routed.slaves[0].netns
    client, server, source, to = {
        "slave": (a, routed.external, A[family], EXTERNAL[family]),
        "external": (routed.external, a, EXTERNAL[family], A[family]),
    }[initiator]
    ping_ok(client, to, "-c", "1", "-W", "5")  # neighbours are known
    with tracking(routed.host):
        ping_ok(client, to)
        connect(client, server, to, to)
        known = {flow.protocol: flow for flow in flows(routed.host, A[family])}
        assert len(flows(routed.host, A[family])) == 2
    echo = known["icmp" if family == 4 else "icmpv6"]
    assert echo.original == Direction(source, to, 3)
    assert echo.reply == Direction(to, source, 3)
    stream = known["tcp"]
    assert (stream.original.source, stream.reply.source) == (source, to)
    assert stream.original.packets >= 4 and stream.reply.packets >= 4


@by_family
def test_what_slaves_tell_each_other_has_no_entry(routed: Routed, family: int) -> None:
    a, b = (slave.netns for slave in routed.slaves[:2])
    with tracking(routed.host):
        ping_ok(a, B[family])
        connect(a, b, B[family], B[family])
        assert flows(routed.host, A[family]) == []


# -------------------------------------------------------------- accept, drop, reject


@by_family
def test_default_drop_lets_answers_pass(routed: Routed, firewall: Firewall, family: int) -> None:
    a, b = (slave.netns for slave in routed.slaves[:2])
    firewall.drop_by_default()
    assert not answered(a, EXTERNAL[family])
    assert not answered(routed.external, A[family])
    tcp_exchange(a, b, B[family])  # none of the host's business
    firewall.accept_from("ipvx*")
    tcp_exchange(a, routed.far, FAR[family])
    ping_ok(a, EXTERNAL[family])
    assert not answered(routed.external, A[family])
    firewall.accept_from("m0", SERVICE)
    tcp_exchange(routed.external, a, A[family])
    assert not answered(routed.external, A[family])


def answered(source: Netns, address: str) -> bool:
    wait = str(0.3 * SLOW)
    return source.ping(address, "-c", "2", "-i", "0.1", "-W", wait).returncode == 0


def stray_segment(source: str, destination: str) -> Packet:
    """Of no connection."""
    layer = IPv6 if ":" in source else IP
    segment = TCP(sport=5003, dport=5004, flags="A", seq=1, ack=1)
    return layer(src=source, dst=destination) / segment / Raw(MARK)


@by_family
def test_segments_of_no_connection_are_invalid(
    routed: Routed, firewall: Firewall, family: int
) -> None:
    a, mac = routed.slaves[0], routed.net.mac
    frames = {
        "out": Ether(src=mac, dst=mac) / stray_segment(A[family], EXTERNAL[family]),
        "in": Ether(src=routed.net.external_mac, dst=mac)
        / stray_segment(EXTERNAL[family], A[family]),
    }

    def arrive() -> list[bool]:
        forget_flows(routed.host)
        with (
            Capture(routed.external, "x0") as wire,
            Capture(a.netns, a.name) as at_slave,
            Sender(a.netns, a.name) as from_slave,
            Sender(routed.external, "x0") as from_wire,
        ):
            from_slave.send(frames["out"])
            from_wire.send(frames["in"])
            wire.settle()
        return [
            bool(capture.matching(lambda f: MARK in f.data and not f.outgoing))
            for capture in (wire, at_slave)
        ]

    routed.host.sysctl("net/netfilter/nf_conntrack_tcp_loose", 0)
    try:
        assert arrive() == [True, True]
        firewall.drop_invalid()
        assert arrive() == [False, False]
        tcp_exchange(a.netns, routed.far, FAR[family])
        tcp_exchange(routed.far, a.netns, A[family])
    finally:
        routed.host.sysctl("net/netfilter/nf_conntrack_tcp_loose", 1)


@by_family
@pytest.mark.parametrize(
    "protocol, way", [("tcp", ""), ("tcp", "tcp reset"), ("udp", "")], ids=["tcp", "reset", "udp"]
)
def test_a_refusal_arrives(
    routed: Routed, firewall: Firewall, family: int, protocol: str, way: str
) -> None:
    """At the slave, and at whom the slave is kept from."""
    a = routed.slaves[0]
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
    firewall.reject(protocol, SERVICE, way)
    with Capture(a.netns, a.name) as at_slave, Capture(routed.external, "x0") as wire:
        for client, address in ((a.netns, FAR[family]), (routed.far, A[family])):
            assert isinstance(error_of(client, address, kind), ConnectionRefusedError)
    refusals = at_slave.matching(lambda f: not f.outgoing and is_refusal(f))
    # A client of IPv6 may ask once more.
    assert 1 <= len(refusals) <= 2, [f.packet.summary() for f in at_slave.frames]
    assert refusals[0].destination == routed.net.mac
    # What was refused did not leave, and did not enter.
    assert not wire.matching(lambda f: not f.outgoing and is_attempt(f, A[family]))
    assert not at_slave.matching(lambda f: not f.outgoing and is_attempt(f, FAR[family]))


def is_refusal(frame: Frame) -> bool:
    packet = frame.packet
    if TCP in packet:
        return "R" in packet[TCP].flags
    return ICMP in packet and packet[ICMP].type == 3 or ICMPv6DestUnreach in packet


def is_attempt(frame: Frame, source: str) -> bool:
    packet = frame.packet
    for layer in (IP, IPv6):
        if layer in packet and packet[layer].src == source:
            first = packet[layer].payload
            return isinstance(first, (TCP, UDP)) and first.dport == SERVICE
    return False


@by_family
@pytest.mark.parametrize("way", ["out", "in"])
def test_rules_that_come_and_go_under_traffic(
    routed: Routed, firewall: Firewall, family: int, way: str
) -> None:
    a = routed.slaves[0].netns
    source, sink, address = {
        "out": (a, routed.far, FAR[family]),
        "in": (routed.far, a, A[family]),
    }[way]
    with Stream(source, sink, address) as numbers:
        numbers.wait_until_it_arrives()
        firewall.drop("udp", numbers.port)
        since = numbers.mark()
        numbers.wait_for(200)
        until = numbers.sent
        firewall.clear()
        numbers.wait_until_it_arrives()
    assert numbers.received(since, until) == []
    assert set(numbers.lost()) <= set(range(since - 200, until + 200))


@by_family
def test_fragments_of_an_accepted_flow(routed: Routed, firewall: Firewall, family: int) -> None:
    """Conntrack puts them together and takes them apart again."""
    a = routed.slaves[0].netns
    firewall.drop_by_default()
    firewall.accept_from("ipvx*")
    with Capture(a, "ipvl0") as at_slave:
        datagram(a, routed.far, FAR[family], 8000)
    assert max(frame.length for frame in at_slave.frames) <= 1514


@by_family
def test_a_slaves_own_firewall_sees_what_comes_in(routed: Routed, family: int) -> None:
    """With the kernel's l3s it does not."""
    a = routed.slaves[0].netns
    rules = Nftables(a, family)
    nft(a, f"add chain {TABLE[family]} fw input {{ type filter hook input priority filter; }}")
    ping_ok(routed.external, A[family])
    nft(a, f"add chain {TABLE[family]} fw input {{ policy drop; }}")
    try:
        assert not answered(routed.external, A[family])
        assert not answered(a, EXTERNAL[family])
    finally:
        rules.clear()
    ping_ok(routed.external, A[family])


# ---------------------------------------------------------------------------- NAT


@by_family
def test_a_port_of_the_hosts_is_a_slaves(routed: Routed, firewall: Firewall, family: int) -> None:
    """DNAT, from next door, from afar and by another uplink."""
    a = routed.slaves[0].netns
    firewall.dnat(HOST[family], FORWARDED, A[family], SERVICE)
    with routed.forwarding_from_second():
        for client, address in (
            (routed.external, EXTERNAL[family]),
            (routed.far, FAR[family]),
            (routed.second, SECOND[family]),
        ):
            seen = connect(client, a, HOST[family], A[family], FORWARDED)
            assert seen == Seen(by_server=address, by_client=HOST[family])


@by_family
@pytest.mark.parametrize("how", ["masquerade", "snat"])
def test_the_hosts_address_for_a_slave(
    routed: Routed, firewall: Firewall, family: int, how: str
) -> None:
    a = routed.slaves[0]
    if how == "masquerade":
        firewall.masquerade("m0")
    else:
        firewall.snat(A[family], HOST[family])
    seen = connect(a.netns, routed.far, FAR[family], FAR[family])
    assert seen == Seen(by_server=HOST[family], by_client=FAR[family])
    tcp_exchange(a.netns, routed.far, FAR[family])
    with Capture(routed.external, "x0") as wire, Capture(a.netns, a.name) as at_slave:
        ping_ok(a.netns, EXTERNAL[family])
        # An ICMP error about what was translated is translated back.
        error = error_of(a.netns, FAR[family], socket.SOCK_DGRAM)
        assert isinstance(error, ConnectionRefusedError)
    assert not wire.matching(lambda f: A[family] in ends(f))
    # Nobody sees the host as a hop, not even so.
    assert lives(wire, HOST[family]) == lives(at_slave, EXTERNAL[family]) == {64}
    # Whoever speaks to the slave by its own address is answered by that.
    seen = connect(routed.external, a.netns, A[family], A[family])
    assert seen == Seen(by_server=EXTERNAL[family], by_client=A[family])


def ends(frame: Frame) -> set[str]:
    for layer in (IP, IPv6):
        if layer in frame.packet:
            return {frame.packet[layer].src, frame.packet[layer].dst}
    return set()


def lives(capture: Capture, source: str) -> set[int]:
    """TTL or hop limit of what came from there."""
    packets = [f.packet for f in capture.frames if not f.outgoing]
    return {p[IP].ttl for p in packets if IP in p and p[IP].src == source} | {
        p[IPv6].hlim for p in packets if IPv6 in p and p[IPv6].src == source
    }


@by_family
def test_the_host_shows_as_a_hop_only_behind_its_own_address(
    routed: Routed, firewall: Firewall, family: int
) -> None:
    """A named difference: that a packet for the host with TTL 1 is a slave's, is not known when
    that could still be helped."""
    firewall.dnat(HOST[family], FORWARDED, A[family], SERVICE)
    here, gateway = HOST[family], FAR_GATEWAY[family]
    assert hops(routed.far, here, FORWARDED) == [gateway, here, here]
    assert hops(routed.far, A[family], SERVICE) == [gateway, A[family]]


def hops(source: Netns, address: str, port: int) -> list[str]:
    words = ("-n", "-N", "1", "-q", "1", "-w", str(5 * SLOW), "-m", "5", "-T", "-p", str(port))
    said = source.run("traceroute", *words, address, timeout=60 * SLOW).stdout
    return re.findall(r"^ *\d+ +(\S+)", said, re.MULTILINE)


@by_family
def test_hairpin(routed: Routed, firewall: Firewall, family: int) -> None:
    """A slave reaches its sibling, and itself, by the host's address and port; with masquerade, as
    else the sibling would answer directly, past the host's netfilter."""
    a, b = routed.slaves[:2]
    firewall.dnat(HOST[family], FORWARDED, B[family], SERVICE)
    error = error_of(a.netns, HOST[family], socket.SOCK_STREAM, FORWARDED, seconds=0.5)
    assert isinstance(error, TimeoutError)
    firewall.masquerade(b.host_end)
    for client in (a, b):
        seen = connect(client.netns, b.netns, HOST[family], B[family], FORWARDED)
        assert seen == Seen(by_server=HOST[family], by_client=HOST[family])


# ------------------------------------------------------------------------ helpers


# The helper writes fd00::2 as fd00:0:0:0:0:0:0:2, which the server takes for somebody else's.
FTP_SERVER = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous("/sys/class/net")
FTPHandler.permit_foreign_addresses = True
FTPServer((sys.argv[1], 21), FTPHandler).serve_forever()
"""


@contextlib.contextmanager
def ftp_server(space: Netns, address: str) -> Iterator[None]:
    server = space.spawn(
        "/usr/bin/python3", "-c", FTP_SERVER, address,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def listens() -> bool:
        return address in space.run("ss", "-Hltn", "sport", "=", "21").stdout

    try:
        eventually("the FTP server listens", listens, 10)
        yield
    finally:
        server.kill()
        server.wait()


def ftp_listing(client: Netns, address: str, passive: bool, seconds: float) -> list[str]:
    def ask() -> list[str]:
        with ftplib.FTP(timeout=seconds * SLOW) as session:
            session.connect(address)
            session.login()
            session.set_pasv(passive)
            return session.nlst()

    return client.inside(ask)


@by_family
@pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])
@pytest.mark.parametrize("server", ["slave", "far"])
def test_ftp_by_conntracks_helper(
    routed: Routed, firewall: Firewall, family: int, passive: bool, server: str
) -> None:
    """Data connections are related to the control connection, and nothing else is let in. The
    slave's address is translated on the way, also where it is told in the control connection."""
    a = routed.slaves[0].netns
    firewall.drop_by_default()
    if server == "slave":
        firewall.accept_from("m0", 21)
        firewall.dnat(HOST[family], 21, A[family], 21)
        space, client, listen, address = a, routed.far, A[family], HOST[family]
    else:
        firewall.accept_from("ipvx*", 21)
        firewall.masquerade("m0")
        space, client, listen, address = routed.far, a, FAR[family], FAR[family]
    with ftp_server(space, listen):
        with pytest.raises(ftplib.all_errors):
            ftp_listing(client, address, passive, seconds=0.5)
        firewall.help_ftp()
        assert "lo" in ftp_listing(client, address, passive, seconds=5)
