# SPDX-License-Identifier: Apache-2.0
"""How does an application without rights get its socket into its slave's map?

    external              host                     ns0
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (client)

A pinned map it may open, or a server on a unix socket that hands the map out: here one of the
test's, that speaks the device plugin's protocol 0.1 as CLIENTS.md 4.2 has it.
"""

from __future__ import annotations

import array
import ctypes
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from ipvlanx import Topology
from space import ping_ok
from test_xsk_errors import as_tenant
from xsk import APP, XSK, Client, add_app, refused

AF_XDP, SO_PREFER_BUSY_POLL = 44, 69
SYS_BPF, BPF_OBJ_GET = 321, 7


def open_pin(path: str) -> int:
    """A descriptor of what is pinned there."""
    name = ctypes.create_string_buffer(path.encode())
    attributes = (ctypes.c_uint64 * 16)(ctypes.addressof(name))
    fd = ctypes.CDLL(None).syscall(SYS_BPF, BPF_OBJ_GET, attributes, ctypes.sizeof(attributes))
    assert fd >= 0, path
    return fd


class Server:
    """Serves one connection in the manner of the protocol; `answers` replaces some of its replies."""

    def __init__(self, map_path: str, answers: dict[str, str | None] = {}) -> None:
        self.heard: list[str] = []
        self.prefers_busy_poll: int | None = None
        self._folder = tempfile.mkdtemp(dir="/run")
        os.chmod(self._folder, 0o755)
        self.path = f"{self._folder}/afxdp.sock"
        self._map = open_pin(map_path)
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _reply(self, verb: str, fds: list[int]) -> tuple[str, list[int]]:
        if verb == "/connect":
            return "/host_ok", []
        if verb == "/version":
            return "0.1", []
        if verb == "/xsk_map_fd":
            return "/fd_ack", [self._map]
        if verb == "/config_busy_poll":
            with socket.socket(AF_XDP, socket.SOCK_RAW, 0, fileno=fds[0]) as xsk:
                xsk.setsockopt(socket.SOL_SOCKET, SO_PREFER_BUSY_POLL, 1)
                self.prefers_busy_poll = xsk.getsockopt(socket.SOL_SOCKET, SO_PREFER_BUSY_POLL)
            return "/config_busy_poll_ack", []
        return ("/fin_ack" if verb == "/fin" else "/nak"), []

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            while True:
                data, control, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
                if not data:
                    return
                fds = [array.array("i", value)[0] for _, _, value in control]
                question = data.decode()
                self.heard.append(question)
                verb = question.split(",")[0]
                text, sent = self._reply(verb, fds)
                if verb in self._answers:
                    answer = self._answers[verb]
                    if answer is None:
                        return  # hangs up
                    text, sent = answer, []
                socket.send_fds(connection, [text.encode()], sent)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        os.close(self._map)
        shutil.rmtree(self._folder)


def pinned(net: Topology, slave: int) -> str:
    return f"{net.daemon.pin_root}/slaves/{slave}/xsks_map"


def test_a_pinned_map(net: Topology) -> None:
    space, slave = add_app(net)
    with Client(space, "echo", "app0", "--map", pinned(net, slave)) as client:
        ping_ok(net.external, APP[4])
        assert client.summary()["heard"]["ping"] == 3
    ping_ok(net.external, APP[4])


def test_the_map_that_the_daemon_serves(net: Topology) -> None:
    space, slave = add_app(net)
    path = f"{Path(net.daemon.socket).parent}/slaves/{slave}/afxdp.sock"
    for words in ([], ["--busy-poll"]):
        with Client(space, "echo", "app0", "--socket", path, *words) as client:
            ping_ok(net.external, APP[4])
            assert client.summary()["heard"]["ping"] == 3
    other = net.netns("ns1")
    net.daemon.cli("link add link m0 name app1 mode l2 via afxdp netns ns1")
    other.ip("link set app1 up")
    assert f"the server at '{path}' refuses" in refused(other, "drop", "app1", "--socket", path)


def test_a_served_map(net: Topology) -> None:
    space, slave = add_app(net)
    with Server(pinned(net, slave)) as server:
        with Client(space, "echo", "app0", "--socket", server.path) as client:
            ping_ok(net.external, APP[4])
            assert client.summary()["heard"]["ping"] == 3
        host = socket.gethostname()
        assert server.heard == [f"/connect,{host}", "/version", "/xsk_map_fd,app0", "/fin"]


def test_a_served_map_for_a_user_without_rights(net: Topology) -> None:
    """CAP_NET_RAW and CAP_IPC_LOCK are enough, and the server sets what takes CAP_NET_ADMIN."""
    space, slave = add_app(net)
    with Server(pinned(net, slave)) as server:
        words = ["echo", "app0", "--socket", server.path, "--busy-poll", "--seconds", "1", "--json"]
        done = space.run(*as_tenant("+net_raw,+ipc_lock", XSK, *words), timeout=20)
        assert '"final":true' in done.stdout
        assert "/config_busy_poll,20,64" in server.heard and server.prefers_busy_poll == 1


def test_no_map_is_pinned_there(net: Topology) -> None:
    space, slave = add_app(net)
    path = pinned(net, slave) + "s"
    assert f"no map is pinned at '{path}'" in refused(space, "drop", "app0", "--map", path)


def test_a_pinned_map_of_another_type(net: Topology) -> None:
    space, _ = add_app(net)
    path = f"{net.daemon.pin_root}/maps/ipvx_addrs"
    assert f"'{path}' is no map for AF_XDP sockets" in refused(space, "drop", "app0", "--map", path)


def test_a_pinned_map_for_somebody_else(net: Topology) -> None:
    space, slave = add_app(net)
    words = ["drop", "app0", "--map", pinned(net, slave)]
    done = space.run(*as_tenant("+net_raw,+ipc_lock", XSK, *words), check=False, timeout=20)
    assert done.returncode == 2 and "is not for this user" in done.stderr


def test_nobody_serves(net: Topology) -> None:
    space, _ = add_app(net)
    said = refused(space, "drop", "app0", "--socket", "/run/nowhere.sock")
    assert "nobody serves AF_XDP maps at '/run/nowhere.sock': No such file or directory" in said


@pytest.mark.parametrize(
    ("verb", "answer", "sentence"),
    [
        ("/connect", "/host_nak", "refuses '/connect,{host}' ('/host_nak')"),
        ("/version", "7", "refuses '/version' ('7')"),
        ("/xsk_map_fd", "/fd_nak", "refuses '/xsk_map_fd,app0' ('/fd_nak')"),
        ("/xsk_map_fd", "/fd_ack", "has sent no map"),
        ("/xsk_map_fd", None, "does not answer '/xsk_map_fd,app0'"),
        ("/fin", "/error", "refuses '/fin' ('/error')"),
    ],
)
def test_a_server_that_refuses(net: Topology, verb: str, answer: str | None, sentence: str) -> None:
    space, slave = add_app(net)
    with Server(pinned(net, slave), {verb: answer}) as server:
        said = refused(space, "drop", "app0", "--socket", server.path)
    assert sentence.format(host=socket.gethostname()) in said
    ping_ok(net.external, APP[4])
