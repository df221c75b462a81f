# SPDX-License-Identifier: Apache-2.0
"""Where does the daemon's log go, what does it say of a slave, and what can a tenant do to it?"""

from __future__ import annotations

import json
import re
import socket
import struct
from pathlib import Path
from typing import Iterator

import pytest

from ipvlanx import Daemon, Topology
from space import eventually


def lines(daemon: Daemon, word: str) -> list[str]:
    return [line for line in daemon.log.read_text().splitlines() if word in line]


def test_a_refused_request_is_one_line(pair: Topology) -> None:
    slave = pair.slaves[0].id
    path = f"/v1/slaves/{slave}/addresses/10.0.0.77"
    assert pair.daemon.api("DELETE", path).status == 404
    said = lines(pair.daemon, "refused")
    assert len(said) == 1
    assert f"info: refused DELETE {path} of uid 0: no-such-address: slave 'ipvl0'" in said[0]

    pair.daemon.api("GET", "/v1/slaves")
    with socket.socket(socket.AF_UNIX) as nonsense:
        nonsense.connect(pair.daemon.socket)
        nonsense.sendall(b"what\n\n")
        nonsense.recv(1000)
    said = lines(pair.daemon, "refused")
    assert len(said) == 2 and "bad-request: not HTTP" in said[1]


def test_a_tenant_writes_no_lines_of_its_own(pair: Topology) -> None:
    slave = pair.slaves[0]
    slave.netns.ip(f"link set {slave.name} down name a\u202eb")  # `ip` itself replaces escapes
    eventually("the rename", lambda: lines(pair.daemon, r"slave-changed slave 1 'a\xe2\x80\xaeb'"))
    pair.daemon.api("DELETE", "/v1/slaves/1%0a%1b[2J")
    assert "\x1b" not in pair.daemon.log.read_text()
    stamp = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info): ")
    assert all(stamp.match(line) for line in lines(pair.daemon, ""))


def test_a_tenant_does_not_flood_the_log(pair: Topology) -> None:
    """... nor does it keep others from being heard."""
    noisy, calm = pair.slaves
    with pair.daemon.events() as events:
        for _ in range(120):
            for verb in ("add", "del"):
                noisy.ip(f"addr {verb} 10.0.0.99/24 {{}}")
        calm.ip("addr add 10.0.0.98/24 {}")
        events.wait_for("address-added", slave=calm.id)
        happened = [e for e in events.seen if (e["type"], e["slave"]) == ("address-added", noisy.id)]
    said = lines(pair.daemon, f"address-added slave {noisy.id} ")
    assert len(happened) > 60, "nothing was held back"
    assert len(said) < 40
    assert lines(pair.daemon, "address-added slave 2 'ipvl1' on 'm0' 10.0.0.98")


def test_what_was_held_back_is_told_at_the_end(idle: Topology) -> None:
    idle.daemon.start()
    for _ in range(40):
        assert idle.daemon.api("DELETE", "/v1/slaves/7").status == 404
    idle.daemon.stop()
    refused = len(lines(idle.daemon, "there is no slave '7'"))
    (told,) = lines(idle.daemon, "more were not logged: no-such-slave of 0")
    assert refused >= 20 and f" {40 - refused} more " in told


def test_as_json(idle: Topology) -> None:
    idle.daemon.options = ("--log-format", "json", "--log-level", "debug")
    idle.daemon.start()
    slave = idle.add_slave()
    eventually("address", lambda: lines(idle.daemon, "address-added"))
    entries = [json.loads(line) for line in lines(idle.daemon, "")]
    added = next(e for e in entries if e.get("event") == "address-added" and e["address"] == "10.0.0.10")
    of_slave = {"slave_id": str(slave.id), "ifname": "ipvl0", "master": "m0", "netns": "ns0"}
    assert of_slave.items() <= added.items() and added["level"] == "info"
    assert any(e["level"] == "debug" and e["message"] == "POST /v1/slaves of uid 0: 201" for e in entries)


@pytest.fixture
def journal() -> Iterator[socket.socket]:
    """Where journald would listen: /run is the test's own."""
    path = Path("/run/systemd/journal/socket")
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(10)
        yield listener
        path.unlink()


def fields(datagram: bytes) -> dict[str, str]:
    """The journal's own protocol: NAME=value, or NAME, its size, and the value."""
    found = {}
    while datagram:
        line, datagram = datagram.split(b"\n", 1)
        name, is_line, value = line.partition(b"=")
        if not is_line:
            (size,) = struct.unpack("<Q", datagram[:8])
            value, datagram = datagram[8 : 8 + size], datagram[9 + size :]
        found[name.decode()] = value.decode()
    return found


def test_to_the_journal_where_it_reads_stderr(idle: Topology, journal: socket.socket) -> None:
    status = (idle.daemon.log.touch(), idle.daemon.log.stat())[1]
    idle.daemon.start(environment={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    idle.netns("ns0")
    idle.daemon.cli("link add link m0 name web0 mode l2 netns ns0")
    said = eventually(
        "slave-added",
        lambda: (f := fields(journal.recv(65536))) and f.get("EVENT") == "slave-added" and f,
    )
    assert said.items() >= {
        "MESSAGE": "slave-added slave 1 'web0' on 'm0'",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "ipvlanxd",
        "SLAVE_ID": "1",
        "IFNAME": "web0",
        "MASTER": "m0",
        "NETNS": "ns0",
    }.items()
    assert idle.daemon.log.read_text() == ""

    idle.daemon.restart()
    assert idle.daemon.log.read_text(), "systemd started it, but stderr is not the journal's"
