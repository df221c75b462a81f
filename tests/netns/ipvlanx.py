# SPDX-License-Identifier: Apache-2.0
"""The standard drawing, and ipvlanx running in it.

    external              host                     ns0, ns1, ...
    x0  ---- veth ----  m0 ==== slaves ==========  ipvl0, ipvl1, ...
    10.0.0.1/24         10.0.0.2/24                10.0.0.10/24, 10.0.0.11/24, ...
    fd00::1/64          fd00::2/64                 fd00::10/64, fd00::11/64, ...

The daemon runs in `host`, with a pin root, socket and state folder of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from maps import Maps
from space import Netns, eventually

BIN = Path(os.environ["IPVLANX_BUILD"]).resolve() / "bin"
IPVLANXD, IPVLANX = str(BIN / "ipvlanxd"), str(BIN / "ipvlanx")

EXTERNAL = {4: "10.0.0.1", 6: "fd00::1"}
HOST = {4: "10.0.0.2", 6: "fd00::2"}
NOBODY = {4: "10.0.0.99", 6: "fd00::99"}
FAMILIES = (4, 6)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Events:
    """What GET /v1/events says while the `with` block runs: of what happens from now on, or of
    what came after event number `since`."""

    def __init__(self, path: str, since: int | None) -> None:
        self.seen: list[dict] = []
        self._connection = _UnixConnection(path, timeout=60)
        query = "" if since is None else f"?since={since}"
        self._connection.request("GET", f"/v1/events{query}")
        self._reply = self._connection.getresponse()
        assert self._reply.status == 200, self._reply.read()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            while line := self._reply.readline():
                if line.strip():
                    self.seen.append(json.loads(line))
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the connection is closed: by __exit__, or the daemon died

    def __enter__(self) -> Events:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()

    def wait_for(self, kind: str, seconds: float = 5, **fields: object) -> dict:
        wanted = {"type": kind, **fields}

        def found() -> dict | None:
            return next((e for e in list(self.seen) if wanted.items() <= e.items()), None)

        try:
            return eventually(f"event {wanted}", found, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; there were: {self.seen}") from None


class Daemon:
    """One ipvlanxd; what it keeps (pins, state) outlives stop() and kill()."""

    def __init__(self, host: Netns) -> None:
        self.host = host
        self.folder = tempfile.mkdtemp(prefix="ipvlanx-", dir="/run")
        self.socket = f"{self.folder}/api.sock"
        self.pin_root = f"/sys/fs/bpf/ipvlanx-test-{secrets.token_hex(4)}"
        self.maps = Maps(self.pin_root)
        self.log = Path(self.folder, "log")
        self.options: tuple[str, ...] = ()  # on its command line, too
        self._process: subprocess.Popen | None = None

    # --------------------------------------------------------------------- process

    def argv(self, *options: str) -> list[str]:
        return [
            IPVLANXD,
            *("--socket", self.socket),
            *("--pin-root", self.pin_root),
            *("--state-dir", f"{self.folder}/state"),
            *self.options,
            *options,
        ]

    @property
    def pid(self) -> int:
        assert self._process, "the daemon was not started"
        return self._process.pid  # nsenter execs: its pid is the daemon's

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, patience: float = 15, environment: dict[str, str] | None = None) -> None:
        """Returns when the daemon says that it serves."""
        self.spawn(environment)
        first: list[str] = []
        reader = threading.Thread(target=lambda: first.append(self._process.stdout.readline()))
        reader.start()
        reader.join(patience)
        said = first[0].strip() if first else "nothing"
        assert said == f"ready {self.socket}", f"ipvlanxd said: {said}\n{self.log.read_text()}"

    def spawn(self, environment: dict[str, str] | None = None) -> None:
        """Returns at once."""
        assert not self.running
        words = ("env", *(f"{name}={value}" for name, value in (environment or {}).items()))
        with self.log.open("a") as log:
            self._process = self.host.spawn(
                *(words if environment else ()), *self.argv(),
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def _reap(self, signal_number: int) -> int:
        assert self._process
        self._process.send_signal(signal_number)
        code = self._process.wait(15)
        self._process.stdout.close()
        return code

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, patience: float = 15) -> int:
        """The exit status of one that ends by itself."""
        assert self._process
        code = self._process.wait(patience)
        self._process.stdout.close()
        self._process = None
        return code

    def stop(self) -> None:
        assert self._reap(signal.SIGTERM) == 0, "ipvlanxd: exit status after SIGTERM"

    def kill(self) -> None:
        self._reap(signal.SIGKILL)

    def use_settings(self, text: str) -> None:
        """Starts it again, if it runs, with this as its settings file."""
        file = Path(self.folder, "ipvlanx.conf")
        file.write_text(text)
        self.options = ("--config", str(file))
        if self.running:
            self.restart()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """The end of the test: nothing of it is left, and the daemon was still well."""
        crashed = self._process is not None and self._process.poll() not in (None, 0, -9)
        if self.running:
            self.kill()
        print(f"--- ipvlanxd's log\n{self.log.read_text() if self.log.exists() else ''}")
        shutil.rmtree(self.pin_root, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not crashed, f"ipvlanxd ended by itself: {self._process.returncode}"

    # ------------------------------------------------------------------ its two faces

    def try_cli(self, *words: str) -> subprocess.CompletedProcess:
        argv = [IPVLANX, "--socket", self.socket, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30)

    def cli(self, words: str) -> str:
        """`ipvlanx` as a person types it."""
        done = self.try_cli(*words.split())
        assert done.returncode == 0, f"ipvlanx {words}: exit {done.returncode}\n{done.stderr}"
        return done.stdout

    def cli_json(self, words: str) -> Any:
        return json.loads(self.cli(f"-j {words}"))

    def api(self, method: str, path: str, body: Any = None) -> Answer:
        """One request; `body` is sent as JSON, or as it is when it is bytes."""
        with self.requests() as ask:
            return ask(method, path, body)

    @contextlib.contextmanager
    def requests(self, timeout: float = 15) -> Iterator[Callable[..., Answer]]:
        """Any number of requests, on one connection that is kept."""
        connection = _UnixConnection(self.socket, timeout)

        def ask(method: str, path: str, body: Any = None) -> Answer:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, headers)
            reply = connection.getresponse()
            text = reply.read()
            fields = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, json.loads(text) if text else None, fields)

        try:
            yield ask
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.api("GET", path)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.body

    def events(self, since: int | None = None) -> Events:
        return Events(self.socket, since)

    def pins(self) -> list[str]:
        """Everything that is pinned, as paths under the pin root."""
        return sorted(str(path.relative_to(self.pin_root)) for path in self._walk(self.pin_root))

    @staticmethod
    def _walk(folder: str) -> list[Path]:
        return [Path(top, name) for top, _, names in os.walk(folder) for name in names]


@dataclass
class Slave:
    """One slave, and where it was put."""

    number: int
    netns: Netns
    name: str
    id: int

    @property
    def addresses(self) -> dict[int, str]:
        return slave_addresses(self.number)

    def ip(self, words: str) -> None:
        """`ip addr add ADDRESS {}`: the braces stand for `dev NAME`."""
        self.netns.ip(words.format(f"dev {self.name}"))


def slave_addresses(number: int) -> dict[int, str]:
    return {4: f"10.0.0.{10 + number}", 6: f"fd00::{10 + number}"}


class Topology:
    """Namespaces, the wire between them, and the daemon on top."""

    def __init__(self, *, mtu: int = 1500, ipv6: bool = True) -> None:
        self.ipv6 = ipv6
        self.spaces: list[Netns] = []
        self.slaves: list[Slave] = []
        self.host, self.external = self.netns("host"), self.netns("external")
        self.host.ip("link add m0 type veth peer name x0 netns external")
        for space, interface, addresses in (
            (self.host, "m0", HOST),
            (self.external, "x0", EXTERNAL),
        ):
            space.ip(f"link set {interface} mtu {mtu}")
            space.ip(f"addr add {addresses[4]}/24 dev {interface}")
            if ipv6:
                space.ip(f"addr add {addresses[6]}/64 dev {interface} nodad")
            space.ip(f"link set {interface} up")
        link = self.host.link("m0")
        self.master, self.mac = link["ifindex"], link["address"]
        self.external_mac = self.external.link("x0")["address"]
        self.daemon = Daemon(self.host)
        self.maps = self.daemon.maps

    def netns(self, name: str) -> Netns:
        """The namespace of this name, made when it is first asked for."""
        known = next((space for space in self.spaces if space.name == name), None)
        if known:
            return known
        space = Netns(name, ipv6=self.ipv6)
        self.spaces.append(space)
        return space

    def add_slave(self, *, addressed: bool = True) -> Slave:
        """The next slave, as the kernel's HOWTO makes one: in host, then moved and set up."""
        number = len(self.slaves)
        name = f"ipvl{number}"
        self.daemon.cli(f"link add link m0 name {name} type ipvlan mode l2")
        identity = self.id_of(name)
        space = self.netns(f"ns{number}")
        self.host.ip(f"link set {name} netns {space.name}")
        slave = Slave(number, space, name, identity)
        self.slaves.append(slave)
        if addressed:
            slave.ip(f"addr add {slave.addresses[4]}/24 {{}}")
            if self.ipv6:
                slave.ip(f"addr add {slave.addresses[6]}/64 {{}} nodad")
            slave.ip("link set {} up")
            for family in FAMILIES if self.ipv6 else (4,):
                self.wait_steered(slave, slave.addresses[family])
        return slave

    def id_of(self, name: str) -> int:
        found = self.daemon.get(f"/v1/slaves?{urllib.parse.urlencode({'name': name})}")
        assert len(found) == 1, f"slaves named {name}: {found}"
        return found[0]["id"]

    def owner(self, address: str) -> int | None:
        return self.maps.owner(self.master, address)

    def wait_steered(self, slave: Slave | None, address: str, seconds: float = 3) -> None:
        """Until packets for this address go to this slave; None: to the host."""
        wanted = slave.id if slave else None
        try:
            eventually(f"{address}", lambda: self.owner(address) == wanted, seconds)
        except AssertionError:
            owner = self.owner(address)
            raise AssertionError(f"{address} goes to slave {owner}, not {wanted}") from None

    def close(self) -> None:
        try:
            self.daemon.close()
        finally:
            for space in self.spaces:
                space.delete()
