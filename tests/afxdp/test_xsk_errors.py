# SPDX-License-Identifier: Apache-2.0
"""What is a newcomer told when it does not work? One sentence each, with what to do.

    external              host                     ns0
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (client)
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ipvlanx import EXTERNAL, Topology
from space import Netns, eventually, ping_ok
from xsk import APP, XSK, Client, add_app, refused, with_prefix

MEBIBYTE = 1 << 20
TENANT = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]


def as_tenant(capabilities: str, *words: str) -> list[str]:
    """`words` as user 1000, with these capabilities alone ("+net_raw,+ipc_lock")."""
    sets = f"-all{',' if capabilities else ''}{capabilities}"
    options = [f"--{name}={sets}" for name in ("inh-caps", "ambient-caps", "bounding-set")]
    return [*TENANT, *options, "--", *words]


def tenant_refused(space: Netns, capabilities: str, *words: str) -> str:
    done = space.run(*as_tenant(capabilities, XSK, *words), check=False, timeout=20)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1, done
    return lines[0]


def test_no_such_interface(net: Topology) -> None:
    assert "no interface 'app0' in this network namespace" in refused(net.external, "drop", "app0")


def test_the_interface_is_down(net: Topology) -> None:
    space, _ = add_app(net)
    space.ip("link set app0 down")
    assert "`ip link set app0 up`" in refused(space, "drop", "app0")


def test_an_interface_without_a_program(net: Topology) -> None:
    said = refused(net.external, "drop", "x0")
    assert "'x0' has no XDP program" in said and "--load" in said
    assert "xdp" not in net.external.link("x0")
    with Client(net.external, "drop", "x0", "--load"):
        assert "xdp" in net.external.link("x0")
    eventually("its program is gone", lambda: "xdp" not in net.external.link("x0"))


def test_a_program_that_knows_nothing_of_sockets(net: Topology) -> None:
    source = '__attribute__((section("xdp"))) int pass_all(void *frame) { return 2; }'
    with tempfile.NamedTemporaryFile(suffix=".o") as object:
        compile = ["clang-19", "-target", "bpf", "-O2", "-x", "c", "-", "-c", "-o", object.name]
        subprocess.run(compile, input=source, text=True, check=True)
        net.external.ip(f"link set x0 xdp object {object.name} section xdp")
    for words in ([], ["--load"]):
        assert "has an XDP program, 'pass_all'" in refused(net.external, "drop", "x0", *words)


def test_a_queue_that_does_not_exist(net: Topology) -> None:
    space, _ = add_app(net)
    said = refused(space, "drop", "app0", "--queue", "5")
    assert "queue 5 of 'app0' cannot be had: it has fewer queues" in said


def test_a_queue_that_is_taken(net: Topology) -> None:
    space, _ = add_app(net)
    with Client(space, "drop", "app0") as first:
        said = refused(space, "echo", "app0")
        assert "queue 0 of 'app0' has another AF_XDP socket" in said
        assert first.running


def test_without_the_capability_for_sockets(net: Topology) -> None:
    space, _ = add_app(net)
    words = ["--to", EXTERNAL[4], "--to-mac", net.external_mac, "--seconds", "1"]
    assert "CAP_NET_RAW" in tenant_refused(space, "", "generate", "app0", *words)


def test_without_the_capability_to_find_the_program(net: Topology) -> None:
    space, _ = add_app(net)
    said = tenant_refused(space, "+net_raw,+ipc_lock", "drop", "app0")
    assert "takes CAP_SYS_ADMIN" in said and "--map or --socket" in said


def test_more_memory_than_may_be_locked(net: Topology) -> None:
    space, _ = add_app(net)
    words = ["--to", EXTERNAL[4], "--to-mac", net.external_mac, "--seconds", "1"]
    words = ["generate", "app0", *words]
    limit = ["prlimit", f"--memlock={MEBIBYTE}:{MEBIBYTE}"]
    done = space.run(*limit, *as_tenant("+net_raw", XSK, *words), check=False, timeout=20)
    assert done.returncode == 2 and "`ulimit -l`" in done.stderr and "CAP_IPC_LOCK" in done.stderr
    # What the sentence advises helps.
    space.run(*limit, *as_tenant("+net_raw", XSK, *words, "--ring", "256"), timeout=20)
    space.run(*limit, *as_tenant("+net_raw,+ipc_lock", XSK, *words), timeout=20)


def test_zero_copy_where_there_is_none(net: Topology) -> None:
    space, _ = add_app(net)
    assert "leave --zero-copy away" in refused(space, "drop", "app0", "--zero-copy")


def test_the_interface_goes_away(net: Topology) -> None:
    space, _ = add_app(net)
    with Client(space, "drop", "app0") as client:
        net.daemon.cli("link del app0")
        eventually("it ends", lambda: not client.running)
        assert "interface 'app0' is gone" in client.said


def test_chunks_that_hold_no_frame(net: Topology) -> None:
    space, _ = add_app(net)
    done = space.run(XSK, "drop", "app0", "--chunk", "1024", check=False, timeout=20)
    assert done.returncode == 1 and "--chunk: 1024 not in {2048,4096}" in done.stderr


def test_an_address_of_another_slave(net: Topology) -> None:
    """Nothing of what was refused is left, and the owner's application goes on."""
    space, slave = add_app(net)
    second = net.netns("ns1")
    words = ("link", "add", "link", "m0", "name", "app1", "mode", "l2", "via", "afxdp", "netns", "ns1")
    with Client(space, "echo", "app0") as client:
        for address in APP.values():
            refusal = net.daemon.try_cli(*words, "addr", with_prefix(address))
            assert refusal.returncode == 2 and f"{address}" in refusal.stderr, refusal
            ping_ok(net.external, APP[4])
        assert client.running
    assert [row["ifname"] for row in second.ip_json("link show")] == ["lo"]
    assert {pin.split("/")[1] for pin in net.daemon.pins() if pin.startswith("slaves/")} == {str(slave)}
    doors = Path(net.daemon.socket).parent / "slaves"
    assert [door.name for door in doors.iterdir()] == [str(slave)]
