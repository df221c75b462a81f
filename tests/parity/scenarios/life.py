# SPDX-License-Identifier: Apache-2.0
"""What changes when a slave is down, when an address has two owners, when the switch reflects, when
the host answers for its slaves? And what does netfilter see?

These change the drawing while they run, so each is played alone, and leaves it as it was.
"""

from __future__ import annotations

import json
from typing import Iterator

import rtnetlink
from backends import refused
from ears import token
from frames import BROADCAST, frame, group_mac, udp
from scenarios import neighbours
from space import Netns
from stage import EXTERNAL, FAMILIES, HOST, MASTER, SLAVE, SLAVES, WAIT, Stage, Step, batch

A, B = SLAVES["a"], SLAVES["b"]


def from_the_wire(stage: Stage, address: str) -> bytes:
    mark = token()
    family = 6 if ":" in address else 4
    data = frame(stage.external_mac, stage.mac, udp(EXTERNAL[family], address, mark))
    stage.wire.send(data)
    return mark


def slave_down(stage: Stage) -> Iterator[Step]:
    rtnetlink.set_up(stage.a.space, SLAVE, False)
    for family in FAMILIES:
        stage.backend.know(MASTER, A[family], None)
    for family in FAMILIES:
        mark = from_the_wire(stage, A[family])
        yield (
            f"slave down, frame from the wire | IPv{family} | who gets it",
            lambda mark=mark: stage.who(mark),
        )
    mark = token()
    data = frame(stage.external_mac, BROADCAST, udp(EXTERNAL[4], "255.255.255.255", mark))
    stage.wire.send(data)
    yield "slave down, broadcast from the wire | who gets it", lambda: stage.who(mark)
    yield WAIT
    batch(stage.host.space, *(f"addr add {A[family]} dev lo" for family in FAMILIES))
    for family in FAMILIES:
        yield (
            f"slave down, its address on the host; external → it | IPv{family} | ping",
            stage.ping(stage.external, A[family]),
        )
    yield WAIT
    batch(
        stage.host.space,
        f"addr del {A[4]}/32 dev lo",
        f"addr del {A[6]}/128 dev lo",
    )
    rtnetlink.delete_address(stage.a.space, SLAVE, f"{A[4]}/24")  # IPv6's went by themselves
    stage.address(stage.a)
    for family in FAMILIES:
        yield (
            f"slave down and up again; external → it | IPv{family} | ping",
            stage.ping(stage.external, A[family]),
        )


def duplicates(stage: Stage) -> Iterator[Step]:
    """b asks for an address of a's, and for the master's."""
    b = stage.b.space
    prefixes = {4: f"{A[4]}/24", 6: f"{A[6]}/64"}
    for family in FAMILIES:
        yield (
            f"second slave takes the address of one that is up | IPv{family} | result",
            refused(rtnetlink.add_address(b, SLAVE, prefixes[family])),
        )
        mark = from_the_wire(stage, A[family])
        yield (
            f"second slave takes the address of one that is up | IPv{family} | who gets it",
            lambda mark=mark: stage.who(mark),
        )
    yield WAIT
    for family in FAMILIES:
        rtnetlink.delete_address(b, SLAVE, prefixes[family])
    yield from _masters_own(stage)
    yield WAIT
    rtnetlink.delete_address(b, SLAVE, f"{HOST[4]}/24")
    rtnetlink.delete_address(b, SLAVE, f"{HOST[6]}/64")
    rtnetlink.set_up(stage.a.space, SLAVE, False)
    for family in FAMILIES:
        stage.backend.know(MASTER, A[family], None)
        yield (
            f"second slave takes the address of one that is down | IPv{family} | result",
            refused(rtnetlink.add_address(b, SLAVE, prefixes[family])),
        )
        rtnetlink.delete_address(b, SLAVE, prefixes[family])
    yield (
        "address with a peer | result",
        refused(rtnetlink.add_address(b, SLAVE, "10.0.0.50/32", peer="10.0.0.51")),
    )
    stage.pause()
    for what, address in (("own", "10.0.0.50"), ("peer", "10.0.0.51")):
        mark = from_the_wire(stage, address)
        key = f"address with a peer: the {what} one"
        yield f"{key} | who gets it", lambda mark=mark: stage.who(mark)
    yield WAIT
    rtnetlink.delete_address(b, SLAVE, "10.0.0.50/32")
    rtnetlink.delete_address(stage.a.space, SLAVE, f"{A[4]}/24")
    stage.address(stage.a)


def _masters_own(stage: Stage) -> Iterator[Step]:
    for family, length in ((4, 24), (6, 64)):
        yield (
            f"slave takes the master's own address | IPv{family} | result",
            refused(rtnetlink.add_address(stage.b.space, SLAVE, f"{HOST[family]}/{length}")),
        )
        stage.pause()
        mark = from_the_wire(stage, HOST[family])
        yield (
            f"slave takes the master's own address | IPv{family} | whose socket",
            lambda mark=mark: stage.whose_socket(mark),
        )


def reflected(stage: Stage) -> Iterator[Step]:
    """The switch sends back what the master sends, as IEEE 802.1Qbg wants it."""
    for place in (stage.a, stage.b, stage.c):
        stage.forget_neighbours(place)
    stage.hairpin(True)
    for family in FAMILIES:
        for what, name in (("same subnet", "b"), ("other subnet", "c")):
            yield (
                f"switch reflects: slave → slave, {what} | IPv{family} | ping",
                stage.ping(stage.a, SLAVES[name][family]),
            )
    for what, family, address in (
        ("broadcast", 4, "255.255.255.255"),
        ("multicast to ff02::1", 6, "ff02::1"),
    ):
        mark = token()
        stage.a.send(frame(stage.mac, group_mac(address), udp(A[family], address, mark)))
        yield (
            f"switch reflects: {what}, a frame of a slave | who gets it",
            lambda mark=mark: stage.who(mark),
        )
    yield WAIT
    # In l3 the host asks who has the next hop, and nobody says it.
    addresses = [SLAVES[name][family] for name in "abc" for family in FAMILIES]
    entries = [f"{address} lladdr {stage.mac}" for address in addresses]
    batch(stage.host.space, *(f"neigh replace {entry} dev {MASTER}" for entry in entries))
    for family in FAMILIES:
        for what, name in (("same subnet", "b"), ("other subnet", "c")):
            yield (
                f"switch reflects, the host has neighbour entries: slave → slave, {what} | "
                f"IPv{family} | ping",
                stage.ping(stage.a, SLAVES[name][family]),
            )
        mark = stage.datagram(stage.a, B[family])
        yield (
            "switch reflects, the host has neighbour entries: slave → slave, same subnet | "
            f"IPv{family} | on the wire",
            lambda mark=mark: "seen" if stage.on_the_wire(mark) else "not seen",
        )
    yield WAIT
    stage.hairpin(False)
    stage.forget_neighbours(stage.host)


def host_answers(stage: Stage) -> Iterator[Step]:
    """As LXD sets a host up for slaves in l3s: routes and proxy entries for their addresses."""
    host = stage.host.space
    had = {name: stage.sysctl(stage.host, name) for name in PROXY_SYSCTLS}
    for name, value in PROXY_SYSCTLS.items():
        host.sysctl(name, value)
    entries = [(A[family], bits) for family, bits in ((4, 32), (6, 128))]
    routes = [f"route add {address}/{bits} dev lo" for address, bits in entries]
    proxies = [f"neigh add proxy {address} dev {MASTER}" for address, _ in entries]
    # ipvlanx has routes of its own for slaves in l3 and l3s.
    done = {route: host.run("ip", *route.split(), check=False).returncode for route in routes}
    made = [route for route in routes if done[route] == 0]
    batch(host, *proxies)
    stage.pause()
    yield from neighbours.for_a_slave(stage, "host with proxy entries for a slave")
    yield WAIT
    batch(host, *(line.replace(" add ", " del ") for line in made + proxies))
    for name, value in had.items():
        host.sysctl(name, value)


PROXY_SYSCTLS = {
    f"net/ipv4/conf/{MASTER}/proxy_arp": 1,
    f"net/ipv4/conf/{MASTER}/forwarding": 1,
    f"net/ipv4/neigh/{MASTER}/proxy_delay": 0,  # else at random up to 0.8 s
    f"net/ipv6/conf/{MASTER}/proxy_ndp": 1,
    f"net/ipv6/conf/{MASTER}/forwarding": 1,
    f"net/ipv6/neigh/{MASTER}/proxy_delay": 0,
}


def netfilter_hooks(stage: Stage) -> Iterator[Step]:
    """How many packets of an echo request and its reply go by each hook."""
    for family in FAMILIES:
        ends = {"a": A[family], "b": B[family], "external": EXTERNAL[family]}
        counters = {
            place: EchoCounters(place.space, family) for place in (stage.host, stage.a)
        }
        for way, source, target in (
            ("slave → slave", stage.a, "b"),
            ("slave → external", stage.a, "external"),
            ("external → slave", stage.external, "a"),
        ):
            before = {place: counters[place].read() for place in counters}
            ping = stage.ping(source, ends[target])
            yield f"netfilter: {way} | IPv{family} | ping", ping
            yield WAIT
            for place in counters:
                after = counters[place].read()
                went_by = "/".join(str(now - then) for then, now in zip(before[place], after))
                where = "host" if place is stage.host else "slave"
                yield f"netfilter: {way} | IPv{family} | hooks of the {where}", went_by
        for counter in counters.values():
            counter.close()


class EchoCounters:
    """In the order of HOOKS, in the namespace of one end or of the host."""

    HOOKS = ("prerouting", "input", "forward", "output", "postrouting")

    def __init__(self, space: Netns, family: int) -> None:
        self._space, self._table = space, f"{'ip' if family == 4 else 'ip6'} parity"
        protocol = "icmp" if family == 4 else "icmpv6"
        echo = f"{protocol} type {{ echo-request, echo-reply }} counter"
        hooks = ((hook, f"type filter hook {hook} priority -350") for hook in self.HOOKS)
        chains = (f"chain {hook} {{ {base}; {echo}; }}" for hook, base in hooks)
        space.run("nft", "-f", "-", input="\n".join([f"table {self._table} {{", *chains, "}"]))

    def read(self) -> list[int]:
        said = self._space.run("nft", "-j", "list", "table", *self._table.split()).stdout
        rules = [item["rule"] for item in json.loads(said)["nftables"] if "rule" in item]
        packets = {
            rule["chain"]: part["counter"]["packets"]
            for rule in rules
            for part in rule["expr"]
            if "counter" in part
        }
        return [packets[hook] for hook in self.HOOKS]

    def close(self) -> None:
        self._space.run("nft", "delete", "table", *self._table.split())
