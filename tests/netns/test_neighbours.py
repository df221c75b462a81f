# SPDX-License-Identifier: Apache-2.0
"""Who answers ARP and neighbour discovery for a slave's address?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1

The slave's own stack does, with m0's MAC, and nobody else; link-local addresses of slaves differ
although their MAC does not.
"""

from __future__ import annotations

import ipaddress
import subprocess

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from ipvlanx import EXTERNAL, HOST, Topology, slave_addresses
from space import eventually, ping_ok
from wire import Capture, Frame, Sender

A, B = slave_addresses(0), slave_addresses(1)


def arp_reply_for(address: str):
    def is_reply(frame: Frame) -> bool:
        arp = frame.packet.getlayer(ARP)
        return arp is not None and arp.op == 2 and arp.psrc == address

    return is_reply


def advert_of(address: str):
    def is_advert(frame: Frame) -> bool:
        advert = frame.packet.getlayer(ICMPv6ND_NA)
        return advert is not None and advert.tgt == address

    return is_advert


def arping(net: Topology, address: str) -> subprocess.CompletedProcess:
    return net.external.run("arping", "-c", "1", "-w", "2", "-I", "x0", address, check=False)


def ndisc(net: Topology, address: str) -> subprocess.CompletedProcess:
    words = ("ndisc6", "-q", "-1", "-r", "1", "-w", "1500", address, "x0")
    return net.external.run(*words, check=False)


def test_a_slave_answers_arp_itself(pair: Topology) -> None:
    a = pair.slaves[0].netns
    with Capture(pair.external, "x0") as wire, Capture(a, "ipvl0") as at_slave:
        assert arping(pair, A[4]).returncode == 0
        wire.settle()
    replies = wire.matching(arp_reply_for(A[4]))
    assert [frame.packet[ARP].hwsrc for frame in replies] == [pair.mac], "one answer, m0's MAC"
    assert [frame.outgoing for frame in at_slave.matching(arp_reply_for(A[4]))] == [True]


def test_without_the_slaves_own_arp_nobody_answers(pair: Topology) -> None:
    slave = pair.slaves[0]
    slave.ip("link set {} arp off")
    with Capture(pair.external, "x0") as wire:
        assert arping(pair, A[4]).returncode != 0
    assert not wire.matching(arp_reply_for(A[4]))
    assert arping(pair, B[4]).returncode == 0, "the other slave still does"
    slave.ip("link set {} arp on")
    assert arping(pair, A[4]).returncode == 0


def test_a_slave_answers_neighbour_discovery_itself(pair: Topology) -> None:
    a = pair.slaves[0].netns
    with Capture(pair.external, "x0") as wire, Capture(a, "ipvl0") as at_slave:
        said = ndisc(pair, A[6])
        assert said.returncode == 0 and said.stdout.strip().lower() == pair.mac, said
        wire.settle()
    adverts = wire.matching(advert_of(A[6]))
    assert [frame.packet[ICMPv6NDOptDstLLAddr].lladdr for frame in adverts] == [pair.mac]
    assert [frame.outgoing for frame in at_slave.matching(advert_of(A[6]))] == [True]


def test_nobody_answers_for_an_address_that_nobody_has(pair: Topology) -> None:
    with Capture(pair.external, "x0") as wire:
        assert arping(pair, "10.0.0.99").returncode != 0
        assert ndisc(pair, "fd00::99").returncode != 0
    assert not wire.matching(arp_reply_for("10.0.0.99"))
    assert not wire.matching(advert_of("fd00::99"))


def test_the_host_answers_for_its_own_address_alone(pair: Topology) -> None:
    with Capture(pair.external, "x0") as wire:
        assert arping(pair, HOST[4]).returncode == 0
        assert ndisc(pair, HOST[6]).returncode == 0
        wire.settle()
    assert len(wire.matching(arp_reply_for(HOST[4]))) == 1
    assert len(wire.matching(advert_of(HOST[6]))) == 1


def test_a_unicast_arp_request_goes_to_the_owner_of_its_target(pair: Topology) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    request = Ether(src=pair.external_mac, dst=pair.mac) / ARP(
        op=1, hwsrc=pair.external_mac, psrc=EXTERNAL[4], hwdst=pair.mac, pdst=A[4]
    )
    with (
        Sender(pair.external, "x0") as sender,
        Capture(pair.external, "x0") as wire,
        Capture(a, "ipvl0") as at_a,
        Capture(b, "ipvl1") as at_b,
    ):
        sender.send(request)
        (reply,) = wire.wait_for(arp_reply_for(A[4]))
        wire.settle()
    assert reply.packet[ARP].hwsrc == pair.mac
    asked = [f for f in at_a.frames if ARP in f.packet and f.packet[ARP].op == 1 and not f.outgoing]
    assert len(asked) == 1
    assert not [f for f in at_b.frames if ARP in f.packet]


@pytest.mark.parametrize("source, destination", [(EXTERNAL[6], A[6]), ("::", B[6])])
def test_a_unicast_solicitation_goes_to_one_slave(
    pair: Topology, source: str, destination: str
) -> None:
    """By its destination; from ::, as duplicate address detection asks, by its target (rule 16)."""
    a, b = (slave.netns for slave in pair.slaves)
    question = (
        Ether(src=pair.external_mac, dst=pair.mac)
        / IPv6(src=source, dst=destination, hlim=255)
        / ICMPv6ND_NS(tgt=A[6])
    )

    def asks_for_a(frame: Frame) -> bool:
        solicitation = frame.packet.getlayer(ICMPv6ND_NS)
        return not frame.outgoing and solicitation is not None and solicitation.tgt == A[6]

    with (
        Sender(pair.external, "x0") as sender,
        Capture(a, "ipvl0") as at_a,
        Capture(b, "ipvl1") as at_b,
    ):
        sender.send(question)
        at_a.wait_for(asks_for_a)
        at_a.settle()
    assert len(at_a.matching(asks_for_a)) == 1
    assert not at_b.matching(asks_for_a)


@pytest.mark.parametrize("moved", ["then_moved", "made_there"])
def test_link_local_addresses_of_slaves_differ(net: Topology, moved: str) -> None:
    """Also when the interface is set up in the moment it arrives."""
    count = 4
    for number in range(count):
        space = net.netns(f"ns{number}")
        add = f"link add link m0 name ipvl{number} type ipvlan mode l2"
        if moved == "then_moved":
            net.daemon.cli(add)
            net.host.ip(f"link set ipvl{number} netns {space.name}")
        else:
            net.daemon.cli(f"{add} netns {space.name}")
        space.ip(f"link set ipvl{number} up")

    def link_locals(number: int) -> list[dict]:
        rows = net.netns(f"ns{number}").addresses(f"ipvl{number}")
        return [row for row in rows if row["scope"] == "link"]

    def settled() -> bool:
        rows = [link_locals(number) for number in range(count)]
        return all(len(each) == 1 and not each[0].get("tentative") for each in rows)

    # A ping needs its own side's link-local address, too.
    net.external.wait_for_addresses("x0")
    net.host.wait_for_addresses("m0")
    eventually("each slave has one link-local address", settled)
    rows = [link_locals(number)[0] for number in range(count)]
    assert not any(row.get("dadfailed") for row in rows), rows
    (hosts,) = [row["local"] for row in net.host.addresses("m0") if row["scope"] == "link"]
    everyone = {row["local"] for row in rows} | {hosts}
    assert len(everyone) == count + 1, everyone
    assert eui64_link_local(net.mac) not in {row["local"] for row in rows}
    for row in rows:
        eventually(f"{row['local']} is steered", lambda: net.owner(row["local"]) is not None)
    for number in (0, 1):
        ping_ok(net.external, f"{rows[number]['local']}%x0")
    ping_ok(net.netns("ns0"), f"{rows[1]['local']}%ipvl0")


def eui64_link_local(mac: str) -> str:
    raw = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([raw[0] ^ 2]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(ipaddress.ip_address(b"\xfe\x80" + bytes(6) + interface))
