# SPDX-License-Identifier: Apache-2.0
"""Do DHCP clients in slaves get addresses, although all slaves have one MAC address?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)
    dnsmasq                                        dhclient        udhcpc

A client that has no address yet can only be told so by broadcast (SEMANTICS.md 1.A): udhcpc -B
asks for that; ISC's dhclient cannot on Linux, so the server has to know it. And only its client
identifier tells a client from the others.
"""

from __future__ import annotations

import contextlib
import ipaddress
import signal
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP

from ipvlanx import EXTERNAL, Slave, Topology
from programs import Program
from space import eventually, ping_ok
from wire import Capture, Frame

RANGE = ("10.0.0.200", "10.0.0.220")
BROADCAST_FLAG = 0x8000
DHCLIENT, UDHCPC = "dhclient-in-a", "udhcpc-in-b"  # their client identifiers
ALL = "ff:ff:ff:ff:ff:ff"
DISCOVER, OFFER, REQUEST, ACK, RELEASE = 1, 2, 3, 5, 7


@pytest.fixture
def served(net: Topology) -> Iterator[Topology]:
    """A DHCP server on the wire, two slaves that are up, and no address in them."""
    with Program(
        net.external,
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root",
        "--interface=x0", "--bind-interfaces", "--no-ping", "--leasefile-ro", "--pid-file=",
        "--dhcp-authoritative", f"--dhcp-range={RANGE[0]},{RANGE[1]},255.255.255.0,2m",
        f"--dhcp-host=id:{DHCLIENT},set:slave", "--dhcp-broadcast=tag:slave",
    ):  # fmt: skip
        for _ in range(2):
            net.add_slave(addressed=False).ip("link set {} up")
        yield net


def script(net: Topology, name: str, text: str) -> str:
    """What a client calls when something has happened to its lease."""
    path = Path(net.daemon.folder, name)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def dhclient(net: Topology, slave: Slave) -> Program:
    folder = Path(net.daemon.folder)
    settings = folder / "dhclient.conf"
    settings.write_text(f'send dhcp-client-identifier "{DHCLIENT}";\n')
    on_event = script(
        net, "dhclient-script",
        'case $reason in BOUND | REBOOT) '
        'ip addr add "$new_ip_address/$new_subnet_mask" dev "$interface" ;; esac',
    )  # fmt: skip
    return Program(
        slave.netns,
        "dhclient", "-4", "-d", "-sf", on_event, "-cf", str(settings),
        "-lf", str(folder / "dhclient.leases"), "-pf", str(folder / "dhclient.pid"), slave.name,
    )  # fmt: skip


def udhcpc(net: Topology, slave: Slave, identifier: str | None) -> Program:
    on_event = script(
        net, "udhcpc-script",
        'case $1 in\n'
        'bound) ip addr add "$ip/$mask" dev "$interface" ;;\n'
        'deconfig) ip addr flush dev "$interface" ;;\n'
        'esac',
    )  # fmt: skip
    # 0x3d is the client identifier, 00 the kind that is no hardware address.
    who = ("-x", f"0x3d:00{identifier.encode().hex()}") if identifier else ("-C",)
    words = ("udhcpc", "-f", "-B", "-t", "10", "-T", "1", "-s", on_event, *who)
    return Program(slave.netns, *words, "-i", slave.name)


def lease_of(slave: Slave) -> str:
    """The address that its client has put on the interface."""

    def addresses() -> list[str]:
        rows = slave.netns.addresses(slave.name)
        return [row["local"] for row in rows if row["family"] == "inet"]

    (address,) = eventually(f"{slave.name} has a lease", addresses, 15)
    low, high = map(ipaddress.ip_address, RANGE)
    assert low <= ipaddress.ip_address(address) <= high
    return address


def shown(net: Topology, slave: Slave) -> dict[str, tuple[str, str]]:
    rows = net.daemon.get(f"/v1/slaves/{slave.id}")["addresses"]
    return {row["address"]: (row["origin"], row["state"]) for row in rows}


def message(frame: Frame) -> int | None:
    """Which DHCP message it is."""
    if DHCP not in frame.packet:
        return None
    return dict(o for o in frame.packet[DHCP].options if len(o) == 2)["message-type"]


def identifier(frame: Frame) -> bytes:
    return dict(o for o in frame.packet[DHCP].options if len(o) == 2)["client_id"]


def messages(capture: Capture, *kinds: int) -> list[Frame]:
    return capture.matching(lambda frame: message(frame) in kinds)


def test_two_clients_at_once_get_an_address_each(served: Topology) -> None:
    net, (a, b) = served, served.slaves
    with contextlib.ExitStack() as stack:
        wire, on_master, at_a, at_b = (
            stack.enter_context(Capture(space, interface))
            for space, interface in (
                (net.external, "x0"), (net.host, "m0"), (a.netns, a.name), (b.netns, b.name),
            )
        )  # fmt: skip
        stack.enter_context(dhclient(net, a))
        stack.enter_context(udhcpc(net, b, UDHCPC))
        leases = {slave.name: lease_of(slave) for slave in (a, b)}
        wire.settle()
        assert leases[a.name] != leases[b.name]
        for slave in (a, b):
            address = leases[slave.name]
            net.wait_steered(slave, address)
            assert shown(net, slave)[f"{address}/24"] == ("learnt", "active")
            ping_ok(net.external, address)
            ping_ok(slave.netns, EXTERNAL[4])
        ping_ok(a.netns, leases[b.name])

    # What the clients said: all with the one MAC, which is why they need identifiers.
    asked = messages(wire, DISCOVER, REQUEST)
    assert {frame.source for frame in asked} == {net.mac}
    assert {frame.packet[BOOTP].chaddr[:6].hex(":") for frame in asked} == {net.mac}
    flags = {(identifier(f), bool(f.packet[BOOTP].flags & BROADCAST_FLAG)) for f in asked}
    assert flags == {(DHCLIENT.encode(), False), (b"\0" + UDHCPC.encode(), True)}
    # What the server said: by broadcast, once to the host and to each slave, whoever asked.
    told = messages(wire, OFFER, ACK)
    assert {(f.outgoing, f.destination, f.packet[IP].dst) for f in told} == {
        (True, ALL, "255.255.255.255")
    }
    given = {f.packet[BOOTP].xid: f.packet[BOOTP].yiaddr for f in told if message(f) == ACK}
    assert set(given.values()) == set(leases.values())
    for capture in (on_master, at_a, at_b):
        assert [f.data for f in messages(capture, OFFER, ACK)] == [f.data for f in told]
    # What one slave says to all, the other one hears too, and the sender not again.
    for own, other in ((at_a, at_b), (at_b, at_a)):
        sent = [f for f in messages(own, DISCOVER, REQUEST) if f.outgoing]
        heard = [f for f in messages(other, DISCOVER, REQUEST) if not f.outgoing]
        assert sent and [f.data for f in heard] == [f.data for f in sent]


def test_a_lease_is_renewed_and_given_back(served: Topology) -> None:
    """A client that has an address renews it by unicast, and the answer finds its slave."""
    net, (a, b) = served, served.slaves
    with (
        dhclient(net, a),
        udhcpc(net, b, UDHCPC) as client,
        Capture(net.external, "x0") as wire,
        Capture(a.netns, a.name) as at_a,
        Capture(b.netns, b.name) as at_b,
    ):
        leases = {slave.name: lease_of(slave) for slave in (a, b)}
        own = leases[b.name]
        net.wait_steered(b, own)
        wire.settle()

        def renewing(frame: Frame) -> bool:
            return message(frame) in (REQUEST, ACK) and frame.is_unicast

        client.signal(signal.SIGUSR1)
        request, ack = wire.wait_for(renewing, 2)
        assert (message(request), request.source, request.packet[IP].src) == (REQUEST, net.mac, own)
        assert (message(ack), ack.destination, ack.packet[IP].dst) == (ACK, net.mac, own)
        at_b.wait_for(renewing, 2)
        assert not at_a.matching(renewing)
        assert lease_of(b) == own

        client.signal(signal.SIGUSR2)
        wire.wait_for(lambda frame: message(frame) == RELEASE)
        net.wait_steered(None, own)
        assert f"{own}/24" not in shown(net, b)
        ping_ok(net.external, leases[a.name])


def test_without_identifiers_the_one_mac_gets_one_lease(served: Topology) -> None:
    """Why a client in a slave needs one: the server takes both for the same machine."""
    net, (a, b) = served, served.slaves
    with udhcpc(net, a, None):
        address = lease_of(a)
        net.wait_steered(a, address)
        with net.daemon.events() as events, udhcpc(net, b, None):
            assert lease_of(b) == address
            event = events.wait_for("address-conflict", slave=b.id)
            assert event["owner"] == a.id
        ping_ok(net.external, address)
        assert net.owner(address) == a.id
