# SPDX-License-Identifier: Apache-2.0
"""Does the host show as a hop? Modes l3 and l3s: TTL and hop limit, ICMP errors, path MTU.

    far ---- 192.0.2.2 external 10.0.0.1 ---- 10.0.0.2 host ==== 10.0.0.10 ipvl0, 10.0.0.11 ipvl1

It forwards what a slave sends, and in l3s what it gets, and yet takes nothing: DESIGN.md 3.5.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, HOST
from routed import A, B, FAR, FAR_GATEWAY, ROUTED_MODES, SECOND, Routed, running
from space import SLOW, Netns, eventually, family_of, ping_ok, tcp_exchange
from wire import Capture, Sender, carrying

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
MARK = b"ipvlanx-test-marker"
LIVES = (1, 2, 64, 254, 255)
CLOSED_PORT = 9
SMALL_MTU = 1300


@pytest.fixture(scope="module", params=ROUTED_MODES)
def routed(request: pytest.FixtureRequest) -> Iterator[Routed]:
    with running(request.param) as drawing, drawing.forwarding_from_second():
        for slave in drawing.slaves:
            for family in FAMILIES:
                ping_ok(slave.netns, FAR[family])  # neighbours are known from here on
                ping_ok(slave.netns, SECOND[family])
        yield drawing


def echo_reply(source: str, destination: str, life: int) -> Packet:
    """What every stack takes and none answers."""
    if ":" in destination:
        return IPv6(src=source, dst=destination, hlim=life) / ICMPv6EchoReply(id=1, data=MARK)
    return IP(src=source, dst=destination, ttl=life) / ICMP(type=0, id=1) / Raw(MARK)


@by_family
@pytest.mark.parametrize("life", LIVES)
def test_to_the_wire(routed: Routed, family: int, life: int) -> None:
    """255 cannot be raised, and leaves as 254: a named difference."""
    a = routed.slaves[0]
    own = Ether(src=routed.net.mac, dst=routed.net.mac)
    with Sender(a.netns, a.name) as sender, Capture(routed.external, "x0") as wire:
        sender.send(own / echo_reply(A[family], EXTERNAL[family], life))
        (arrived,) = wire.wait_for(carrying(MARK))
    assert (arrived.source, arrived.destination) == (routed.net.mac, routed.net.external_mac)
    # The packet with its checksum, to the byte.
    assert arrived.data[14:] == bytes(echo_reply(A[family], EXTERNAL[family], min(life, 254)))


@by_family
@pytest.mark.parametrize("life", LIVES)
def test_from_the_wire(routed: Routed, family: int, life: int) -> None:
    a = routed.slaves[0]
    frame = Ether(src=routed.net.external_mac, dst=routed.net.mac)
    with Sender(routed.external, "x0") as sender, Capture(a.netns, a.name) as at_slave:
        sender.send(frame / echo_reply(EXTERNAL[family], A[family], life))
        (arrived,) = at_slave.wait_for(carrying(MARK))
    assert arrived.destination == routed.net.mac
    assert arrived.data[14:] == bytes(echo_reply(EXTERNAL[family], A[family], life))


@by_family
@pytest.mark.parametrize("life", LIVES)
def test_between_slaves(routed: Routed, family: int, life: int) -> None:
    a, b = routed.slaves[:2]
    own = Ether(src=routed.net.mac, dst=routed.net.mac)
    with Sender(a.netns, a.name) as sender, Capture(b.netns, b.name) as at_b:
        sender.send(own / echo_reply(A[family], B[family], life))
        (arrived,) = at_b.wait_for(carrying(MARK))
    assert arrived.data[14:] == bytes(echo_reply(A[family], B[family], life))


def hops(source: Netns, address: str, method: str) -> list[str]:
    words = ("-n", "-N", "1", "-q", "1", "-w", str(5 * SLOW), "-m", "5", method)
    said = source.run("traceroute", *words, address, timeout=60 * SLOW).stdout
    return re.findall(r"^ *\d+ +(\S+)", said, re.MULTILINE)


@by_family
@pytest.mark.parametrize("method", ["-I", "-U", "-T"], ids=["icmp", "udp", "tcp"])
def test_traceroute_does_not_see_the_host(routed: Routed, family: int, method: str) -> None:
    a, b = (slave.netns for slave in routed.slaves[:2])
    assert hops(a, FAR[family], method) == [EXTERNAL[family], FAR[family]]
    assert hops(routed.far, A[family], method) == [FAR_GATEWAY[family], A[family]]
    assert hops(a, B[family], method) == [B[family]]


# ------------------------------------------------------------------- ICMP errors


def refused(client: Netns, address: str) -> bool:
    """Is a datagram to a closed port answered with an ICMP error, which its sender is told of?"""
    with client.socket(family_of(address), socket.SOCK_DGRAM) as mouth:
        mouth.settimeout(3 * SLOW)
        mouth.connect((address, CLOSED_PORT))
        mouth.send(MARK)
        try:
            mouth.recv(100)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False


@by_family
def test_a_closed_port_says_so(routed: Routed, family: int) -> None:
    a, b = (slave.netns for slave in routed.slaves[:2])
    assert refused(a, FAR[family])
    assert refused(routed.far, A[family])
    assert refused(a, B[family])


@by_family
def test_a_router_on_the_way_says_that_time_is_up(routed: Routed, family: int) -> None:
    a = routed.slaves[0].netns
    done = a.ping(FAR[family], "-c", "1", "-t", "1", "-W", "5")
    assert re.search(rf"From {EXTERNAL[family]}.*Time", done.stdout), done.stdout
    done = routed.far.ping(A[family], "-c", "1", "-t", "1", "-W", "5")
    assert re.search(rf"From {FAR_GATEWAY[family]}.*Time", done.stdout), done.stdout


# ---------------------------------------------------------------------- path MTU


@contextlib.contextmanager
def smaller_wire(near: Netns, its: str, remote: Netns, interface: str) -> Iterator[None]:
    """The remote end does not say so in its TCP segments: senders have to find out."""
    gateways = {f: remote.ip_json(f"-{f} route show default")[0]["gateway"] for f in FAMILIES}
    for space, name in ((near, its), (remote, interface)):
        space.ip(f"link set {name} mtu {SMALL_MTU}")
    remote.ip_lines(*(f"route change default via {gateways[f]} advmss 1440" for f in FAMILIES))
    try:
        yield
    finally:
        for space, name in ((near, its), (remote, interface)):
            space.ip(f"link set {name} mtu 1500")
        remote.ip_lines(*(f"route change default via {gateways[f]}" for f in FAMILIES))


@contextlib.contextmanager
def forgetting_paths(space: Netns) -> Iterator[None]:
    try:
        yield
    finally:
        for family in FAMILIES:
            space.ip(f"-{family} route flush cache")


def path_mtu(space: Netns, address: str) -> int | None:
    (route,) = space.ip_json(f"route get {address}")
    return next((m["mtu"] for m in route.get("metrics", []) if "mtu" in m), None)


def learns_the_path_mtu(client: Netns, server: Netns, address: str, router: str) -> None:
    """From what `router` says of a packet that is too long, an echo request or a segment."""
    assert path_mtu(client, address) is None
    with forgetting_paths(client):
        done = client.ping(address, "-c", "1", "-s", "1400", "-M", "do", "-W", "5")
        assert re.search(rf"From {router}.*mtu ?= ?{SMALL_MTU}", done.stdout), done.stdout
        assert path_mtu(client, address) == SMALL_MTU
    with forgetting_paths(client):
        assert path_mtu(client, address) is None
        tcp_exchange(client, server, address)
        assert path_mtu(client, address) == SMALL_MTU


@by_family
def test_a_smaller_link_far_away(routed: Routed, family: int) -> None:
    with smaller_wire(routed.external, "x1", routed.far, "f0"):
        a = routed.slaves[0].netns
        learns_the_path_mtu(a, routed.far, FAR[family], EXTERNAL[family])


@by_family
def test_a_smaller_uplink_of_the_host(routed: Routed, family: int) -> None:
    with smaller_wire(routed.host, "m1", routed.second, "y0"):
        a = routed.slaves[0].netns
        learns_the_path_mtu(a, routed.second, SECOND[family], HOST[family])


@by_family
def test_a_slave_with_a_smaller_mtu(routed: Routed, family: int) -> None:
    """In l3s the host says so (the kernel's l3s does not); in l3 the slave takes what comes."""
    a, far = routed.slaves[0], routed.far
    set_slave_mtu(routed, SMALL_MTU)
    try:
        with forgetting_paths(far):
            done = far.ping(A[family], "-c", "1", "-s", "1400", "-M", "do", "-W", "5")
            if routed.mode == "l3s":
                assert re.search(rf"From {HOST[family]}.*mtu ?= ?{SMALL_MTU}", done.stdout)
            else:
                assert done.returncode == 0, done.stdout
            tcp_exchange(far, a.netns, A[family])
            tcp_exchange(a.netns, far, FAR[family])
    finally:
        set_slave_mtu(routed, 1500)


def set_slave_mtu(routed: Routed, mtu: int) -> None:
    a = routed.slaves[0]
    a.ip(f"link set mtu {mtu} {{}}")
    eventually("its host end's", lambda: routed.host.link(a.host_end)["mtu"] == mtu)
