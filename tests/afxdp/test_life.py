# SPDX-License-Identifier: Apache-2.0
"""Does an application's slave outlive what happens to the daemon, the master, the application?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (echo)     plain0
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipvlanx import Topology
from maps import pinned_link
from space import eventually, ping_lost, ping_ok
from test_handshake import fds_of, resident
from test_restart import Flood
from test_testpmd import echoes
from xsk import APP, Client, add_app, add_plain


def test_the_daemons_end_and_its_successor_lose_no_packet(net: Topology) -> None:
    """Killed, started, ended and started under load: each start gives the interface a program anew,
    as an upgrade does."""
    space, slave = add_app(net)
    plain = add_plain(net)
    pin = f"{net.daemon.pin_root}/slaves/{slave}/link"
    with Client(space, "echo", "app0") as client:
        sources = (net.external, plain)
        for source in sources:
            ping_ok(source, APP[4])
            ping_ok(source, APP[6])
        link, program = pinned_link(pin)
        floods = [Flood(source, APP[family]) for source in sources for family in (4, 6)]
        time.sleep(0.5)
        net.daemon.kill()
        time.sleep(0.5)
        net.daemon.start()
        net.daemon.restart()
        for flood in floods:
            flood.done()
        heard = client.summary()["heard"]
    assert heard["ping"] == 4 * (Flood.COUNT + 3), "all by the application"
    again, successor = pinned_link(pin)
    assert again == link and successor != program


def test_the_master_goes_down_and_up(net: Topology) -> None:
    space, _ = add_app(net)
    with Client(space, "echo", "app0") as client:
        ping_ok(net.external, APP[4])
        net.host.ip("link set m0 down")
        eventually("no carrier", lambda: space.link("app0")["operstate"] != "UP")
        net.host.ip("link set m0 up")
        eventually("carrier", lambda: space.link("app0")["operstate"] == "UP")
        net.external.ip("neigh flush dev x0")
        ping_ok(net.external, APP[4])
        assert client.running and client.summary()["heard"]["ping"] == 6


def test_its_namespace_ends(net: Topology) -> None:
    """Held by the application for as long as that lives; nothing is left then."""
    space, _ = add_app(net)
    plain = add_plain(net)
    with Client(space, "echo", "app0") as client:
        space.delete()
        ping_ok(net.external, APP[4])
        client.kill()
        eventually("the slave is gone", lambda: len(net.daemon.get("/v1/slaves")) == 1, 10)
    assert not [pin for pin in net.daemon.pins() if pin.startswith("slaves/")]
    ping_lost(net.external, APP[4])
    ping_ok(plain, "10.0.0.1")


def test_applications_that_come_and_are_killed_lose_what_they_had_in_hand(net: Topology) -> None:
    space, _ = add_app(net)
    ping_ok(net.external, APP[4])
    before, heard = echoes(space), 0
    flood = Flood(net.external, APP[4])
    while flood.running():
        with Client(space, "echo", "app0") as client:
            time.sleep(0.3)
            client.kill()
        heard += 1
        time.sleep(0.3)
    received = flood.received()
    assert heard >= 3 and received >= Flood.COUNT - heard
    assert 50 < echoes(space) - before < 250, "both had their share"


MANY, SPACES = 500, 20


@pytest.mark.skipif("IPVLANX_LONG" not in os.environ, reason="half a minute")
def test_five_hundred_on_one_port(net: Topology) -> None:
    """The first one in each namespace is reached, of which every other has an application. No more
    memory is locked than an ordinary machine allows."""
    daemon = net.daemon
    assert "Max locked memory         8388608" in Path(f"/proc/{daemon.pid}/limits").read_text()
    before = fds_of(daemon), resident(daemon)
    spaces = [net.netns(f"ns{number}") for number in range(SPACES)]
    with daemon.requests(timeout=60) as ask:
        for number in range(MANY):
            space, first = spaces[number % SPACES], number < SPACES
            address = f"10.0.{1 + number // SPACES}.{1 + number % SPACES}/{16 if first else 32}"
            wanted = {"master": "m0", "name": f"app{number}", "mode": "l2", "via": "afxdp"}
            wanted |= {"netns": space.name, "addresses": [address]}
            assert ask("POST", "/v1/slaves", wanted).status == 201
    eventually("a socket of each is open", lambda: fds_of(daemon) - before[0] == MANY)
    assert resident(daemon) - before[1] < MANY * (64 << 10)
    net.external.ip("addr add 10.0.0.1/16 dev x0")
    with ExitStack() as stack:
        apps = [
            stack.enter_context(Client(spaces[number], "echo", f"app{number}"))
            for number in range(0, SPACES, 2)
        ]

        def all_answer() -> None:
            for number in range(SPACES):
                ping_ok(net.external, f"10.0.1.{1 + number}", "-c", "2", "-i", "0.01", "-W", "2")

        all_answer()
        daemon.kill()
        all_answer()
        daemon.start(patience=60)
        all_answer()
        assert [app.summary()["heard"]["ping"] for app in apps] == [6] * len(apps)
    daemon.cli("port del m0")
    assert not [pin for pin in daemon.pins() if pin.startswith("slaves/")]
    assert fds_of(daemon) < before[0] + 20
