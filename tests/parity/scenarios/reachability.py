# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom by the ordinary stacks, and what of it is seen on the way?"""

from __future__ import annotations

from typing import Iterator

from ears import Heard
from stage import BEYOND, EXTERNAL, FAMILIES, HOST, LINK_LOCAL, SLAVE, SLAVES
from stage import Stage, Step, batch


def pings(stage: Stage) -> Iterator[Step]:
    for family in FAMILIES:
        address = {name: addresses[family] for name, addresses in SLAVES.items()}
        for way, source, target in (
            ("slave → slave, same subnet", stage.a, address["b"]),
            ("slave → slave, other subnet", stage.a, address["c"]),
            ("slave → external, who has a static neighbour entry", stage.a, EXTERNAL[family]),
            ("slave → external, who has to ask for the slave", stage.b, EXTERNAL[family]),
            ("slave → beyond the external gateway", stage.a, BEYOND[family]),
            ("external, who has a static neighbour entry → slave", stage.external, address["a"]),
            ("external, who has to ask → slave", stage.external, address["b"]),
            ("slave → host", stage.a, HOST[family]),
            ("host → slave", stage.host, address["a"]),
            ("host → external", stage.host, EXTERNAL[family]),
            ("external → host", stage.external, HOST[family]),
        ):
            yield f"{way} | IPv{family} | ping", stage.ping(source, target)


def datagrams(stage: Stage) -> Iterator[Step]:
    """What a datagram of the stack looks like where it arrives, and on the way."""
    # From here on all know each other: it is about the way, not about who answers whom.
    entries = [f"{SLAVES['b'][family]} lladdr {stage.mac} dev {SLAVE}" for family in FAMILIES]
    batch(stage.a.space, *(f"neigh replace {entry}" for entry in entries))
    for family in FAMILIES:
        ways = (
            ("slave → slave", stage.a, stage.b, SLAVES["b"][family]),
            ("slave → external", stage.a, stage.external, EXTERNAL[family]),
            ("external → slave", stage.external, stage.a, SLAVES["a"][family]),
        )
        for way, source, target, address in ways:
            for ttl in (1, 2, 64, 254, 255) if stage.flag == "bridge" else (64,):
                mark = stage.datagram(source, address, ttl)
                yield (
                    f"{way}, sent with TTL {ttl} | IPv{family} | TTL",
                    lambda mark=mark, target=target: stage.ttl(mark, target),
                )
        mark = stage.datagram(stage.a, SLAVES["b"][family])
        yield (
            f"slave → slave | IPv{family} | on the wire",
            lambda mark=mark: header(stage, stage.on_the_wire(mark)),
        )
        mark = stage.datagram(stage.a, EXTERNAL[family])
        yield (
            f"slave → external | IPv{family} | on the wire",
            lambda mark=mark: header(stage, stage.on_the_wire(mark)),
        )
        mark = stage.datagram(stage.external, SLAVES["a"][family])
        yield (
            f"external → slave | IPv{family} | in a capture on the slave",
            lambda mark=mark: header(stage, stage.seen_by(mark, stage.a)),
        )
        mark = stage.datagram(stage.external, SLAVES["a"][family])
        yield f"external → slave | IPv{family} | who gets it", lambda mark=mark: stage.who(mark)


def link_local(stage: Stage) -> Iterator[Step]:
    for way, source, target in (
        ("slave → slave", stage.a, "b"),
        ("slave → external", stage.a, "external"),
        ("external → slave", stage.external, "a"),
    ):
        mark = stage.datagram(source, LINK_LOCAL[target])
        yield (
            f"{way}, by its link-local address | IPv6 | whose socket",
            lambda mark=mark: stage.whose_socket(mark),
        )


def header(stage: Stage, heard: list[Heard]) -> str:
    """The Ethernet header, by whose addresses are in it."""
    if not heard:
        return "not seen"
    source, destination = stage.whose(heard[0].source_mac), stage.whose(heard[0].destination_mac)
    copies = f", ×{len(heard)}" if len(heard) > 1 else ""
    return f"from {source} MAC to {destination}{copies}"


def big(stage: Stage) -> Iterator[Step]:
    """Larger than the MTU: all fragments arrive, or no datagram."""
    for family in FAMILIES:
        for way, source, target, address in (
            ("slave → slave", stage.a, stage.b, SLAVES["b"][family]),
            ("slave → external", stage.a, stage.external, EXTERNAL[family]),
            ("external → slave", stage.external, stage.a, SLAVES["a"][family]),
        ):
            mark = stage.big_datagram(source, address)
            yield (
                f"{way} | IPv{family} | a datagram of 4000 bytes, in fragments",
                lambda mark=mark, target=target: stage.size(mark, target),
            )


def host_sends(stage: Stage) -> Iterator[Step]:
    for family in FAMILIES:
        for way, source, address in (
            ("host → slave", stage.host, SLAVES["a"][family]),
            ("slave → host", stage.a, HOST[family]),
        ):
            mark = stage.datagram(source, address)
            yield (
                f"{way} | IPv{family} | whose socket",
                lambda mark=mark: stage.whose_socket(mark),
            )
