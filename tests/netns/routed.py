# SPDX-License-Identifier: Apache-2.0
"""The standard drawing with routes: what modes l3 and l3s are for.

    far                external              host                    ns0, ns1, ns2
    f0 --- veth --- x1     x0 --- veth --- m0 ==== slaves ========  ipvl0, ipvl1, ipvl2
    192.0.2.1       .2     10.0.0.1        10.0.0.2                 10.0.0.10, 10.0.0.11, 10.1.0.12
    2001:db8::1     ::2    fd00::1         fd00::2                  fd00::10, fd00::11, fd01::12
                       second              |
                           y0 --- veth --- m1
                           10.2.0.1        10.2.0.2
                           fd02::1         fd02::2

The default routes: of slaves to their interface, of the host to external, the gateway to far; of
far and second back. External has neighbour entries for the slaves of its subnet, as nobody answers
for them, and a route by the host to the other subnet.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Iterator

from ipvlanx import EXTERNAL, FAMILIES, HOST, Slave, Topology
from space import SLOW, Netns, family_of

FAR, FAR_GATEWAY = {4: "192.0.2.1", 6: "2001:db8::1"}, {4: "192.0.2.2", 6: "2001:db8::2"}
SECOND, HOST_TO_SECOND = {4: "10.2.0.1", 6: "fd02::1"}, {4: "10.2.0.2", 6: "fd02::2"}
OTHER_SUBNET = {4: "10.1.0.0/24", 6: "fd01::/64"}
LENGTHS = {4: 24, 6: 64}
SLAVES = (
    {4: "10.0.0.10", 6: "fd00::10"},
    {4: "10.0.0.11", 6: "fd00::11"},
    {4: "10.1.0.12", 6: "fd01::12"},
)
A, B, C = SLAVES
ROUTED_MODES = ("l3", "l3s")


class RoutedSlave(Slave):
    @property
    def addresses(self) -> dict[int, str]:
        return SLAVES[self.number]

    @property
    def host_end(self) -> str:
        return f"ipvx{self.id}"


class Routed:
    """That drawing, around a Topology whose daemon runs."""

    def __init__(self, net: Topology) -> None:
        self.net, self.daemon = net, net.daemon
        self.host, self.external = net.host, net.external
        self.far, self.second = net.netns("far"), net.netns("second")
        self.slaves: list[RoutedSlave] = []
        self.mode = ""  # of m0
        skip_dad(self.host, "m0")
        skip_dad(self.external, "x0")
        connect((self.external, "x1", FAR_GATEWAY), (self.far, "f0", FAR))
        connect((self.host, "m1", HOST_TO_SECOND), (self.second, "y0", SECOND))
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.external.sysctl(f"net/{name}", 1)
        for space in (self.host, self.external, self.far):
            # Tests have errors sent often.
            space.sysctl("net/ipv4/icmp_ratelimit", 0)
            space.sysctl("net/ipv6/icmp/ratelimit", 0)
        self.host.ip_lines(*(f"route add default via {EXTERNAL[f]}" for f in FAMILIES))
        self.far.ip_lines(*(f"route add default via {FAR_GATEWAY[f]}" for f in FAMILIES))
        self.second.ip_lines(*(f"route add default via {HOST_TO_SECOND[f]}" for f in FAMILIES))
        self.external.ip_lines(*(f"route add {OTHER_SUBNET[f]} via {HOST[f]}" for f in FAMILIES))
        self.know(*A.values(), *B.values())

    def know(self, *addresses: str) -> None:
        """External sends to these with the master's MAC, unasked."""
        self.external.ip_lines(
            *(f"neigh replace {address} lladdr {self.net.mac} dev x0" for address in addresses)
        )

    def add(self, mode: str, options: str = "", family: int | None = None) -> RoutedSlave:
        """The next slave, with its addresses (of one family or both) and default routes."""
        self.mode = mode
        number = len(self.slaves)
        name, space = f"ipvl{number}", self.net.netns(f"ns{number}")
        families = [family] if family else FAMILIES
        addresses = " ".join(f"addr {SLAVES[number][f]}/{LENGTHS[f]}" for f in families)
        self.daemon.cli(
            f"link add link m0 name {name} mode {mode} netns {space.name} {addresses} {options}"
        )
        space.ip_lines(*default_routes(name))
        slave = RoutedSlave(number, space, name, self.net.id_of(name))
        for f in families:
            self.net.wait_steered(slave, slave.addresses[f])
        self.slaves.append(slave)
        return slave

    def set_mode(self, mode: str) -> None:
        self.mode = mode
        self.daemon.cli(f"port set m0 mode {mode}")

    @contextlib.contextmanager
    def forwarding_from_second(self) -> Iterator[None]:
        """What the operator sees to whose slaves use this uplink, too."""
        ipv6 = "force_forwarding" if has_force_forwarding(self.host) else "forwarding"
        names = ("net/ipv4/conf/m1/forwarding", f"net/ipv6/conf/m1/{ipv6}")
        before = {name: read_sysctl(self.host, name) for name in names}
        for name in names:
            self.host.sysctl(name, 1)
        try:
            yield
        finally:
            for name, value in before.items():
                self.host.sysctl(name, value)

    def routes(self) -> set[tuple[str, str, str]]:
        """Of ipvlanx: address, host end, and the table: main, or a master's own."""
        masters = {str(15_500_000 + self.host.link(m)["ifindex"]): m for m in ("m0", "m1")}
        rows = [self.host.ip_json(f"-{f} route show table all proto 155") for f in FAMILIES]
        return {
            (row["dst"], row["dev"], masters.get(table := row.get("table", "main"), table))
            for table_rows in rows
            for row in table_rows
        }

    def expected_routes(self, *slaves: RoutedSlave) -> set[tuple[str, str, str]]:
        """In the mode as it is, of these slaves' addresses, which the API gave."""
        tables = {"l2": (), "l3": ("main",), "l3s": ("main", "m0")}[self.mode]
        return {
            (slave.addresses[family], slave.host_end, table)
            for slave in slaves
            for family in FAMILIES
            for table in tables
        }

    def rules(self) -> list[tuple[int, str]]:
        """Of ipvlanx: family and the interface whose packets ask a table of their own."""
        return [
            (family, rule["iif"])
            for family in FAMILIES
            for rule in self.host.ip_json(f"-{family} rule show")
            if rule.get("protocol") == "155"
        ]

    def drops(self, slave: RoutedSlave) -> dict[str, int]:
        stats = self.daemon.get(f"/v1/slaves/{slave.id}/stats")
        return {reason: count for reason, count in stats["drops"].items() if count}


@contextlib.contextmanager
def running(mode: str) -> Iterator[Routed]:
    """With three slaves: for tests that share it and leave it as it was."""
    net = Topology()
    try:
        net.daemon.start()
        routed = Routed(net)
        for _ in SLAVES:
            routed.add(mode)
        yield routed
    finally:
        net.close()


def default_routes(interface: str) -> list[str]:
    return [f"route add {all_of} dev {interface}" for all_of in ("0.0.0.0/0", "::/0")]


def read_sysctl(space: Netns, name: str) -> str:
    return space.inside(lambda: Path("/proc/sys", name).read_text().strip())


def has_force_forwarding(space: Netns) -> bool:
    """Linux 6.17: IPv6 can be forwarded from single interfaces."""
    return space.inside(lambda: Path("/proc/sys/net/ipv6/conf/all/force_forwarding").exists())


End = tuple[Netns, str, dict[int, str]]


def connect(one: End, other: End) -> None:
    """A wire between two namespaces."""
    one[0].ip(f"link add {one[1]} type veth peer name {other[1]} netns {other[0].name}")
    for space, interface, addresses in (one, other):
        space.sysctl(f"net/ipv6/conf/{interface}/dad_transmits", 0)
        space.ip_lines(
            f"addr add {addresses[4]}/{LENGTHS[4]} dev {interface}",
            f"addr add {addresses[6]}/{LENGTHS[6]} dev {interface} nodad",
            f"link set {interface} up",
        )


def skip_dad(space: Netns, interface: str) -> None:
    """Neighbours are asked for as soon as the asker has a link-local address that is not
    tentative: at once."""
    for address in space.addresses(interface):
        if address["scope"] == "link" and address["family"] == "inet6":
            own = f"{address['local']}/64 dev {interface}"
            space.ip_lines(f"addr del {own}", f"addr add {own} nodad")


def datagram(client: Netns, server: Netns, address: str, size: int) -> None:
    """One UDP datagram of this size gets there whole, and back."""
    payload = os.urandom(size)
    kind = family_of(address)
    with (
        server.socket(kind, socket.SOCK_DGRAM) as ear,
        client.socket(kind, socket.SOCK_DGRAM) as mouth,
    ):
        for end in (ear, mouth):
            end.settimeout(3 * SLOW)
        ear.bind((address, 5002))
        mouth.connect((address, 5002))
        mouth.send(payload)
        received, sender = ear.recvfrom(65536)
        assert received == payload
        ear.sendto(payload, sender)
        assert mouth.recv(65536) == payload
