# SPDX-License-Identifier: Apache-2.0
"""Can a guest live behind an application, by the address of its AF_XDP slave?

    external              host                     ns0                               guest
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (forward) in0  ---- veth ---- g0
                                                                                      10.0.0.10
"""

from __future__ import annotations

import contextlib
import socket

import pytest
from scapy.layers.inet import TCP, UDP

from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import Netns, family_of, ping_ok, tcp_exchange
from wire import Capture, Frame
from xsk import APP, Client, add_app, add_plain, with_prefix

SIZES = (0, 1, 2, 101, 1400, 4000)  # of datagrams; the last one goes in fragments


def add_guest(net: Topology, space: Netns) -> Netns:
    guest = net.netns("guest")
    space.ip("link add in0 type veth peer name g0 netns guest")
    guest.run("ethtool", "-K", "g0", "tx", "off")  # nobody behind it completes a checksum
    for address in APP.values():
        guest.ip(f"addr add {with_prefix(address)} dev g0{' nodad' if ':' in address else ''}")
    space.ip("link set in0 up")
    guest.ip("link set g0 up")
    return guest


@pytest.mark.parametrize("family", FAMILIES)
def test_a_guest_behind_a_slave(net: Topology, family: int) -> None:
    space, _ = add_app(net)
    plain = add_plain(net)
    guest = add_guest(net, space)
    # They steer to the slave nevertheless: the API gave them.
    for address in APP.values():
        space.ip(f"addr del {with_prefix(address)} dev app0")
    with Client(space, "forward", "app0", "--to", "in0", "--to-load") as client:
        ping_ok(guest, EXTERNAL[family])
        for source in (net.external, plain):
            ping_ok(source, APP[family])
        for source in (net.external, plain):  # long segments: they come cut
            tcp_exchange(source, guest, APP[family])
        neighbours = net.external.ip_json("neigh show dev x0")
        (entry,) = [row for row in neighbours if row["dst"] == APP[family]]
        assert entry["lladdr"] == net.mac
        seen = guest.ip_json(f"neigh show dev g0 {EXTERNAL[family]}")
        assert seen[0]["lladdr"] == space.link("in0")["address"]
        app, inner = client.summary()["sockets"]
    assert app["interface"] == "app0" and inner["interface"] == "in0"
    assert app["rx"]["packets"] >= inner["tx"]["packets"] > 200


def send_everything(source: Netns, address: str) -> None:
    """Datagrams, and the beginning of a connection; their checksums are left to the interface."""
    with source.socket(family_of(address), socket.SOCK_DGRAM) as talker:
        for size in SIZES:
            talker.sendto(b"x" * size, (address, 5005))
    with source.socket(family_of(address), socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            caller.connect((address, 5006))


def is_whole(frame: Frame) -> bool:
    """With a TCP or UDP header and all that its checksum is of."""
    packet = frame.packet
    return not frame.outgoing and (TCP in packet or UDP in packet and packet[UDP].len < 1500)


def has_right_checksum(frame: Frame) -> bool:
    again = frame.packet.copy()
    layer = again[TCP] if TCP in again else again[UDP]
    del layer.chksum
    return bytes(again) == frame.data


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_no_checksum_is_left_to_the_application(net: Topology, mode: str) -> None:
    """Neither of the wire's, whose sender is a veth with checksum offload, nor of a sibling's."""
    space, _ = add_app(net, mode)
    plain = add_plain(net, mode)
    guest = add_guest(net, space)
    sources = ((net.external, "x0"), (plain, "plain0"))
    for source, interface in sources:
        assert "tx-checksumming: on" in source.run("ethtool", "-k", interface).stdout
        for address in APP.values():
            source.ip(f"neigh replace {address} lladdr {net.mac} dev {interface} nud permanent")
    with (
        Client(space, "forward", "app0", "--to", "in0", "--to-load"),
        Capture(space, "app0") as stack,
        Capture(guest, "g0") as seen,
    ):
        for source, _ in sources:
            for address in APP.values():
                send_everything(source, address)
        whole = len(SIZES) - 1 + 1  # what is in fragments has no whole one; the connection's begin
        frames = seen.wait_for(is_whole, whole * len(sources) * len(FAMILIES))
    assert [frame.packet for frame in frames if not has_right_checksum(frame)] == []
    assert not stack.matching(is_whole)
