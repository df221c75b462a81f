# SPDX-License-Identifier: Apache-2.0
"""Who answers ARP and neighbour discovery for whose address, and with which MAC?

Each request bears a sender of its own, so that its answer can be told.
"""

from __future__ import annotations

import ipaddress
from typing import Callable, Iterator

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr
from scapy.layers.inet6 import ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from ears import Heard
from frames import BROADCAST, group_mac
from stage import ASKERS, HOST, NOBODY, SLAVES, Stage, Step, Value

A, B = SLAVES["a"], SLAVES["b"]


def arp(stage: Stage) -> Iterator[Step]:
    for asker, what, unicast, target in (
        (0, "broadcast, for a slave's address", False, A[4]),
        (1, "unicast, for a slave's address", True, A[4]),
        (2, "broadcast, for a slave's address in another subnet", False, SLAVES["c"][4]),
        (3, "broadcast, for the host's address", False, HOST[4]),
        (4, "broadcast, for nobody's address", False, NOBODY[4]),
    ):
        answer = request(stage, ASKERS[4][asker], target, unicast=unicast)
        yield f"ARP request, {what} | who answers", answer
    answer = request(stage, "0.0.0.0", B[4])
    what = "broadcast probe (sender 0.0.0.0), for a slave's address"
    yield f"ARP request, {what} | who answers", answer


def discovery(stage: Stage) -> Iterator[Step]:
    for asker, what, unicast, target in (
        (0, "multicast, for a slave's address", False, A[6]),
        (1, "unicast, for a slave's address", True, A[6]),
        (2, "multicast, for a slave's address in another subnet", False, SLAVES["c"][6]),
        (3, "multicast, for the host's address", False, HOST[6]),
        (4, "multicast, for nobody's address", False, NOBODY[6]),
    ):
        answer = solicit(stage, ASKERS[6][asker], target, unicast=unicast)
        yield f"ND solicitation, {what} | who answers", answer
    answer = solicit(stage, "::", B[6])
    yield "ND solicitation, DAD probe (source ::), for a slave's address | who answers", answer


def for_a_slave(stage: Stage, when: str) -> Iterator[Step]:
    """What an ordinary host on the wire asks, in a situation of some kind."""
    answer = request(stage, ASKERS[4][0], A[4])
    yield f"{when}: ARP request, broadcast, for a slave's address | who answers", answer
    answer = solicit(stage, ASKERS[6][0], A[6])
    yield f"{when}: ND solicitation, multicast, for a slave's address | who answers", answer


def request(stage: Stage, asker: str, target: str, *, unicast: bool = False) -> Value:
    packet = ARP(op=1, hwsrc=stage.external_mac, psrc=asker, pdst=target)
    mac = stage.mac if unicast else BROADCAST
    stage.wire.send(bytes(Ether(src=stage.external_mac, dst=mac) / packet))
    return lambda: who(stage, arp_answers(asker, target))


def solicit(stage: Stage, asker: str, target: str, *, unicast: bool = False) -> Value:
    to = target if unicast else solicited(target)
    packet = IPv6(src=asker, dst=to, hlim=255) / ICMPv6ND_NS(tgt=target)
    if asker != "::":
        packet /= ICMPv6NDOptSrcLLAddr(lladdr=stage.external_mac)
    mac = stage.mac if unicast else group_mac(to)
    stage.wire.send(bytes(Ether(src=stage.external_mac, dst=mac) / packet))
    # An answer to nobody goes to all.
    return lambda: who(stage, adverts("ff02::1" if asker == "::" else asker, target))


def arp_answers(asker: str, target: str) -> Callable[[Packet], str | None]:
    def mac(packet: Packet) -> str | None:
        reply = packet.getlayer(ARP)
        fits = reply and (reply.op, reply.psrc, reply.pdst) == (2, target, asker)
        return reply.hwsrc if fits else None

    return mac


def solicited(address: str) -> str:
    tail = ipaddress.ip_address(address).packed[-3:]
    base = ipaddress.ip_address("ff02::1:ff00:0").packed[:13]
    return str(ipaddress.ip_address(base + tail))


def adverts(asker: str, target: str) -> Callable[[Packet], str | None]:
    def mac(packet: Packet) -> str | None:
        advert = packet.getlayer(ICMPv6ND_NA)
        if not advert or (packet[IPv6].dst, advert.tgt) != (asker, target):
            return None
        option = packet.getlayer(ICMPv6NDOptDstLLAddr)
        return option.lladdr if option else packet.src

    return mac


def who(stage: Stage, mac_of: Callable[[Packet], str | None]) -> str:
    """Whose stack sent an answer that reached the wire; nobody is told of others."""

    def answers(heard: Heard) -> str | None:
        if heard.data[12:14] not in (b"\x08\x06", b"\x86\xdd"):
            return None
        return mac_of(Ether(heard.data))

    on_the_wire = [mac for one in stage.tap(stage.wire, outgoing=False) if (mac := answers(one))]
    if not on_the_wire:
        return "nobody"
    senders = [
        place.name
        for place in stage.slaves
        if any(answers(one) for one in stage.tap(place, outgoing=True))
    ]
    macs = ", ".join(sorted({stage.whose(mac) for mac in on_the_wire}))
    return f"{', '.join(senders) or 'the host'}, with {macs} MAC"
