# SPDX-License-Identifier: Apache-2.0
"""What does a port do to its slaves: flags for unicast and broadcasts, and all at once?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1
    10.0.0.1            10.0.0.2                   10.0.0.10       10.0.0.11
"""

from __future__ import annotations

import time

from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ipvlanx import EXTERNAL, Topology
from space import ping_lost, ping_ok
from wire import Capture, Sender, carrying

BROADCAST = "ff:ff:ff:ff:ff:ff"
EXPERIMENTAL = 0x88B5


def broadcast_reaches(net: Topology, marker: bytes) -> bool:
    """Does ns1 hear what ns0 broadcasts? The wire hears it in any case."""
    a, b = net.slaves
    frame = Ether(dst=BROADCAST, src=net.mac, type=EXPERIMENTAL) / Raw(marker.ljust(46, b"."))
    with Capture(b.netns, b.name) as inside, Capture(net.external, "x0") as wire:
        with Sender(a.netns, a.name) as sender:
            sender.send(frame)
        wire.wait_for(carrying(marker))
        inside.settle()
        return bool(inside.matching(carrying(marker)))


def know_each_other(net: Topology) -> None:
    """Static neighbours, so that only unicast decides."""
    for one, other in (net.slaves, net.slaves[::-1]):
        one.ip(f"neigh replace {other.addresses[4]} lladdr {net.mac} {{}}")


def test_private_keeps_slaves_apart_but_not_from_the_wire(pair: Topology) -> None:
    a, b = pair.slaves
    know_each_other(pair)
    ping_ok(a.netns, b.addresses[4])
    pair.daemon.cli("port set m0 private")
    ping_lost(a.netns, b.addresses[4])
    ping_ok(a.netns, EXTERNAL[4])
    ping_ok(pair.external, b.addresses[4])
    stats = pair.daemon.get(f"/v1/slaves/{a.id}/stats")
    assert stats["drops"]["private"] == stats["tx"]["dropped"] > 0
    pair.daemon.cli("port set m0 bridge")
    ping_ok(a.netns, b.addresses[4])


def test_vepa_sends_all_to_the_switch(pair: Topology) -> None:
    a, b = pair.slaves
    know_each_other(pair)
    pair.daemon.cli("port set m0 vepa")
    with Capture(pair.external, "x0") as wire:
        ping_lost(a.netns, b.addresses[4])
        wire.wait_for(lambda frame: frame.destination == pair.mac and frame.source == pair.mac)
    ping_ok(a.netns, EXTERNAL[4])


def test_flags_hold_for_broadcasts_only_when_the_port_is_strict(pair: Topology) -> None:
    for flag in ("bridge", "private", "vepa"):
        pair.daemon.cli(f"port set m0 {flag} strict-private off")
        assert broadcast_reaches(pair, f"loose {flag}".encode())
        pair.daemon.cli("port set m0 strict-private on")
        assert broadcast_reaches(pair, f"strict {flag}".encode()) == (flag == "bridge")


def test_a_port_that_was_set_keeps_its_options_without_slaves(net: Topology) -> None:
    net.daemon.cli("port set m0 mode l2 vepa strict-private on announce off")
    slave = net.add_slave()
    assert net.daemon.get(f"/v1/slaves/{slave.id}")["flag"] == "vepa"
    net.daemon.cli("link del ipvl0")
    (port,) = net.daemon.cli_json("port show")
    assert (port["mode"], port["flag"], port["slaves"]) == ("l3", "bridge", 0)
    assert port["options"] == {"strict_private": True, "announce": False}
    net.daemon.restart()
    assert net.daemon.cli_json("port show") == [port]
    net.daemon.cli("port del m0")
    assert net.daemon.cli_json("port show") == []


def test_port_del_takes_all_slaves_at_once(net: Topology) -> None:
    count = 200
    net.netns("ns0")
    slave = {"master": "m0", "mode": "l2", "netns": "ns0"}
    with net.daemon.requests() as ask:
        for number in range(count):
            assert ask("POST", "/v1/slaves", slave | {"name": f"ipvl{number}"}).status == 201
    links = net.netns("ns0").ip_json("link show")
    assert sum(link["ifname"].startswith("ipvl") for link in links) == count

    net.daemon.cli("port del m0")
    assert net.daemon.get("/v1/slaves") == []
    assert [link["ifname"] for link in net.netns("ns0").ip_json("link show")] == ["lo"]
    assert not [name for name in net.daemon.pins() if name.endswith("-slave_tx")]


def test_port_flush_takes_all_slaves_and_leaves_the_port(net: Topology) -> None:
    slaves = [net.add_slave() for _ in range(3)]
    net.daemon.cli("port set m0 announce off")
    net.daemon.cli("port flush m0")
    (port,) = net.daemon.cli_json("port show")
    assert (port["slaves"], port["mode"], port["options"]["announce"]) == (0, "l3", False)
    assert net.daemon.get("/v1/slaves") == []
    for slave in slaves:
        assert [link["ifname"] for link in slave.netns.ip_json("link show")] == ["lo"]
    net.daemon.restart()
    assert net.daemon.cli_json("port show") == [port]
    assert net.daemon.try_cli("port", "flush", "nosuch0").returncode == 2


def test_a_relay_that_is_removed_is_made_again(net: Topology) -> None:
    net.add_slave()
    net.host.ip("link del ipvxrelay0")
    for _ in range(50):
        if any(link["ifname"] == "ipvxrelay0" for link in net.host.ip_json("link show")):
            return
        time.sleep(0.1)
    raise AssertionError("no relay")
