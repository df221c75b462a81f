# SPDX-License-Identifier: Apache-2.0
"""Do slaves follow their master: MAC, MTU, carrier, name and end? SEMANTICS.md rules 58, 59, 63."""

from __future__ import annotations

import pytest

from ipvlanx import EXTERNAL, Slave, Topology
from space import eventually, ping_ok
from wire import Capture

OTHER_MAC = "02:00:5e:00:53:01"


def host_end(slave: Slave) -> str:
    return f"ipvx{slave.id}"


def test_a_new_mac_address_is_every_slave_s(pair: Topology) -> None:
    a, b = pair.slaves
    with pair.daemon.events() as events:
        pair.host.ip(f"link set m0 address {OTHER_MAC}")
        events.wait_for("port-changed", master="m0")
    for slave in pair.slaves:
        eventually("the slave's MAC", lambda s=slave: s.netns.link(s.name)["address"] == OTHER_MAC)
        assert pair.host.link(host_end(slave))["address"] == OTHER_MAC
    with Capture(pair.external, "x0") as wire:
        pair.external.ip("neigh flush all")
        ping_ok(a.netns, EXTERNAL[4])
        ping_ok(pair.external, b.addresses[4])
        wire.settle()
    sent = {frame.source for frame in wire.frames if not frame.outgoing}
    assert OTHER_MAC in sent and pair.mac not in sent
    ping_ok(a.netns, b.addresses[4])


def test_its_mtu_overwrites_a_slave_s_own(pair: Topology) -> None:
    a, b = pair.slaves
    a.ip("link set mtu 1300 {}")
    pair.host.ip("link set m0 mtu 1400")
    for slave in pair.slaves:
        eventually("the slave's MTU", lambda s=slave: s.netns.link(s.name)["mtu"] == 1400)
        eventually("its host end's", lambda s=slave: pair.host.link(host_end(s))["mtu"] == 1400)
    ping_ok(a.netns, b.addresses[4], "-c", "1", "-s", "1372", "-M", "do")


def test_slaves_have_the_master_s_carrier(pair: Topology) -> None:
    a, b = pair.slaves

    def has_carrier(slave: Slave) -> bool:
        return "LOWER_UP" in slave.netns.link(slave.name)["flags"]

    pair.external.ip("link set x0 down")
    for slave in pair.slaves:
        eventually("no carrier", lambda s=slave: not has_carrier(s))
    late = pair.add_slave(addressed=False)
    late.ip("link set up {}")
    assert not has_carrier(late)
    pair.external.ip("link set x0 up")
    for slave in (*pair.slaves, late):
        eventually("a carrier", lambda s=slave: has_carrier(s))
    ping_ok(a.netns, EXTERNAL[4])
    ping_ok(a.netns, b.addresses[4])


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_routes_come_back_with_the_carrier(net: Topology, mode: str) -> None:
    space = net.netns("ns0")
    net.daemon.cli(
        f"link add link m0 name ipvl0 mode {mode} netns ns0 addr 10.0.0.10/24 addr fd00::10/64"
    )
    space.ip("route add default dev ipvl0")

    def routes() -> int:
        return sum(len(net.host.ip_json(f"-{v} route show proto 155")) for v in (4, 6))

    assert routes() == 2
    net.external.ip("link set x0 down")
    eventually("no routes", lambda: routes() == 0)
    net.external.ip("link set x0 up")
    eventually("routes", lambda: routes() == 2)
    net.external.ip(f"neigh replace 10.0.0.10 lladdr {net.mac} dev x0")
    ping_ok(space, EXTERNAL[4])


def test_its_name_is_the_port_s(pair: Topology) -> None:
    a, b = pair.slaves
    with pair.daemon.events() as events:
        pair.host.ip("link set m0 down")  # before 6.2, one that is up keeps its name
        pair.host.ip("link set m0 name nic0")
        pair.host.ip("link set nic0 up")
        events.wait_for("port-changed", master="nic0")
    assert [port["master"] for port in pair.daemon.get("/v1/ports")] == ["nic0"]
    assert {slave["master"] for slave in pair.daemon.get("/v1/slaves")} == {"nic0"}
    ping_ok(a.netns, b.addresses[4])
    pair.daemon.restart()
    assert [port["master"] for port in pair.daemon.get("/v1/ports")] == ["nic0"]


class Traveller:
    """A slave, and its master that goes to another namespace and, as CNI's host-device does it,
    another name."""

    def __init__(self, net: Topology, mode: str) -> None:
        self.net, self.mode = net, mode
        self.space, self.elsewhere = net.netns("ns0"), net.netns("ns1")
        self.number = net.host.link("m0")["ifindex"]
        net.daemon.cli(f"link add link m0 name ipvl0 mode {mode} netns ns0 addr 10.0.0.10/24")
        net.external.ip(f"neigh replace 10.0.0.10 lladdr {net.mac} dev x0")
        self.reachable()

    def reachable(self) -> None:
        ping_ok(self.net.external, "10.0.0.10")

    def leave(self) -> None:
        self.net.host.ip(f"link set m0 netns {self.elsewhere.name} name eth0")
        self.elsewhere.ip("link set eth0 up")

    def come_back(self) -> None:
        self.elsewhere.ip(f"link set eth0 netns {self.net.host.name} name m0")
        self.net.host.ip("link set m0 up")
        self.net.host.ip("addr add 10.0.0.2/24 dev m0")

    def waits(self) -> bool:
        return self.net.daemon.get("/v1/ports/m0")["ifindex"] is None

    def has_carrier(self) -> bool:
        return "LOWER_UP" in self.space.link("ipvl0")["flags"]

    def serves_again(self) -> None:
        eventually("the port serves", lambda: not self.waits())
        eventually("a carrier", self.has_carrier)
        self.reachable()
        (slave,) = self.net.daemon.get("/v1/slaves")
        assert (slave["mode"], slave["netns"]) == (self.mode, "ns0")


@pytest.fixture(params=["l2", "l3s"])
def traveller(net: Topology, request: pytest.FixtureRequest) -> Traveller:
    return Traveller(net, request.param)


def test_a_port_waits_for_a_master_that_moved(traveller: Traveller) -> None:
    net = traveller.net
    with net.daemon.events() as events:
        traveller.leave()
        events.wait_for("port-changed", master="m0")
    eventually("no carrier", lambda: not traveller.has_carrier())
    assert traveller.waits()
    assert all(not rows for rows in net.maps.tables().values())
    # What it brings there is the namespace's own.
    with Capture(traveller.space, "ipvl0") as slave:
        assert net.external.ping("10.0.0.10", "-c", "1", "-W", "1").returncode != 0
        slave.settle()
    assert not slave.frames
    # Its number is a stranger's meanwhile.
    net.host.ip(f"link add stranger index {traveller.number} type veth peer name strange")
    net.host.ip("link set stranger up")
    path = f"/v1/slaves/{net.id_of('ipvl0')}/addresses"
    refused = net.daemon.api("POST", path, {"address": "10.0.0.11/24"})
    assert (refused.status, refused.body["code"]) == (422, "no-such-master")
    traveller.come_back()
    traveller.serves_again()
    assert net.daemon.get("/v1/ports/m0")["ifindex"] != traveller.number


@pytest.mark.parametrize("back", ["before the daemon", "after the daemon"])
def test_a_master_that_moved_while_the_daemon_was_dead(traveller: Traveller, back: str) -> None:
    traveller.net.daemon.kill()
    traveller.leave()
    if back == "before the daemon":
        traveller.come_back()
        if traveller.mode == "l3s":  # named among the differences
            traveller.net.host.run("sysctl", "-qw", "net.ipv4.conf.m0.forwarding=1")
    traveller.net.daemon.start()
    if back == "after the daemon":
        assert traveller.waits()
        traveller.come_back()
    traveller.serves_again()


def test_a_port_that_waits_can_be_deleted(traveller: Traveller) -> None:
    daemon = traveller.net.daemon
    traveller.leave()
    eventually("the port waits", traveller.waits)
    daemon.cli("port del m0")
    assert daemon.get("/v1/slaves") == daemon.get("/v1/ports") == []
    assert not traveller.space.ip_json("link show type veth")


def test_its_end_is_their_end(pair: Topology) -> None:
    with pair.daemon.events() as events:
        pair.host.ip("link del m0")
        events.wait_for("port-removed", master="m0")
        for slave in pair.slaves:
            events.wait_for("slave-removed", slave=slave.id)
    assert pair.daemon.get("/v1/slaves") == pair.daemon.get("/v1/ports") == []
    links = {row["ifname"] for row in pair.host.ip_json("link show")}
    assert not any(name.startswith("ipvx") and not name.startswith("ipvxrelay") for name in links)
    assert all(not rows for rows in pair.maps.tables().values())


def test_what_changed_while_the_daemon_was_dead_is_found(pair: Topology) -> None:
    a, b = pair.slaves
    pair.daemon.kill()
    pair.host.ip("link set m0 down")
    pair.host.ip(f"link set m0 address {OTHER_MAC} mtu 1400 name nic0")
    pair.host.ip("link set nic0 up")
    pair.daemon.start()
    for slave in pair.slaves:
        link = slave.netns.link(slave.name)
        assert (link["address"], link["mtu"]) == (OTHER_MAC, 1400)
    assert [port["master"] for port in pair.daemon.get("/v1/ports")] == ["nic0"]
    with Capture(pair.external, "x0") as wire:
        ping_ok(a.netns, EXTERNAL[4])
        wire.settle()
    assert wire.matching(lambda frame: frame.source == OTHER_MAC)
    ping_ok(a.netns, b.addresses[4])
