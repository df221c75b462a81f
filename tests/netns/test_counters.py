# SPDX-License-Identifier: Apache-2.0
"""Does every packet that enters a hook end in exactly one counter?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0 (a)       ipvl1 (b)

Known numbers of frames of every kind enter from both sides; every counter of every map is read
before and after, and the differences must be the expected ones and no others. A frame that two
hooks see (a slave's for the host enters the master's hook too) is counted once by each.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, HOST, NOBODY, Topology, slave_addresses
from maps import DROP_PAUSE, difference
from space import eventually
from wire import Sender

A, B = slave_addresses(0), slave_addresses(1)
BROADCAST = "ff:ff:ff:ff:ff:ff"
COUNT = 7


@pytest.fixture(scope="module")
def busy() -> Iterator[Topology]:
    """One drawing for all rows, with nobody talking on it."""
    net = Topology()
    try:
        net.daemon.start()
        net.add_slave()
        net.add_slave()
        wait_for_silence(net)
        yield net
    finally:
        net.close()


def wait_for_silence(net: Topology, seconds: float = 1.5) -> None:
    """Until no counter has moved for a while: IPv6 says a few things when it comes up."""

    def silent() -> bool:
        before = net.maps.counters()
        time.sleep(seconds)
        return not difference(before, net.maps.counters())

    eventually("silence on all hooks", silent, 20)


def ip(source: str, destination: str) -> Packet:
    """A packet that every stack takes and none answers."""
    if ":" in destination:
        return IPv6(src=source, dst=destination) / ICMPv6EchoReply(id=1, data=b"counted")
    return IP(src=source, dst=destination) / ICMP(type=0, id=1) / Raw(b"counted")


def arp_for(address: str, source: str) -> ARP:
    return ARP(op=1, psrc=source, pdst=address)


def spoilt(packet: Packet, at: int, value: int) -> bytes:
    data = bytearray(bytes(packet))
    data[at] = value
    return bytes(data)


@dataclass(frozen=True)
class Row:
    """COUNT frames from `source`, and which counters then move, each by COUNT packets.

    `counted` names them: "a.rx", "a.rx.group" (multicast too), "a.tx.dropped", "passed",
    "a.drop.pause". `hidden` bytes of each frame are not there at TC: a VLAN tag lies beside it.
    """

    what: str
    source: str
    frame: Callable[[Topology], Packet | bytes]
    counted: tuple[str, ...]
    hidden: int = 0


def wire(frame: Callable[[Ether, Ether], Packet | bytes]) -> Callable[[Topology], Packet | bytes]:
    """A frame of external's: `frame` gets its Ethernet header to the master, and to all."""

    def build(net: Topology) -> Packet | bytes:
        return frame(
            Ether(src=net.external_mac, dst=net.mac), Ether(src=net.external_mac, dst=BROADCAST)
        )

    return build


def slave(
    frame: Callable[[Ether, Ether, Ether], Packet | bytes],
) -> Callable[[Topology], Packet | bytes]:
    """A frame of a slave's: `frame` gets its header to external, to its own MAC, and to all."""

    def build(net: Topology) -> Packet | bytes:
        return frame(*(Ether(src=net.mac, dst=to) for to in (net.external_mac, net.mac, BROADCAST)))

    return build


X, H, N = EXTERNAL, HOST, NOBODY
TO_ALL_IN = ("a.rx.group", "b.rx.group", "passed")
PAUSE = Raw(b"\x00\x01\xff\xff" + bytes(42))

ROWS = [
    # From the wire.
    Row("ipv4 for a slave", "x", wire(lambda m, g: m / ip(X[4], A[4])), ("a.rx",)),
    Row("ipv6 for a slave", "x", wire(lambda m, g: m / ip(X[6], B[6])), ("b.rx",)),
    Row("ipv4 for the host", "x", wire(lambda m, g: m / ip(X[4], H[4])), ("passed",)),
    Row("ipv6 for the host", "x", wire(lambda m, g: m / ip(X[6], H[6])), ("passed",)),
    Row("ipv4 for nobody", "x", wire(lambda m, g: m / ip(X[4], N[4])), ("passed",)),
    Row("arp for nobody", "x", wire(lambda m, g: g / arp_for(N[4], X[4])), TO_ALL_IN),
    Row("ipv4 broadcast", "x", wire(lambda m, g: g / ip(X[4], "255.255.255.255")), TO_ALL_IN),
    Row(
        "ipv6 multicast", "x",
        lambda net: Ether(src=net.external_mac, dst="33:33:00:00:00:01") / ip(X[6], "ff02::1"),
        TO_ALL_IN,
    ),
    Row(
        "a solicitation of duplicate address detection, for nobody", "x",
        lambda net: Ether(src=net.external_mac, dst="33:33:ff:00:00:99")
        / IPv6(src="::", dst="ff02::1:ff00:99", hlim=255)
        / ICMPv6ND_NS(tgt=N[6]),
        TO_ALL_IN,
    ),
    Row("our own broadcast back", "x",
        lambda net: Ether(src=net.mac, dst=BROADCAST) / ip(A[4], "255.255.255.255"), ("passed",)),
    Row("a pause frame", "x",
        lambda net: Ether(src=net.external_mac, dst="01:80:c2:00:00:01", type=0x8808) / PAUSE,
        ("passed",)),
    Row("another protocol", "x",
        lambda net: Ether(src=net.external_mac, dst=net.mac, type=0x88B5) / PAUSE, ("passed",)),
    Row("a tagged packet for a slave", "x",
        wire(lambda m, g: m / Dot1Q(vlan=5) / ip(X[4], A[4])), ("passed",), hidden=4),
    Row("a tagged broadcast", "x",
        wire(lambda m, g: g / Dot1Q(vlan=5) / ip(X[4], "255.255.255.255")), ("passed",), hidden=4),
    Row("an ipv4 header of four words", "x",
        wire(lambda m, g: spoilt(m / ip(X[4], A[4]), 14, 0x44)), ("passed",)),
    Row("an ipv4 packet longer than its frame", "x",
        wire(lambda m, g: spoilt(m / ip(X[4], A[4]), 16, 9)), ("passed",)),
    Row("truncated arp", "x",
        wire(lambda m, g: bytes(m / arp_for(A[4], X[4]))[:-1]), ("passed",)),
    # From slave a.
    Row("ipv4 for external", "a", slave(lambda x, m, g: x / ip(A[4], X[4])), ("a.tx",)),
    Row("ipv6 for external", "a", slave(lambda x, m, g: x / ip(A[6], X[6])), ("a.tx",)),
    Row("a forged source", "a",
        lambda net: Ether(src="02:de:ad:be:ef:01", dst=net.external_mac) / ip("192.0.2.7", X[4]),
        ("a.tx",)),
    Row("ipv4 for the other slave", "a",
        slave(lambda x, m, g: m / ip(A[4], B[4])), ("a.tx", "b.rx")),
    Row("ipv6 for the other slave", "a",
        slave(lambda x, m, g: m / ip(A[6], B[6])), ("a.tx", "b.rx")),
    Row("ipv4 for the host", "a", slave(lambda x, m, g: m / ip(A[4], H[4])), ("a.tx", "passed")),
    Row("a malformed packet for the other slave", "a",
        slave(lambda x, m, g: spoilt(m / ip(A[4], B[4]), 14, 0x44)), ("a.tx", "passed")),
    Row("arp for nobody", "a",
        slave(lambda x, m, g: g / arp_for(N[4], A[4])), ("a.tx.group", "b.rx.group")),
    Row("a pause frame", "a",
        lambda net: Ether(src=net.mac, dst="01:80:c2:00:00:01", type=0x8808) / PAUSE,
        ("a.tx.dropped", "a.drop.pause")),
    # From slave b, so that nothing depends on who came first.
    Row("ipv4 for the other slave", "b",
        slave(lambda x, m, g: m / ip(B[4], A[4])), ("b.tx", "a.rx")),
    Row("ipv4 broadcast", "b",
        slave(lambda x, m, g: g / ip(B[4], "255.255.255.255")), ("b.tx.group", "a.rx.group")),
]  # fmt: skip


def expected(net: Topology, row: Row, size: int) -> dict[tuple, int]:
    ids = {"a": net.slaves[0].id, "b": net.slaves[1].id}
    wanted: dict[tuple, int] = {}
    for name in row.counted:
        who, *rest = name.split(".")
        if name == "passed":
            wanted["passed", net.master, "packets"] = COUNT
            wanted["passed", net.master, "bytes"] = COUNT * size
        elif rest == ["drop", "pause"]:
            wanted["drop", ids[who], DROP_PAUSE] = COUNT
        elif rest[1:] == ["dropped"]:
            wanted["slave", ids[who], f"{rest[0]}.dropped"] = COUNT
        else:
            wanted["slave", ids[who], f"{rest[0]}.packets"] = COUNT
            wanted["slave", ids[who], f"{rest[0]}.bytes"] = COUNT * size
            if rest[1:] == ["group"]:
                wanted["slave", ids[who], f"{rest[0]}.multicast"] = COUNT
    return wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.source}: {row.what}".replace(" ", "_"))
def test_each_frame_is_counted_once(busy: Topology, row: Row) -> None:
    net = busy
    source, interface = {
        "x": (net.external, "x0"),
        "a": (net.slaves[0].netns, net.slaves[0].name),
        "b": (net.slaves[1].netns, net.slaves[1].name),
    }[row.source]
    frame = bytes(row.frame(net))
    wanted = expected(net, row, len(frame) - row.hidden)
    before = net.maps.counters()
    with Sender(source, interface) as sender:
        sender.send(frame, COUNT)
    try:
        eventually("counted", lambda: difference(before, net.maps.counters()) == wanted, 2)
    except AssertionError:
        assert difference(before, net.maps.counters()) == wanted
    time.sleep(0.05)
    assert difference(before, net.maps.counters()) == wanted, "something was counted late"


def test_the_api_and_the_cli_say_what_the_maps_say(busy: Topology) -> None:
    net = busy
    a = net.slaves[0]
    with Sender(a.netns, a.name) as sender:
        pause = Ether(src=net.mac, dst="01:80:c2:00:00:01", type=0x8808) / PAUSE
        sender.send(pause)
        sender.send(Ether(src=net.mac, dst=net.external_mac) / ip(A[4], X[4]), 3)
    time.sleep(0.1)
    counters = net.maps.counters()
    traffic = {
        way: {
            what: counters["slave", a.id, f"{way}.{what}"]
            for what in ("packets", "bytes", "multicast", "dropped")
        }
        for way in ("rx", "tx")
    }
    drops = counters["drop", a.id, DROP_PAUSE]
    assert drops and traffic["tx"]["packets"] and traffic["tx"]["dropped"] == drops
    said = net.daemon.get(f"/v1/slaves/{a.id}/stats")
    assert {way: said[way] for way in ("rx", "tx")} == traffic
    assert said["drops"] == {"pause": drops}
    (row,) = net.daemon.cli_json(f"stats show dev {a.name}")
    assert (row["dev"], row["netns"]) == (a.name, a.netns.name)
    assert {way: row[way] for way in ("rx", "tx")} == traffic
    assert row["drops"] == {"pause": drops}
    everybodys = {row["dev"]: row["drops"] for row in net.daemon.cli_json("drops")}
    assert everybodys[a.name] == {"pause": drops}
    assert {row["name"]: row["drops"] for row in net.daemon.get("/v1/drops")["slaves"]}[a.name] == {
        "pause": drops
    }
    assert re.search(rf"pause +{drops}$", net.daemon.cli("drops"), re.MULTILINE)


def test_bpftool_alone_tells_who_owns_an_address(busy: Topology) -> None:
    """A person reads: which interface owns 10.0.0.10, in which mode?"""
    net = busy

    def dump(name: str) -> list[dict]:
        words = ("bpftool", "-j", "map", "dump", "pinned", f"{net.daemon.pin_root}/maps/{name}")
        return [row["formatted"] for row in json.loads(net.host.run(*words).stdout)]

    a = net.slaves[0]
    ifindex = a.netns.link(a.name)["ifindex"]
    host_end = net.host.link(f"ipvx{a.id}")["ifindex"]
    ten = [10, 0, 0, 10] + [0] * 12
    (row,) = [row for row in dump("ipvx_addrs") if row["key"]["addr"] == ten]
    assert row["key"]["family"] == "IPVX_IPV4" and row["key"]["master"] == net.master
    assert row["value"]["slave"] == a.id
    assert row["value"]["host_end"] == host_end and row["value"]["container_end"] == ifindex
    (port,) = dump("ipvx_ports")
    assert port["key"]["master"] == net.master
    assert (port["value"]["mode"], port["value"]["flag"]) == ("IPVX_L2", "IPVX_BRIDGE")
    assert bytes(port["value"]["mac"]).hex(":") == net.mac
    owners = {row["key"]["host_end"]: row["value"]["slave"] for row in dump("ipvx_slaves")}
    assert owners[host_end] == a.id
