# SPDX-License-Identifier: Apache-2.0
"""How does a test act inside a network namespace?

A Netns is a named namespace in /run/netns, which is the run's own (see `run`). Processes are
started with nsenter, not `ip netns exec`: the latter hides /sys/fs/bpf.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from typing import Any, Callable, TypeVar

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
# So many times as long things may take, as on an ordinary machine (tests/vm/run sets it).
SLOW = float(os.environ.get("IPVLANX_SLOW", "1"))


def eventually(what: str, probe: Callable[[], T], seconds: float = 5.0) -> T:
    """The first true value of `probe`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {what}")
        time.sleep(0.005)


class Netns:
    def __init__(self, name: str, *, ipv6: bool = True) -> None:
        self.name = name
        self.path = f"/run/netns/{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        # No DAD delay and no router solicitations unless a test wants them: less noise.
        self.sysctl("net/ipv6/conf/default/router_solicitations", 0)
        if not ipv6:
            self.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
            self.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        self.ip("link set lo up")

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    # ------------------------------------------------------------------ processes

    def argv(self, *words: str) -> list[str]:
        return ["nsenter", f"--net={self.path}", "--", *words]

    def run(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess:
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, **options)
        if check:
            said = f"exit {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, f"{self.name}# {' '.join(words)}: {said}"
        return done

    def spawn(self, *words: str, **options: Any) -> subprocess.Popen:
        return subprocess.Popen(self.argv(*words), **options)

    def ip(self, words: str) -> None:
        """`ip` as a person types it."""
        argv = ["ip", "-n", self.name, *words.split()]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, f"{self.name}# ip {words}: {done.stderr}"

    def ip_lines(self, *lines: str) -> None:
        """Several commands of `ip`, by one process."""
        argv = ["ip", "-n", self.name, "-batch", "-"]
        done = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True)
        assert done.returncode == 0, f"{self.name}# ip -batch {lines}: {done.stderr}"

    def ip_json(self, words: str) -> list[dict]:
        argv = ["ip", "-n", self.name, "-j", *words.split()]
        out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return [row for row in json.loads(out or "[]") if row]

    def link(self, interface: str) -> dict:
        return self.ip_json(f"-d link show dev {interface}")[0]

    def addresses(self, interface: str) -> list[dict]:
        return self.ip_json(f"addr show dev {interface}")[0]["addr_info"]

    def wait_for_addresses(self, interface: str) -> None:
        """Until duplicate address detection is over, and found none."""

        def over() -> bool:
            return not any(row.get("tentative") for row in self.addresses(interface))

        eventually(f"{self.name}: addresses of {interface} are not tentative", over)
        assert not any(row.get("dadfailed") for row in self.addresses(interface))

    # -------------------------------------------------------- this process, inside

    def inside(self, action: Callable[[], T]) -> T:
        """The result of `action`, called on a thread that is in this namespace."""
        outcome: list[Any] = []

        def enter() -> None:
            try:
                with open(self.path) as handle:
                    if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"setns {self.path}")
                outcome.append(action())
            except BaseException as error:  # handed to the caller
                outcome.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return self.inside(lambda: socket.socket(family, kind, protocol))

    def sysctl(self, name: str, value: object) -> None:
        def write() -> None:
            with open(f"/proc/sys/{name}", "w") as handle:
                handle.write(str(value))

        self.inside(write)

    def snmp(self) -> dict[str, int]:
        """The IP stack's own counters, by nstat's names: IpInHdrErrors, ..."""

        def read() -> str:
            with open(f"/proc/self/task/{threading.get_native_id()}/net/snmp") as handle:
                return handle.read()

        counters: dict[str, int] = {}
        lines = self.inside(read).splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            group = names.split(":")[0]
            for name, value in zip(names.split()[1:], values.split()[1:]):
                counters[group + name] = int(value)
        return counters

    # ------------------------------------------------------------------- traffic

    def ping(self, address: str, *options: str) -> subprocess.CompletedProcess:
        return self.run("ping", "-n", *options, address, check=False)


def ping_ok(source: Netns, address: str, *options: str) -> None:
    """All of a few echo requests are answered."""
    words = options or ("-c", "3", "-i", "0.05", "-W", "2")
    done = source.ping(address, *words)
    assert done.returncode == 0 and " 0% packet loss" in done.stdout, (
        f"{source.name}: ping {' '.join(words)} {address}\n{done.stdout}{done.stderr}"
    )


def ping_lost(source: Netns, address: str) -> None:
    """None of a few echo requests is answered."""
    done = source.ping(address, "-c", "3", "-i", "0.2", "-W", "1")
    assert done.returncode == 1 and " 0 received" in done.stdout, (
        f"{source.name}: ping {address} was to fail\n{done.stdout}{done.stderr}"
    )


def family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_exchange(client: Netns, server: Netns, address: str, size: int = 300_000) -> None:
    """A connection to `address` carries `size` bytes there and back, unharmed."""
    payload = os.urandom(size)
    with server.socket(family_of(address), socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(5)
        listener.bind((address, 5001))
        listener.listen()

        def echo() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                while data := connection.recv(65536):
                    connection.sendall(data)

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        with client.socket(family_of(address), socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect((address, 5001))
            sender = threading.Thread(target=lambda: connection.sendall(payload), daemon=True)
            sender.start()
            received = bytearray()
            while len(received) < size:
                data = connection.recv(65536)
                assert data, f"{client.name} -> {address}: closed after {len(received)} bytes"
                received += data
            sender.join(5)
        thread.join(5)
    assert bytes(received) == payload, f"{client.name} -> {address}: the bytes changed"


def iperf(client: Netns, server: Netns, address: str, seconds: int = 1) -> dict:
    """iperf3's report of one TCP stream from `client` to `address`."""
    listener = server.spawn(
        "iperf3", "-s", "-1", "--forceflush", "-B", address,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for line in listener.stdout:  # type: ignore[union-attr]
            if "Server listening" in line:
                break
        done = client.run(
            "iperf3", "-c", address, "-C", "cubic", "-t", str(seconds), "-i", "0.25", "-J",
            timeout=seconds + 20,
        )  # fmt: skip
        return json.loads(done.stdout)
    finally:
        listener.kill()
        listener.communicate()
