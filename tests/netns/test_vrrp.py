# SPDX-License-Identifier: Apache-2.0
"""Can a slave and a machine on the wire share a virtual address by VRRP?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)
    keepalived                                     keepalived      uses the address

keepalived puts the virtual address on the interface of whoever is master (without use_vmac), so it
is learnt and forgotten as any other; its advertisements are multicast, and so is how it tells all
others of its new place.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ipvlanx import EXTERNAL, Topology, slave_addresses
from programs import Program
from space import Netns, eventually, ping_ok
from wire import Capture, Frame, Sender, carrying

A = slave_addresses(0)
IP_VRRP = 112
GROUP_MAC = {4: "01:00:5e:00:00:12", 6: "33:33:00:00:00:12"}  # 224.0.0.18, ff02::12
VIRTUAL = {4: "10.0.0.100", 6: "fd00::100"}


@dataclass(frozen=True)
class Vrrp:
    """What the two speak: how often there is an advertisement, in seconds."""

    family: int
    version: int
    interval: float

    @property
    def virtual(self) -> str:
        return VIRTUAL[self.family]


IPV4, IPV6, OLD = Vrrp(4, 3, 0.3), Vrrp(6, 3, 0.3), Vrrp(4, 2, 1)
by_protocol = pytest.mark.parametrize("vrrp", [IPV4, IPV6], ids=["ipv4", "ipv6"])
by_best = pytest.mark.parametrize("best", ["slave", "external"])

SETTINGS = """
global_defs {{ vrrp_version {version} }}
vrrp_instance one {{
  state {state}
  interface {interface}
  virtual_router_id 51
  priority {priority}
  advert_int {interval}
  garp_master_delay 1
  virtual_ipaddress {{
    {addresses}
  }}
}}
"""


@dataclass(frozen=True)
class Router:
    """One of the two: where it runs, and how."""

    net: Topology
    space: Netns
    interface: str
    vrrp: Vrrp
    priority: int

    @contextlib.contextmanager
    def running(self) -> Iterator[Program]:
        path = Path(self.net.daemon.folder, f"keepalived-{self.space.name}")
        # A virtual router of IPv6 has a link-local address first.
        addresses = {4: f"{VIRTUAL[4]}/24", 6: f"fe80::100\n    {VIRTUAL[6]}/64"}
        path.write_text(
            SETTINGS.format(
                version=self.vrrp.version, interface=self.interface, priority=self.priority,
                state="MASTER" if self.priority > 100 else "BACKUP",
                interval=self.vrrp.interval, addresses=addresses[self.vrrp.family],
            )
        )  # fmt: skip
        with Program(
            self.space,
            "keepalived", "--vrrp", "--dont-fork", "--log-console", "--log-detail", "--no-syslog",
            f"--use-file={path}", f"--pid={path}.pid", f"--vrrp_pid={path}.vrrp.pid",
        ) as program:  # fmt: skip
            yield program

    def is_master(self) -> bool:
        rows = self.space.addresses(self.interface)
        return any(row["local"] == self.vrrp.virtual for row in rows)

    def is_settled(self) -> bool:
        rows = self.space.addresses(self.interface)
        return not any(row.get("tentative") for row in rows)

    def vanish(self) -> None:
        """The addresses go with the machine, so that nobody answers from there. (The interface
        cannot: without a switch in between the others' carrier would go with it.)"""
        self.space.ip(f"addr flush dev {self.interface}")


def routers(net: Topology, vrrp: Vrrp, best: str) -> tuple[Router, Router]:
    """In slave a and on the wire; first the one that is to be master."""
    a = net.slaves[0]
    in_slave = Router(net, a.netns, a.name, vrrp, 150 if best == "slave" else 100)
    outside = Router(net, net.external, "x0", vrrp, 150 if best == "external" else 100)
    for router in (in_slave, outside):
        what = f"{router.space.name}: duplicate address detection is over"
        eventually(what, router.is_settled)
    return (in_slave, outside) if best == "slave" else (outside, in_slave)


def until_master_is(master: Router, seen_from: list[Netns]) -> None:
    """Within three intervals and what a priority may add (RFC 5798: up to one more); and the
    virtual address then leads there for slave b and for `seen_from`."""
    net, vrrp = master.net, master.vrrp
    a, b = net.slaves
    in_slave = master.space is a.netns
    patience = 4 * vrrp.interval + 2  # and something for a busy machine
    eventually(f"{master.space.name} is master", master.is_master, patience)
    net.wait_steered(a if in_slave else None, vrrp.virtual)
    wanted = net.mac if in_slave else net.external_mac

    def is_found() -> bool:
        once = b.netns.ping(vrrp.virtual, "-c", "1", "-W", "1")
        rows = b.netns.ip_json(f"neigh show to {vrrp.virtual} dev {b.name}")
        return once.returncode == 0 and [row.get("lladdr") for row in rows] == [wanted]

    eventually(f"{b.name} knows where {vrrp.virtual} is", is_found, 3)
    for space in (b.netns, *seen_from):
        ping_ok(space, vrrp.virtual)


def advertisement(frame: Frame) -> bool:
    protocol = {b"\x08\x00": 23, b"\x86\xdd": 20}.get(frame.data[12:14])
    return protocol is not None and frame.data[protocol] == IP_VRRP


def only_the_master_speaks(net: Topology, vrrp: Vrrp, best: str) -> None:
    """And everybody else hears it once: the backup, the host's interface, the other slave."""
    a, b = net.slaves
    words = b"from here to here"
    mark = Ether(src=net.external_mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(words)
    is_mark = carrying(words)
    with contextlib.ExitStack() as stack:
        places = {"external": "x0", "host": "m0", "a": a.name, "b": b.name}
        spaces = {"external": net.external, "host": net.host, "a": a.netns, "b": b.netns}
        captures = {
            name: stack.enter_context(Capture(spaces[name], interface))
            for name, interface in places.items()
        }
        sender = stack.enter_context(Sender(net.external, "x0"))
        sender.send(mark)
        captures["external"].wait_for(advertisement, 3)
        sender.send(mark)
        for capture in captures.values():
            capture.wait_for(is_mark, 2)
    heard = {}
    for name, capture in captures.items():
        first, last = [at for at, frame in enumerate(capture.frames) if is_mark(frame)]
        heard[name] = [f for f in capture.frames[first:last] if advertisement(f)]
    one = heard["external"][0]
    by_slave = best == "slave"
    assert one.source == (net.mac if by_slave else net.external_mac)
    assert one.destination == GROUP_MAC[vrrp.family]
    if vrrp.family == 4:  # of IPv6 it is a link-local address
        assert socket.inet_ntoa(one.data[26:30]) == (A[4] if by_slave else EXTERNAL[4])
    # A slave's go out of the host's interface and never in (rule 27).
    sent_at = {"a", "host"} if by_slave else {"external"}
    for name, frames in heard.items():
        assert [f.data for f in frames] == [f.data for f in heard["external"]], name
        assert {frame.outgoing for frame in frames} == {name in sent_at}, name


@by_best
@by_protocol
def test_when_the_master_ends_the_other_takes_over(pair: Topology, vrrp: Vrrp, best: str) -> None:
    first, second = routers(pair, vrrp, best)
    with first.running() as program, second.running():
        until_master_is(first, [second.space])
        eventually(f"{second.space.name} is backup", lambda: not second.is_master())
        only_the_master_speaks(pair, vrrp, best)
        program.stop()
        until_master_is(second, [first.space])
        assert not first.is_master()
        # And back, when the better one is there again.
        with first.running():
            until_master_is(first, [second.space])
            eventually(f"{second.space.name} is backup", lambda: not second.is_master())


@by_best
@pytest.mark.parametrize("vrrp", [IPV4, IPV6, OLD], ids=["ipv4", "ipv6", "ipv4_version_2"])
def test_when_the_master_dies_the_other_takes_over(pair: Topology, vrrp: Vrrp, best: str) -> None:
    """Without a last word: it is missed."""
    first, second = routers(pair, vrrp, best)
    with first.running() as program, second.running():
        until_master_is(first, [second.space])
        eventually(f"{second.space.name} is backup", lambda: not second.is_master())
        program.kill()
        assert first.is_master(), "it took nothing back"
        first.vanish()
        until_master_is(second, [])
