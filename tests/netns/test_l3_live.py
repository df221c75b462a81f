# SPDX-License-Identifier: Apache-2.0
"""Modes change, slaves come and the daemon dies, all under traffic: what is lost, what leaks?

    far                external              host                    ns0, ns1
    192.0.2.1 ------- 10.0.0.1 ------------- m0 ==== slaves =======  ipvl0, ipvl1

What is allowed before and after a change is not lost by it; and past a firewall that drops by
default nothing gets from or to a slave in l3s, at no moment.
"""

from __future__ import annotations

import contextlib
import subprocess
import time

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6

from ipvlanx import EXTERNAL, FAMILIES, IPVLANX
from netfilter import Nftables
from routed import A, B, FAR, LENGTHS, Routed, default_routes
from space import SLOW, ping_ok
from stream import Stream, Transfer
from wire import Capture, Frame

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
L3S = 2  # enum ipvx_mode


# ------------------------------------------------------------------------- nothing is lost


@by_family
def test_nobody_notices_a_change_between_l3_and_l3s(routed: Routed, family: int) -> None:
    a, b = (routed.add("l3").netns for _ in range(2))
    ways = ((a, b, B), (a, routed.far, FAR), (routed.far, a, A))
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(Stream(one, other, to[family])) for one, other, to in ways]
        transfer = stack.enter_context(Transfer(a, routed.far, FAR[family]))
        for stream in streams:
            stream.wait_until_it_arrives()
        for mode in ("l3s", "l3") * 5:
            routed.set_mode(mode)
            streams[0].wait_for(100)
    for stream in streams:
        assert stream.lost() == [], stream.what
    assert transfer.received == transfer.sent > 0


@by_family
@pytest.mark.parametrize("traffic", [Stream, Transfer])
def test_siblings_do_not_notice_a_change_from_and_to_l2(
    routed: Routed, family: int, traffic: type[Stream] | type[Transfer]
) -> None:
    """Whose neighbours are asked for anew. A stream is one way only: nobody asks back."""
    a, b = (routed.add("l2").netns for _ in range(2))
    ping_ok(a, B[family])
    with traffic(a, b, B[family]) as carried:
        for mode in ("l3", "l2", "l3s", "l2"):
            routed.set_mode(mode)
            time.sleep(0.3 * SLOW)
    if isinstance(carried, Transfer):
        assert carried.received == carried.sent > 0
    else:
        assert carried.lost() == []
        assert carried.longest_gap() < 0.5 * SLOW


# ------------------------------------------------------------------------- nothing leaks


class Watch:
    """Datagrams from slave ipvl0 to external and back, and all frames that external gets of it."""

    def __init__(self, routed: Routed, family: int) -> None:
        slave = routed.net.netns("ns0")
        self._address = A[family]
        self.out = Stream(slave, routed.external, EXTERNAL[family])
        self.into = Stream(routed.external, slave, A[family])
        self._wire = Capture(routed.external, "x0", keep=128)
        self._forbidden: list[tuple[Stream, int, int]] = []

    def __enter__(self) -> Watch:
        self._stack = contextlib.ExitStack()
        for part in (self._wire, self.out, self.into):
            self._stack.enter_context(part)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def forbidden(self, *streams: Stream, count: int = 100) -> None:
        """From now on, while the block runs and for a while after it."""
        since = [(stream, stream.mark()) for stream in streams]
        yield
        streams[0].wait_for(count)
        self._forbidden += [(stream, first, stream.sent) for stream, first in since]

    def leaked(self) -> list[int]:
        """When the block is over: of each span of time in which nothing was allowed."""
        assert all(end - first >= 20 for _, first, end in self._forbidden), self._forbidden
        return [len(stream.received(first, end)) for stream, first, end in self._forbidden]

    def on_the_wire(self) -> list[Frame]:
        """But for what the daemon announces."""
        return self._wire.matching(
            lambda f: not f.outgoing and is_from(f, self._address) and not is_announcement(f)
        )


def is_announcement(frame: Frame) -> bool:
    return ICMPv6ND_NA in frame.packet and frame.packet[IPv6].dst == "ff02::1"


def is_from(frame: Frame, address: str) -> bool:
    packet = frame.packet
    return any(layer in packet and packet[layer].src == address for layer in (IP, IPv6))


@by_family
def test_nothing_leaks_when_the_mode_changes(routed: Routed, family: int) -> None:
    """l3 hands what the wire brings to the slave, past the firewall; l3s does not. What the slave
    sends meets it in both."""
    routed.add("l3")
    Nftables(routed.host, family).drop_by_default()
    with Watch(routed, family) as watch:
        for _ in range(5):
            watch.into.wait_until_it_arrives()
            routed.set_mode("l3s")
            with watch.forbidden(watch.into):
                pass
            routed.set_mode("l3")
    assert not any(watch.leaked())
    assert not watch.on_the_wire()


@by_family
def test_nothing_leaks_when_l2_ends(routed: Routed, family: int) -> None:
    routed.add("l2")
    Nftables(routed.host, family).drop_by_default()
    with Watch(routed, family) as watch:
        for _ in range(3):
            for stream in (watch.into, watch.out):
                stream.wait_until_it_arrives()
            routed.set_mode("l3s")
            with watch.forbidden(watch.into, watch.out):
                pass
            routed.set_mode("l2")
    assert not any(watch.leaked())


@by_family
@pytest.mark.parametrize("how", ["at once", "step by step"])
def test_nothing_leaks_when_a_slave_comes(routed: Routed, family: int, how: str) -> None:
    """Its tenant sends before it is there, and somebody sends to it."""
    Nftables(routed.host, family).drop_by_default()
    space = routed.net.netns("ns0")
    address = f"{A[family]}/{LENGTHS[family]}"
    nodad = "nodad" if family == 6 else ""
    with Watch(routed, family) as watch:
        for _ in range(5):
            with watch.forbidden(watch.out, watch.into):
                if how == "at once":
                    routed.daemon.cli(
                        f"link add link m0 name ipvl0 mode l3s netns ns0 addr {address}"
                    )
                else:
                    routed.daemon.cli("link add link m0 name ipvl0 type ipvlan mode l3s")
                    routed.host.ip("link set ipvl0 netns ns0")
                    space.ip_lines("link set ipvl0 up", f"addr add {address} dev ipvl0 {nodad}")
                space.ip_lines(*default_routes("ipvl0"))
            routed.daemon.cli("link del ipvl0")
    assert not any(watch.leaked())
    assert not watch.on_the_wire()


@by_family
def test_nothing_leaks_while_the_daemon_is_away(routed: Routed, family: int) -> None:
    routed.add("l3s")
    Nftables(routed.host, family).drop_by_default()
    with Watch(routed, family) as watch, watch.forbidden(watch.out, watch.into):
        for _ in range(3):
            routed.daemon.kill()
            watch.out.wait_for(50)
            routed.daemon.start()
            routed.daemon.restart()
    assert not any(watch.leaked())
    assert not watch.on_the_wire()


@by_family
def test_nothing_leaks_when_the_daemon_dies_amid_a_change(routed: Routed, family: int) -> None:
    """Whatever the tables say by then, and after the next start, holds."""
    routed.add("l3s")
    Nftables(routed.host, family).drop_by_default()
    modes = []
    began = time.monotonic()
    routed.daemon.cli("port set m0 mode l3s")  # changes nothing, and takes its time
    took = time.monotonic() - began
    with Watch(routed, family) as watch:
        for attempt in range(12):
            words = ["port", "set", "m0", "mode", "l3s" if attempt % 2 else "l3"]
            change = subprocess.Popen(
                [IPVLANX, "--socket", routed.daemon.socket, *words], stderr=subprocess.DEVNULL
            )
            time.sleep(took * (attempt // 2) / 2)
            routed.daemon.kill()
            change.wait()
            if all(row[3] == L3S for row in routed.net.maps.dump("ipvx_addrs").values()):
                with watch.forbidden(watch.into, count=40):
                    pass
            routed.daemon.start()
            (port,) = routed.daemon.cli_json("port show")
            modes.append(port["mode"])
            if port["mode"] == "l3s":
                with watch.forbidden(watch.into, count=40):
                    pass
            else:
                watch.into.wait_until_it_arrives()
    assert set(modes) == {"l3", "l3s"}, "some changes came through, others not"
    assert not any(watch.leaked())
    assert not watch.on_the_wire()
