# SPDX-License-Identifier: Apache-2.0
"""Does who takes an address find out that somebody has it?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1

IPv6's duplicate address detection (RFC 4862) and its like of IPv4 (RFC 5227), between two slaves,
who have one MAC address, and between a slave and the wire.
"""

from __future__ import annotations

from typing import Callable

import pytest
from scapy.layers.l2 import ARP

from ipvlanx import EXTERNAL, HOST, Topology, slave_addresses
from space import Netns, eventually, ping_ok
from wire import Capture, Frame

A, B = slave_addresses(0), slave_addresses(1)
FREE = {4: "10.0.0.77", 6: "fd00::77"}


def add_and_detect(space: Netns, interface: str, address: str) -> dict:
    """The address as `ip addr` shows it when detection is over."""
    space.ip(f"addr add {address}/64 dev {interface}")

    def over() -> dict | None:
        rows = {row["local"]: row for row in space.addresses(interface)}
        row = rows[address]
        return row if row.get("dadfailed") or not row.get("tentative") else None

    return eventually(f"{space.name}: detection of {address}", over)



def test_ipv6_of_another_slaves_address(pair: Topology) -> None:
    a, b = pair.slaves
    assert add_and_detect(b.netns, b.name, A[6]).get("dadfailed")
    shown = lambda: pair.daemon.get(f"/v1/slaves/{b.id}")["addresses"]  # noqa: E731
    eventually("it is none of its addresses", lambda: f"{A[6]}/64" not in str(shown()))
    assert pair.owner(A[6]) == a.id
    ping_ok(pair.external, A[6])
    # What failed goes to nobody when the owner gives it up; a new try succeeds.
    a.ip(f"addr del {A[6]}/64 {{}}")
    pair.wait_steered(None, A[6])
    b.ip(f"addr del {A[6]}/64 {{}}")
    assert not add_and_detect(b.netns, b.name, A[6]).get("dadfailed")
    pair.wait_steered(b, A[6])
    ping_ok(pair.external, A[6])


@pytest.mark.parametrize("owner", ["external", "host"])
def test_ipv6_of_an_address_on_the_wire_or_the_host(pair: Topology, owner: str) -> None:
    """The host hears no broadcasts of slaves (rule 31): its address is refused instead."""
    slave = pair.slaves[0]
    address = {"external": EXTERNAL, "host": HOST}[owner][6]
    failed = bool(add_and_detect(slave.netns, slave.name, address).get("dadfailed"))
    assert failed == (owner == "external")
    pair.wait_steered(None, address)
    ping_ok(pair.slaves[1].netns, EXTERNAL[6])
    ping_ok(pair.external, HOST[6])


def test_ipv6_of_a_free_address(pair: Topology) -> None:
    slave = pair.slaves[0]
    assert not add_and_detect(slave.netns, slave.name, FREE[6]).get("dadfailed")
    pair.wait_steered(slave, FREE[6])
    ping_ok(pair.external, FREE[6])


def test_ipv6_of_a_slaves_address_by_the_wire(pair: Topology) -> None:
    assert add_and_detect(pair.external, "x0", A[6]).get("dadfailed")
    assert not add_and_detect(pair.external, "x0", FREE[6]).get("dadfailed")


def asks_from_zero(space: Netns, interface: str, address: str) -> bool:
    """An ARP probe, as by RFC 5227; whether the answer said that the address is in use."""
    words = ("arping", "-D", "-c", "1", "-w", "1", "-I", interface, address)
    return space.run(*words, check=False).returncode != 0


def answer_to(address: str) -> Callable[[Frame], bool]:
    def is_answer(frame: Frame) -> bool:
        arp = frame.packet.getlayer(ARP)
        return arp is not None and arp.op == 2 and arp.psrc == address

    return is_answer


def test_ipv4_of_a_slaves_address_by_the_wire(pair: Topology) -> None:
    assert asks_from_zero(pair.external, "x0", A[4])
    assert not asks_from_zero(pair.external, "x0", FREE[4])


@pytest.mark.parametrize("owner", ["external", "slave"])
def test_ipv4_of_an_address_in_use_by_a_slave(pair: Topology, owner: str) -> None:
    """All hear the question, and who has the address answers. But the answer is for 0.0.0.0, which
    is nobody's: the host gets it, as with the kernel's ipvlan, which knows slaves by address."""
    a, b = pair.slaves
    address = {"external": EXTERNAL[4], "slave": A[4]}[owner]
    space, interface = {"external": (pair.external, "x0"), "slave": (a.netns, a.name)}[owner]
    with (
        Capture(space, interface) as at_owner,
        Capture(b.netns, b.name) as at_b,
        Capture(pair.external, "x0") as wire,
    ):
        assert not asks_from_zero(b.netns, b.name, address)
        at_owner.wait_for(lambda f: f.outgoing and answer_to(address)(f))
        wire.settle()
    assert not at_b.matching(answer_to(address))
    if owner == "slave":
        assert not wire.matching(answer_to(address)), "it is for the host"
    # Who asks by an address of its own gets the answer.
    done = b.netns.run("arping", "-c", "1", "-w", "2", "-I", b.name, EXTERNAL[4], check=False)
    assert done.returncode == 0
