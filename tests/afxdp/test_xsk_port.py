# SPDX-License-Identifier: Apache-2.0
"""Do the port's flags hold for an application as for every slave?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (echo)     plain0
"""

from __future__ import annotations

from typing import Callable

from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import Netns, eventually, ping_lost, ping_ok
from wire import Capture, Frame
from xsk import APP, PLAIN, Client, add_app, add_plain, with_prefix

TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


def dropped(net: Topology, name: str) -> int:
    """As private, of what it sent."""
    return net.daemon.get(f"/v1/slaves/{net.id_of(name)}/stats")["drops"].get("private", 0)


def generate(net: Topology, space: Netns, to: str) -> None:
    words = ("--to", to, "--to-mac", net.mac, "--count", "20", "--size", "100")
    with Client(space, "generate", "app0", *words) as client:
        client.wait()


def both(net: Topology) -> tuple[Netns, Netns]:
    """The namespaces of app0 and plain0, who knows app0's addresses."""
    (space, _), plain = add_app(net), add_plain(net)
    space.wait_for_addresses("app0")
    for address in APP.values():
        plain.ip(f"neigh replace {address} lladdr {net.mac} dev plain0 nud permanent")
    return space, plain


def test_private(net: Topology) -> None:
    space, plain = both(net)
    net.daemon.cli("port set m0 private")
    with Client(space, "echo", "app0") as client:
        for family in FAMILIES:
            ping_lost(plain, APP[family])
            ping_ok(net.external, APP[family])
            ping_ok(plain, EXTERNAL[family])
        assert client.summary()["heard"]["ping"] == 6
    assert dropped(net, "plain0") == 6
    with Capture(plain, "plain0") as heard:
        for family in FAMILIES:
            generate(net, space, PLAIN[family])
        eventually("all are dropped", lambda: dropped(net, "app0") == 40)
        heard.settle()
    assert not heard.matching(lambda f: not f.outgoing and f.is_unicast)


def reflecting(net: Topology) -> None:
    """x0 is a port of a switch that sends back where it came from."""
    net.external.ip_lines(
        "link add br0 type bridge forward_delay 0 mcast_snooping 0",
        "addr flush dev x0",
        "link set x0 master br0",
        *(f"addr add {with_prefix(a)} dev br0{' nodad' if ':' in a else ''}" for a in EXTERNAL.values()),
        "link set br0 up",
    )
    net.external.run("bridge", "link", "set", "dev", "x0", "hairpin", "on")


def test_vepa(net: Topology) -> None:
    space, plain = both(net)
    net.daemon.cli("port set m0 vepa")

    def goes_out(family: int) -> Callable[[Frame], bool]:
        def does(frame: Frame) -> bool:
            is_ip = frame.data[12:14] == TYPES[family]
            return is_ip and not frame.outgoing and frame.destination == net.mac == frame.source

        return does

    with Client(space, "echo", "app0") as client, Capture(net.external, "x0") as wire:
        for family in FAMILIES:
            ping_lost(plain, APP[family])
            ping_ok(net.external, APP[family])
            wire.wait_for(goes_out(family), 3)
        assert client.summary()["heard"]["ping"] == 6
    reflecting(net)
    with Client(space, "echo", "app0") as client, Capture(net.external, "x0") as wire:
        for family in FAMILIES:
            ping_ok(plain, APP[family])
            wire.wait_for(goes_out(family), 6)  # both directions go by the switch
        assert client.summary()["heard"]["ping"] == 6
