# SPDX-License-Identifier: Apache-2.0
"""Do Docker's users get of its own engine what its ipvlan driver gives them?

    external              host (with dockerd)      containers
    x0  ---- veth ----  m0 ==== endpoints =======  eth0, eth0, ...
    10.0.0.1/24         10.0.0.2/24                10.0.0.16/28
    fd00::1/64          fd00::2/64                 fd00::/64
"""

from __future__ import annotations

import os
import threading
from typing import Iterator

import pytest
from scapy.layers.inet import ICMP, IP

from dockerd import DOCKERD, IMAGE, Engine
from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import eventually, ping_ok
from wire import Capture

pytestmark = pytest.mark.skipif(not os.path.exists(DOCKERD), reason="docker.io is not installed")
long = pytest.mark.skipif("IPVLANX_LONG" not in os.environ, reason="tools/test --all runs it")

POOL = "--subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.16/28"
POOL_6 = "--ipv6 --subnet fd00::/64 --gateway fd00::1 --aux-address host=fd00::2"
PING = "ping -c 1 -W 2"


@pytest.fixture
def engine(net: Topology) -> Iterator[Engine]:
    made = Engine(net)
    try:
        made.start()
        made.load_image()
        yield made
    finally:
        made.close()


def run(engine: Engine, name: str, options: str = "--network web") -> str:
    """A container that stays; its IPv4 address."""
    engine.docker(f"run -d --name {name} --stop-signal KILL {options} {IMAGE} sleep 1000")
    (network,) = engine.inspect(name)["NetworkSettings"]["Networks"].values()
    return network["IPAddress"]


def interfaces(engine: Engine, container: str) -> list[str]:
    lines = engine.docker(f"exec {container} ip -o link").splitlines()
    return [line.split(": ")[1].partition("@")[0] for line in lines]


def nothing_left(engine: Engine) -> None:
    net = engine.net
    assert net.daemon.get("/v1/slaves") == []
    left = {link["ifname"] for link in net.host.ip_json("link show type veth")}
    assert left == {"m0", "ipvxrelay0", "ipvxrelay1"}


def test_containers_reach_each_other_and_the_wire(engine: Engine) -> None:
    net = engine.net
    engine.docker(f"network create -d ipvlanx {POOL} {POOL_6} -o parent=m0 web")
    assert run(engine, "one") == "10.0.0.16"
    assert run(engine, "two", "--network web --ip 10.0.0.77 --ip6 fd00::77") == "10.0.0.77"
    with Capture(net.external, "x0") as wire:
        for container, other in (("one", "10.0.0.77"), ("two", "10.0.0.16"), ("one", "fd00::77")):
            engine.docker(f"exec {container} {PING} {other}")
        for family in FAMILIES:
            engine.docker(f"exec one {PING} {EXTERNAL[family]}")
        ping_ok(net.external, "10.0.0.77")
        ping_ok(net.external, "fd00::77")
    came = [frame for frame in wire.frames if not frame.outgoing]
    assert {frame.source for frame in came} == {net.mac}
    echoes = [frame.packet[IP].src for frame in came if ICMP in frame.packet]
    assert set(echoes) == {"10.0.0.16", "10.0.0.77"}

    # Docker's own bridge is no second way out.
    assert interfaces(engine, "one") == ["lo", "eth0"]
    assert "default via 10.0.0.1 dev eth0" in engine.docker("exec one ip route")
    assert "default via fd00::1 dev eth0" in engine.docker("exec one ip -6 route")
    slaves = {slave["addresses"][0]["address"]: slave for slave in net.daemon.get("/v1/slaves")}
    assert set(slaves) == {"10.0.0.16/24", "10.0.0.77/24"}
    for slave in slaves.values():
        assert (slave["name"], slave["mode"], slave["flag"]) == ("eth0", "l2", "bridge")
        assert [row["origin"] for row in slave["addresses"][:2]] == ["api", "api"]

    # Started again, and taken out and put back, a container is where it was.
    engine.docker("restart -t 0 two")
    engine.docker("network disconnect web one")
    assert interfaces(engine, "one") == ["lo"]
    assert len(net.daemon.get("/v1/slaves")) == 1
    engine.docker("network connect web one")
    engine.docker(f"exec one {PING} 10.0.0.77")
    engine.docker("rm -f one two")
    engine.docker("network rm web")
    nothing_left(engine)


@long
@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_routed_modes(engine: Engine, mode: str) -> None:
    net = engine.net
    engine.docker(f"network create -d ipvlanx {POOL} {POOL_6} -o parent=m0 -o ipvlan_mode={mode} web")
    engine.docker(f"network create -d ipvlanx --internal --subnet 10.9.0.0/24 -o parent=m0 -o mode={mode} inside")
    run(engine, "one")
    run(engine, "two", "--network web --ip6 fd00::77")
    run(engine, "three", "--network inside")
    net.external.ip_lines("route add 10.0.0.16/28 via 10.0.0.2", "route add fd00::77 via fd00::2")
    assert "default dev eth0" in engine.docker("exec one ip route")
    assert "default dev eth0" in engine.docker("exec one ip -6 route")
    assert "default" not in engine.docker("exec three ip route")
    engine.docker(f"exec one {PING} 10.0.0.17")
    engine.docker(f"exec one {PING} fd00::77")
    engine.docker(f"exec one {PING} {EXTERNAL[4]}")
    ping_ok(net.external, "fd00::77")
    assert net.daemon.get("/v1/ports/m0")["mode"] == mode


def test_the_daemon_is_killed_between_the_engines_messages(engine: Engine) -> None:
    net = engine.net

    def again() -> None:
        net.daemon.kill()
        net.daemon.start()

    engine.docker(f"network create -d ipvlanx {POOL} -o parent=m0 web")
    again()
    run(engine, "one")
    net.daemon.kill()
    ping_ok(net.external, "10.0.0.16")
    # The engine tries for a while: what is asked of a daemon that is away is done when it is back.
    late: list[str] = []
    asking = threading.Thread(target=lambda: late.append(run(engine, "two")))
    asking.start()
    eventually("the engine tries", lambda: "retrying" in engine.log.read_text(), 20)
    net.daemon.start()
    asking.join(30)
    assert late == ["10.0.0.17"]
    engine.docker(f"exec two {PING} 10.0.0.16")
    again()
    engine.docker(f"exec two {PING} {EXTERNAL[4]}")
    engine.docker("rm -f one")
    again()
    engine.docker("rm -f two")
    engine.docker("network rm web")
    nothing_left(engine)


@long
@pytest.mark.parametrize("live_restore", [True, False])
def test_the_engine_is_killed(engine: Engine, live_restore: bool) -> None:
    net = engine.net
    engine.docker(f"network create -d ipvlanx {POOL} -o parent=m0 web")
    run(engine, "one")
    engine.kill()
    ping_ok(net.external, "10.0.0.16")
    engine.set("live-restore", live_restore)
    engine.start()
    # Containers go on, or are ended, and their endpoints with them.
    if live_restore:
        ping_ok(net.external, "10.0.0.16")
        engine.docker(f"exec one {PING} {EXTERNAL[4]}")
    else:
        eventually("its slave is gone", lambda: net.daemon.get("/v1/slaves") == [])
        engine.docker("start one")
    assert run(engine, "two") == "10.0.0.17"
    engine.docker(f"exec two {PING} 10.0.0.16")
    engine.docker("rm -f one two")
    engine.docker("network rm web")
    nothing_left(engine)


def test_what_is_refused_is_said_to_the_user(engine: Engine) -> None:
    net = engine.net

    def refused(words: str) -> str:
        done = engine.try_docker(*words.split())
        assert done.returncode != 0, words
        return done.stderr

    create = f"network create -d ipvlanx {POOL}"
    assert "-o parent=INTERFACE says which" in refused(f"{create} web")
    assert "there is no interface 'eth9'" in refused(f"{create} -o parent=eth9 web")
    assert "there is no option 'colour'" in refused(f"{create} -o parent=m0 -o colour=red web")
    assert "mode 'l4' is none of" in refused(f"{create} -o parent=m0 -o ipvlan_mode=l4 web")
    engine.docker(f"{create} -o parent=m0 web")
    net.daemon.cli("link add link m0 name other type ipvlan mode l2 addr 10.0.0.20/24")
    start = "run --rm --network web"
    assert "belongs to slave 'other'" in refused(f"{start} --ip 10.0.0.20 {IMAGE} true")
    assert "parent's MAC address" in refused(f"{start} --mac-address 02:42:0a:00:00:63 {IMAGE} true")
    other = "network create -d ipvlanx --subnet 10.8.0.0/24 -o parent=m0 -o ipvlan_mode=l3 web3"
    assert "port 'm0' is in mode l2 bridge with other slaves" in refused(other)
    assert [slave["name"] for slave in net.daemon.get("/v1/slaves")] == ["other"]
    engine.docker(f"{start} {IMAGE} {PING} {EXTERNAL[4]}")


@long
def test_several_networks_of_one_parent(engine: Engine) -> None:
    engine.docker(f"network create -d ipvlanx {POOL} -o parent=m0 web")
    engine.docker("network create -d ipvlanx --subnet 10.8.0.0/24 -o parent=m0 data")
    run(engine, "one")
    engine.docker("network connect data one")
    run(engine, "two", "--network data")
    assert interfaces(engine, "one") == ["lo", "eth0", "eth1"]
    networks = engine.inspect("one")["NetworkSettings"]["Networks"]
    assert set(networks) == {"web", "data"}
    other = engine.inspect("two")["NetworkSettings"]["Networks"]["data"]["IPAddress"]
    engine.docker(f"exec one {PING} {other}")
    engine.docker("rm -f one two")
    engine.docker("network rm web data")
    nothing_left(engine)
