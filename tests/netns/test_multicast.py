# SPDX-License-Identifier: Apache-2.0
"""Who gets what is sent to many, on an l2 port?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)

From the wire: each slave that is up, and the host. From a slave: the other slaves and the wire,
never the host, never the sender (SEMANTICS.md rules 4, 10, 12, 25 to 30, 49). Programs that have
joined a group with the kernel's own means send and receive; captures show what else there is.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import pytest
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3mq, IGMPv3mr
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6MLQuery2,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, Slave, Topology, slave_addresses
from maps import difference
from space import Netns, eventually
from wire import Capture, Frame, Sender, carrying

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
A, B = slave_addresses(0), slave_addresses(1)
GROUP = {4: "239.1.2.3", 6: "ff15::1234"}
GROUP_MAC = {4: "01:00:5e:01:02:03", 6: "33:33:00:00:12:34"}
REPORTS_MAC = {4: "01:00:5e:00:00:16", 6: "33:33:00:00:00:16"}  # where members report to
SUBNET_BROADCAST = "10.0.0.255"
PORT = 5000
COUNT = 5
MARK = b"to whom it may concern"
WORDS = [MARK + b" %d" % number for number in range(COUNT)]

# Of <linux/in.h> and <linux/in6.h>, where Python does not know them.
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29


class Mouth:
    """A program that sends to a group or a broadcast address, out of one interface."""

    def __init__(self, space: Netns, interface: str, family: int, *, loop: bool = False) -> None:
        index = space.link(interface)["ifindex"]
        if family == 4:
            self._socket = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
            option = struct.pack("=4s4si", b"", b"", index)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, option)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, loop)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        else:
            self._socket = space.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, loop)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)

    def say(self, destination: str, words: list[bytes] = WORDS) -> None:
        for word in words:
            self._socket.sendto(word, (destination, PORT))

    def __enter__(self) -> Mouth:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Ear:
    """A program that receives on this port, and of groups only those that it has joined."""

    def __init__(self, space: Netns, interface: str, family: int) -> None:
        self._index = space.link(interface)["ifindex"]
        self._family = family
        if family == 4:
            self._socket = space.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        else:
            self._socket = space.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        self._socket.bind(("", PORT))
        self._socket.setblocking(False)

    def _member(self, ipv4_option: int, ipv6_option: int) -> None:
        group = socket.inet_pton(self._socket.family, GROUP[self._family])
        if self._family == 4:
            request = struct.pack("=4s4si", group, b"", self._index)
            self._socket.setsockopt(socket.IPPROTO_IP, ipv4_option, request)
        else:
            request = struct.pack("=16si", group, self._index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, ipv6_option, request)

    def join(self) -> Ear:
        self._member(socket.IP_ADD_MEMBERSHIP, socket.IPV6_JOIN_GROUP)
        return self

    def leave(self) -> None:
        self._member(socket.IP_DROP_MEMBERSHIP, socket.IPV6_LEAVE_GROUP)

    def heard(self) -> list[bytes]:
        """Everything since it was last asked."""
        words = []
        with contextlib.suppress(BlockingIOError):
            while True:
                words.append(self._socket.recv(2048))
        return words

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Room:
    """Everybody on the drawing, with an ear and a capture each."""

    PLACES = ("a", "b", "host", "external")

    def __init__(self, net: Topology, family: int) -> None:
        self.net, self.family = net, family
        a, b = net.slaves
        self.at = {
            "a": (a.netns, a.name),
            "b": (b.netns, b.name),
            "host": (net.host, "m0"),
            "external": (net.external, "x0"),
        }
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Room:
        enter = self._stack.enter_context
        self.ears = {who: enter(Ear(*place, self.family)) for who, place in self.at.items()}
        self.captures = {who: enter(Capture(*place)) for who, place in self.at.items()}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def heard(self) -> dict[str, list[bytes]]:
        """By whom something was heard; all of it, in order."""
        time.sleep(0.25)
        words = {who: ear.heard() for who, ear in self.ears.items()}
        return {who: said for who, said in words.items() if said}

    def came_in(self) -> dict[str, int]:
        """Marked frames that each interface received."""
        return {
            who: len(capture.matching(lambda f: MARK in f.data and not f.outgoing))
            for who, capture in self.captures.items()
        }

    def went_out(self) -> dict[str, int]:
        return {
            who: len(capture.matching(lambda f: MARK in f.data and f.outgoing))
            for who, capture in self.captures.items()
        }


@by_family
def test_a_group_of_the_wires_reaches_who_has_joined_it_once(pair: Topology, family: int) -> None:
    with Room(pair, family) as room, Mouth(*room.at["external"], family) as mouth:
        for who in ("a", "b", "host"):
            room.ears[who].join()
        mouth.say(GROUP[family])
        assert room.heard() == {"a": WORDS, "b": WORDS, "host": WORDS}
        assert room.came_in() == {"a": COUNT, "b": COUNT, "host": COUNT, "external": 0}
        room.ears["a"].leave()
        mouth.say(GROUP[family])
        assert room.heard() == {"b": WORDS, "host": WORDS}
        room.ears["host"].leave()
        mouth.say(GROUP[family])
        assert room.heard() == {"b": WORDS}


@by_family
def test_a_slaves_group_reaches_the_other_slaves_and_the_wire_once(
    pair: Topology, family: int
) -> None:
    """Never the host's stack (rule 27), and the sender only as far as its own stack gives it what
    it has said itself."""
    others = {"b": WORDS, "external": WORDS}
    with Room(pair, family) as room:
        for ear in room.ears.values():
            ear.join()
        before = pair.maps.counters()
        with Mouth(*room.at["a"], family) as mouth:
            mouth.say(GROUP[family])
            assert room.heard() == others
        assert room.came_in() == {"a": 0, "b": COUNT, "host": 0, "external": COUNT}
        assert room.went_out() == {"a": COUNT, "b": 0, "host": COUNT, "external": 0}
        with Mouth(*room.at["a"], family, loop=True) as mouth:
            mouth.say(GROUP[family])
            assert room.heard() == {"a": WORDS} | others
        sent = room.captures["external"].matching(carrying(MARK))
        assert {(f.source, f.destination) for f in sent} == {(pair.mac, GROUP_MAC[family])}
    changes = difference(before, pair.maps.counters())
    assert not [key for key in changes if key[0] == "drop"]


# ------------------------------------------------------------------- IGMP and MLD


def reports_of_group(family: int):
    """Frames in which somebody says something about being in GROUP."""
    group = socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, GROUP[family])

    def is_report(frame: Frame) -> bool:
        kind = IGMPv3mr if family == 4 else ICMPv6MLReport2
        return kind in frame.packet and group in frame.data

    return is_report


def reporter(frame: Frame) -> str:
    return frame.packet[IP].src if IP in frame.packet else frame.packet[IPv6].src


def speaking_as(net: Topology, family: int) -> tuple[str, str]:
    """The addresses with which the two slaves report."""
    a, b = net.slaves
    return (A[4], B[4]) if family == 4 else (link_local(a), link_local(b))


def link_local(slave: Slave) -> str:
    def settled() -> list[str]:
        rows = slave.netns.addresses(slave.name)
        return [r["local"] for r in rows if r["scope"] == "link" and not r.get("tentative")]

    try:
        (address,) = eventually(f"{slave.name} has a link-local address", settled)
    except AssertionError as error:
        raise AssertionError(f"{error}: {slave.netns.addresses(slave.name)}") from None
    return address


@by_family
def test_reports_of_members_are_on_the_wire_with_the_masters_mac(
    pair: Topology, family: int
) -> None:
    (source, _) = speaking_as(pair, family)
    is_report = reports_of_group(family)
    with Room(pair, family) as room:
        wire = room.captures["external"]
        room.ears["a"].join()
        joined = wire.wait_for(is_report)
        room.ears["a"].leave()
        wire.wait_for(is_report, len(joined) + 1)
        wire.settle()
        said = wire.matching(is_report)
        assert {reporter(frame) for frame in said} == {source}
        assert {(f.source, f.destination) for f in said} == {(pair.mac, REPORTS_MAC[family])}
        # The other slave, which might listen for reports, gets the same; the host nothing.
        assert [f.data for f in room.captures["b"].matching(is_report)] == [f.data for f in said]
        assert {f.outgoing for f in room.captures["host"].matching(is_report)} == {True}


@by_family
def test_a_routers_query_is_answered_by_each_member(pair: Topology, family: int) -> None:
    sources = set(speaking_as(pair, family))
    own = {4: EXTERNAL[4], 6: "fe80::1"}[family]
    is_report = reports_of_group(family)
    with Room(pair, family) as room, Sender(pair.external, "x0") as sender:
        wire = room.captures["external"]
        for who in ("a", "b"):
            room.ears[who].join()
        # What each says by itself, it says within a second, and then no more.
        time.sleep(1.5)
        unasked = len(wire.matching(is_report))
        assert unasked >= 2
        sender.send(query(family, own))

        def answers() -> list[Frame]:
            return wire.matching(is_report)[unasked:]

        eventually("both answer", lambda: {reporter(f) for f in answers()} == sources, 4)
        wire.settle()
        assert len(answers()) == 2, [frame.packet.summary() for frame in answers()]
        assert {frame.source for frame in answers()} == {pair.mac}


def query(family: int, source: str) -> Packet:
    """Who is in which group? Answer within a second."""
    if family == 4:
        router_alert = b"\x94\x04\0\0"
        return (
            Ether(dst="01:00:5e:00:00:01")
            / IP(src=source, dst="224.0.0.1", ttl=1, options=[router_alert])
            / IGMPv3(type=0x11, mrcode=10)
            / IGMPv3mq(gaddr="0.0.0.0")
        )
    return (
        Ether(dst="33:33:00:00:00:01")
        / IPv6(src=source, dst="ff02::1", hlim=1)
        / IPv6ExtHdrHopByHop(options=[RouterAlert()])
        / ICMPv6MLQuery2(mrd=1000, mladdr="::")
    )


# ---------------------------------------------------------------- broadcast addresses


def test_a_subnets_broadcast_of_the_wires_reaches_host_and_slaves_once(pair: Topology) -> None:
    """Rule 49: what counts is the destination MAC address."""
    with Room(pair, 4) as room, Mouth(*room.at["external"], 4) as mouth:
        mouth.say(SUBNET_BROADCAST)
        assert room.heard() == {
            "a": WORDS, "b": WORDS, "host": WORDS,
            "external": WORDS,  # its own stack's copy
        }  # fmt: skip
        assert room.came_in() == {"a": COUNT, "b": COUNT, "host": COUNT, "external": 0}
        copies = room.captures["a"].matching(carrying(MARK))
        assert {frame.destination for frame in copies} == {"ff:ff:ff:ff:ff:ff"}


def test_a_subnets_broadcast_of_a_slaves_reaches_slaves_and_wire_once(pair: Topology) -> None:
    with Room(pair, 4) as room, Mouth(*room.at["a"], 4) as mouth:
        mouth.say(SUBNET_BROADCAST)
        assert room.heard() == {
            "b": WORDS, "external": WORDS,
            "a": WORDS,  # its own stack's copy
        }  # fmt: skip
        assert room.came_in() == {"a": 0, "b": COUNT, "host": 0, "external": COUNT}


# ------------------------------------------------------------------- who gets nothing


def pause(source: str) -> Packet:
    return Ether(src=source, dst="01:80:c2:00:00:01", type=0x8808) / Raw(
        b"\x00\x01\xff\xff" + MARK.ljust(42, b"\0")
    )


def test_a_pause_frame_of_a_slave_ends_there_and_is_counted(pair: Topology) -> None:
    """Rule 30."""
    a, b = pair.slaves
    before = pair.daemon.get(f"/v1/slaves/{a.id}/stats")
    with Room(pair, 4) as room, Sender(a.netns, a.name) as sender:
        sender.send(pause(pair.mac), COUNT)
        time.sleep(0.25)
        assert room.came_in() == dict.fromkeys(Room.PLACES, 0)
        assert room.went_out() == dict.fromkeys(Room.PLACES, 0) | {"a": COUNT}
    after = pair.daemon.get(f"/v1/slaves/{a.id}/stats")
    assert after["drops"].get("pause", 0) - before["drops"].get("pause", 0) == COUNT
    assert after["tx"]["dropped"] - before["tx"]["dropped"] == COUNT


def test_a_pause_frame_of_the_wires_is_not_copied(pair: Topology) -> None:
    with Room(pair, 4) as room, Sender(pair.external, "x0") as sender:
        sender.send(pause(pair.external_mac), COUNT)
        time.sleep(0.25)
        assert room.came_in() == {"a": 0, "b": 0, "host": COUNT, "external": 0}


def as_switched(frame: Frame) -> Packet:
    """As a real wire would have carried it: on a veth pair nobody fills in the checksum."""
    packet = frame.packet.copy()
    del packet[UDP].chksum
    return packet


@by_family
def test_what_comes_back_from_the_wire_is_not_copied_again(pair: Topology, family: int) -> None:
    """Rule 12: a switch gives back a slave's own multicast."""
    with Room(pair, family) as room:
        for who in ("a", "b"):
            room.ears[who].join()
        with Mouth(*room.at["a"], family) as mouth:
            mouth.say(GROUP[family])
        assert room.heard() == {"b": WORDS}
        on_the_wire = room.captures["external"].matching(carrying(MARK))
        assert len(on_the_wire) == COUNT
        with Sender(pair.external, "x0") as switch:
            for frame in on_the_wire:
                switch.send(as_switched(frame))
            assert room.heard() == {}
            assert room.came_in() == {"a": 0, "b": COUNT, "host": COUNT, "external": COUNT}
            # Not so what is the host's own, which has the same MAC address ...
            with Mouth(*room.at["host"], family) as host:
                host.say(GROUP[family])
            assert room.heard() == {}, "the host's own goes to the wire alone"
            for frame in room.captures["external"].matching(carrying(MARK))[2 * COUNT :]:
                switch.send(as_switched(frame))
            assert room.heard() == {"a": WORDS, "b": WORDS}


@by_family
def test_a_slave_that_is_down_gets_none_and_costs_nothing(pair: Topology, family: int) -> None:
    a, b = pair.slaves
    host_end = f"ipvx{b.id}"

    def members() -> list[int]:
        return sorted(slave for _, slave in pair.maps.dump("ipvx_members").values())

    def carried() -> dict:
        return pair.host.ip_json(f"-s link show dev {host_end}")[0]["stats64"]["tx"]

    with Room(pair, family) as room, Mouth(*room.at["external"], family) as mouth:
        for who in ("a", "b"):
            room.ears[who].join()
        b.ip("link set {} down")
        eventually("b is no member", lambda: members() == [a.id])
        before, carried_before = pair.maps.counters(), carried()
        mouth.say(GROUP[family])
        assert room.heard() == {"a": WORDS}
        changes = difference(before, pair.maps.counters())
        assert not [key for key in changes if key[0] == "drop"], changes
        assert not [key for key in changes if key[:2] == ("slave", b.id)], changes
        assert carried() == carried_before
        b.ip("link set {} up")
        eventually("b is a member", lambda: members() == sorted((a.id, b.id)))
        mouth.say(GROUP[family])
        assert room.heard() == {"a": WORDS, "b": WORDS}
