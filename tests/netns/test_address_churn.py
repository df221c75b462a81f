# SPDX-License-Identifier: Apache-2.0
"""Has an address one owner, whatever 32 namespaces do to each other at the same time?

    external              host                     ns0 ... ns31
    x0  ---- veth ----  m0 ==== 32 l2 slaves ====  ipvl0 ... ipvl31: all want the same few addresses

As the kernel's own test of ipvlan does it (tools/testing/selftests/drivers/net/ipvtap_test.sh):
1,000 times a second an interface gets or loses an address that others want too. Five seconds, or
IPVLANX_CHURN_SECONDS.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter, defaultdict

import pytest

from addresser import Addresser
from ipvlanx import Slave, Topology
from maps import address_key
from space import SLOW, eventually

SECONDS = float(os.environ.get("IPVLANX_CHURN_SECONDS", "5"))
RATE = 1000  # changes per second
SLAVES = 32
WANTED = [f"10.0.2.{last}" for last in range(1, 9)] + [f"fd00::2:{last}" for last in range(1, 9)]


class Churn(threading.Thread):
    """Adds and deletes at random, and remembers what each interface has."""

    def __init__(self, slaves: list[Slave], seed: int) -> None:
        super().__init__()
        self.has: dict[int, set[str]] = {slave.id: set() for slave in slaves}
        self.changes, self.seconds = 0, 0.0
        self.error: BaseException | None = None
        self._random = random.Random(seed)
        self._interfaces = [(s.id, Addresser(s.netns, s.name)) for s in slaves]

    def run(self) -> None:
        start = time.monotonic()
        try:
            while self.seconds < SECONDS:
                self.seconds = time.monotonic() - start
                if self.changes > RATE * self.seconds:
                    time.sleep(0.001)
                else:
                    self._change()
        except BaseException as error:  # the test's to raise
            self.error = error

    def _change(self) -> None:
        slave, interface = self._random.choice(self._interfaces)
        address = self._random.choice(WANTED)
        if address in self.has[slave]:
            interface.delete(address)
        else:
            interface.add(address)
        self.has[slave] ^= {address}
        self.changes += 1


def owners_in_the_map(net: Topology) -> dict[str, int]:
    with net.maps.open("ipvx_addrs") as table:
        rows = {a: table.lookup(*address_key(net.master, a)) for a in WANTED}
    return {address: row[2] for address, row in rows.items() if row}


def owners_by_the_api(net: Topology) -> dict[str, list[int]]:
    """Who says of an address that it is active."""
    owners: dict[str, list[int]] = defaultdict(list)
    for slave in net.daemon.get("/v1/slaves"):
        for row in slave["addresses"]:
            if row["state"] == "active":
                owners[row["address"].split("/")[0]].append(slave["id"])
    return owners


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as handle:
        fields = handle.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def add_slaves(net: Topology) -> list[Slave]:
    slaves = []
    for number in range(SLAVES):
        space, name = net.netns(f"ns{number}"), f"ipvl{number}"
        body = {"master": "m0", "name": name, "mode": "l2", "netns": space.name}
        answer = net.daemon.api("POST", "/v1/slaves", body)
        assert answer.status == 201, answer
        slaves.append(Slave(number, space, name, answer.body["id"]))
        slaves[-1].ip("link set {} up")
    return slaves


def test_an_address_has_one_owner_while_all_fight_for_it(
    net: Topology, capsys: pytest.CaptureFixture
) -> None:
    slaves = add_slaves(net)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    churn = Churn(slaves, seed)
    ids = {slave.id for slave in slaves}
    changes_of_owner: Counter[str] = Counter()
    before: dict[str, int] = {}
    cpu, looks = cpu_seconds(net.daemon.pid), 0
    churn.start()
    while churn.is_alive():
        owners = owners_in_the_map(net)
        assert set(owners.values()) <= ids
        changes_of_owner.update(a for a in owners if before.get(a) not in (None, owners[a]))
        before = owners
        active = owners_by_the_api(net)
        assert all(len(each) == 1 for each in active.values()), active
        looks += 1
        time.sleep(0.05)
    churn.join()
    if churn.error:
        raise churn.error
    cpu = cpu_seconds(net.daemon.pid) - cpu

    # What the tables say is what the interfaces have, and the first one has it.
    held = {address: {s for s in ids if address in churn.has[s]} for address in WANTED}

    def settled() -> bool:
        owners = owners_in_the_map(net)
        return owners.keys() == {a for a in WANTED if held[a]} and all(
            owners[a] in held[a] for a in owners
        )

    eventually("tables and interfaces agree", settled)
    for slave in slaves:
        on_it = {row["local"] for row in slave.netns.addresses(slave.name)} & set(WANTED)
        rows = net.daemon.get(f"/v1/slaves/{slave.id}")["addresses"]
        assert on_it == {row["address"].split("/")[0] for row in rows} & set(WANTED)
        assert on_it == churn.has[slave.id]
    active = owners_by_the_api(net)
    assert {a: [owner] for a, owner in owners_in_the_map(net).items()} == {
        a: active[a] for a in active if a in WANTED
    }
    for slave_id, interface in churn._interfaces:
        for address in churn.has[slave_id]:
            interface.delete(address)
        interface.close()
    eventually("nothing is left of them", lambda: not owners_in_the_map(net))

    rate = churn.changes / churn.seconds
    with capsys.disabled():
        moves = sum(changes_of_owner.values())
        print(f" {rate:.0f}/s, {moves} new owners seen in {looks} looks, ", end="")
        print(f"daemon {cpu / churn.seconds:.0%} of a CPU", end=" ")
    assert rate > 0.9 * RATE / SLOW
    assert len(changes_of_owner) == len(WANTED), "each changed hands: the test tests something"
