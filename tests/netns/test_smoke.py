# SPDX-License-Identifier: Apache-2.0
"""Does the least that must work do so, on this kernel?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two slaves ======  ipvl0           ipvl1
    10.0.0.1            10.0.0.2                   10.0.0.10       10.0.0.11
    fd00::1             fd00::2                    fd00::10        fd00::11

Short, as tests/vm also runs it on kernels that are emulated.
"""

from __future__ import annotations

import platform
import re
import signal
import subprocess
import time

from ipvlanx import EXTERNAL, FAMILIES, Slave, Topology, slave_addresses
from space import Netns, ping_ok, tcp_exchange

A, B = slave_addresses(0), slave_addresses(1)
FIRST_WITH_TCX = (6, 6)


def test_programs_hang_on_the_hooks_this_kernel_has(pair: Topology) -> None:
    kernel = tuple(int(number) for number in platform.release().split(".")[:2])
    filters = pair.host.run("tc", "filter", "show", "dev", "m0", "ingress").stdout
    links = [pin for pin in pair.daemon.pins() if pin.startswith("links/")]
    if kernel >= FIRST_WITH_TCX:
        assert links and not filters
    else:
        assert not links and "bpf" in filters


def test_l2_carries_traffic(pair: Topology) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    for family in FAMILIES:
        for source, sink, address in (
            (pair.external, a, A[family]),
            (b, pair.external, EXTERNAL[family]),
            (a, b, B[family]),
        ):
            ping_ok(source, address)
            tcp_exchange(source, sink, address)


class Pings:
    """Ten a second, until stop(), which says that none was lost."""

    def __init__(self, source: Netns, address: str) -> None:
        self.what = f"{source.name} -> {address}"
        self._process = source.spawn(
            "ping", "-n", "-q", "-i", "0.1", address,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate()
        sent, received = map(int, re.search(r"(\d+) packets.*, (\d+) received", said).groups())
        # Of the last one, the answer may have been under way.
        assert received >= max(sent - 1, 10), f"{self.what}: {said}"


def test_traffic_goes_on_while_the_daemon_is_killed_and_restarted(pair: Topology) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    ways = [
        way
        for family in FAMILIES
        for way in ((pair.external, A[family]), (b, EXTERNAL[family]), (a, B[family]))
    ]
    for source, address in ways:
        ping_ok(source, address)  # the neighbours know each other
    pings = [Pings(source, address) for source, address in ways]
    time.sleep(0.5)
    pair.daemon.kill()
    time.sleep(0.5)
    pair.daemon.start()
    time.sleep(0.5)
    for each in pings:
        each.stop()
    assert [slave["id"] for slave in pair.daemon.get("/v1/slaves")] == [s.id for s in pair.slaves]


def add_l3_slave(net: Topology, number: int) -> Slave:
    name, space, addresses = f"ipvl{number}", net.netns(f"ns{number}"), slave_addresses(number)
    net.daemon.cli(
        f"link add link m0 name {name} mode l3 netns {space.name}"
        f" addr {addresses[4]}/24 addr {addresses[6]}/64"
    )
    slave = Slave(number, space, name, net.id_of(name))
    for address in addresses.values():
        net.wait_steered(slave, address)
    return slave


def test_l3_carries_traffic(net: Topology) -> None:
    a, b = (add_l3_slave(net, number).netns for number in (0, 1))
    for family in FAMILIES:
        # Nobody answers for a slave's address, as with the kernel's mode l3.
        net.external.ip(f"neigh add {A[family]} lladdr {net.mac} dev x0")
        for source, sink, address in (
            (net.external, a, A[family]),
            (a, net.external, EXTERNAL[family]),
            (a, b, B[family]),
        ):
            ping_ok(source, address)
            tcp_exchange(source, sink, address)
