# SPDX-License-Identifier: Apache-2.0
"""Who may ask ipvlanxd for what, and what could it do itself?"""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from ipvlanx import IPVLANX, IPVLANXD, Topology
from programs import Program
from space import eventually

READERS, WRITERS, STRANGERS = 64001, 64002, 64003
UID = 64000
CAPABILITIES = {
    "net_broadcast": 11, "net_admin": 12, "net_raw": 13, "sys_ptrace": 19, "sys_admin": 21,
}  # fmt: skip


@pytest.fixture
def groups() -> Iterator[Callable[..., None]]:
    """Which groups there are in this run's own /etc/group, beside the machine's."""
    file = Path(f"/run/group-{secrets.token_hex(4)}")
    others = [s for s in Path("/etc/group").read_text().splitlines() if "ipvlanx" not in s]

    def write(**ids: int) -> None:
        lines = others + [f"{name.replace('_', '-')}:x:{gid}:" for name, gid in ids.items()]
        file.write_text("\n".join([*lines, ""]))

    write()
    subprocess.run(["mount", "--bind", file, "/etc/group"], check=True)
    try:
        yield write
    finally:
        subprocess.run(["umount", "/etc/group"], check=True)
        file.unlink()


def started(net: Topology, *options: str) -> Topology:
    """The daemon runs with these options, and all may look for its socket."""
    argv = net.daemon.argv
    net.daemon.argv = lambda: argv(*options)  # type: ignore[method-assign]
    os.chmod(net.daemon.folder, 0o755)
    net.daemon.start()
    return net


def ask(net: Topology, words: str, group: int, *more: int) -> tuple[int, str]:
    """What a user of these groups gets from `ipvlanx`: its exit status, and what it complains of."""
    done = subprocess.run(
        [IPVLANX, "--socket", net.daemon.socket, *words.split()],
        user=UID, group=group, extra_groups=more, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.returncode, done.stderr


ADD = "link add link m0 name web0 mode l2"


@pytest.mark.parametrize("member", [(READERS,), (STRANGERS, READERS)], ids=["primary", "further"])
def test_members_of_the_group_may_look_and_not_touch(
    idle: Topology, groups: Callable[..., None], member: tuple[int, ...]
) -> None:
    groups(ipvlanx=READERS)
    net = started(idle)
    file = os.stat(net.daemon.socket)
    assert stat.S_IMODE(file.st_mode) == 0o660 and (file.st_uid, file.st_gid) == (0, READERS)

    assert ask(net, "link show", STRANGERS)[0] == 3
    assert ask(net, "link show", *member) == (0, "")
    status, said = ask(net, ADD, *member)
    assert status == 2 and f"changes are for root, not for uid {UID}" in said
    assert net.daemon.get("/v1/slaves") == []
    net.daemon.cli(ADD)
    for words in ("link del web0", "link set web0 up", "addr add 10.0.0.10/24 dev web0",
                  "port set m0 private", "port del m0"):  # fmt: skip
        assert ask(net, words, *member)[0] == 2, words
    assert [slave["name"] for slave in net.daemon.get("/v1/slaves")] == ["web0"]


@pytest.mark.parametrize(
    "member", [(WRITERS, READERS), (READERS, WRITERS)], ids=["primary", "further"]
)
def test_members_of_the_write_group_may_do_both(
    idle: Topology, groups: Callable[..., None], member: tuple[int, ...]
) -> None:
    groups(ipvlanx=READERS, ipvlanx_write=WRITERS)
    config = Path(idle.daemon.folder, "ipvlanx.conf")
    config.write_text("")
    net = started(idle, "--config", str(config))
    assert ask(net, ADD, *member)[0] == 2
    for name in ("ipvlanx-write", str(WRITERS)):
        config.write_text(f"[api]\nwrite-group = {name}\n")
        net.daemon.cli("reload")
        assert ask(net, ADD, READERS)[0] == 2
        assert ask(net, ADD, *member) == (0, "")
        assert ask(net, "link del web0", *member) == (0, "")
        # To write one has to come in.
        assert ask(net, ADD, WRITERS)[0] == 3
    config.write_text("[api]\nwrite-group = nosuch\n")
    net.daemon.cli("reload")
    assert ask(net, ADD, *member)[0] == 2
    assert "there is no group 'nosuch'" in net.daemon.log.read_text()


def test_without_the_group_it_is_roots_alone(idle: Topology, groups: Callable[..., None]) -> None:
    net = started(idle)
    file = os.stat(net.daemon.socket)
    assert stat.S_IMODE(file.st_mode) == 0o660 and (file.st_uid, file.st_gid) == (0, 0)
    assert net.daemon.log.read_text().count("there is no group 'ipvlanx'") == 1
    assert ask(net, "link show", READERS)[0] == 3
    net.daemon.cli(ADD)


def test_what_it_keeps_of_roots_power(idle: Topology, groups: Callable[..., None]) -> None:
    groups(ipvlanx=READERS)
    net = started(idle)
    lines = Path(f"/proc/{net.daemon.pid}/status").read_text().splitlines()
    status = {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}
    for kept in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kept], 16) == sum(1 << bit for bit in CAPABILITIES.values()), kept
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Groups"]) == ("1", str(READERS))
    assert os.readlink(f"/proc/{net.daemon.pid}/exe") == os.path.realpath(IPVLANXD)


def test_the_namespace_of_a_process_that_may_do_more(net: Topology) -> None:
    """It has no name: the process, which may do all that root may, is the only way in."""
    with Program(net.external, "unshare", "--net", "sleep", "1000") as sleeper:
        there = f"/proc/{sleeper.pid}/ns/net"
        comm = Path(f"/proc/{sleeper.pid}/comm")
        eventually("it has gone there", lambda: comm.read_text() == "sleep\n")
        net.daemon.cli(f"{ADD} netns {sleeper.pid} addr 10.0.0.10/24")
        net.daemon.cli("port set m0 mode l3")  # NOARP is set there
        assert net.daemon.get("/v1/slaves")[0]["netns"] == there
        net.daemon.cli("link del web0")
