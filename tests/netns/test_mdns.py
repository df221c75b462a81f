# SPDX-License-Identifier: Apache-2.0
"""Do programs in slaves, and on the wire, find each other by multicast DNS?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)
    avahi-daemon                                   avahi-daemon    avahi-daemon

Each avahi-daemon has a message bus of its own; the host has none, and is not to hear the slaves.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.inet import IP

from ipvlanx import EXTERNAL, Topology, slave_addresses
from programs import Program
from space import Netns, eventually
from wire import Capture, Frame

A, B = slave_addresses(0), slave_addresses(1)
SERVICE, PORT = "_ipvlanx-test._tcp", "4242"
GROUP_MACS = {"01:00:5e:00:00:fb", "33:33:00:00:00:fb"}
BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={bus}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
AVAHI = """
[server]
host-name={name}
allow-interfaces={interface}
use-ipv4=yes
use-ipv6=yes
[publish]
publish-hinfo=no
publish-workstation=no
"""


@dataclass(frozen=True)
class Neighbour:
    """Somebody with an avahi-daemon, and how avahi's commands reach it."""

    space: Netns
    environment: dict[str, str]

    def publishes(self, name: str) -> Program:
        words = ("avahi-publish", "--no-fail", "-s", name, SERVICE, PORT)
        return Program(self.space, *words, **self.environment)

    def finds(self) -> dict[str, set[str]]:
        """Who offers SERVICE, and at which addresses."""
        words = ("avahi-browse", "--resolve", "--parsable", "--terminate", SERVICE)
        done = self.space.run(*words, env=os.environ | self.environment, timeout=20)
        found: dict[str, set[str]] = {}
        for row in (line.split(";") for line in done.stdout.splitlines()):
            if row[0] == "=" and row[8] == PORT:
                found.setdefault(row[3], set()).add(row[7])
        return found


@contextlib.contextmanager
def avahi(net: Topology, name: str, space: Netns, interface: str) -> Iterator[Neighbour]:
    folder = Path(net.daemon.folder, f"avahi-{name}")
    folder.mkdir()
    bus = folder / "bus"
    (folder / "bus.conf").write_text(BUS.format(bus=bus))
    (folder / "avahi.conf").write_text(AVAHI.format(name=name, interface=interface))
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
    with Program(space, "dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"):
        eventually("the message bus is there", bus.exists)
        # The place of its pid file is fixed, and there is to be more than one.
        folder_of_pid = "/run/avahi-daemon"
        private = f'mkdir -p {folder_of_pid} && mount -t tmpfs t {folder_of_pid} && exec "$@"'
        with Program(
            space, "unshare", "--mount", "sh", "-c", private, "sh",
            "avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits",
            "-f", f"{folder}/avahi.conf",
            **environment,
        ) as program:  # fmt: skip
            eventually(f"{name} speaks", lambda: "startup complete" in program.said, 10)
            yield Neighbour(space, environment)


@pytest.fixture
def neighbours(pair: Topology) -> Iterator[dict[str, Neighbour]]:
    a, b = pair.slaves
    places = {"a": (a.netns, a.name), "b": (b.netns, b.name), "external": (pair.external, "x0")}
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(avahi(pair, name, *place)) for name, place in places.items()
        }


def mdns_from(address: str):
    def is_it(frame: Frame) -> bool:
        ip = frame.packet.getlayer(IP)
        return frame.destination in GROUP_MACS and ip is not None and ip.src == address

    return is_it


def test_everybody_finds_everybodys_service(
    pair: Topology, neighbours: dict[str, Neighbour]
) -> None:
    net, (a, b) = pair, pair.slaves
    own = {"a": A, "b": B, "external": EXTERNAL}
    with contextlib.ExitStack() as stack:
        wire, on_master, at_a, at_b = (
            stack.enter_context(Capture(space, interface))
            for space, interface in (
                (net.external, "x0"), (net.host, "m0"), (a.netns, a.name), (b.netns, b.name),
            )
        )  # fmt: skip
        for name, neighbour in neighbours.items():
            stack.enter_context(neighbour.publishes(f"of {name}"))
        names = {f"of\\032{name}" for name in own}
        for who, neighbour in neighbours.items():
            eventually(f"{who} finds all", lambda: set(neighbour.finds()) == names, 10)
            for name, addresses in own.items():
                seen = neighbour.finds()[f"of\\032{name}"]
                # One's own service may be at 127.0.0.1; and all have link-local addresses.
                global_ones = {address for address in seen if not address.startswith("fe80:")}
                allowed = set(addresses.values()) | ({"127.0.0.1"} if name == who else set())
                assert global_ones and global_ones <= allowed, f"{who} finds {name} at {seen}"
        wire.settle()
    # What a said, b and the wire heard once, the host's stack never.
    said = [frame.data for frame in at_a.matching(mdns_from(A[4]))]
    assert said and all(frame.outgoing for frame in at_a.matching(mdns_from(A[4])))
    assert [frame.data for frame in at_b.matching(mdns_from(A[4]))] == said
    assert [frame.data for frame in wire.matching(mdns_from(A[4]))] == said
    assert {frame.source for frame in wire.matching(mdns_from(A[4]))} == {net.mac}
    assert all(frame.outgoing for frame in on_master.matching(mdns_from(A[4])))
    # What the wire said, each heard once.
    said = [frame.data for frame in wire.matching(mdns_from(EXTERNAL[4]))]
    assert said
    for capture in (on_master, at_a, at_b):
        assert [frame.data for frame in capture.matching(mdns_from(EXTERNAL[4]))] == said
