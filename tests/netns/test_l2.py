# SPDX-License-Identifier: Apache-2.0
"""Which frames does an l2 port steer to a slave, and does it leave them as they are?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1

The destination address alone decides (SEMANTICS.md rules 10 to 18, 23, 24); big segments,
fragments and jumbo frames pass as they came; what is malformed or tagged stays with the host.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, NOBODY, Slave, Topology, slave_addresses
from maps import difference
from space import Netns, eventually, family_of, iperf, ping_ok
from wire import Capture, Frame, Sender, carrying

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
A, B = slave_addresses(0), slave_addresses(1)
MARK = b"ipvlanx-test-marker"


def echo_reply(source: str, destination: str) -> Packet:
    """What every stack takes and none answers."""
    if ":" in destination:
        return IPv6(src=source, dst=destination) / ICMPv6EchoReply(id=1, data=MARK)
    return IP(src=source, dst=destination) / ICMP(type=0, id=1) / Raw(MARK)


def bytes_of(packet: Packet, at: int, value: bytes) -> bytes:
    """The frame with some of its bytes replaced; checksums stay as they were."""
    data = bytearray(bytes(packet))
    data[at : at + len(value)] = value
    return bytes(data)


@by_family
def test_the_destination_address_decides(pair: Topology, family: int) -> None:
    a, b = pair.slaves
    ethernet = Ether(src=pair.external_mac, dst=pair.mac)
    with (
        Sender(pair.external, "x0") as sender,
        Capture(a.netns, a.name) as at_a,
        Capture(b.netns, b.name) as at_b,
    ):
        sender.send(ethernet / echo_reply(EXTERNAL[family], A[family]), 3)
        sender.send(ethernet / echo_reply(EXTERNAL[family], B[family]), 5)
        at_b.wait_for(carrying(MARK), 5)
        at_b.settle()
    assert len(at_a.matching(carrying(MARK))) == 3
    assert len(at_b.matching(carrying(MARK))) == 5
    arrived = at_a.matching(carrying(MARK))[0]
    assert arrived.data == bytes(ethernet / echo_reply(EXTERNAL[family], A[family])), "unchanged"


@by_family
def test_an_address_of_no_slave_stays_with_the_host(pair: Topology, family: int) -> None:
    ethernet = Ether(src=pair.external_mac, dst=pair.mac)
    stay_with_the_host(pair, ethernet / echo_reply(EXTERNAL[family], NOBODY[family]))


def test_unicast_of_another_protocol_stays_with_the_host(pair: Topology) -> None:
    ethernet = Ether(src=pair.external_mac, dst=pair.mac, type=0x88B5)
    stay_with_the_host(pair, ethernet / Raw(MARK + bytes(40)))


def stay_with_the_host(net: Topology, frame: Packet | bytes, count: int = 4) -> None:
    """Neither slave sees it, and the master counts it as passed to the host's stack."""
    with contextlib.ExitStack() as stack:
        at_slaves = [stack.enter_context(Capture(s.netns, s.name)) for s in net.slaves]
        at_master = stack.enter_context(Capture(net.host, "m0"))
        sender = stack.enter_context(Sender(net.external, "x0"))
        before = net.maps.counters()
        sender.send(frame, count)
        at_master.wait_for(carrying(MARK), count)
        at_master.settle()
        counted = difference(before, net.maps.counters())
    for capture in at_slaves:
        seen = capture.matching(carrying(MARK))
        assert not seen, [f.packet.summary() for f in seen]
    assert counted.get(("passed", net.master, "packets"), 0) >= count


# ------------------------------------------------------------------- malformed, tagged


IPV4_LENGTH = len(echo_reply(EXTERNAL[4], A[4]))
# One field is wrong, the checksum right; and which counter of the host's own stack notices.
MALFORMED = {
    "header_of_four_words": ({"ihl": 4}, "IpInHdrErrors"),
    "version_five": ({"version": 5}, "IpInHdrErrors"),
    "longer_than_the_frame": ({"len": IPV4_LENGTH + 1}, "IpExtInTruncatedPkts"),
    "shorter_than_its_header": ({"len": 19}, "IpInHdrErrors"),
}


@pytest.mark.parametrize("fields, host_counter", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_ipv4_header_stays_with_the_host(
    pair: Topology, fields: dict[str, int], host_counter: str
) -> None:
    good = Ether(src=pair.external_mac, dst=pair.mac) / echo_reply(EXTERNAL[4], A[4])
    with Capture(pair.slaves[0].netns, "ipvl0") as at_slave, Sender(pair.external, "x0") as sender:
        sender.send(good)
        at_slave.wait_for(carrying(MARK))  # unspoilt, it does reach the slave
    spoilt = good.copy()
    for name, value in fields.items():
        setattr(spoilt[IP], name, value)
    before = host_ip_counter(pair.host, host_counter)
    stay_with_the_host(pair, spoilt, 4)
    assert host_ip_counter(pair.host, host_counter) - before == 4


def host_ip_counter(host: Netns, name: str) -> int:
    if not name.startswith("IpExt"):
        return host.snmp()[name]
    said = host.run("nstat", "-asz", name).stdout.split()
    return int(said[said.index(name) + 1])


def test_an_ipv4_packet_may_be_shorter_than_its_frame(pair: Topology) -> None:
    """Ethernet's padding is no malformation."""
    good = Ether(src=pair.external_mac, dst=pair.mac) / echo_reply(EXTERNAL[4], A[4])
    with Capture(pair.slaves[0].netns, "ipvl0") as at_slave, Sender(pair.external, "x0") as sender:
        sender.send(bytes(good) + bytes(10))
        at_slave.wait_for(carrying(MARK))


def test_a_wrong_version_of_ipv6_stays_with_the_host(pair: Topology) -> None:
    good = Ether(src=pair.external_mac, dst=pair.mac) / echo_reply(EXTERNAL[6], A[6])
    stay_with_the_host(pair, bytes_of(good, 14, b"\x50"))


def test_a_truncated_arp_packet_stays_with_the_host(pair: Topology) -> None:
    a = pair.slaves[0]
    request = Ether(src=pair.external_mac, dst=pair.mac) / ARP(
        op=1, hwsrc=pair.external_mac, psrc=EXTERNAL[4], hwdst=pair.mac, pdst=A[4]
    )
    arp = lambda frame: ARP in frame.packet or frame.data[12:14] == b"\x08\x06"  # noqa: E731
    with Sender(pair.external, "x0") as sender, Capture(a.netns, a.name) as at_slave:
        before = pair.maps.counters()
        sender.send(bytes(request)[:-1], 4)  # its target address ends beyond the frame
        at_slave.settle()
        counted = difference(before, pair.maps.counters())
        assert not at_slave.matching(arp)
        assert counted.get(("passed", pair.master, "packets"), 0) >= 4
        sender.send(request)  # whole, it reaches the slave
        at_slave.wait_for(arp)


@by_family
def test_a_tagged_frame_never_reaches_a_slave(pair: Topology, family: int) -> None:
    ethernet = Ether(src=pair.external_mac, dst=pair.mac)
    good = ethernet / echo_reply(EXTERNAL[family], A[family])
    with Capture(pair.slaves[0].netns, "ipvl0") as at_slave, Sender(pair.external, "x0") as sender:
        sender.send(good)
        at_slave.wait_for(carrying(MARK))
    for tag in (Dot1Q(vlan=5), Dot1Q(vlan=0, prio=3), Dot1Q(vlan=5) / Dot1Q(vlan=6)):
        stay_with_the_host(pair, ethernet / tag / echo_reply(EXTERNAL[family], A[family]))
    broadcast = Ether(src=pair.external_mac, dst="ff:ff:ff:ff:ff:ff")
    stay_with_the_host(
        pair, broadcast / Dot1Q(vlan=5) / echo_reply(EXTERNAL[family], NOBODY[family])
    )


# ---------------------------------------------------------------------- what a slave sends


@by_family
def test_the_source_mac_is_the_masters_whatever_a_slave_writes(pair: Topology, family: int) -> None:
    a, b = pair.slaves
    forged = "02:de:ad:be:ef:01"
    to_wire = Ether(src=forged, dst=pair.external_mac) / echo_reply(A[family], EXTERNAL[family])
    to_sibling = Ether(src=forged, dst=pair.mac) / echo_reply(A[family], B[family])
    to_all = Ether(src=forged, dst="ff:ff:ff:ff:ff:ff") / echo_reply(A[family], NOBODY[family])
    with (
        Sender(a.netns, a.name) as sender,
        Capture(pair.external, "x0") as wire,
        Capture(b.netns, b.name) as at_b,
    ):
        for frame in (to_wire, to_sibling, to_all):
            sender.send(frame)
        on_the_wire = wire.wait_for(carrying(MARK), 2)
        beside_it = at_b.wait_for(carrying(MARK), 2)
    for frame in on_the_wire + beside_it:
        assert frame.source == pair.mac
    # Nothing else of it changed.
    assert on_the_wire[0].data[12:] == bytes(to_wire)[12:]
    assert {frame.destination for frame in on_the_wire} == {pair.external_mac, "ff:ff:ff:ff:ff:ff"}


@by_family
def test_a_forged_source_address_leaves_unchanged(pair: Topology, family: int) -> None:
    a = pair.slaves[0]
    forged = {4: "192.0.2.77", 6: "2001:db8::77"}[family]
    frame = Ether(src=pair.mac, dst=pair.external_mac) / echo_reply(forged, EXTERNAL[family])
    with Sender(a.netns, a.name) as sender, Capture(pair.external, "x0") as wire:
        sender.send(frame)
        (arrived,) = wire.wait_for(carrying(MARK))
    assert arrived.data == bytes(frame)


@by_family
def test_a_slaves_broadcast_goes_to_slaves_and_wire_but_not_to_the_host(
    pair: Topology, family: int
) -> None:
    a, b = pair.slaves
    group = {4: "ff:ff:ff:ff:ff:ff", 6: "33:33:00:00:00:01"}[family]
    destination = {4: "255.255.255.255", 6: "ff02::1"}[family]
    frame = Ether(src=pair.mac, dst=group) / echo_reply(A[family], destination)
    with contextlib.ExitStack() as stack:
        at_a, at_b, on_master, wire = (
            stack.enter_context(Capture(space, interface))
            for space, interface in (
                (a.netns, a.name), (b.netns, b.name), (pair.host, "m0"), (pair.external, "x0"),
            )
        )  # fmt: skip
        stack.enter_context(Sender(a.netns, a.name)).send(frame)
        wire.settle()
    assert [f.outgoing for f in at_a.matching(carrying(MARK))] == [True], "no copy of its own"
    assert [f.outgoing for f in at_b.matching(carrying(MARK))] == [False]
    assert [f.outgoing for f in on_master.matching(carrying(MARK))] == [True], "out, never in"
    assert [f.outgoing for f in wire.matching(carrying(MARK))] == [False]


@by_family
def test_a_broadcast_of_the_wire_reaches_the_host_and_each_slave_once(
    pair: Topology, family: int
) -> None:
    group = {4: "ff:ff:ff:ff:ff:ff", 6: "33:33:00:00:00:01"}[family]
    destination = {4: "255.255.255.255", 6: "ff02::1"}[family]
    frame = Ether(src=pair.external_mac, dst=group) / echo_reply(EXTERNAL[family], destination)
    before = pair.maps.counters()
    with contextlib.ExitStack() as stack:
        captures = [stack.enter_context(Capture(s.netns, s.name)) for s in pair.slaves]
        stack.enter_context(Sender(pair.external, "x0")).send(frame)
        captures[0].settle()
    for capture in captures:
        copies = capture.matching(carrying(MARK))
        assert [copy.data for copy in copies] == [bytes(frame)]
    counted = difference(before, pair.maps.counters())
    assert counted.get(("passed", pair.master, "packets"), 0) >= 1


def test_our_own_broadcast_coming_back_is_not_copied_again(pair: Topology) -> None:
    """Rule 12: the master's MAC and a slave's address as source."""
    back = Ether(src=pair.mac, dst="ff:ff:ff:ff:ff:ff") / echo_reply(A[4], "255.255.255.255")
    stay_with_the_host(pair, back)
    foreign = back.copy()
    foreign[IP].src = NOBODY[4]
    b = pair.slaves[1]
    with Sender(pair.external, "x0") as sender, Capture(b.netns, b.name) as at_b:
        sender.send(foreign)
        at_b.wait_for(carrying(MARK))


# ------------------------------------------------------------------------ sizes


@by_family
@pytest.mark.parametrize("way", ["in", "out", "between"])
def test_a_bulk_stream_is_not_segmented_on_the_way(pair: Topology, family: int, way: str) -> None:
    a, b = pair.slaves
    client, server, address = {
        "in": (pair.external, a.netns, A[family]),
        "out": (a.netns, pair.external, EXTERNAL[family]),
        "between": (a.netns, b.netns, B[family]),
    }[way]
    receiver, interface = {
        "in": (a.netns, a.name),
        "out": (pair.external, "x0"),
        "between": (b.netns, b.name),
    }[way]
    before = {slave.id: stats(pair, slave) for slave in pair.slaves}
    with Capture(receiver, interface, keep=64) as capture:
        report = iperf(client, server, address)
    assert report["end"]["sum_received"]["bytes"] > 1_000_000
    big = capture.matching(lambda frame: not frame.outgoing and frame.length > 3 * 1514)
    assert big, f"{len(capture.frames)} frames, none longer than three MTUs"
    for slave, direction in {
        "in": ((a, "rx"),),
        "out": ((a, "tx"),),
        "between": ((a, "tx"), (b, "rx")),
    }[way]:
        now, then = stats(pair, slave)[direction], before[slave.id][direction]
        average = (now["bytes"] - then["bytes"]) / (now["packets"] - then["packets"])
        assert average > 3 * 1514, f"{slave.name} {direction}: {average:.0f} bytes per packet"
        assert now["dropped"] == then["dropped"]


def stats(net: Topology, slave: Slave) -> dict:
    return net.daemon.get(f"/v1/slaves/{slave.id}/stats")


def datagram(client: Netns, server: Netns, address: str, size: int) -> None:
    """One UDP datagram of this size gets there whole, and back."""
    payload = os.urandom(size)
    family = family_of(address)
    with (
        server.socket(family, socket.SOCK_DGRAM) as far,
        client.socket(family, socket.SOCK_DGRAM) as near,
    ):
        for end in (far, near):
            end.settimeout(3)
        far.bind((address, 5002))
        near.connect((address, 5002))
        near.send(payload)
        received, sender = far.recvfrom(65536)
        assert received == payload
        far.sendto(payload, sender)
        assert near.recv(65536) == payload


def is_fragment(frame: Frame) -> bool:
    packet = frame.packet
    if IP in packet:
        return packet[IP].flags.MF or packet[IP].frag > 0
    return IPv6 in packet and packet[IPv6].nh == 44


@by_family
def test_fragments_reach_the_slave_all_of_them(pair: Topology, family: int) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    with Capture(a, "ipvl0") as at_a:
        datagram(pair.external, a, A[family], 8000)
    assert len([f for f in at_a.matching(is_fragment) if not f.outgoing]) >= 6
    assert len([f for f in at_a.matching(is_fragment) if f.outgoing]) >= 6
    assert max(frame.length for frame in at_a.frames) <= 1514
    datagram(a, pair.external, EXTERNAL[family], 8000)
    datagram(a, b, B[family], 8000)


@pytest.mark.topology(mtu=9000)
@by_family
def test_jumbo_frames_pass_whole(pair: Topology, family: int) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    assert a.link("ipvl0")["mtu"] == 9000
    whole = ("-c", "2", "-i", "0.1", "-W", "2", "-s", "8000", "-M", "do")
    with Capture(a, "ipvl0") as at_a:
        ping_ok(pair.external, A[family], *whole)
        ping_ok(a, EXTERNAL[family], *whole)
        ping_ok(a, B[family], *whole)
        ping_ok(b, EXTERNAL[family], *whole)
    assert at_a.matching(lambda frame: not frame.outgoing and frame.length > 8000)
    assert not at_a.matching(is_fragment)


# ------------------------------------------------------------------------- DHCP


@contextlib.contextmanager
def dhcp_server(space: Netns) -> Iterator[None]:
    server = space.spawn(
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root",
        "--interface=x0", "--bind-interfaces", "--no-ping", "--leasefile-ro", "--pid-file=",
        "--dhcp-authoritative", "--dhcp-range=10.0.0.200,10.0.0.220,255.255.255.0,2m",
    )  # fmt: skip
    try:
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(5)


def test_slaves_get_addresses_by_dhcp(net: Topology) -> None:
    """A real client and server; offers come by broadcast, as the one MAC needs (rule in 1.A)."""
    script = Path(net.daemon.folder, "udhcpc-script")
    script.write_text(
        '#!/bin/sh\n[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"\n'
    )
    script.chmod(0o755)
    given = {}
    with dhcp_server(net.external):
        for client in ("01", "02"):
            slave = net.add_slave(addressed=False)
            slave.ip("link set {} up")
            slave.netns.run(
                "udhcpc", "-i", slave.name, "-B", "-n", "-q", "-f", "-t", "10", "-T", "1",
                "-s", str(script), "-x", f"0x3d:ff{client}",
            )  # fmt: skip
            rows = [row for row in slave.netns.addresses(slave.name) if row["family"] == "inet"]
            (address,) = [row["local"] for row in rows]
            given[slave.number] = address
            eventually(f"{address} is steered", lambda: net.owner(address) == slave.id)
            ping_ok(net.external, address)
    assert len(set(given.values())) == 2, given
