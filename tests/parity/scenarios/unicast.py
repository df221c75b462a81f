# SPDX-License-Identifier: Apache-2.0
"""Where does a unicast frame go that is not an ordinary one: unknown, forged, spoilt, tagged?"""

from __future__ import annotations

from typing import Iterator

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from ears import Heard, PORT, token
from frames import BROADCAST, STRANGER, frame, of_another_protocol, udp, with_bytes
from stage import EXTERNAL, FAMILIES, HOST, NOBODY, SLAVES, Stage, Step

A, B = SLAVES["a"], SLAVES["b"]
FORGED = {4: "192.0.2.77", 6: "2001:db8::77"}


def of_a_slave(stage: Stage) -> Iterator[Step]:
    for family in FAMILIES:
        for what, source_mac, to_mac, source, destination in (
            ("to the wire", stage.mac, stage.external_mac, A, EXTERNAL),
            ("to the wire, source address forged", stage.mac, stage.external_mac, FORGED, EXTERNAL),
            ("to the wire, source MAC forged", STRANGER, stage.external_mac, A, EXTERNAL),
            ("to a slave", stage.mac, stage.mac, A, B),
            ("to a slave, source address forged", stage.mac, stage.mac, FORGED, B),
            ("to a slave, source MAC forged", STRANGER, stage.mac, A, B),
            ("to a slave's address with an external MAC", stage.mac, stage.external_mac, A, B),
            ("to a slave's address with the broadcast MAC", stage.mac, BROADCAST, A, B),
            ("to its own address", stage.mac, stage.mac, A, A),
            ("to nobody's address with the master's MAC", stage.mac, stage.mac, A, NOBODY),
            ("to nobody's address with an external MAC", stage.mac, stage.external_mac, A, NOBODY),
            ("to the host's address with the master's MAC", stage.mac, stage.mac, A, HOST),
            ("to the host's address with an external MAC", stage.mac, stage.external_mac, A, HOST),
        ):
            mark = token()
            packet = udp(source[family], destination[family], mark)
            told = stage.a.send(frame(source_mac, to_mac, packet))
            key = f"frame of a slave {what} | IPv{family}"
            yield f"{key} | who gets it", lambda mark=mark: stage.who(mark)
            if what == "to a slave":
                yield f"{key} | the sender is told", told
            if "forged" in what and "wire" in what:
                yield f"{key} | on the wire", lambda mark=mark: source_of(stage, mark)
    for what, mac in (("the wire", stage.external_mac), ("the master's MAC", stage.mac)):
        mark = token()
        stage.a.send(of_another_protocol(stage.mac, mac, mark))
        yield (
            f"frame of a slave, of another protocol, to {what} | who gets it",
            lambda mark=mark: stage.who(mark),
        )


def source_of(stage: Stage, mark: bytes) -> str:
    heard = stage.on_the_wire(mark)
    return f"source MAC {stage.whose(heard[0].source_mac)}" if heard else "not seen"


def from_the_wire(stage: Stage) -> Iterator[Step]:
    external_mac = stage.external_mac
    for family in FAMILIES:
        for what, source_mac, to_mac, source, destination in (
            ("to a slave", external_mac, stage.mac, EXTERNAL, A),
            ("to a slave, source a slave's address", external_mac, stage.mac, B, A),
            ("to a slave, source the master's MAC, a slave's address", stage.mac, stage.mac, B, A),
            ("to a slave's address with a foreign MAC", external_mac, STRANGER, EXTERNAL, A),
            ("to a slave's address with the broadcast MAC", external_mac, BROADCAST, EXTERNAL, A),
            ("to nobody's address", external_mac, stage.mac, EXTERNAL, NOBODY),
            ("to the host", external_mac, stage.mac, EXTERNAL, HOST),
        ):
            mark = token()
            packet = udp(source[family], destination[family], mark)
            stage.wire.send(frame(source_mac, to_mac, packet))
            key = f"frame from the wire {what} | IPv{family}"
            yield f"{key} | who gets it", lambda mark=mark: stage.who(mark)
            if "foreign" in what:
                yield f"{key} | whose socket", lambda mark=mark: stage.whose_socket(mark)
    mark = token()
    stage.wire.send(of_another_protocol(stage.external_mac, stage.mac, mark))
    yield "frame from the wire of another protocol | who gets it", lambda: stage.who(mark)


def spoilt(stage: Stage) -> Iterator[Step]:
    """A header field is wrong, its checksum right."""
    for what, fields in (
        ("header of four words", {"ihl": 4}),
        ("version 5", {"version": 5}),
        ("total length beyond the frame", {"len": 500}),
        ("total length shorter than the header", {"len": 19}),
        ("followed by padding", {}),
    ):
        mark = token()
        packet = udp(EXTERNAL[4], A[4], mark)
        for name, value in fields.items():
            setattr(packet[IP], name, value)
        data = frame(stage.external_mac, stage.mac, packet) + bytes(0 if fields else 8)
        stage.wire.send(data)
        yield f"IPv4 from the wire, {what} | who gets it", lambda mark=mark: stage.who(mark)
    for what, at, value in (
        ("version 5", 14, b"\x50"),
        ("payload length beyond the frame", 18, b"\x02\x00"),
        ("followed by padding", 0, b""),
    ):
        mark = token()
        data = frame(stage.external_mac, stage.mac, udp(EXTERNAL[6], A[6], mark))
        stage.wire.send(with_bytes(data, at, value) + bytes(0 if value else 8))
        yield f"IPv6 from the wire, {what} | who gets it", lambda mark=mark: stage.who(mark)
    mark = token()
    packet = IPv6(src=EXTERNAL[6], dst=A[6]) / IPv6ExtHdrHopByHop()
    packet /= UDP(sport=PORT, dport=PORT) / Raw(mark)
    stage.wire.send(frame(stage.external_mac, stage.mac, packet))
    key = "IPv6 from the wire, with an extension header"
    yield f"{key} | who gets it", lambda mark=mark: stage.who(mark)
    for what, target, missing in (
        ("for a slave's address", A[4], 0),
        ("for nobody's address", NOBODY[4], 0),
        ("for a slave's address, cut off by a byte", A[4], 1),
    ):
        # An answer that nobody asked for; what is recognised is its sender.
        mark = token()
        sender = b"\2" + mark[9:14]  # its number
        packet = ARP(op=2, hwsrc=sender.hex(":"), psrc="10.0.0.98", hwdst=stage.mac, pdst=target)
        data = bytes(Ether(src=stage.external_mac, dst=stage.mac) / packet)
        stage.wire.send(data[: len(data) - missing])
        yield (
            f"ARP reply from the wire, unicast, {what} | who gets it",
            lambda sender=sender: stage.who(sender),
        )


def tagged(stage: Stage) -> Iterator[Step]:
    """An IEEE 802.1Q tag; 0 is a priority without a VLAN."""
    for number in (5, 0):
        tag = Dot1Q(vlan=number, prio=3)
        for family in FAMILIES:
            key = f"tag of VLAN {number}"
            mark = token()
            packet = tag / udp(EXTERNAL[family], A[family], mark)
            stage.wire.send(frame(stage.external_mac, stage.mac, packet))
            yield (
                f"{key}, from the wire to a slave's address | IPv{family} | who gets it",
                lambda mark=mark: stage.who(mark),
            )
            yield (
                f"{key}, from the wire to a slave's address | IPv{family} | whose socket",
                lambda mark=mark: stage.whose_socket(mark),
            )
            mark = token()
            packet = tag / udp(A[family], EXTERNAL[family], mark)
            stage.a.send(frame(stage.mac, stage.external_mac, packet))
            yield (
                f"{key}, of a slave to the wire | IPv{family} | on the wire",
                lambda mark=mark: tag_of(stage.on_the_wire(mark)),
            )
            mark = token()
            stage.a.send(frame(stage.mac, stage.mac, tag / udp(A[family], B[family], mark)))
            yield (
                f"{key}, of a slave to a slave | IPv{family} | who gets it",
                lambda mark=mark: stage.who(mark),
            )
        for place, mac, source in (
            (stage.wire, stage.external_mac, EXTERNAL[4]),
            (stage.a, stage.mac, A[4]),
        ):
            mark = token()
            packet = tag / udp(source, "255.255.255.255", mark)
            place.send(frame(mac, BROADCAST, packet))
            origin = "of a slave" if place is stage.a else "from the wire"
            yield f"{key}, broadcast {origin} | who gets it", lambda mark=mark: stage.who(mark)
            yield (
                f"{key}, broadcast {origin} | whose socket",
                lambda mark=mark, place=place: stage.whose_socket(mark),
            )


def tag_of(heard: list[Heard]) -> str:
    if not heard:
        return "not seen"
    if heard[0].vlan is not None:
        return f"tagged {heard[0].vlan}"
    if heard[0].data[12:14] == b"\x81\x00":
        return f"tagged {int.from_bytes(heard[0].data[14:16], 'big') & 0xFFF} in the frame"
    return "untagged"
