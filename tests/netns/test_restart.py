# SPDX-License-Identifier: Apache-2.0
"""Does the data path outlive the daemon, and does nothing outlive the last slave?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from ipvlanx import EXTERNAL, FAMILIES, Topology, slave_addresses
from maps import pinned_link
from space import Netns, eventually, ping_lost, ping_ok

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
A, B = slave_addresses(0), slave_addresses(1)


class Flood:
    """Pings 100 times a second, a fixed number of them; done() says that none was lost."""

    COUNT = 300

    def __init__(self, source: Netns, address: str) -> None:
        self.what = f"{source.name} -> {address}"
        options = ("-n", "-q", "-i", "0.01", "-c", str(self.COUNT), "-W", "2")
        self._process = source.spawn(
            "ping", *options, address, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def running(self) -> bool:
        return self._process.poll() is None

    def received(self) -> int:
        """How many were answered, of all."""
        self._said, _ = self._process.communicate(timeout=30)
        counts = re.search(rf"{self.COUNT} packets transmitted, (\d+) received", self._said)
        assert counts, f"{self.what}: {self._said}"
        return int(counts[1])

    def done(self) -> None:
        assert self.received() == self.COUNT, f"{self.what}: {self._said}"


class Stream:
    """A TCP stream of some seconds; done() says that it never stood still."""

    def __init__(self, client: Netns, server: Netns, address: str, seconds: int) -> None:
        self._server = server.spawn(
            "iperf3", "-s", "-1", "--forceflush", "-B", address,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        for line in self._server.stdout:  # type: ignore[union-attr]
            if "Server listening" in line:
                break
        # Slowed down: the processors are for the daemon's restart, too.
        self._client = client.spawn(
            "iperf3", "-c", address, "-C", "cubic", "-t", str(seconds), "-i", "0.5",
            "-b", "200M", "-f", "k", "--forceflush",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def done(self) -> None:
        said, _ = self._client.communicate(timeout=60)
        self._server.communicate(timeout=10)
        intervals = [line for line in said.splitlines() if " sec " in line and "Kbits/sec" in line]
        rates = [float(line.split(" Kbits/sec")[0].split()[-1]) for line in intervals]
        assert self._client.returncode == 0 and len(rates) >= 6, said
        assert min(rates) > 0, f"the stream stood still: {said}"


@by_family
def test_killing_and_restarting_the_daemon_loses_no_packet(pair: Topology, family: int) -> None:
    a, b = (slave.netns for slave in pair.slaves)
    for source, address in ((pair.external, A[family]), (a, B[family])):
        ping_ok(source, address)  # the neighbours know each other
    before = pair.maps.counters()
    floods = [
        Flood(pair.external, A[family]),
        Flood(b, EXTERNAL[family]),
        Flood(a, B[family]),
    ]
    stream = Stream(pair.external, a, A[family], 4)
    time.sleep(0.6)
    pair.daemon.kill()
    time.sleep(0.8)
    pair.daemon.start()
    time.sleep(0.3)
    pair.daemon.restart()  # SIGTERM, start
    for flood in floods:
        flood.done()
    stream.done()
    after = pair.maps.counters()
    for slave in pair.slaves:  # the counters went on, too
        for name in ("rx.packets", "tx.packets"):
            assert after["slave", slave.id, name] >= before["slave", slave.id, name] + Flood.COUNT
        for name in ("rx.dropped", "tx.dropped"):
            assert after["slave", slave.id, name] == before["slave", slave.id, name]


def known(net: Topology) -> dict[str, Any]:
    slaves = net.daemon.get("/v1/slaves")
    for slave in slaves:
        slave["addresses"].sort(key=lambda row: row["address"])
    return {
        "slaves": slaves,
        "ports": net.daemon.get("/v1/ports"),
        "tables": net.maps.tables(),
        "pins": net.daemon.pins(),
    }


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_a_restarted_daemon_finds_its_slaves(pair: Topology, ending: str) -> None:
    pair.daemon.cli(f"addr add 10.0.0.30/24 dev {pair.slaves[0].name}")
    before = known(pair)
    assert len(before["slaves"]) == 2 and len(before["tables"]["ipvx_addrs"]) >= 5
    getattr(pair.daemon, ending)()
    assert pair.maps.tables() == before["tables"]
    assert pair.daemon.pins() == before["pins"]
    for family in FAMILIES:  # nobody is at home, and it works
        ping_ok(pair.external, A[family])
        ping_ok(pair.slaves[0].netns, B[family])
    pair.daemon.start()
    after = known(pair)
    for what, value in before.items():
        assert after[what] == value, what
    third = pair.add_slave()
    assert third.id not in {slave.id for slave in pair.slaves[:2]}
    ping_ok(pair.external, third.addresses[4])


def is_of_a_slave(pin: str) -> bool:
    """The relay of broadcasts is the daemon's own and stays."""
    return pin.startswith(("links/", "slaves/")) and pin != "links/relay_rx"


def test_changes_without_the_daemon_are_found_at_start(pair: Topology) -> None:
    a, b = pair.slaves
    doomed = pair.add_slave()
    pair.daemon.kill()
    a.ip("addr add 10.0.0.40/25 {}")  # another length: not a secondary of A's
    a.ip("addr add fd00::40/64 {} nodad")
    a.ip(f"addr del {A[4]}/24 {{}}")
    b.ip("link set {} down")
    doomed.netns.ip(f"link del {doomed.name}")
    pair.daemon.start()  # ready means: true already
    assert pair.owner("10.0.0.40") == a.id and pair.owner("fd00::40") == a.id
    assert pair.owner(A[4]) is None and pair.owner(A[6]) == a.id
    assert pair.owner(B[4]) is None
    assert {slave["id"] for slave in pair.daemon.get("/v1/slaves")} == {a.id, b.id}
    assert doomed.id not in {row[1] for row in pair.maps.dump("ipvx_slaves").values()}
    ping_ok(pair.external, "10.0.0.40")
    ping_ok(pair.external, "fd00::40")
    ping_lost(pair.external, B[4])


def test_slaves_that_moved_without_the_daemon_are_found_at_start(pair: Topology) -> None:
    moved, renamed = pair.slaves
    doomed = pair.add_slave()
    elsewhere = pair.netns("elsewhere")
    pair.daemon.kill()
    moved.ip(f"link set {{}} netns {elsewhere.name}")
    elsewhere.ip_lines(
        f"addr add {moved.addresses[4]}/24 dev {moved.name}", f"link set {moved.name} up"
    )
    renamed.netns.ip_lines(
        f"link set {renamed.name} down", f"link set {renamed.name} name eth0", "link set eth0 up"
    )
    doomed.netns.delete()
    pair.daemon.start()
    known_now = {slave["id"]: slave for slave in pair.daemon.get("/v1/slaves")}
    assert known_now.keys() == {moved.id, renamed.id}
    assert known_now[moved.id]["netns"] == elsewhere.name
    assert known_now[renamed.id]["name"] == "eth0"
    assert pair.owner(doomed.addresses[4]) is None
    ping_ok(pair.external, moved.addresses[4])
    ping_ok(elsewhere, renamed.addresses[4])
    eventually(
        "the lost slave's host end is gone",
        lambda: f"ipvx{doomed.id}" not in {row["ifname"] for row in pair.host.ip_json("link show")},
    )


def test_a_master_that_was_set_down_without_the_daemon_is_found_at_start(pair: Topology) -> None:
    slave = pair.slaves[0]

    def has_carrier() -> bool:
        return "LOWER_UP" in slave.netns.link(slave.name)["flags"]

    pair.daemon.kill()
    pair.host.ip("link set m0 down")
    pair.daemon.start()
    assert not has_carrier()
    pair.daemon.kill()
    pair.host.ip("link set m0 up")
    eventually("the master's carrier", lambda: "LOWER_UP" in pair.host.link("m0")["flags"])
    pair.daemon.start()
    assert has_carrier()
    ping_ok(pair.external, slave.addresses[4])


def test_the_first_owner_of_a_duplicate_keeps_it_across_a_restart(pair: Topology) -> None:
    """Here the first one is the slave with the higher id."""
    a, b = pair.slaves
    with pair.daemon.events() as events:
        b.ip("addr add 10.0.0.60/32 {}")
        pair.wait_steered(b, "10.0.0.60")
        a.ip("addr add 10.0.0.60/32 {}")
        events.wait_for("address-conflict", slave=a.id, owner=b.id)
    before = known(pair)
    pair.daemon.kill()
    assert pair.owner("10.0.0.60") == b.id
    pair.daemon.start()
    after = known(pair)
    for what, value in before.items():
        assert after[what] == value, what
    assert pair.owner("10.0.0.60") == b.id


def test_events_keep_counting_across_a_restart(pair: Topology) -> None:
    """A reader who comes back misses nothing and sees nothing twice."""
    slave = pair.slaves[0]
    with pair.daemon.events() as events:
        slave.ip("addr add 10.0.0.41/24 {}")
        last = events.wait_for("address-added", slave=slave.id)["seq"]
    pair.daemon.restart()
    slave.ip("addr add 10.0.0.42/24 {}")
    with pair.daemon.events(since=last) as events:
        event = events.wait_for("address-added", slave=slave.id)
        assert event["seq"] > last and event["address"].startswith("10.0.0.42")


def test_a_second_daemon_on_one_pin_root_ends(pair: Topology) -> None:
    before = known(pair)
    words = pair.daemon.argv()
    words[words.index("--socket") + 1] = f"{pair.daemon.folder}/second.sock"
    words[words.index("--state-dir") + 1] = f"{pair.daemon.folder}/second"
    done = pair.host.run(*words, check=False, timeout=10)
    assert done.returncode == 1 and pair.daemon.pin_root in done.stderr, done
    assert "ready" not in done.stdout
    assert known(pair) == before
    ping_ok(pair.external, A[4])


def programs(net: Topology) -> dict[str, tuple[int, int]]:
    """By pin of a link: its id, and its program's."""
    links = [pin for pin in net.daemon.pins() if pin.startswith("links/")]
    return {pin: pinned_link(f"{net.daemon.pin_root}/{pin}") for pin in links}


def test_a_new_daemon_replaces_the_programs_in_one_step(pair: Topology) -> None:
    """Each start loads its own programs, be they others or not: what is attached stays attached,
    and runs the new one between two packets."""
    before = programs(pair)
    if not before:
        pytest.skip("this kernel has no TCX: filters are replaced by their handle")
    flood = Flood(pair.external, A[4])
    restarts = 0
    while flood.running():
        pair.daemon.restart()
        restarts += 1
    flood.done()
    after = programs(pair)
    assert restarts > 1 and before.keys() == after.keys()
    for pin, (link, program) in before.items():
        assert after[pin][0] == link, f"{pin} was attached anew"
        assert after[pin][1] != program, f"{pin} runs the old program"


def refuse_maps(net: Topology, change: Callable[[str], None]) -> str:
    """What a daemon says that finds maps changed like this, and touches nothing."""
    net.daemon.stop()
    change(f"{net.daemon.pin_root}/maps")
    tables = {name: net.maps.dump(name) for name in ("ipvx_ports", "ipvx_slaves", "ipvx_members")}
    before = programs(net), net.daemon.pins(), tables, net.host.ip_json("link show")
    done = net.host.run(*net.daemon.argv(), check=False, timeout=10)
    assert done.returncode == 1 and "ready" not in done.stdout, done
    tables = {name: net.maps.dump(name) for name in tables}
    assert (programs(net), net.daemon.pins(), tables, net.host.ip_json("link show")) == before
    for family in FAMILIES:
        ping_ok(net.external, A[family])
        ping_ok(net.slaves[0].netns, B[family])
    return done.stderr


def test_a_daemon_refuses_maps_of_another_abi(pair: Topology) -> None:
    def speak_another(maps: str) -> None:
        words = ("key", "0", "0", "0", "0", "value", "99", "0", "0", "0")
        pair.host.run("bpftool", "map", "update", "pinned", f"{maps}/ipvx_about", *words)

    said = refuse_maps(pair, speak_another)
    assert pair.daemon.pin_root in said and "speak ABI 99" in said, said


def test_a_daemon_refuses_a_map_of_another_size(pair: Topology) -> None:
    def replace(maps: str) -> None:
        Path(f"{maps}/ipvx_addrs").unlink()  # the programs keep theirs
        words = ("type", "hash", "key", "24", "value", "8", "entries", "65536", "name", "ipvx_addrs")
        pair.host.run("bpftool", "map", "create", f"{maps}/ipvx_addrs", *words)

    said = refuse_maps(pair, replace)
    assert pair.daemon.pin_root in said and "ipvx_addrs" in said, said


def attached(net: Topology) -> list[str]:
    """What hangs on the hooks: pinned links or, on kernels without TCX, filters."""
    pins = [pin for pin in net.daemon.pins() if is_of_a_slave(pin)]
    return pins + net.host.run("tc", "filter", "show", "dev", "m0", "ingress").stdout.splitlines()


def test_deleted_slaves_leave_nothing(net: Topology) -> None:
    links_before = {row["ifname"] for row in net.host.ip_json("link show")}
    slaves = [net.add_slave(), net.add_slave(), net.add_slave()]
    assert attached(net)
    assert {f"ipvx{slave.id}" for slave in slaves} <= {
        row["ifname"] for row in net.host.ip_json("link show group 6970")
    }
    net.daemon.cli(f"link del {slaves[0].name}")  # by the CLI
    slaves[1].netns.ip(f"link del {slaves[1].name}")  # from inside
    answer = net.daemon.api("DELETE", f"/v1/slaves/{slaves[2].id}")  # by the API
    assert answer.status == 204, answer
    eventually("no slave is left", lambda: net.daemon.get("/v1/slaves") == [])
    assert net.daemon.get("/v1/ports") == []
    assert all(not rows for rows in net.maps.tables().values()), net.maps.tables()
    assert net.maps.counters() == {}
    assert attached(net) == []
    assert {row["ifname"] for row in net.host.ip_json("link show")} == links_before
    for slave in slaves:
        names = {row["ifname"] for row in slave.netns.ip_json("link show")}
        assert names == {"lo"}
    net.daemon.stop()
    assert not [pin for pin in net.daemon.pins() if is_of_a_slave(pin)]


def test_a_new_slave_after_the_last_works(pair: Topology) -> None:
    for slave in pair.slaves:
        pair.daemon.cli(f"link del {slave.name}")
    fresh = pair.add_slave()
    ping_ok(pair.external, fresh.addresses[4])
    ping_ok(pair.external, fresh.addresses[6])
