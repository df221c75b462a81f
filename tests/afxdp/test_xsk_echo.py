# SPDX-License-Identifier: Apache-2.0
"""Does an application on an AF_XDP slave answer as a host does, on the wire and beside its siblings?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (echo)     plain0
"""

from __future__ import annotations

import secrets
import socket

import pytest

from ipvlanx import FAMILIES, NOBODY, Topology
from space import Netns, family_of, ping_lost, ping_ok
from xsk import APP, Client, add_app, add_plain


def udp_echo(client: Netns, address: str) -> None:
    """Datagrams come back from the echo port as they were; their checksum was the kernel's affair."""
    with client.socket(family_of(address), socket.SOCK_DGRAM) as talker:
        talker.settimeout(3)
        talker.connect((address, 7))
        for size in (0, 1, 2, 101, 1400):
            words = secrets.token_bytes(size)
            talker.send(words)
            assert talker.recv(2000) == words


@pytest.mark.parametrize("family", FAMILIES)
def test_echo_answers_the_wire_and_a_sibling(net: Topology, family: int) -> None:
    space, _ = add_app(net)
    plain = add_plain(net)
    space.wait_for_addresses("app0")
    with Client(space, "echo", "app0") as client:
        for source, interface in ((net.external, "x0"), (plain, "plain0")):
            source.ip(f"neigh flush dev {interface}")
            ping_ok(source, APP[family])
            ping_ok(source, APP[family], "-c", "3", "-i", "0.05", "-W", "2", "-s", "1400")
            assert "tx-checksumming: on" in source.run("ethtool", "-k", interface).stdout
            udp_echo(source, APP[family])
        heard = client.summary()["heard"]
    # 3 + 3 pings and 5 datagrams of each of two
    assert heard["ping"] == 12 and heard["udp"] == 10 and heard["bad_checksum"] == 0
    assert heard["arp" if family == 4 else "neighbour"] >= 2


def test_echo_answers_for_more_addresses_but_for_no_others(net: Topology) -> None:
    space, _ = add_app(net)
    more, others = {4: "10.0.0.77", 6: "fd00::77"}, NOBODY
    for address in (*more.values(), *others.values()):
        net.daemon.cli(f"addr add {address}/{64 if ':' in address else 24} dev app0")
        space.ip(f"addr del {address}/{64 if ':' in address else 24} dev app0")
    words = [word for address in more.values() for word in ("--address", address)]
    with Client(space, "echo", "app0", *words):
        for family in FAMILIES:
            ping_ok(net.external, more[family])
            ping_lost(net.external, others[family])
