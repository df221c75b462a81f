# SPDX-License-Identifier: Apache-2.0
"""Can a guest live behind an application, by the address of its AF_XDP slave?

    external              host                     ns0                               guest
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (forward) in0  ---- veth ---- g0
                                                                                      10.0.0.10
"""

from __future__ import annotations

import pytest

from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import Netns, ping_ok, tcp_exchange
from xsk import APP, Client, add_app, add_plain, with_prefix


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
        tcp_exchange(net.external, guest, APP[family])
        neighbours = net.external.ip_json("neigh show dev x0")
        (entry,) = [row for row in neighbours if row["dst"] == APP[family]]
        assert entry["lladdr"] == net.mac
        seen = guest.ip_json(f"neigh show dev g0 {EXTERNAL[family]}")
        assert seen[0]["lladdr"] == space.link("in0")["address"]
        app, inner = client.summary()["sockets"]
    assert app["interface"] == "app0" and inner["interface"] == "in0"
    assert app["rx"]["packets"] >= inner["tx"]["packets"] > 200
