# SPDX-License-Identifier: Apache-2.0
"""Is ipvlanxd a good service: started when asked for, watched, bounded, and never in the way of
packets? The drawing is service.py's.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
from ipvlanx import EXTERNAL, FAMILIES, Slave
from service import API, UNITS, ServiceTopology, configure, install, sh
from space import eventually, ping_ok
from stream import Stream
from test_purge import settled, what_is_there

UNIT_FILES = [f"/usr/lib/systemd/system/{unit}" for unit in UNITS]
SETTINGS = Path("/etc/ipvlanx/ipvlanx.conf")
CAPABILITIES = {
    "net_broadcast": 11, "net_admin": 12, "net_raw": 13, "sys_ptrace": 19, "sys_admin": 21,
}  # fmt: skip


@pytest.fixture
def service() -> Iterator[ServiceTopology]:
    """The drawing; the socket listens, and nobody has asked yet."""
    topology = ServiceTopology()
    try:
        yield topology
    finally:
        topology.close()


@pytest.fixture
def pair(service: ServiceTopology) -> ServiceTopology:
    service.add_slave()
    service.add_slave()
    return service


def test_the_units_are_correct_and_bounded() -> None:
    install()
    sh(f"systemd-analyze verify --man=no {' '.join(UNIT_FILES)}")
    sh(f"systemd-analyze security --offline=true --threshold=40 {UNIT_FILES[1]}")


def test_installed_below_any_prefix(tmp_path: Path) -> None:
    install(f"{tmp_path}")
    try:
        sh(f"systemctl link {' '.join(f'{tmp_path}/lib/systemd/system/{unit}' for unit in UNITS)}")
        assert sh(f"curl --silent --unix-socket {API} http://x/v1/slaves", check=False) == ""
        sh("systemctl start ipvlanxd.socket")
        assert sh(f"curl --silent --unix-socket {API} http://x/v1/slaves").strip() == "[]"
        pid = sh("systemctl show --value -p MainPID ipvlanxd.service").strip()
        assert os.readlink(f"/proc/{pid}/exe") == f"{tmp_path}/sbin/ipvlanxd"
        assert (tmp_path / "etc/ipvlanx/ipvlanx.conf").exists()
        (package,) = tmp_path.glob("lib/**/ipvlanx.pc")
        variable = sh(f"pkg-config --variable=prefix {package}").strip()
        assert variable == f"{tmp_path}"
    finally:
        sh(f"systemctl stop {' '.join(UNITS)}")
        sh(f"systemctl disable {' '.join(UNITS)}")
        sh(f"{tmp_path}/bin/ipvlanx purge")


def test_the_first_request_starts_it(service: ServiceTopology) -> None:
    daemon = service.daemon
    assert not daemon.running
    file = os.stat(API)
    assert stat.S_IMODE(file.st_mode) == 0o660
    assert (file.st_uid, file.st_gid) == (0, int(sh("getent group ipvlanx").split(":")[2]))

    assert daemon.get("/v1/slaves") == []
    assert daemon.running
    assert daemon.show("StatusText") == f"Serving {API}"
    # A second one finds its place taken, and leaves the first in peace.
    second = subprocess.run(["/usr/sbin/ipvlanxd"], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "another ipvlanxd uses it" in second.stderr
    assert daemon.get("/v1/slaves") == []


def test_what_it_may_do(service: ServiceTopology) -> None:
    service.daemon.start()
    lines = Path(f"/proc/{service.daemon.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    for kept in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kept], 16) == sum(1 << bit for bit in CAPABILITIES.values()), kept
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_bounded_as_it_is_it_can_do_all(service: ServiceTopology, mode: str) -> None:
    """Namespaces that come after its start, by name and by process; settings of the host."""
    daemon, host = service.daemon, service.host
    daemon.start()
    before = settled(service)
    named, of_process = service.netns("ns0"), service.netns("ns1")
    sleeper = of_process.spawn("sleep", "1000")
    eventually("sleep is there", lambda: Path(f"/proc/{sleeper.pid}/comm").read_text() == "sleep\n")
    try:
        slaves = []
        for space, where in ((named, "ns0"), (of_process, f"/proc/{sleeper.pid}/ns/net")):
            slave = Slave(len(slaves), space, "ipvl0", 0)
            words = " ".join(f"addr {slave.addresses[f]}/{n}" for f, n in ((4, 24), (6, 64)))
            daemon.cli(f"link add link m0 name ipvl0 mode {mode} netns {where} {words}")
            slaves.append(slave)
            for address in slave.addresses.values():  # in l3 nobody answers for it
                service.external.ip(f"neigh replace {address} lladdr {service.mac} dev x0")
        for family in FAMILIES:
            eventually("addresses are there", lambda: all(
                slave.addresses[family] in [row["local"] for row in slave.netns.addresses("ipvl0")
                                            if not row.get("tentative")]
                for slave in slaves
            ))  # fmt: skip
            ping_ok(named, slaves[1].addresses[family])
            ping_ok(named, EXTERNAL[family])
        # Into the namespaces again: NOARP is set there.
        other = "l3" if mode == "l2" else "l2"
        daemon.cli(f"port set m0 mode {other}")
        daemon.cli("port del m0")
    finally:
        sleeper.kill()
        sleeper.wait()
    host.ip("link del ipvxrelay0")
    after = what_is_there(host)
    assert after["settings"] == before["settings"]


def stop_it(service: ServiceTopology) -> None:
    os.kill(service.daemon.pid, signal.SIGSTOP)


def kill_it(service: ServiceTopology) -> None:
    service.daemon.kill()


@pytest.mark.parametrize("end", [stop_it, kill_it], ids=["stuck", "killed"])
def test_traffic_does_not_notice_its_end(
    pair: ServiceTopology, end: Callable[[ServiceTopology], None]
) -> None:
    daemon = pair.daemon
    configure("WatchdogSec=1")
    sh("systemctl restart ipvlanxd.service")
    first, slaves = daemon.pid, daemon.get("/v1/slaves")
    a, b = pair.slaves
    ping_ok(pair.external, a.addresses[4])
    ping_ok(a.netns, b.addresses[4])
    with Stream(pair.external, a.netns, a.addresses[4]) as outside:
        with Stream(a.netns, b.netns, b.addresses[4]) as inside:
            end(pair)
            second = daemon.another(first)
            # Alive, it is left alone: for longer than the watchdog waits.
            inside.wait_for(2000)
            assert daemon.pid == second
            assert daemon.get("/v1/slaves") == slaves
    assert outside.sent and not outside.lost()
    assert inside.sent and not inside.lost()
    assert ("Watchdog timeout" in daemon.journal()) == (end is stop_it)


def test_traffic_does_not_notice_that_it_is_stopped(pair: ServiceTopology) -> None:
    daemon = pair.daemon
    slaves = daemon.get("/v1/slaves")
    a, b = pair.slaves
    ping_ok(a.netns, b.addresses[4])
    with Stream(a.netns, b.netns, b.addresses[4]) as inside:
        daemon.stop()
        assert not os.path.exists(API)
        assert daemon.try_cli("link", "show").returncode == 3
        inside.wait_for(500)
        sh("systemctl start ipvlanxd.socket")
        assert daemon.get("/v1/slaves") == slaves
    assert inside.sent and not inside.lost()


def test_a_request_that_waits_at_its_end_is_answered_by_the_next(service: ServiceTopology) -> None:
    """systemd keeps the socket: nobody is refused."""
    daemon = service.daemon
    daemon.start()
    first = daemon.pid
    os.kill(first, signal.SIGSTOP)
    with daemon.connect() as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        os.kill(first, signal.SIGKILL)
        daemon.another(first)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_reload(service: ServiceTopology) -> None:
    daemon = service.daemon
    SETTINGS.parent.mkdir(exist_ok=True)
    SETTINGS.write_text("[defaults]\nmax-addresses = 7\n")
    try:
        daemon.start()
        first = daemon.pid
        SETTINGS.write_text("[defaults]\nmax-addresses = 8\n")
        sh("systemctl reload ipvlanxd.service")
        daemon.cli("link add link m0 name ipvl0 mode l2")
        assert daemon.get("/v1/slaves")[0]["max_addresses"] == 8
        SETTINGS.write_text("[defaults]\nmax-addresses = many\n")
        wrong = ["systemctl", "reload", "ipvlanxd.service"]
        assert subprocess.run(wrong, capture_output=True).returncode == 1
        daemon.cli("link add link m0 name ipvl1 mode l2")
        assert daemon.get("/v1/slaves")[1]["max_addresses"] == 8
        assert daemon.running and daemon.pid == first
    finally:
        SETTINGS.unlink()


def test_purge_after_it_leaves_nothing(service: ServiceTopology) -> None:
    host, daemon = service.host, service.daemon
    before = settled(service)
    for mode in ("l2", "l3s"):
        space = service.netns("ns0")
        daemon.cli(f"link add link m0 name ipvl0 mode {mode} netns {space.name} addr 10.0.0.10/24")
        busy = subprocess.run(["/usr/bin/ipvlanx", "purge"], capture_output=True, text=True)
        assert busy.returncode == 2 and "another ipvlanxd uses it" in busy.stderr
        daemon.stop()
        sh("/usr/bin/ipvlanx purge")
        assert what_is_there(host) == before
        assert not os.path.exists("/sys/fs/bpf/ipvlanx")
        assert not os.path.exists("/var/lib/ipvlanx/state.json")
        assert not space.ip_json("link show type veth")
        sh("systemctl start ipvlanxd.socket")
        assert daemon.get("/v1/slaves") == daemon.get("/v1/ports") == []
