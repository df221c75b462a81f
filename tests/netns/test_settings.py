# SPDX-License-Identifier: Apache-2.0
"""What the settings' files say: is it so, and what happens when they are wrong or change?"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ipvlanx import IPVLANXD, Topology
from space import eventually, ping_ok


@pytest.fixture
def config(idle: Topology) -> Path:
    """Read by the daemon when it is started; not there yet, as the conf.d beside it."""
    path = Path(idle.daemon.folder, "etc", "ipvlanx.conf")
    (path.parent / "conf.d").mkdir(parents=True)
    idle.daemon.options = ("--config", str(path))
    return path


def check_config(*options: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [IPVLANXD, "--check-config", *options], capture_output=True, text=True, timeout=15
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def drop_in(config: Path, name: str, text: str) -> Path:
    path = config.parent / "conf.d" / name
    path.write_text(text)
    return path


def test_every_problem_is_named(config: Path) -> None:
    config.write_text("[daemon]\nlog-level = info\n")
    assert check_config("--config", str(config)) == (0, [])
    config.write_text("[daemon]\nlog-level = loud\nsockets = /x\n")
    bad = drop_in(config, "10.conf", "[apply]\nfile = /nowhere.json\n[what]\n")
    assert check_config("--config", str(config)) == (
        1,
        [
            f"{config}:2: log-level: 'loud' is none of 'error', 'warning', 'info', 'debug'",
            f"{config}:3: there is no key 'sockets' in [daemon]",
            f"{bad}:3: there is no section [what]",
        ],
    )


def test_documents_are_checked_too(config: Path) -> None:
    broken = config.parent / "broken.json"
    broken.write_text('{"version": 1, "slaves": [{"name": "web0"}]}')
    config.write_text(f"[apply]\nfile = /nowhere.json\nfile = {broken}\n")
    assert check_config("--config", str(config)) == (
        1,
        [
            "/nowhere.json: there is no such file",
            f"{broken}: 'slaves[0].master' is missing (field: slaves[0].master)",
        ],
    )


def test_a_group_that_is_not_there_is_named(config: Path) -> None:
    config.write_text("[api]\nwrite-group = nosuch\n")
    assert check_config("--config", str(config)) == (1, ["write-group: there is no group 'nosuch'"])
    config.write_text("[api]\nwrite-group = root\n")
    assert check_config("--config", str(config)) == (0, [])


def test_a_file_that_is_named_must_be_there(config: Path) -> None:
    assert check_config("--config", str(config)) == (1, [f"{config}: there is no such file"])
    assert check_config() == (0, [])


def test_wrong_settings_start_nothing(idle: Topology, config: Path) -> None:
    config.write_text("nonsense\n")
    idle.daemon.spawn()
    assert idle.daemon.wait() == 1
    assert idle.daemon.log.read_text() == f"{config}:1: this is neither [section] nor key = value\n"
    assert not Path(idle.daemon.socket).exists() and not Path(idle.daemon.pin_root).exists()


def test_the_command_line_wins_over_files(idle: Topology, config: Path) -> None:
    config.write_text(f"[daemon]\nsocket = {config.parent}/other.sock\npin-root = /other\n")
    idle.daemon.start()  # which names its own of both
    assert not (config.parent / "other.sock").exists()
    assert idle.daemon.pins()


def test_files_say_where_everything_is(idle: Topology, config: Path) -> None:
    daemon = idle.daemon
    config.write_text(f"[daemon]\nsocket = {daemon.socket}\npin-root = /nonsense\n")
    drop_in(config, "5.conf", f"[daemon]\npin-root = {daemon.pin_root}\nstate-dir = {daemon.folder}/st\n")
    daemon.argv = lambda: [IPVLANXD, "--config", str(config)]
    daemon.start()
    daemon.cli("port set m0 mode l2")
    assert daemon.pins() and Path(daemon.folder, "st", "state.json").exists()


def test_defaults_are_of_what_is_new_and_not_said(idle: Topology, config: Path) -> None:
    config.write_text("[defaults]\naddr-policy = static\nmax-addresses = 2\nannounce = off\n")
    daemon = idle.daemon
    daemon.start()
    daemon.cli("link add link m0 name web0 mode l2")
    daemon.cli("link add link m0 name db0 addr-policy learn max-addresses 7")
    own = {s["name"]: (s["addr_policy"], s["max_addresses"]) for s in daemon.get("/v1/slaves")}
    assert own == {"web0": ("static", 2), "db0": ("learn", 7)}
    assert not daemon.get("/v1/ports/m0")["options"]["announce"]

    config.write_text("[defaults]\nmax-addresses = 3\n")
    assert daemon.cli_json("reload") == {
        "changed": ["defaults.addr-policy", "defaults.max-addresses", "defaults.announce"],
        "needs_restart": [],
    }
    daemon.cli("link add link m0 name new0")
    slaves = {s["name"]: (s["addr_policy"], s["max_addresses"]) for s in daemon.get("/v1/slaves")}
    assert slaves == own | {"new0": ("learn", 3)}, "those that were there stay as they are"


def test_wrong_settings_change_nothing_and_are_named(idle: Topology, config: Path) -> None:
    config.write_text("[defaults]\nmax-addresses = 2\n")
    daemon = idle.daemon
    daemon.start()
    config.write_text("[defaults]\nmax-addresses = 5\nannounce = perhaps\n[daemon]\nlog-level = debug\nx\n")
    answer = daemon.api("POST", "/v1/reload")
    assert (answer.status, answer.body["code"]) == (422, "bad-settings")
    assert answer.body["detail"] == (
        f"{config}:3: announce: 'perhaps' is none of 'on', 'off'; "
        f"{config}:6: this is neither [section] nor key = value"
    )
    refused = daemon.try_cli("reload")
    assert refused.returncode == 2 and f"{config}:3: announce" in refused.stderr
    daemon.cli("link add link m0 name web0 mode l2")
    assert daemon.get("/v1/slaves")[0]["max_addresses"] == 2

    config.unlink()  # gone is wrong, too: it was named
    assert daemon.api("POST", "/v1/reload").status == 422


def test_what_waits_for_a_restart_is_named(idle: Topology, config: Path) -> None:
    config.write_text("[apply]\n")
    daemon = idle.daemon
    daemon.start()
    config.write_text("[apply]\nfile = /x.json\n[daemon]\nsocket = /x\nlog-level = debug\n")
    for changed in (["daemon.log-level"], []):  # the socket is the command line's
        said = daemon.api("POST", "/v1/reload", {})
        assert said.status == 200
        assert said.body == {"changed": changed, "needs_restart": ["apply.file"]}
    assert daemon.cli("reload") == "needs a restart: apply.file\n"


def test_a_hangup_reads_them_again(idle: Topology, config: Path) -> None:
    config.write_text("[defaults]\nmax-addresses = 2\n")
    daemon = idle.daemon
    daemon.start()
    config.write_text("[defaults]\nmax-addresses = 4\n")
    daemon.signal(signal.SIGHUP)
    eventually("reload", lambda: "changed: [defaults.max-addresses]" in daemon.log.read_text())
    config.write_text("[defaults]\nmax-addresses = many\n")
    daemon.signal(signal.SIGHUP)
    eventually("complaint", lambda: "'many' is no number" in daemon.log.read_text())
    daemon.cli("link add link m0 name web0 mode l2")
    assert daemon.get("/v1/slaves")[0]["max_addresses"] == 4


def test_systemd_is_told_of_a_reload(idle: Topology, config: Path) -> None:
    config.write_text("")
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(f"{idle.daemon.folder}/notices")
    notices.settimeout(10)
    idle.daemon.start(environment={"NOTIFY_SOCKET": notices.getsockname()})
    assert notices.recv(4096).startswith(b"READY=1\n")
    before = time.monotonic()
    idle.daemon.cli("reload")
    first, when = notices.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(when.removeprefix("MONOTONIC_USEC=")) / 1e6 <= time.monotonic()
    assert notices.recv(4096) == b"READY=1"


def test_slaves_of_conf_d_are_there_after_the_start(idle: Topology, config: Path) -> None:
    """One document that cannot be applied keeps neither the others nor the daemon back."""
    daemon, space = idle.daemon, idle.netns("ns0")
    config.write_text("")

    def document(name: str, *slaves: dict) -> None:
        path = config.parent / f"{name}.json"
        ports = [{"master": "m0", "mode": "l2"}]
        path.write_text(json.dumps({"version": 1, "ports": ports, "slaves": slaves}))
        drop_in(config, f"{name}.conf", f"[apply]\nfile = {path}\n")

    web = {"name": "web0", "master": "m0", "netns": "ns0", "addresses": ["10.0.0.10/24"]}
    document("10-bad", {"name": "bad0", "master": "m0"}, {"name": "bad1", "master": "nowhere"})
    document("15-bad", {"name": "lo", "master": "m0"})
    document("20-web", web)
    drop_in(config, "30.conf", "[apply]\nfile = /nowhere.json\n")
    daemon.start()
    assert [slave["name"] for slave in daemon.get("/v1/slaves")] == ["web0"]
    ping_ok(idle.external, "10.0.0.10")
    log = daemon.log.read_text()
    assert "20-web.json: created 2, changed 0" in log
    assert "10-bad.json: waits: there is no interface 'nowhere'" in log
    assert "15-bad.json: " in log and "(field: slaves[0].name)" in log
    assert "not applied: /nowhere.json: there is no such file" in log

    daemon.restart()
    assert [slave["name"] for slave in daemon.get("/v1/slaves")] == ["web0"]
    assert "20-web.json: created 0, changed 0" in daemon.log.read_text()
    assert space.link("web0")


def test_documents_wait_for_what_comes_later(idle: Topology, config: Path) -> None:
    daemon = idle.daemon
    document = config.parent / "late.json"
    slave = {"name": "web0", "master": "late0", "netns": "later", "addresses": ["10.9.0.10/24"]}
    document.write_text(json.dumps({"version": 1, "slaves": [slave]}))
    config.write_text(f"[apply]\nfile = {document}\n")
    daemon.start()
    idle.host.ip("link add late0 type veth peer name late1")
    eventually("namespace", lambda: "late.json: waits: " in daemon.log.read_text() and "later" in daemon.log.read_text())
    assert daemon.get("/v1/slaves") == []
    idle.netns("later")
    eventually("slave", lambda: [s["netns"] for s in daemon.get("/v1/slaves")] == ["later"])
    assert daemon.log.read_text().count("late.json: waits: there is no interface 'late0'") == 1

    daemon.cli("link del web0")  # applied once: whoever removes it meanwhile means it
    daemon.cli("link add link m0 name other0")
    assert [s["name"] for s in daemon.get("/v1/slaves")] == ["other0"]
