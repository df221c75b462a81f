# SPDX-License-Identifier: Apache-2.0
"""Who gets a broadcast or multicast, and how many copies of it?"""

from __future__ import annotations

from typing import Iterator

from ears import ETH_P_PAUSE, token
from frames import BROADCAST, frame, group_mac, of_another_protocol, udp
from stage import EXTERNAL, FAMILIES, GROUP, SLAVES, Stage, Step

A = SLAVES["a"]
DESTINATIONS = (
    ("broadcast to 255.255.255.255", 4, "255.255.255.255"),
    ("broadcast to the subnet", 4, "10.0.0.255"),
    ("multicast to all hosts (224.0.0.1)", 4, "224.0.0.1"),
    ("multicast to all nodes (ff02::1)", 6, "ff02::1"),
)


def frames(stage: Stage) -> Iterator[Step]:
    """Put on the interface as they are."""
    for what, family, address in DESTINATIONS:
        mac = group_mac(address)
        mark = token()
        stage.a.send(frame(stage.mac, mac, udp(A[family], address, mark)))
        yield f"{what}, a frame of a slave | who gets it", lambda mark=mark: stage.who(mark)
        mark = token()
        stage.wire.send(frame(stage.external_mac, mac, udp(EXTERNAL[family], address, mark)))
        yield f"{what}, from the wire | who gets it", lambda mark=mark: stage.who(mark)


def sockets(stage: Stage) -> Iterator[Step]:
    """As an application sends them."""
    for what, _, address in DESTINATIONS:
        mark = stage.datagram(stage.a, address)
        yield (
            f"{what}, by a socket in a slave | who gets it",
            lambda mark=mark: stage.who(mark, but=stage.a),
        )


def joined(stage: Stage) -> Iterator[Step]:
    """A group that b, the host and the external host are in. By sockets: which frames of a group
    reach the interface of who is not in it, the kernel's driver decides by a hash with a seed."""
    for family in FAMILIES:
        group = GROUP[family]
        mark = stage.datagram(stage.a, group)
        yield (
            "multicast to a group that b is in, by a socket in a slave | "
            f"IPv{family} | whose socket",
            lambda mark=mark: stage.whose_socket(mark),
        )
        mark = token()
        data = frame(stage.external_mac, group_mac(group), udp(EXTERNAL[family], group, mark))
        stage.wire.send(data)
        yield (
            f"multicast to a group that b is in, from the wire | IPv{family} | whose socket",
            lambda mark=mark: stage.whose_socket(mark),
        )


def other_protocols(stage: Stage) -> Iterator[Step]:
    for what, mac, kind in (
        ("broadcast of another protocol", BROADCAST, 0x88B5),
        ("PAUSE frame", "01:80:c2:00:00:01", ETH_P_PAUSE),
    ):
        for place, source in ((stage.a, stage.mac), (stage.wire, stage.external_mac)):
            mark = token()
            place.send(of_another_protocol(source, mac, mark, kind))
            origin = "of a slave" if place is stage.a else "from the wire"
            yield f"{what}, {origin} | who gets it", lambda mark=mark: stage.who(mark)


def coming_back(stage: Stage) -> Iterator[Step]:
    """A switch that reflects: the master's own MAC is the source."""
    for what, family, source in (
        ("source a slave's address", 4, A[4]),
        ("source a slave's address", 6, A[6]),
        ("source nobody's address", 4, "10.0.0.98"),
        ("source nobody's address", 6, "fd00::98"),
    ):
        mark = token()
        address = "255.255.255.255" if family == 4 else "ff02::1"
        stage.wire.send(frame(stage.mac, group_mac(address), udp(source, address, mark)))
        yield (
            f"broadcast from the wire with the master's MAC as source, {what} | IPv{family} | "
            "who gets it",
            lambda mark=mark: stage.who(mark),
        )
