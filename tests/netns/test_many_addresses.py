# SPDX-License-Identifier: Apache-2.0
"""Does a port with 10,000 addresses work as one with ten, and in time that grows with their number?

    external              host                     ns0 ... ns3
    x0  ---- veth ----  m0 ==== four l2 slaves ==  ipvl0 ... ipvl3: 2,500 addresses each

Most are learnt from the interfaces, the last hundred of each come by the API.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import time
from dataclasses import dataclass, field

import pytest

from ipvlanx import Slave, Topology
from maps import address_key
from space import eventually, family_of

SLAVES, LEARNT, BY_API = 4, 2400, 100
NETWORKS = {4: "10.1.0.0/16", 6: "fd01::/64"}
SAMPLE = 25  # of each slave's addresses get a packet
PORT = 4000
PATIENCE = 60  # seconds, far more than it takes


@dataclass
class Times:
    """Seconds, for each slave."""

    learnt: list[float] = field(default_factory=list)
    by_api: list[float] = field(default_factory=list)
    forgotten: list[float] = field(default_factory=list)

    def words(self) -> str:
        return "; ".join(
            f"{what} {', '.join(f'{each:.2f}' for each in times)} s"
            for what, times in vars(self).items()
        )

    def check(self) -> None:
        """The last slave's as the first one's, although the port has four times as many."""
        for what, times in vars(self).items():
            assert times[-1] < 3 * times[0] + 1, f"{what}: {times}"


def addresses_of(number: int) -> list[str]:
    """Half of each family, in no order."""
    count = (LEARNT + BY_API) // 2
    mine = []
    for network in NETWORKS.values():
        first = ipaddress.ip_network(network)[1 + number * count]
        mine += [str(first + offset) for offset in range(count)]
    random.Random(number).shuffle(mine)
    return mine


def add_slave(net: Topology, number: int) -> Slave:
    space = net.netns(f"ns{number}")
    body = {
        "master": "m0", "name": f"ipvl{number}", "mode": "l2", "netns": space.name,
        "max_addresses": 3000,
    }  # fmt: skip
    answer = net.daemon.api("POST", "/v1/slaves", body)
    assert answer.status == 201, answer
    slave = Slave(number, space, f"ipvl{number}", answer.body["id"])
    slave.ip("link set {} up")
    return slave


def batch(slave: Slave, verb: str, addresses: list[str]) -> None:
    nodad = {"add": " nodad", "del": ""}[verb]
    slave.netns.ip_lines(
        *(f"addr {verb} {a} dev {slave.name}{nodad if ':' in a else ''}" for a in addresses)
    )


def steered(net: Topology, addresses: list[str]) -> dict[str, int | None]:
    with net.maps.open("ipvx_addrs") as table:
        rows = {a: table.lookup(*address_key(net.master, a)) for a in addresses}
    return {address: row[2] if row else None for address, row in rows.items()}


def wait_until_all(net: Topology, owner: int | None, addresses: list[str]) -> None:
    """The last one first: it is cheap to ask for."""
    eventually("the last one", lambda: net.owner(addresses[-1]) == owner, PATIENCE)
    eventually("all", lambda: set(steered(net, addresses).values()) == {owner}, PATIENCE)


def receive_from(net: Topology, slave: Slave, wanted: list[str]) -> None:
    """One datagram to each of these addresses reaches this slave, and nothing else does."""
    for family in (4, 6):
        mine = [a for a in wanted if ipaddress.ip_address(a).version == family]
        kind = family_of(mine[0])
        with (
            slave.netns.socket(kind, socket.SOCK_DGRAM) as receiver,
            net.external.socket(kind, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("", PORT))
            receiver.settimeout(5)
            for address in mine:
                sender.sendto(address.encode(), (address, PORT))
            assert {receiver.recv(64).decode() for _ in mine} == set(mine)


def test_ten_thousand_addresses_come_steer_and_go(
    net: Topology, capsys: pytest.CaptureFixture
) -> None:
    for network in NETWORKS.values():
        net.external.ip(f"route add {network} dev x0")
    slaves = [add_slave(net, number) for number in range(SLAVES)]
    own = {slave.id: addresses_of(slave.number) for slave in slaves}
    times = Times()

    with net.daemon.requests() as ask:
        for slave in slaves:
            learnt, by_api = own[slave.id][:LEARNT], own[slave.id][LEARNT:]
            start = time.monotonic()
            batch(slave, "add", learnt)
            wait_until_all(net, slave.id, learnt)
            times.learnt.append(time.monotonic() - start)
            start = time.monotonic()
            for address in by_api:
                answer = ask("POST", f"/v1/slaves/{slave.id}/addresses", {"address": address})
                assert answer.status == 201, answer
            times.by_api.append(time.monotonic() - start)

    rows = net.maps.dump("ipvx_addrs")
    for slave in slaves:
        steers = {key for key, row in rows.items() if row[2] == slave.id}
        assert {address_key(net.master, a) for a in own[slave.id]} <= steers
        shown = net.daemon.get(f"/v1/slaves/{slave.id}")["addresses"]
        assert {row["state"] for row in shown} == {"active"} and len(shown) == len(steers)
        receive_from(net, slave, own[slave.id][:SAMPLE] + own[slave.id][-SAMPLE:])

    with net.daemon.requests() as ask:
        for slave in slaves:
            learnt, by_api = own[slave.id][:LEARNT], own[slave.id][LEARNT:]
            start = time.monotonic()
            batch(slave, "del", learnt)
            for address in by_api:
                answer = ask("DELETE", f"/v1/slaves/{slave.id}/addresses/{address}")
                assert answer.status == 204, answer
            wait_until_all(net, None, own[slave.id])
            times.forgotten.append(time.monotonic() - start)
    # What is left are their link-local addresses.
    assert len(net.maps.dump("ipvx_addrs")) == SLAVES
    for slave in slaves:
        slave.ip("link set {} down")
    eventually("nothing is left", lambda: not net.maps.dump("ipvx_addrs"))
    with capsys.disabled():
        print(f" {times.words()}", end=" ")
    times.check()
