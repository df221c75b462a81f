# SPDX-License-Identifier: Apache-2.0
"""Does a slave's socket speak the AF_XDP device plugin's protocol 0.1, byte for byte?

DPDK (net_af_xdp, use_cni) and CNDP ask like this for the map that they put their sockets into.
The client runs in a slave's namespace; each message is one packet.
"""

from __future__ import annotations

import array
import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest

from ipvlanx import Daemon, Topology
from space import Netns, eventually

IDS = ("app0", "other0")


class Client:
    """Asks from this namespace."""

    def __init__(self, space: Netns, path: Path) -> None:
        self._socket = space.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(5)
        self._socket.connect(str(path))

    def ask(self, text: str, *passed: int) -> str:
        self.fds: list[int] = []
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else []
        self._socket.sendmsg([text.encode()], rights)
        return self.hear()

    def hear(self) -> str:
        said, rights, _, _ = self._socket.recvmsg(256, socket.CMSG_SPACE(64))
        for level, kind, data in rights:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            self.fds += list(array.array("i", data))
        return said.decode()

    def close(self) -> None:
        self._socket.close()
        for fd in getattr(self, "fds", []):
            os.close(fd)


def map_of(fd: int) -> dict[str, str]:
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def door(net: Topology, name: str) -> Path:
    return Path(net.daemon.socket).parent / "slaves" / str(net.id_of(name)) / "afxdp.sock"


@pytest.fixture
def apps(net: Topology) -> Topology:
    for number, name in enumerate(IDS):
        net.netns(f"ns{number}")
        net.daemon.cli(f"link add link m0 name {name} mode l2 via afxdp netns ns{number}")
    return net


def clients(net: Topology, space: str, name: str) -> Iterator[Client]:
    client = Client(net.netns(space), door(net, name))
    yield client
    client.close()


@pytest.fixture
def client(apps: Topology) -> Iterator[Client]:
    yield from clients(apps, "ns0", "app0")


def test_as_dpdk_asks(apps: Topology, client: Client) -> None:
    assert client.ask("/connect,pod-1") == "/host_ok"
    assert client.ask("/version") == "0.1"
    assert client.ask("/xsk_map_fd, app0 ") == "/fd_ack"
    (fd,) = client.fds
    assert map_of(fd)["map_type"] == "17"  # BPF_MAP_TYPE_XSKMAP
    assert client.ask("/fin") == "/fin_ack"
    assert client.hear() == "", "the connection has ended"
    client._socket.close()
    # One connection for each queue, one after the other and at once.
    more = [Client(apps.netns("ns0"), door(apps, "app0")) for _ in range(8)]
    assert [one.ask("/connect,x") for one in more] == ["/host_ok"] * 8
    ids = {map_of(fd)["map_id"] for one in more if one.ask("/xsk_map_fd,app0") for fd in one.fds}
    assert ids == {map_of(fd)["map_id"]}
    for one in more:
        one.close()


def test_another_slave_has_another_map(apps: Topology) -> None:
    ids = set()
    for space, name in (("ns0", "app0"), ("ns1", "other0")):
        client = Client(apps.netns(space), door(apps, name))
        client.ask("/connect,x")
        assert client.ask(f"/xsk_map_fd,{name}") == "/fd_ack"
        ids.add(map_of(client.fds[0])["map_id"])
        client.close()
    assert len(ids) == 2


@pytest.mark.parametrize("space", ["ns1", "host"])
def test_from_elsewhere_nobody_is_let_in(apps: Topology, space: str) -> None:
    client = Client(apps.netns(space), door(apps, "app0"))
    assert client.ask("/connect,pod-1") == "/host_nak"
    assert client.hear() == ""
    client.close()
    client = Client(apps.netns(space), door(apps, "app0"))
    assert client.ask("/xsk_map_fd,app0") == "/error" and not client.fds
    client.close()


@pytest.mark.parametrize(
    "message, reply",
    [
        ("/xsk_map_fd,other0", "/error"),
        ("/xsk_map_fd", "/error"),
        ("/config_busy_poll,20", "/config_busy_poll_nak"),
        ("/config_busy_poll,20,64", "/config_busy_poll_nak"),  # no socket came along
        ("/config_busy_poll,-1,64", "/config_busy_poll_nak"),
        ("/x_unknown", "/nak"),
        ("", None),
        ("connect", "/nak"),
        ("/" + "y" * 63, "/nak"),
        ("/" + "y" * 64, "/nak"),
        ("\0\0\0", "/nak"),
    ],
)
def test_refusals(client: Client, message: str, reply: str | None) -> None:
    assert client.ask("/connect,pod-1") == "/host_ok"
    if reply is None:
        client._socket.send(b"")
        assert client.hear() == ""
        return
    assert client.ask(message) == reply
    assert not client.fds
    if reply == "/error" or len(message) > 64:
        assert client.hear() == "", "the connection has ended"
    else:
        assert client.ask("/version") == "0.1"


def test_before_it_said_who_it_is(client: Client) -> None:
    assert client.ask("/version") == "0.1"
    assert client.ask("/xsk_map_fd,app0") == "/error" and not client.fds


def test_busy_polling_of_its_socket(apps: Topology, client: Client) -> None:
    """Options that take CAP_NET_ADMIN, which the application need not have."""
    packets = apps.netns("ns0").socket(44, socket.SOCK_RAW)  # AF_XDP
    client.ask("/connect,pod-1")
    assert client.ask("/config_busy_poll,20,64", packets.fileno()) == "/config_busy_poll_ack"
    assert packets.getsockopt(socket.SOL_SOCKET, 69) == 1  # SO_PREFER_BUSY_POLL
    assert packets.getsockopt(socket.SOL_SOCKET, 46) == 20  # SO_BUSY_POLL


def test_it_lives_as_long_as_its_slave(apps: Topology) -> None:
    path = door(apps, "app0")
    folder = path.parent.stat().st_ino
    apps.daemon.restart()
    assert path.parent.stat().st_ino == folder, "a container may have it mounted"
    client = Client(apps.netns("ns0"), path)
    assert client.ask("/connect,x") == "/host_ok"
    client.close()
    apps.daemon.cli("link del app0")
    assert not path.parent.exists()


def test_many_connections_are_nobodys_harm(apps: Topology, client: Client) -> None:
    crowd = [Client(apps.netns("ns0"), door(apps, "app0")) for _ in range(200)]
    other = Client(apps.netns("ns1"), door(apps, "other0"))
    assert other.ask("/connect,x") == "/host_ok"
    assert client.ask("/connect,x") == "/host_ok"
    for one in (*crowd, other):
        one.close()

    def let_in() -> bool:
        late = Client(apps.netns("ns0"), door(apps, "app0"))
        try:
            return late.ask("/connect,x") == "/host_ok"
        except OSError:
            return False
        finally:
            late.close()

    eventually("there is room again", let_in)


def fds_of(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def resident(daemon: Daemon) -> int:
    """Its memory, in bytes."""
    pages = Path(f"/proc/{daemon.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("count", [1, 2, 253])
def test_descriptors_that_nobody_asked_for_are_not_kept(apps: Topology, client: Client, count: int) -> None:
    """More than one of them fit into the room for one: see daemon/application_sockets.cpp."""
    assert client.ask("/connect,pod-1") == "/host_ok"
    before = fds_of(apps.daemon)
    for _ in range(5):
        with open("/dev/null") as null:
            words = ("/version", "/x_unknown", "/config_busy_poll,20,64")
            said = [client.ask(text, *[null.fileno()] * count) for text in words]
        assert said == ["0.1", "/nak", "/config_busy_poll_nak"]
    eventually("none of them is open", lambda: fds_of(apps.daemon) <= before)


def test_strangers_do_not_keep_its_own_out(apps: Topology, client: Client) -> None:
    crowd = [Client(apps.netns("ns1"), door(apps, "app0")) for _ in range(100)]
    late = Client(apps.netns("ns0"), door(apps, "app0"))
    assert late.ask("/connect,x") == "/host_ok"
    for one in (*crowd, late):
        one.close()


def flood(space: Netns, path: Path, over: threading.Event) -> int:
    """Connections, by one thread, that end as they began, in the middle of it, or with too much."""
    made = 0
    leave = (b"", b"/connect,x", b"/connect,x\0/version", b"y" * 100_000)
    while not over.is_set():
        with space.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.settimeout(5)
            with contextlib.suppress(OSError):  # it may be full, or have gone already
                one.connect(str(path))
                made += 1
                if said := leave[made % len(leave)]:
                    one.send(said)
    return made


def test_a_flood_of_connections_keeps_nobody_waiting(apps: Topology) -> None:
    daemon, over = apps.daemon, threading.Event()
    descriptors, memory = fds_of(daemon), resident(daemon)
    slowest = 0.0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        floods = [pool.submit(flood, apps.netns(s), door(apps, "app0"), over) for s in ("ns0", "ns1")]
        end = time.monotonic() + 2
        while time.monotonic() < end:
            start = time.monotonic()
            daemon.get("/v1/slaves")
            other = Client(apps.netns("ns1"), door(apps, "other0"))
            assert other.ask("/connect,x") == "/host_ok"
            assert other.ask("/xsk_map_fd,other0") == "/fd_ack"
            other.close()
            slowest = max(slowest, time.monotonic() - start)
        over.set()
        made = [one.result() for one in floods]
    print(f"{made} connections; the slowest answer took {slowest:.3f} s")
    assert min(made) > 200 and slowest < 1
    eventually("all are forgotten", lambda: fds_of(daemon) <= descriptors)
    assert resident(daemon) < memory + (8 << 20)
    client = Client(apps.netns("ns0"), door(apps, "app0"))
    assert client.ask("/connect,x") == "/host_ok"
    client.close()
