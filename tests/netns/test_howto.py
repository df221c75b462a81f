# SPDX-License-Identifier: Apache-2.0
"""Does the kernel's ipvlan HOWTO run with its first command alone replaced?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1
    10.0.0.1            10.0.0.2                   10.0.0.10       10.0.0.11
    fd00::1             fd00::2                    fd00::10        fd00::11

external <-> slave and slave <-> slave reach each other, all under m0's one MAC; slave <-> slave
never touches the wire; host and slave do not reach each other, as with the kernel's driver.
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr
from scapy.layers.l2 import ARP

from ipvlanx import EXTERNAL, FAMILIES, HOST, Topology, slave_addresses
from space import eventually, ping_lost, ping_ok, tcp_exchange
from wire import Capture, Frame

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
A, B = slave_addresses(0), slave_addresses(1)


def ip_addresses(frame: Frame) -> set[str]:
    """Source and destination of an IP packet; of ARP, the two protocol addresses."""
    packet = frame.packet
    for layer, names in (("IP", "src dst"), ("IPv6", "src dst"), ("ARP", "psrc pdst")):
        if layer in packet:
            return {str(getattr(packet[layer], name)) for name in names.split()}
    return set()


def test_the_howto_word_for_word(net: Topology) -> None:
    net.netns("ns0"), net.netns("ns1")
    net.daemon.cli("link add link m0 name ipvl0 type ipvlan mode l2")
    net.daemon.cli("link add link m0 name ipvl1 type ipvlan mode l2")
    assert net.host.link("ipvl0")["address"] == net.mac
    net.host.ip("link set ipvl0 netns ns0")
    net.host.ip("link set ipvl1 netns ns1")
    for number in (0, 1):
        space, addresses = net.netns(f"ns{number}"), slave_addresses(number)
        space.ip(f"link set dev ipvl{number} up")
        space.ip(f"addr add {addresses[4]}/24 dev ipvl{number}")
        space.ip(f"addr add {addresses[6]}/64 dev ipvl{number}")  # with DAD, as a person would
    a, b = net.netns("ns0"), net.netns("ns1")
    a.wait_for_addresses("ipvl0")
    b.wait_for_addresses("ipvl1")
    for family in FAMILIES:
        ping_ok(net.external, A[family])
        ping_ok(a, EXTERNAL[family])
        ping_ok(a, B[family])
        ping_ok(b, A[family])

    shown = {row["ifname"]: row for row in net.daemon.cli_json("link show")}
    assert set(shown) == {"ipvl0", "ipvl1"}
    for number in (0, 1):
        row = shown[f"ipvl{number}"]
        assert row["link"] == "m0" and row["address"] == net.mac and row["via"] == "veth"
        assert row["netns"] == f"ns{number}"
        assert row["linkinfo"]["info_kind"] == "ipvlan"
        assert row["linkinfo"]["info_data"] == {"mode": "l2", "bridge": True}
        owned = {(entry["local"], entry["prefixlen"]) for entry in row["addresses"]}
        wanted = slave_addresses(number)
        assert {(wanted[4], 24), (wanted[6], 64)} <= owned


@by_family
def test_ping_reaches_both_ways_with_the_ttl_unchanged(pair: Topology, family: int) -> None:
    a, b = pair.slaves
    routes = (
        (pair.external, A[family]),
        (a.netns, EXTERNAL[family]),
        (a.netns, B[family]),
        (b.netns, A[family]),
    )
    for source, address in routes:
        ping_ok(source, address)
        said = source.ping(address, "-c", "1", "-W", "2").stdout
        assert "ttl=64" in said, f"{source.name} -> {address}: {said}"


@by_family
def test_tcp_carries_data_both_ways(pair: Topology, family: int) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    tcp_exchange(pair.external, a, A[family])
    tcp_exchange(a, pair.external, EXTERNAL[family])
    tcp_exchange(a, b, B[family])


def test_one_mac_address_is_all_the_wire_ever_sees(pair: Topology) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    with Capture(pair.external, "x0") as wire:
        for family in FAMILIES:
            for space in (pair.external, a, b, pair.host):
                space.ip("neigh flush all")
            ping_ok(pair.external, A[family])
            ping_ok(b, EXTERNAL[family])
            ping_ok(a, B[family])
            ping_ok(pair.host, EXTERNAL[family])
            tcp_exchange(b, pair.external, EXTERNAL[family])
        wire.settle()
    arrived = wire.matching(lambda frame: not frame.outgoing)
    assert len(arrived) > 20 and {frame.source for frame in arrived} == {pair.mac}

    arps = [frame.packet[ARP] for frame in arrived if ARP in frame.packet]
    assert {arp.psrc for arp in arps} >= {A[4], B[4], HOST[4]}, "each spoke ARP"
    assert {arp.hwsrc for arp in arps} == {pair.mac}
    options = [
        frame.packet[option].lladdr
        for frame in arrived
        for message, option in (
            (ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr),
            (ICMPv6ND_NA, ICMPv6NDOptDstLLAddr),
        )
        if message in frame.packet and option in frame.packet
    ]
    assert options and set(options) == {pair.mac}


@by_family
def test_slaves_talk_to_each_other_beside_the_wire(pair: Topology, family: int) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    with Capture(pair.external, "x0") as wire, Capture(b, "ipvl1") as at_b:
        ping_ok(a, B[family])
        tcp_exchange(a, b, B[family])
        wire.settle()
    between = {A[family], B[family]}
    received = [frame for frame in at_b.frames if not frame.outgoing]
    assert [f for f in received if f.is_unicast and ip_addresses(f) == between], "b saw the traffic"
    leaked = [f.packet.summary() for f in wire.frames if f.is_unicast and between & ip_addresses(f)]
    assert not leaked, leaked
    # What must be on the wire: the question who has the other's address.
    if family == 4:
        asked = [f for f in wire.frames if ARP in f.packet and f.packet[ARP].pdst == B[4]]
    else:
        asked = [f for f in wire.frames if ICMPv6ND_NS in f.packet]
        asked = [f for f in asked if f.packet[ICMPv6ND_NS].tgt == B[6]]
    assert asked and not any(frame.is_unicast for frame in asked)


@by_family
def test_the_host_keeps_its_own_address(pair: Topology, family: int) -> None:
    ping_ok(pair.external, HOST[family])
    ping_ok(pair.host, EXTERNAL[family])
    tcp_exchange(pair.external, pair.host, HOST[family])
    tcp_exchange(pair.host, pair.external, EXTERNAL[family])


@by_family
def test_host_and_slave_do_not_reach_each_other(pair: Topology, family: int) -> None:
    slave = pair.slaves[0]
    with Capture(slave.netns, "ipvl0") as at_slave:
        ping_lost(slave.netns, HOST[family])
        ping_lost(pair.host, A[family])
    echoes = [
        frame.packet.summary()
        for frame in at_slave.frames
        if HOST[family] in ip_addresses(frame)
        and (ICMP in frame.packet or "ICMPv6 Echo" in frame.packet.summary())
    ]
    assert not echoes, echoes
    ping_ok(pair.external, A[family])  # the way in is open, to all but the host


def test_a_slave_without_a_mode_takes_its_ports(pair: Topology) -> None:
    pair.daemon.cli("link add link m0 name third type ipvlan")
    (third,) = pair.daemon.get("/v1/slaves?name=third")
    assert (third["mode"], third["flag"]) == ("l2", "bridge")
    (port,) = pair.daemon.cli_json("port show")
    assert (port["master"], port["mode"], port["flag"], port["slaves"]) == ("m0", "l2", "bridge", 3)


@by_family
def test_a_slave_that_stays_in_the_hosts_namespace_works(net: Topology, family: int) -> None:
    """bpf_redirect_peer() cannot deliver there; the plain way must."""
    net.daemon.cli("link add link m0 name here type ipvlan mode l2")
    prefix = {4: "10.0.0.50/32", 6: "fd00::50/128"}[family]
    address = prefix.split("/")[0]
    net.host.ip(f"addr add {prefix} dev here" + (" nodad" if family == 6 else ""))
    net.host.ip("link set here up")
    (slave,) = net.daemon.get("/v1/slaves?name=here")
    assert slave["netns"] is None
    eventually(f"{address} is steered", lambda: net.owner(address) == slave["id"])
    with Capture(net.host, "here") as at_slave:
        ping_ok(net.external, address)
    echoes = at_slave.matching(lambda f: not f.outgoing and address in ip_addresses(f))
    assert echoes, "the requests came in by the slave's interface"
