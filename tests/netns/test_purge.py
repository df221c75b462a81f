# SPDX-License-Identifier: Apache-2.0
"""Does `ipvlanx purge` leave nothing behind, and does anything less leave everything running?"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ipvlanx import EXTERNAL, IPVLANXD, Topology
from space import Netns, eventually, ping_ok
from stream import Stream


def what_is_there(host: Netns) -> dict[str, object]:
    """What daemons leave on a host: interfaces, routes, rules, filters, settings."""
    return {
        "links": sorted(row["ifname"] for row in host.ip_json("link show")),
        "routes": [host.run("ip", f"-{v}", "route", "show", "table", "all").stdout for v in (4, 6)],
        "rules": [host.run("ip", f"-{v}", "rule").stdout for v in (4, 6)],
        "filters": host.run("tc", "filter", "show", "dev", "m0", "ingress").stdout,
        "programs": programs(host),
        "settings": host.run("sysctl", "-a", "--pattern", "forwarding|accept_ra$").stdout,
    }


def programs(host: Netns) -> list[str]:
    """Those of ours at the master, by whatever hook."""
    shown = host.run("bpftool", "net", "show", "dev", "m0", check=False).stdout
    return re.findall(r"ipvx_\w+", shown)


def purge(net: Topology, *words: str) -> tuple[int, str]:
    daemon = net.daemon
    if not words:
        words = ("pin-root", daemon.pin_root, "state-dir", f"{daemon.folder}/state")
    done = net.host.run(os.environ["IPVLANX_BUILD"] + "/bin/ipvlanx", "purge", *words, check=False)
    return done.returncode, done.stderr


def settled(net: Topology) -> dict[str, object]:
    """When addresses that were just given are no longer tentative, routes are complete."""
    eventually("no tentative address", lambda: not any(
        row.get("tentative") for row in net.host.addresses("m0")
    ))  # fmt: skip
    return what_is_there(net.host)


@pytest.mark.parametrize("mode", ["l2", "l3s"])
def test_purge_leaves_nothing_behind(idle: Topology, mode: str) -> None:
    net, daemon = idle, idle.daemon
    before = settled(net)
    daemon.start()
    spaces = [net.netns(f"ns{n}") for n in range(2)]
    for n, space in enumerate(spaces):
        words = f"netns {space.name} addr 10.0.0.{10 + n}/24 addr fd00::{10 + n}/64"
        daemon.cli(f"link add link m0 name ipvl0 mode {mode} {words}")
    assert what_is_there(net.host) != before
    options = {"com.docker.network.generic": {"parent": "m0", "ipvlan_mode": mode}}
    network = {"NetworkID": "c0ffee", "Options": options}
    assert daemon.api("POST", "/NetworkDriver.CreateNetwork", network).body == {}

    status, said = purge(net)
    assert status == 2 and "another ipvlanxd uses it" in said
    assert len(daemon.get("/v1/slaves")) == 2
    ping_ok(spaces[0], "10.0.0.11")

    daemon.kill()
    assert purge(net) == (0, "")
    assert what_is_there(net.host) == before
    assert not os.path.exists(daemon.pin_root)
    assert not os.path.exists(f"{daemon.folder}/state")
    assert all(not space.ip_json("link show type veth") for space in spaces)
    assert purge(net) == (0, "")  # nothing is there any more

    daemon.start()
    assert daemon.get("/v1/slaves") == daemon.get("/v1/ports") == []


def test_purge_leaves_what_is_not_ours(net: Topology) -> None:
    net.add_slave()
    net.host.ip("link add ipvxx type veth peer name other")
    net.host.run("ip", "route", "add", "10.9.0.0/16", "dev", "m0")
    state = f"{net.daemon.folder}/state"
    with open(f"{state}/notes", "w") as notes:
        notes.write("mine")
    net.daemon.kill()
    assert purge(net) == (0, "")
    assert {"ipvxx", "other"} <= {row["ifname"] for row in net.host.ip_json("link show")}
    assert "10.9.0.0/16" in net.host.run("ip", "route").stdout
    assert os.listdir(state) == ["notes"]


def test_purge_looks_where_the_settings_have_it(idle: Topology) -> None:
    daemon = idle.daemon
    config = Path(daemon.folder, "ipvlanx.conf")
    config.write_text(f"[daemon]\npin-root = {daemon.pin_root}\nstate-dir = {daemon.folder}/there\n")
    daemon.argv = lambda: [IPVLANXD, "--config", str(config), "--socket", daemon.socket]
    before = settled(idle)
    daemon.start()
    daemon.cli("link add link m0 name ipvl0 mode l2")
    daemon.kill()

    broken = Path(daemon.folder, "broken.conf")
    broken.write_text("[daemon]\npin-rot = /x\n")
    status, said = purge(idle, "config", str(broken))
    assert (status, said) == (2, f"Error: {broken}:2: there is no key 'pin-rot' in [daemon]\n")
    # What the command line says wins: there is nothing in the one place, all of the pins in the other.
    assert purge(idle, "config", str(config), "pin-root", daemon.pin_root + "-other") == (0, "")
    assert os.path.exists(daemon.pin_root) and not os.path.exists(f"{daemon.folder}/there")
    assert purge(idle, "config", str(config)) == (0, "")
    assert not os.path.exists(daemon.pin_root)
    assert what_is_there(idle.host) == before


def test_stopping_the_service_leaves_everything_running(pair: Topology) -> None:
    a, b = pair.slaves
    with Stream(a.netns, b.netns, b.addresses[4]) as inside:
        with Stream(a.netns, pair.external, EXTERNAL[4]) as outside:
            pair.daemon.stop()
            ping_ok(pair.external, a.addresses[4])
            pair.daemon.start()
    assert inside.sent and not inside.lost()
    assert outside.sent and not outside.lost()
