# SPDX-License-Identifier: Apache-2.0
"""Does an unmodified DPDK application get its slave's packets, beside slaves without one?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (testpmd)  plain0
"""

from __future__ import annotations

import re
import secrets
import socket

import pytest
from ipvlanx import EXTERNAL, Topology, slave_addresses
from programs import Program
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from space import Netns, eventually, ping_lost, ping_ok
from wire import ETH_P_ALL, Sender

APP, PLAIN = slave_addresses(0), slave_addresses(1)


def dpdk(space: Netns, interface: str, *options: str) -> Program:
    vdev = f"net_af_xdp0,iface={interface}"
    eal = "--lcores 0@0,1@1 --no-pci --no-huge -m 512 --no-telemetry"
    words = f"{eal} --file-prefix {secrets.token_hex(4)} --vdev {vdev} --"
    forward = "--nb-cores=1 --rxq=1 --txq=1 --total-num-mbufs=8192 --stats-period 1 --auto-start"
    return Program(space, "dpdk-testpmd", *words.split(), *forward.split(), *options)


def is_up(client: Program) -> None:
    eventually("it forwards", lambda: "NIC statistics" in client.said, 20)


def add_app(net: Topology, mode: str, space: str = "ns0") -> None:
    net.netns(space)
    addresses = f"addr {APP[4]}/24 addr {APP[6]}/64"
    net.daemon.cli(f"link add link m0 name app0 mode {mode} via afxdp netns {space} {addresses}")


def echoes(space: Netns) -> int:
    """Answered by the stack."""
    return space.snmp()["IcmpInEchos"]


def test_an_application_gets_what_is_for_its_slave(net: Topology) -> None:
    add_app(net, "l2")
    plain = net.netns("ns1")
    net.daemon.cli(f"link add link m0 name plain0 netns ns1 addr {PLAIN[4]}/24")
    space = net.netns("ns0")
    for source in (net.external, plain):
        ping_ok(source, APP[4])  # nobody is bound yet
    before = echoes(space)
    with dpdk(space, "app0", "--forward-mode=icmpecho") as client:
        is_up(client)
        net.external.ip("neigh flush dev x0")
        for source in (net.external, plain):
            ping_ok(source, APP[4])
        assert echoes(space) == before
        ping_ok(net.external, PLAIN[4])
        ping_lost(net.external, "10.0.0.77")
        for end in (net.daemon.restart, net.daemon.kill):  # it goes on without the daemon
            end()
            ping_ok(net.external, APP[4])
        net.daemon.start()
        ping_ok(plain, APP[4])
        assert echoes(space) == before
    ping_ok(net.external, APP[4])  # the stack again, at once
    assert echoes(space) > before
    with dpdk(space, "app0", "--forward-mode=icmpecho") as client:  # nothing was left bound
        is_up(client)
        before = echoes(space)
        ping_ok(net.external, APP[4])
        assert echoes(space) == before
    (slave,) = net.daemon.get("/v1/slaves?name=app0")
    assert slave["via"] == "afxdp"
    net.daemon.cli("link del app0")
    assert not [pin for pin in net.daemon.pins() if "slaves/" in pin]


def counted(client: Program, name: str) -> int:
    """By testpmd, in its latest statistics: "RX-packets", ..."""
    counts = re.findall(rf"{name}: (\d+)", client.said)
    return int(counts[-1]) if counts else 0


def test_an_application_that_only_receives(net: Topology) -> None:
    add_app(net, "l3")  # nobody's broadcasts come there
    space = net.netns("ns0")
    frame = Ether(dst=net.mac) / IP(src=EXTERNAL[4], dst=APP[4]) / UDP(sport=9, dport=9) / b"x"
    with dpdk(space, "app0", "--forward-mode=rxonly") as client, Sender(net.external, "x0") as wire:
        is_up(client)
        wire.send(frame, 1500)  # the ring has room for them
        eventually("it has all of them", lambda: counted(client, "RX-packets") == 1500, 10)
    stats = net.daemon.get(f"/v1/slaves/{net.id_of('app0')}/stats")
    assert stats["rx"]["packets"] == 1500 and stats["tx"]["packets"] == 0


def test_an_application_that_only_sends(net: Topology) -> None:
    add_app(net, "l2")
    space = net.netns("ns0")
    peer = f"--eth-peer=0,{net.external_mac}"
    with dpdk(space, "app0", "--forward-mode=txonly", "--tx-ip", f"{APP[4]},{EXTERNAL[4]}", peer) as client:
        is_up(client)
        with net.external.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind(("x0", ETH_P_ALL))
            frames = [wire.recv(100) for _ in range(500)]  # a Capture would have to hear it to the end
        packets = [Ether(data) for data in frames if data[23] == socket.IPPROTO_UDP]
        seen = {(p.src, p[IP].src, p[IP].dst) for p in packets}
        assert len(packets) > 100 and seen == {(net.mac, APP[4], EXTERNAL[4])}
        client.stop()
        eventually("it says what it sent", lambda: "Bye" in client.said)
    stats = net.daemon.get(f"/v1/slaves/{net.id_of('app0')}/stats")
    assert stats["tx"]["packets"] >= counted(client, "TX-packets") > 1000, "all are counted"


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_in_routed_modes_it_gets_ip_alone(net: Topology, mode: str) -> None:
    """From the wire; peers have static entries, as with the kernel's ipvlan."""
    add_app(net, mode)
    space = net.netns("ns0")
    net.external.ip(f"neigh replace {APP[4]} lladdr {net.mac} dev x0 nud permanent")
    space.ip("route replace default dev app0")
    ping_ok(net.external, APP[4])
    before = echoes(space)
    with dpdk(space, "app0", "--forward-mode=icmpecho") as client:
        is_up(client)
        ping_ok(net.external, APP[4])
        assert echoes(space) == before
        assert net.daemon.get(f"/v1/slaves/{net.id_of('app0')}/stats")["rx"]["packets"] > 0


def test_a_slave_that_moves_takes_it_along(net: Topology) -> None:
    add_app(net, "l2")
    net.netns("ns1")
    net.daemon.cli("link set app0 netns ns1 up")
    space = net.netns("ns1")
    before = echoes(space)
    with dpdk(space, "app0", "--forward-mode=icmpecho") as client:
        is_up(client)
        ping_ok(net.external, APP[4])
        assert echoes(space) == before


def test_save_and_apply_know_it(net: Topology) -> None:
    add_app(net, "l2")
    document = net.daemon.get("/v1/save")
    assert document["slaves"][0]["via"] == "afxdp"
    net.daemon.cli("link del app0")
    assert net.daemon.api("POST", "/v1/apply", document).status == 200
    assert net.daemon.get("/v1/save") == document
    document["slaves"][0]["via"] = "veth"
    answer = net.daemon.api("POST", "/v1/apply", document)
    assert (answer.status, answer.body["field"]) == (409, "slaves[0].via"), answer
