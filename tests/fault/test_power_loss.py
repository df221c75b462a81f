# SPDX-License-Identifier: Apache-2.0
"""Is the state on disk the old or the new one, wherever its writing ends?

The daemon is killed at each system call that touches the state's files, in turn; then one that
starts has to find everything as it was before the request, or as it should be after. What a
power loss does beyond that, to pages that were not synced, depends on the order of the calls,
which strace's log shows.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from ipvlanx import Topology
from space import eventually

CALLS = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate,link,unlink"
REPLY = "sendmsg,sendto,writev"


def folder(net: Topology) -> Path:
    return Path(net.daemon.folder, "state")


def state_paths(net: Topology) -> list[str]:
    names = ("state.json", "state.json.new", "state.journal", "docker.json", "docker.json.new")
    return [str(folder(net)), *(str(folder(net) / name) for name in names)]


def only_state(net: Topology) -> list[str]:
    return [word for path in state_paths(net) for word in ("-P", path)]


@contextlib.contextmanager
def strace(net: Topology, *options: str) -> Iterator[Path]:
    """strace on the daemon that runs; yields its log."""
    log = Path(net.daemon.folder, "strace")
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-p", str(net.daemon.pid), "-o", str(log), *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = tracer.stderr.readline()  # type: ignore[union-attr]
        assert "attached" in said, said
        yield log
    finally:
        if tracer.poll() is None:
            tracer.terminate()
        try:
            tracer.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            # Of a process with threads that was killed it may miss the end, and nobody else hears of
            # that as long as it is there.
            tracer.kill()
            tracer.communicate()


def calls(log: Path) -> list[tuple[str, str]]:
    """Which calls, on which file, in their order."""
    found: list[tuple[str, str]] = []
    for line in log.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if not call:
            continue
        paths = re.findall(r"[<\"](/[^>\"]*)[>\"]", call[2])
        found.append((call[1], Path(paths[0]).name if paths else ""))
    return found


def in_order(found: list[tuple[str, str]], *wanted: tuple[str, str]) -> None:
    rest = iter(found)
    for one in wanted:
        assert one in rest, f"{one} is missing, or too early, in {found}"


def known(net: Topology) -> dict[str, object]:
    slaves = net.daemon.get("/v1/slaves")
    host_ends = {row["ifname"] for row in net.host.ip_json("link show group 6970")}
    assert host_ends == {f"ipvx{slave['id']}" for slave in slaves}
    for slave in slaves:  # what it has by itself comes when it comes
        slave["addresses"] = [row for row in slave["addresses"] if row["origin"] == "api"]
    return {slave["name"]: slave for slave in slaves}


@pytest.fixture
def one(net: Topology) -> Topology:
    net.daemon.cli("link add link m0 name ipvl0 mode l2 addr 10.0.0.10/24")
    return net


ADD = ("POST", "/v1/slaves", {"master": "m0", "name": "new0", "addresses": ["10.0.0.20/24"]})
CHANGE = ("PATCH", "/v1/slaves/1", {"max_addresses": 7})
DELETE = ("DELETE", "/v1/slaves/1", None)


by_request = pytest.mark.parametrize(
    "request_", [ADD, CHANGE, DELETE], ids=["add", "change", "delete"]
)


def is_done(request_: tuple, slaves: dict) -> bool:
    if request_ is ADD:
        return "new0" in slaves
    if request_ is CHANGE:
        return slaves["ipvl0"]["max_addresses"] == 7
    return "ipvl0" not in slaves


# Before it is in the journal, before it is synced, and before the client is told.
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "sendmsg"])
@by_request
def test_killed_at_each_call_of_a_change(one: Topology, request_: tuple, call: str) -> None:
    before = known(one)
    where = [] if call == "sendmsg" else only_state(one)
    with strace(one, *where, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when=1"):
        with pytest.raises((OSError, http.client.HTTPException)):
            one.daemon.api(*request_)
    if one.daemon.running:
        one.daemon.kill()  # it was stopped at the call, and strace had no time to kill it
    one.daemon.start()
    assert not list(folder(one).glob("*.refused-*"))
    after = known(one)
    assert after == before or is_done(request_, after)
    if call == "sendmsg":
        assert is_done(request_, after)
    # It is no half-made thing that stands in the way.
    status = one.daemon.api(*request_).status
    assert status in (200, 201, 204) or is_done(request_, after), status


# Where the file of Docker's networks is half written or about to be the one, and before the engine
# is told.
@pytest.mark.parametrize(
    "method, call", [("CreateNetwork", "write"), ("DeleteNetwork", "rename"), ("CreateNetwork", "sendmsg")]
)
def test_killed_at_each_call_of_a_network(net: Topology, method: str, call: str) -> None:
    def ask(method: str, **body: object) -> dict:
        return net.daemon.api("POST", f"/NetworkDriver.{method}", {"NetworkID": "c0ffee", **body}).body

    options = {"com.docker.network.generic": {"parent": "m0"}}
    body = {"Options": options} if method == "CreateNetwork" else {}
    if method == "DeleteNetwork":
        assert ask("CreateNetwork", Options=options) == {}
    where = [] if call == "sendmsg" else only_state(net)
    with strace(net, *where, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when=1"):
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(method, **body)
    if net.daemon.running:
        net.daemon.kill()
    net.daemon.start()
    assert not list(folder(net).glob("*.refused*"))
    # Whichever it is, the engine may ask again.
    assert ask(method, **body) == {}
    endpoint = {"EndpointID": "e0d1", "Interface": {"Address": "10.0.0.30/24"}}
    assert ("Err" in ask("CreateEndpoint", **endpoint)) == (method == "DeleteNetwork")


def started_under_strace(net: Topology, *options: str) -> bool:
    """Whether it came to be ready; it is stopped then. The log is complete."""
    log = Path(net.daemon.folder, "strace")
    log.unlink(missing_ok=True)
    words = ["strace", "-D", "-f", "-y", "-o", str(log), *options, *net.daemon.argv()]
    process = net.host.spawn(*words, stdout=subprocess.PIPE, text=True)
    ready = process.stdout.readline().startswith("ready")  # type: ignore[union-attr]
    if ready:
        process.terminate()  # with -D it is the daemon
    process.communicate(timeout=20)
    eventually("strace has ended", lambda: re.search(r"\+\+\+ (exited|killed)", log.read_text()))
    return ready


@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename", "ftruncate"])
def test_killed_at_each_call_of_a_snapshot(one: Topology, call: str) -> None:
    """Each start writes one, and empties the journal."""
    for when in range(1, 20):
        one.daemon.cli(f"link set ipvl0 max-addresses {100 + when}")
        before = known(one)
        one.daemon.kill()
        assert "changes" in (folder(one) / "state.journal").read_text()
        options = (*only_state(one), "-e", f"trace={call}")
        ready = started_under_strace(one, *options, "-e", f"inject={call}:signal=KILL:when={when}")
        one.daemon.start()
        assert not list(folder(one).glob("*.refused-*")), when
        assert known(one) == before, when
        if ready:
            assert when > 1, "it was never killed"
            return
    pytest.fail("the daemon never starts")


def test_a_change_is_synced_before_its_reply(one: Topology) -> None:
    with strace(one, "-e", f"trace={CALLS},{REPLY}") as log:
        assert one.daemon.api(*CHANGE).status == 200
    found = calls(log)
    replies = [i for i, (name, _) in enumerate(found) if name in REPLY.split(",")]
    in_order(found[: replies[-1]], ("pwrite64", "state.journal"), ("fdatasync", "state.journal"))


def test_a_snapshot_is_synced_before_it_replaces_the_old_one(one: Topology) -> None:
    one.daemon.cli("link set ipvl0 max-addresses 9")
    one.daemon.stop()
    assert started_under_strace(one, "-e", f"trace={CALLS}")
    in_order(
        calls(Path(one.daemon.folder, "strace")),
        ("write", "state.json.new"),
        ("fsync", "state.json.new"),
        ("rename", "state.json.new"),
        ("fsync", "state"),
        ("ftruncate", "state.journal"),
    )


@by_request
@pytest.mark.parametrize("call, error", [("pwrite64", "ENOSPC"), ("fdatasync", "EIO")])
def test_a_disk_that_fails_undoes_the_request(
    one: Topology, request_: tuple, call: str, error: str
) -> None:
    before, tables = known(one), one.maps.tables()
    journal = (folder(one) / "state.journal").read_text()
    inject = f"inject={call}:error={error}:when=1"
    with strace(one, *only_state(one), "-e", f"trace={call}", "-e", inject):
        answer = one.daemon.api(*request_)
    assert answer.status == 503, answer
    assert "state.journal" in answer.body["detail"], answer
    assert known(one) == before and one.maps.tables() == tables
    assert (folder(one) / "state.journal").read_text() == journal
    assert one.daemon.api(*request_).status in (200, 201, 204)
    after = known(one)
    one.daemon.kill()
    one.daemon.start()
    assert known(one) == after
    assert is_done(request_, after)
