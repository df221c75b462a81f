# SPDX-License-Identifier: Apache-2.0
"""Does what the user wants survive: a reboot, a file that cannot be read, many slaves?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  ipvl0           ipvl1
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ipvlanx import Daemon, Topology, slave_addresses
from space import SLOW, eventually, ping_lost, ping_ok
from test_restart import Flood

A, B = slave_addresses(0), slave_addresses(1)


def state_folder(daemon: Daemon) -> Path:
    return Path(daemon.folder, "state")


def kept_aside(daemon: Daemon) -> list[str]:
    return sorted(path.name for path in state_folder(daemon).glob("*.refused-*"))


# ---------------------------------------------------------------------- reboot


def forget(net: Topology, boot: str) -> None:
    """What a reboot does to the daemon's things; the daemon is stopped."""
    net.host.ip("link del group 6970")
    net.host.ip("link del ipvxrelay0")
    shutil.rmtree(net.daemon.pin_root)
    Path(state_folder(net.daemon), "host-settings").unlink(missing_ok=True)
    net.daemon.options = ("--boot-id", boot)


def plug(net: Topology) -> None:
    """The NIC, under another number."""
    net.host.ip_lines(
        "link add spare type veth peer name spare-peer",
        "link add m0 type veth peer name x0 netns external",
        "link del spare",
        "addr add 10.0.0.2/24 dev m0",
        "addr add fd00::2/64 dev m0 nodad",
        "link set m0 up",
    )
    net.external.ip_lines(
        "addr add 10.0.0.1/24 dev x0", "addr add fd00::1/64 dev x0 nodad", "link set x0 up"
    )
    link = net.host.link("m0")
    net.master, net.mac = link["ifindex"], link["address"]


def without_numbers(slaves: list[dict]) -> list[dict]:
    """What the user wants of them."""
    rows = [{k: v for k, v in slave.items() if k not in ("ifindex", "mac")} for slave in slaves]
    for row in rows:
        row["addresses"] = [a for a in row["addresses"] if a["origin"] == "api"]
    return rows


@pytest.fixture
def wanted(net: Topology) -> list[dict]:
    """Slaves of each kind; returned as the API tells of those that a reboot leaves."""
    for space in ("ns0", "4711", "doomed"):
        net.netns(space)
    addresses = " ".join(f"addr {a}" for a in ("10.0.0.10/24", "fd00::10/64"))
    net.daemon.cli(f"link add link m0 name ipvl0 mode l2 netns ns0 mtu 1400 {addresses}")
    net.daemon.cli("link add link m0 name ipvl1 addr-policy static max-addresses 3")
    net.daemon.cli("addr add 10.0.0.11/24 dev ipvl1")
    net.host.ip("link set ipvl1 netns 4711")  # as the HOWTO does; it is no pid
    net.netns("4711").ip("link set ipvl1 up")
    net.daemon.cli("link add link m0 name here0 addr 10.0.0.12/24")
    net.daemon.cli("link add link m0 name gone0 netns doomed addr 10.0.0.13/24")
    net.daemon.cli("link add link m0 name last0")
    net.daemon.cli("link del last0")
    net.daemon.cli("port set m0 private strict-private on")
    net.netns("ns0").ip("addr add 10.0.0.20/24 dev ipvl0")  # the tenant's own affair
    net.wait_steered(net_slave(net, "ipvl0"), "10.0.0.20")

    def moved() -> bool:
        (slave,) = net.daemon.get("/v1/slaves?name=ipvl1")
        return slave["netns"] == "4711" and slave["up"]

    eventually("the move is known", moved)
    return [slave for slave in net.daemon.get("/v1/slaves") if slave["name"] != "gone0"]


def net_slave(net: Topology, name: str) -> Any:
    """For wait_steered()."""

    class Known:
        id = net.id_of(name)

    return Known


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_after_a_reboot_everything_comes_back(
    net: Topology, wanted: list[dict], ending: str
) -> None:
    (port,) = net.daemon.get("/v1/ports")
    last = net.id_of("here0")
    getattr(net.daemon, ending)()
    forget(net, "second")
    net.netns("doomed").delete()
    net.spaces.remove(net.netns("doomed"))
    net.host.ip("link del m0")
    plug(net)
    net.daemon.start()
    assert without_numbers(net.daemon.get("/v1/slaves")) == without_numbers(wanted)
    (now,) = net.daemon.get("/v1/ports")
    assert now == {**port, "ifindex": net.master, "mac": net.mac, "slaves": 3}
    for space, interface in (("ns0", "ipvl0"), ("4711", "ipvl1"), ("host", "here0")):
        assert net.netns(space).link(interface)["address"] == net.mac
    assert net.owner("10.0.0.13") is None, "its namespace is gone"
    assert "slave-removed" in net.daemon.log.read_text()
    for address in (A[4], A[6], B[4]):
        ping_ok(net.external, address)
    before = net.daemon.get("/v1/slaves")
    net.daemon.restart()  # on the same boot nothing is made again
    assert net.daemon.get("/v1/slaves") == before
    net.daemon.cli("link add link m0 name next0")
    assert net.id_of("next0") == last + 3  # after gone0 and last0: not soon reused


def test_a_port_waits_for_its_master(net: Topology, wanted: list[dict]) -> None:
    net.daemon.stop()
    forget(net, "second")
    net.netns("doomed").delete()
    net.spaces.remove(net.netns("doomed"))
    net.host.ip("link del m0")
    net.daemon.start()
    without_state = without_numbers(copy.deepcopy(wanted))
    for slave in without_state:
        for address in slave["addresses"]:
            del address["state"]
    for _ in range(2):  # it still waits after a restart
        slaves = without_numbers(net.daemon.get("/v1/slaves"))
        assert {a.pop("state") for slave in slaves for a in slave["addresses"]} == {"inactive"}
        assert slaves == without_state
        (port,) = net.daemon.get("/v1/ports")
        assert port["ifindex"] is None and port["slaves"] == len(wanted), port
        net.daemon.restart()
    assert "port-waiting on 'm0'" in net.daemon.log.read_text()
    plug(net)  # as a driver that is loaded late
    net.wait_steered(net_slave(net, "ipvl1"), B[4])
    assert without_numbers(net.daemon.get("/v1/slaves")) == without_numbers(wanted)
    for address in (A[4], A[6], B[4]):
        ping_ok(net.external, address)
    before = net.daemon.get("/v1/slaves")
    net.daemon.restart()
    assert net.daemon.get("/v1/slaves") == before


# ------------------------------------------------------------------ a refused file


def spoil(text: str, how: str) -> str:
    if how == "newer":
        return json.dumps(json.loads(text) | {"version": 99})
    if how == "truncated":
        return text[: len(text) // 2]
    if how == "wrong type":
        return json.dumps(json.loads(text) | {"last_id": "two"})
    if how == "twice":
        state = json.loads(text)
        return json.dumps(state | {"slaves": state["slaves"] * 2})
    assert how == "no JSON"
    return "the state\n"


HOW = ["newer", "truncated", "wrong type", "twice", "no JSON"]


def test_a_refused_state_loses_no_packet(pair: Topology) -> None:
    a, b = pair.slaves
    for source, address in ((pair.external, A[4]), (a.netns, B[4])):
        ping_ok(source, address)
    tables = pair.maps.tables()
    floods = [Flood(pair.external, A[4]), Flood(b.netns, "10.0.0.1"), Flood(a.netns, B[4])]
    state = state_folder(pair.daemon) / "state.json"
    for n, how in enumerate(HOW, 1):
        pair.daemon.stop()
        spoilt = spoil(state.read_text(), how)
        state.write_text(spoilt)
        log = len(pair.daemon.log.read_text())
        pair.daemon.start()
        assert f"state.json.refused-{n}" in kept_aside(pair.daemon)
        assert (state_folder(pair.daemon) / f"state.json.refused-{n}").read_text() == spoilt
        said = [line for line in pair.daemon.log.read_text()[log:].splitlines() if "refused" in line]
        assert len(said) == 1 and f"state.json.refused-{n}" in said[0], (how, said)
        assert pair.maps.tables() == tables, how
    for flood in floods:
        flood.done()
    for slave in pair.daemon.get("/v1/slaves"):
        assert slave["addr_policy"] == "static"
        assert {row["origin"] for row in slave["addresses"]} == {"api"}
    # A tenant gains nothing by it, until the operator says so.
    a.ip("addr add 10.0.0.40/24 {}")
    b.ip("link set {} down")
    eventually("the daemon has seen it", lambda: pair.owner(B[4]) is None)
    assert pair.owner("10.0.0.40") is None
    pair.daemon.cli(f"link set {a.name} addr-policy learn")
    pair.wait_steered(a, "10.0.0.40")


def test_a_damaged_journal_is_refused_but_a_torn_end_is_not(pair: Topology) -> None:
    journal = state_folder(pair.daemon) / "state.journal"
    pair.daemon.cli("addr add 10.0.0.30/24 dev ipvl0")
    before = without_numbers(pair.daemon.get("/v1/slaves"))
    pair.daemon.kill()
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) >= 3, lines
    journal.write_text("".join(lines) + lines[-1][:30])
    pair.daemon.start()
    assert without_numbers(pair.daemon.get("/v1/slaves")) == before
    assert not kept_aside(pair.daemon)

    pair.daemon.cli("addr add 10.0.0.31/24 dev ipvl0")
    pair.daemon.cli("addr add 10.0.0.32/24 dev ipvl0")
    tables = pair.maps.tables()
    pair.daemon.kill()
    lines = journal.read_text().splitlines(keepends=True)
    lines[1] = "x" + lines[1]
    journal.write_text("".join(lines))
    pair.daemon.start()
    assert kept_aside(pair.daemon) == ["state.journal.refused-1", "state.json.refused-1"]
    assert pair.maps.tables() == tables
    ping_ok(pair.external, "10.0.0.31")


def test_a_missing_state_file_ends_nothing(pair: Topology) -> None:
    tables = pair.maps.tables()
    pair.daemon.stop()
    (state_folder(pair.daemon) / "state.json").unlink()
    pair.daemon.start()
    assert pair.maps.tables() == tables
    assert "there is no state file" in pair.daemon.log.read_text()
    ping_ok(pair.external, A[4])
    ping_lost(pair.external, "10.0.0.77")


# --------------------------------------------------------------------- many slaves


def test_a_change_costs_the_same_with_many_slaves(net: Topology) -> None:
    """What is written to disk for one change does not grow with what is there."""
    folder = state_folder(net.daemon)
    appended: list[int] = []
    snapshots: set[int] = set()
    with net.daemon.requests(timeout=60 * SLOW) as ask:
        for n in range(300):
            before = (folder / "state.journal").stat().st_size
            body = {"master": "m0", "name": f"s{n}", "mode": "l2"}
            assert ask("POST", "/v1/slaves", body).status == 201
            appended.append((folder / "state.journal").stat().st_size - before)
            snapshots.add((folder / "state.json").stat().st_mtime_ns)
    # The port comes with the first slave; once in a while a snapshot empties the journal.
    assert max(appended[1:]) < 500, appended
    assert len(snapshots) <= 3
    net.daemon.kill()
    net.daemon.start()
    assert len(net.daemon.get("/v1/slaves")) == 300
