# SPDX-License-Identifier: Apache-2.0
"""Does a trace say what a real packet then does, and does nothing itself?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two slaves ======  ipvl0 (a)       ipvl1 (b)
    10.0.0.1            10.0.0.2                   10.0.0.10       10.0.0.11

The frame that a trace shows is put on the wire, or into the slave, as it is: where it arrives, or
which counter it ends in, must be what the trace has said. No counter moves by the trace.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Any, Iterator

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ipvlanx import EXTERNAL, NOBODY, Slave, Topology, slave_addresses
from maps import difference
from space import eventually
from wire import Capture, Sender

A, B = slave_addresses(0)[4], slave_addresses(1)[4]
FAR = "192.0.2.1"  # by the host's default route
GROUP = "239.255.255.250"
REASONS = {"private": 6, "group": 7}  # enum ipvx_drop


@dataclass(frozen=True)
class Row:
    mode: str
    way: str  # rx, or tx: of a
    dst: str
    verdict: str
    slave: str | None = None  # a or b
    reason: str | None = None
    copies: tuple[str, ...] = ()
    flag: str = "bridge"
    proto: str = "udp"

    def __str__(self) -> str:
        return f"{self.mode}-{self.flag}-{self.way}-{self.dst}-{self.proto}"


ROWS = [
    Row("l2", "rx", A, "slave", "a"),
    Row("l2", "rx", B, "slave", "b", proto="tcp"),
    Row("l2", "rx", NOBODY[4], "host"),
    Row("l2", "rx", GROUP, "host", copies=("a", "b")),
    Row("l2", "rx", "10.0.0.255", "host", copies=("a", "b")),
    Row("l2", "rx", A, "host", copies=("a", "b"), proto="arp"),
    Row("l2", "tx", B, "slave", "b"),
    Row("l2", "tx", B, "slave", "b", proto="icmp"),
    Row("l2", "tx", EXTERNAL[4], "wire"),
    Row("l2", "tx", "10.0.0.255", "wire", copies=("b",)),
    Row("l2", "tx", "255.255.255.255", "wire", copies=("b",)),
    Row("l2", "tx", EXTERNAL[4], "wire", copies=("b",), proto="arp"),
    Row("l2", "tx", B, "dropped", reason="private", flag="private"),
    Row("l2", "tx", B, "wire", flag="vepa"),
    Row("l3", "rx", A, "slave", "a"),
    Row("l3", "rx", GROUP, "host"),
    Row("l3", "tx", B, "slave", "b"),
    Row("l3", "tx", FAR, "routed"),
    Row("l3", "tx", GROUP, "dropped", reason="group"),
    Row("l3", "tx", B, "slave", "b", proto="arp"),
    Row("l3", "tx", FAR, "dropped", reason="group", proto="arp"),
    Row("l3", "tx", B, "dropped", reason="private", flag="private"),
    Row("l3", "tx", B, "wire", flag="vepa"),
    Row("l3s", "rx", A, "routed", "a"),
    Row("l3s", "rx", NOBODY[4], "host"),
    Row("l3s", "tx", B, "slave", "b"),
    Row("l3s", "tx", FAR, "routed"),
]


@pytest.fixture(scope="module")
def quiet() -> Iterator[Topology]:
    """One drawing for all rows; without IPv6 nobody talks on it."""
    net = Topology(ipv6=False)
    try:
        net.daemon.start()
        net.add_slave()
        net.add_slave()
        net.host.ip(f"route add default via {EXTERNAL[4]}")
        net.host.ip(f"neigh replace {EXTERNAL[4]} lladdr {net.external_mac} dev m0")
        yield net
    finally:
        net.close()


def trace(net: Topology, **fields: Any) -> dict[str, Any]:
    answer = net.daemon.api("POST", "/v1/trace", {"master": "m0"} | fields)
    assert answer.status == 200, answer
    return answer.body


def asked(net: Topology, row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = {"direction": row.way, "dst": row.dst, "proto": row.proto}
    if row.way == "tx":
        fields["slave"] = net.slaves[0].id
    before = net.maps.counters()
    said = trace(net, **fields)
    assert difference(before, net.maps.counters()) == {}
    return said


@contextlib.contextmanager
def listening(net: Topology) -> Iterator[dict[str, Capture]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Capture(space, interface))
            for name, space, interface in (
                ("a", net.slaves[0].netns, "ipvl0"),
                ("b", net.slaves[1].netns, "ipvl1"),
                ("wire", net.external, "x0"),
            )
        }


def arrivals(heard: dict[str, Capture], data: bytes) -> set[str]:
    return {
        name for name, capture in heard.items()
        if capture.matching(lambda frame: frame.data == data and not frame.outgoing)
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_is_said_is_what_happens(quiet: Topology, row: Row) -> None:
    net = quiet
    net.daemon.cli(f"port set m0 mode {row.mode} {row.flag}")
    said = asked(net, row)
    slaves = {"a": net.slaves[0], "b": net.slaves[1]}
    assert said["verdict"] == row.verdict
    assert said["reason"] == row.reason
    assert said["copies"] == len(row.copies)
    assert (said["slave"] or {}).get("id") == (slaves[row.slave].id if row.slave else None)

    # Routed, it leaves with a new header, and the TTL it had.
    frame, after = bytes.fromhex(said["before"]), bytes.fromhex(said["after"])
    expected = set(row.copies)
    if row.verdict in ("slave", "wire"):
        expected.add(row.slave or "wire")
    if row.verdict == "routed":
        expected.add(row.slave or "wire")
        after = header(net.mac if row.slave else net.external_mac, net.mac) + frame[14:]
    space, interface = (net.external, "x0") if row.way == "rx" else (net.slaves[0].netns, "ipvl0")
    before = net.maps.counters()
    with listening(net) as heard, Sender(space, interface) as sender:
        sender.send(frame)
        if expected:
            eventually("it arrives", lambda: arrivals(heard, after) >= expected)
        counted = eventually("it is counted", lambda: difference(before, net.maps.counters()))
    assert arrivals(heard, after) == expected
    drops = {key for key in counted if key[0] == "drop"}
    assert drops == ({("drop", net.slaves[0].id, REASONS[row.reason])} if row.reason else set())


def header(destination: str, source: str) -> bytes:
    return bytes(Ether(dst=destination, src=source, type=0x800))


def test_the_frame_is_what_a_slaves_stack_sends(quiet: Topology) -> None:
    """MAC addresses, TTL and ports, in l2 and in l3 (where a slave asks nobody)."""
    net, a = quiet, quiet.slaves[0]
    for mode in ("l2", "l3"):
        net.daemon.cli(f"port set m0 mode {mode} bridge")
        a.netns.run("ip", "route", "replace", "default", "dev", "ipvl0")
        for dst in (B, GROUP, "255.255.255.255", "10.0.0.255", *([FAR] if mode == "l3" else [])):
            said = trace(net, direction="tx", slave=a.id, dst=dst, proto="udp", sport=4000, dport=5000)
            expected = Ether(bytes.fromhex(said["before"]))
            with Capture(a.netns, "ipvl0") as capture:
                send_udp(a, dst)
                (frame,) = capture.wait_for(lambda frame: frame.outgoing and UDP in frame.packet)[:1]
            assert fields(frame.packet) == fields(expected), (mode, dst)


def send_udp(slave: Slave, dst: str) -> None:
    with slave.netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 64)
        sender.bind((A, 4000))
        sender.sendto(b"", (dst, 5000))


def fields(packet: Ether) -> tuple:
    ip, udp = packet[IP], packet[UDP]
    return packet.dst, packet.src, ip.src, ip.dst, ip.ttl, udp.sport, udp.dport, udp.len
