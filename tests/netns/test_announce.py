# SPDX-License-Identifier: Apache-2.0
"""Who hears of a slave's address without asking, when, and how often (rule 64)?

    external              host                     ns0, ns1, ...
    x0  ---- veth ----  m0 ==== slaves ==========  ipvl0, ipvl1, ...
    10.0.0.1/24         10.0.0.2/24                10.0.0.10/24, 10.0.0.11/24, ...

On the wire each address is announced twice, two seconds apart, with m0's MAC; in l2 the first
time reaches the siblings, too.
"""

from __future__ import annotations

import contextlib
import ipaddress
import struct
import time
from bisect import bisect_left
from collections import Counter
from typing import Callable

import pytest

from ipvlanx import EXTERNAL, Slave, Topology, slave_addresses
from space import SLOW, Netns, eventually, ping_ok
from wire import Capture, Frame

A, B, C = (slave_addresses(number) for number in range(3))
OTHER_MAC = "02:00:5e:00:53:01"
NEW = {4: "10.0.0.50", 6: "fd00::50"}
TIMES = 2  # how often
# That long nothing is said any more.
OVER = 2.6


def raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def announcement(mac: str, address: str) -> bytes:
    """The frame, to the byte."""
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)  # RFC 5227, 1.2: a request
        body = arp + raw(mac) + ip.packed + bytes(6) + ip.packed
        return b"\xff" * 6 + raw(mac) + b"\x08\x06" + body
    override, target_mac = 0x20, bytes([2, 1]) + raw(mac)
    rest = bytes([override, 0, 0, 0]) + ip.packed + target_mac
    all_nodes = ipaddress.ip_address("ff02::1").packed
    length = 4 + len(rest)
    pseudo = ip.packed + all_nodes + struct.pack("!II", length, 58)
    advert = struct.pack("!BBH", 136, 0, checksum(pseudo + bytes([136, 0, 0, 0]) + rest)) + rest
    header = struct.pack("!IHBB", 6 << 28, length, 58, 255) + ip.packed + all_nodes
    return bytes.fromhex("333300000001") + raw(mac) + b"\x86\xdd" + header + advert


def announced(frame: Frame) -> str | None:
    """The address that this frame announces."""
    data = frame.data
    if data[12:14] == b"\x08\x06" and len(data) >= 42 and data[28:32] == data[38:42]:
        return str(ipaddress.ip_address(data[28:32]))
    is_advert = data[12:14] == b"\x86\xdd" and data[20] == 58 and data[54] == 136
    if is_advert and data[38:54] == ipaddress.ip_address("ff02::1").packed:
        return str(ipaddress.ip_address(data[62:78]))
    return None


def of(*addresses: str) -> Callable[[Frame], bool]:
    return lambda frame: announced(frame) in addresses


def heard(capture: Capture, *addresses: str) -> list[str]:
    """What was announced of these, in order, by others."""
    return [announced(f) or "" for f in capture.matching(of(*addresses)) if not f.outgoing]


def settle() -> None:
    """Until what was said was said again."""
    time.sleep(OVER * SLOW)


def check_announced(wire: Capture, mac: str, *addresses: str) -> None:
    """Each of these twice, to the byte, and nothing else."""
    eventually("the announcements", lambda: len(heard(wire, *addresses)) >= TIMES * len(addresses))
    wire.settle()
    for address in addresses:
        frames = [frame for frame in wire.matching(of(address)) if not frame.outgoing]
        assert [frame.data for frame in frames] == [announcement(mac, address)] * TIMES, address


# ------------------------------------------------------------------------------ triggers


def by_api(net: Topology, slave: Slave, address: str, length: int) -> None:
    net.daemon.cli(f"addr add {address}/{length} dev {slave.name}")


def by_the_tenant(net: Topology, slave: Slave, address: str, length: int) -> None:
    slave.ip(f"addr add {address}/{length} {{}}" + (" nodad" if ":" in address else ""))


@pytest.mark.parametrize("add", [by_api, by_the_tenant])
@pytest.mark.parametrize("family, length", [(4, 24), (6, 64)])
def test_an_address_that_is_added(
    pair: Topology, add: Callable[[Topology, Slave, str, int], None], family: int, length: int
) -> None:
    a, b = pair.slaves
    with Capture(pair.external, "x0") as wire, Capture(b.netns, b.name) as at_sibling:
        with Capture(a.netns, a.name) as at_a, Capture(pair.host, "m0") as at_master:
            add(pair, a, NEW[family], length)
            check_announced(wire, pair.mac, NEW[family])
        sent = at_master.matching(of(NEW[family]))
        assert [frame.outgoing for frame in sent] == [True] * TIMES, "the host is not told"
        assert heard(at_a, NEW[family]) == []
    # Its siblings, which no wire can lose it for, hear it once.
    (copy,) = at_sibling.matching(of(NEW[family]))
    assert copy.data == announcement(pair.mac, NEW[family])


@pytest.mark.topology(ipv6=False)
def test_more_siblings_than_fit_into_one_batch_of_copies(net: Topology) -> None:
    space, count = net.netns("ns0"), 20
    for number in range(count):
        net.daemon.cli(f"link add link m0 name s{number} mode l2 netns ns0")
    space.ip_lines(*(f"link set s{number} up" for number in range(count)))
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(Capture(net.external, "x0"))
        at = [stack.enter_context(Capture(space, f"s{number}")) for number in range(count)]
        eventually("all get broadcasts", lambda: len(net.maps.dump("ipvx_members")) == count)
        net.daemon.cli(f"addr add {NEW[4]}/24 dev s3")
        check_announced(wire, net.mac, NEW[4])
    heard_at = [len(heard(capture, NEW[4])) for capture in at]
    assert heard_at == [int(number != 3) for number in range(count)]


def test_twice_two_seconds_apart(pair: Topology) -> None:
    a = pair.slaves[0]
    with Capture(pair.external, "x0") as wire:
        started = time.monotonic()
        pair.daemon.cli(f"addr add {NEW[4]}/24 dev {a.name}")
        wire.wait_for(of(NEW[4]))
        first = time.monotonic()
        wire.wait_for(of(NEW[4]), 2)
        second = time.monotonic()
        settle()
    assert first - started < SLOW
    assert 1.9 < second - first < 2.5 * SLOW
    assert len(heard(wire, NEW[4])) == TIMES


def test_a_slave_that_comes_up_and_one_that_moves(net: Topology) -> None:
    a = net.add_slave()
    settle()
    with Capture(net.external, "x0") as wire:
        a.ip("link set down {}")
        net.wait_steered(None, A[4])
        a.ip("link set up {}")
        check_announced(wire, net.mac, A[4])
    with Capture(net.external, "x0") as wire:
        net.daemon.api("PATCH", f"/v1/slaves/{a.id}", {"netns": net.netns("ns9").path, "up": True})
        net.daemon.cli(f"addr add {NEW[4]}/24 dev {a.name}")
        check_announced(wire, net.mac, NEW[4])
        assert heard(wire, A[4]) == [], "what it had learnt it left behind"
    with Capture(net.external, "x0") as wire:
        answer = net.daemon.api(
            "PATCH", f"/v1/slaves/{a.id}", {"netns": a.netns.path, "up": True}
        )
        assert answer.status == 200
        check_announced(wire, net.mac, NEW[4])


def test_the_heir_of_a_conflict_and_never_its_loser(pair: Topology) -> None:
    a, b = pair.slaves
    settle()
    with Capture(pair.external, "x0") as wire:
        with pair.daemon.events() as events:
            b.ip(f"addr add {A[4]}/24 {{}}")
            events.wait_for("address-conflict", address=A[4])
        with pair.daemon.events() as events:
            b.ip("addr add 10.0.0.2/24 {}")  # the host's
            events.wait_for("address-refused", address="10.0.0.2")
        settle()
        assert heard(wire, A[4], "10.0.0.2") == []
        a.ip(f"addr del {A[4]}/24 {{}}")
        pair.wait_steered(b, A[4])
        check_announced(wire, pair.mac, A[4])


def test_a_new_mac_address_of_the_master(pair: Topology) -> None:
    a, b = pair.slaves
    settle()
    with Capture(pair.external, "x0") as wire, Capture(b.netns, b.name) as at_sibling:
        pair.host.ip(f"link set m0 address {OTHER_MAC}")
        check_announced(wire, OTHER_MAC, A[4], A[6], B[4], B[6])
    assert heard(at_sibling, A[4], A[6]) == [], "the kernel has it ask again"
    ping_ok(a.netns, B[4])


def test_the_master_s_carrier_returns(pair: Topology) -> None:
    settle()
    slave = pair.slaves[0]
    pair.external.ip("link set x0 down")
    eventually("no carrier", lambda: "UP" not in pair.host.link(f"ipvx{slave.id}")["flags"])
    with Capture(pair.host, "m0") as out:
        by_the_tenant(pair, slave, NEW[4], 24)
        pair.wait_steered(slave, NEW[4])
        settle()
        assert out.matching(of(NEW[4])) == []
    with Capture(pair.external, "x0") as wire:
        pair.external.ip("link set x0 up")
        check_announced(wire, pair.mac, A[4], B[4], NEW[4])


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_in_l3_what_the_api_gives(net: Topology, mode: str) -> None:
    """A neighbour that knows an address from before has to hear where it is now. But not of what
    a tenant takes, who could not speak to the wire's neighbour tables, nor of link-locals."""
    space = net.netns("ns0")
    net.external.ip(f"neigh replace {A[4]} lladdr 02:00:00:00:00:99 dev x0 nud stale")
    with Capture(net.external, "x0") as wire:
        net.daemon.cli(
            f"link add link m0 name ipvl0 mode {mode} netns ns0 addr {A[4]}/24 addr {A[6]}/64"
        )
        space.ip("route add default dev ipvl0")
        check_announced(wire, net.mac, A[4], A[6])
        space.ip(f"addr add {NEW[4]}/24 dev ipvl0")
        eventually("it is learnt", lambda: net.owner(NEW[4]))
        settle()
        said = {announced(f) for f in wire.frames if f.source == net.mac and announced(f)}
        own = {row["local"] for row in space.addresses("ipvl0")}
        assert said & own == {A[4], A[6]}
    ping_ok(net.external, A[4])


def test_ipv6_not_before_duplicate_address_detection_is_over(pair: Topology) -> None:
    a = pair.slaves[0]
    a.netns.sysctl(f"net/ipv6/conf/{a.name}/dad_transmits", 2)
    with Capture(pair.external, "x0") as wire:
        a.ip(f"addr add {NEW[6]}/64 {{}}")
        pair.wait_steered(a, NEW[6])
        (row,) = [row for row in a.netns.addresses(a.name) if row["local"] == NEW[6]]
        assert row.get("tentative")
        assert heard(wire, NEW[6]) == []
        a.netns.wait_for_addresses(a.name)
        check_announced(wire, pair.mac, NEW[6])
        # And one that somebody has is not announced at all.
        a.ip(f"addr add {EXTERNAL[6]}/64 {{}}")

        def failed() -> bool:
            rows = a.netns.addresses(a.name)
            return any(row["local"] == EXTERNAL[6] and row.get("dadfailed") for row in rows)

        eventually("a duplicate is found", failed)
        settle()
        assert heard(wire, EXTERNAL[6]) == []


def test_not_the_other_side_s_of_a_point_to_point_address(pair: Topology) -> None:
    a = pair.slaves[0]
    with Capture(pair.external, "x0") as wire:
        a.ip("addr add 10.0.0.60 peer 10.0.0.61 {}")
        pair.wait_steered(a, "10.0.0.61")
        settle()
        assert heard(wire, "10.0.0.60", "10.0.0.61") == []


# --------------------------------------------------------------------------- what it is for


def test_a_neighbour_that_knew_it_elsewhere_reaches_it_at_once(pair: Topology) -> None:
    """An address moves from a machine on the wire to a slave: machines there and siblings have
    it with the other machine's MAC."""
    a, b = pair.slaves
    elsewhere = pair.external.link("x0")["address"][:-2] + "77"
    for address in NEW.values():
        for space, interface in ((pair.external, "x0"), (b.netns, b.name)):
            space.ip(f"neigh replace {address} lladdr {elsewhere} dev {interface} nud reachable")
    for family, length in ((4, 24), (6, 64)):
        by_the_tenant(pair, a, NEW[family], length)

    def healed(space: Netns, interface: str, address: str) -> bool:
        rows = space.ip_json(f"neigh show {address} dev {interface}")
        return [row.get("lladdr") for row in rows] == [pair.mac]

    for address in NEW.values():
        for space, interface in ((pair.external, "x0"), (b.netns, b.name)):
            # A stack does not believe another MAC within a second of the last (locktime).
            eventually(f"{space.name}: {address}", lambda: healed(space, interface, address))
            ping_ok(space, address)


def test_announce_off(net: Topology) -> None:
    net.daemon.cli("port set m0 mode l2 announce off")
    assert net.daemon.get("/v1/ports/m0")["options"]["announce"] is False
    assert "announce off" in net.daemon.cli("port show")
    net.daemon.restart()
    with Capture(net.external, "x0") as wire:
        a = net.add_slave()
        net.host.ip(f"link set m0 address {OTHER_MAC}")
        eventually("the slave's MAC", lambda: a.netns.link(a.name)["address"] == OTHER_MAC)
        settle()
        assert heard(wire, A[4], A[6]) == []
        net.daemon.cli("port set m0 announce on")
        by_api(net, a, NEW[4], 24)
        check_announced(wire, OTHER_MAC, NEW[4])


def test_a_daemon_that_starts_announces_what_is_new(pair: Topology) -> None:
    a, b = pair.slaves
    given = "10.0.0.51"
    by_api(pair, b, given, 24)
    b.ip("link set down {}")
    pair.wait_steered(None, given)
    settle()
    pair.daemon.kill()
    by_the_tenant(pair, a, NEW[4], 24)
    b.ip("link set up {}")
    with Capture(pair.external, "x0") as wire:
        pair.daemon.start()
        check_announced(wire, pair.mac, NEW[4], given, B[4])
        assert heard(wire, *A.values()) == []


# ------------------------------------------------------------------------------------ rate


@pytest.mark.topology(ipv6=False)
def test_of_two_thousand_addresses_no_more_than_two_hundred_a_second(net: Topology) -> None:
    """And meanwhile the daemon serves; a slave that goes is not announced any more."""
    spaces, each = 40, 50
    addresses = [f"10.0.{1 + n // 250}.{1 + n % 250}" for n in range(spaces * each)]
    last, rest = addresses[-each:], addresses[:-each]
    space = net.netns("ns0")
    ids = []
    with net.daemon.requests(timeout=60) as ask:
        with Capture(net.external, "x0") as wire:
            for number in range(spaces):
                own = [f"{each_one}/16" for each_one in addresses[number * each :][:each]]
                body = {"master": "m0", "mode": "l2", "name": f"s{number}", "netns": space.path}
                answer = ask("POST", "/v1/slaves", body | {"addresses": own})
                assert answer.status == 201, answer
                ids.append(answer.body["id"])
            eventually("all twice", lambda: said_often(wire, addresses), 60)
            settle()
        check_rate(wire, addresses)
        with Capture(net.external, "x0") as wire:
            trip(net, ids[0])
            wire.wait_for(of(*rest))
            asked = time.monotonic()
            assert ask("DELETE", f"/v1/slaves/{ids[-1]}").status == 204
            assert time.monotonic() - asked < SLOW
            eventually("all twice", lambda: said_often(wire, rest), 60)
            settle()
        assert heard(wire, *last) == []
        check_rate(wire, rest)


def check_rate(wire: Capture, addresses: list[str]) -> None:
    times = [f.at for f in wire.matching(of(*addresses)) if not f.outgoing]
    assert len(times) == TIMES * len(addresses)
    busiest = max(bisect_left(times, start + 1) - index for index, start in enumerate(times))
    assert busiest <= 200 + 100, "what reads the wire on a busy machine bunches some"


def said_often(wire: Capture, addresses: list[str]) -> bool:
    counts = Counter(announced(frame) for frame in list(wire.frames) if not frame.outgoing)
    return all(counts[address] >= TIMES for address in addresses)


def trip(net: Topology, slave: int) -> None:
    """The wire is cut, and mended when the daemon has seen it."""
    net.external.ip("link set x0 down")
    eventually("no carrier", lambda: "UP" not in net.host.link(f"ipvx{slave}")["flags"])
    net.external.ip("link set x0 up")
