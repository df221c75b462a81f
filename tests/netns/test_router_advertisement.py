# SPDX-License-Identifier: Apache-2.0
"""Do slaves get IPv6 addresses and a default route from a router on the wire?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)
    radvd

Both have the master's MAC, from which the kernel would make one and the same address.
"""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from typing import Iterator

from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, IPv6

from ipvlanx import Slave, Topology
from programs import Program
from space import eventually, ping_ok
from wire import Capture, Frame

PREFIX = "2001:db8:1::/64"
ROUTER = "2001:db8:1::1"
BEYOND = "2001:db8:ffff::1"  # in no prefix of theirs: only a default route leads there
ALL_ROUTERS, ALL_NODES = "33:33:00:00:00:02", "33:33:00:00:00:01"


@contextlib.contextmanager
def router(net: Topology) -> Iterator[None]:
    net.external.sysctl("net/ipv6/conf/all/forwarding", 1)
    net.external.ip(f"addr add {ROUTER}/64 dev x0 nodad")
    # Without a link-local address radvd would give up on x0 for a quarter of a minute.
    eventually("x0 has a link-local address", lambda: link_local(net))
    net.external.ip(f"addr add {BEYOND}/128 dev lo")
    settings = Path(net.daemon.folder, "radvd.conf")
    settings.write_text(
        "interface x0 {\n"
        "  AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n"
        f"  prefix {PREFIX} {{ AdvOnLink on; AdvAutonomous on; }};\n"
        "};\n"
    )
    # Readable by others, as radvd wants it.
    settings.chmod(0o644)
    pid_file = str(Path(net.daemon.folder, "radvd.pid"))
    with Program(net.external, "radvd", "-n", "-C", str(settings), "-m", "stderr", "-p", pid_file):
        yield


def link_local(net: Topology) -> bool:
    rows = net.external.addresses("x0")
    return any(row["scope"] == "link" and not row.get("tentative") for row in rows)


def advertisement(frame: Frame) -> bool:
    return ICMPv6ND_RA in frame.packet


def solicitation(frame: Frame) -> bool:
    return ICMPv6ND_RS in frame.packet


def autoconfigured(slave: Slave) -> str:
    """Its address out of the advertised prefix, when duplicate address detection is over."""

    def finished() -> list[str]:
        rows = slave.netns.addresses(slave.name)
        ours = [r for r in rows if ipaddress.ip_address(r["local"]) in ipaddress.ip_network(PREFIX)]
        assert not any(row.get("dadfailed") for row in ours), ours
        return [row["local"] for row in ours if row.get("dynamic") and not row.get("tentative")]

    (address,) = eventually(f"{slave.name} has an address in {PREFIX}", finished, 12)
    return address


def settings_of(slave: Slave) -> list[str]:
    names = ("accept_ra", "autoconf", "use_tempaddr")
    said = slave.netns.run("sysctl", "-n", *(f"net.ipv6.conf.{slave.name}.{n}" for n in names))
    return said.stdout.split()


def default_routes(slave: Slave) -> list[dict]:
    return slave.netns.ip_json(f"-6 route show default dev {slave.name}")


def test_two_slaves_get_addresses_that_differ_and_a_default_route(net: Topology) -> None:
    a, b = net.add_slave(addressed=False), net.add_slave(addressed=False)
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(Capture(net.external, "x0"))
        at_slaves = [stack.enter_context(Capture(s.netns, s.name)) for s in (a, b)]
        for slave in (a, b):
            assert settings_of(slave) == ["1", "1", "0"], "as in any fresh namespace"
            slave.netns.sysctl(f"net/ipv6/conf/{slave.name}/router_solicitations", -1)
            slave.ip("link set {} up")
        stack.enter_context(router(net))
        addresses = {slave.name: autoconfigured(slave) for slave in (a, b)}
        assert addresses[a.name] != addresses[b.name]
        for slave in (a, b):
            address = addresses[slave.name]
            net.wait_steered(slave, address)
            rows = net.daemon.get(f"/v1/slaves/{slave.id}")["addresses"]
            (state,) = [(r["origin"], r["state"]) for r in rows if r["address"] == f"{address}/64"]
            assert state == ("learnt", "active")
            ping_ok(net.external, address)
            (route,) = default_routes(slave)
            assert route["protocol"] == "ra"
            ping_ok(slave.netns, BEYOND)
        ping_ok(a.netns, addresses[b.name])
        # The routers' question comes from each, and with the one MAC.
        asked = [f for f in wire.matching(solicitation) if f.destination == ALL_ROUTERS]
        assert asked and {frame.source for frame in asked} == {net.mac}
        # A round to everybody: once to each, as it was sent.
        multicast = lambda f: advertisement(f) and f.destination == ALL_NODES  # noqa: E731
        already = len(wire.matching(multicast))
        eventually("the next round", lambda: len(wire.matching(multicast)) > already, 6)
        wire.settle()
    sent = [frame.data for frame in wire.matching(multicast)]
    for capture in at_slaves:
        assert [frame.data for frame in capture.matching(multicast)] == sent
    # Link-local addresses differ as well (rule 48): each answer to a question found who asked.
    askers = {f.packet[IPv6].src for f in asked} - {"::"}
    own = [{r["local"] for r in s.netns.addresses(s.name)} for s in (a, b)]
    assert not own[0] & own[1] and askers <= own[0] | own[1]


def test_a_slave_that_comes_later_asks_and_is_answered(net: Topology) -> None:
    """No waiting for the next round: it asks, from its link-local address, and the router answers
    it, by unicast if it likes to."""
    a, b = net.add_slave(addressed=False), net.add_slave(addressed=False)
    a.ip("link set {} up")
    with router(net):
        first = autoconfigured(a)
        b.netns.sysctl(f"net/ipv6/conf/{b.name}/router_solicitations", -1)
        with Capture(b.netns, b.name) as at_b:
            b.ip("link set {} up")
            second = autoconfigured(b)
            assert at_b.matching(lambda f: solicitation(f) and f.outgoing)
            assert at_b.matching(lambda f: advertisement(f) and not f.outgoing)
        assert second != first
        net.wait_steered(b, second)
        ping_ok(net.external, second)
        ping_ok(net.external, first)


def test_radvd_going_away_takes_the_default_route_along(net: Topology) -> None:
    """Its last word has a lifetime of nothing, and reaches every slave."""
    slaves = [net.add_slave(addressed=False) for _ in range(2)]
    for slave in slaves:
        slave.ip("link set {} up")
    with router(net):
        for slave in slaves:
            autoconfigured(slave)
            assert default_routes(slave)
    for slave in slaves:
        eventually(f"{slave.name} has no default route", lambda: not default_routes(slave), 3)
