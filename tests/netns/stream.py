# SPDX-License-Identifier: Apache-2.0
"""Datagrams with numbers: which of them got there, and when?"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from space import Netns, eventually, family_of

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
PORT = 5002


class Stream:
    """About a thousand each second, while the `with` block runs. What cannot be sent (no route, no
    address yet) counts as sent, and is lost."""

    def __init__(self, source: Netns, sink: Netns, address: str, port: int = PORT) -> None:
        self._to = (address, port)
        self.what, self.port = f"{source.name} -> {address}", port
        self.sent = 0  # lower numbers were
        self.arrivals: dict[int, float] = {}  # all of them when the block is over
        kind = family_of(address)
        self._ear = sink.socket(kind, socket.SOCK_DGRAM)
        self._ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._ear.bind(("", port))
        self._ear.settimeout(0.25)
        self._mouth = source.socket(kind, socket.SOCK_DGRAM)
        # What waits for a neighbour's MAC shall not keep us from sending more.
        self._mouth.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._send, self._read)]

    def _send(self) -> None:
        while not self._ending.wait(0.001):
            with contextlib.suppress(OSError):
                self._mouth.sendto(struct.pack("!I", self.sent), self._to)
            self.sent += 1

    def _read(self) -> None:
        while True:
            try:
                data = self._ear.recv(100)
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            self.arrivals.setdefault(struct.unpack("!I", data)[0], time.monotonic())

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._ear.close()
        self._mouth.close()

    def mark(self) -> int:
        """This number and those above it are sent after now."""
        return self.sent + 1

    def wait_for(self, count: int) -> None:
        """Until so many more are sent."""
        goal = self.sent + count
        eventually(f"{self.what}: {count} more", lambda: self.sent >= goal, 20)

    def wait_until_it_arrives(self) -> None:
        mark = self.mark()
        eventually(
            f"{self.what}: one more arrives",
            lambda: max(list(self.arrivals), default=-1) >= mark,
        )

    # ----------------------------------------------------------- when the block is over

    def received(self, first: int = 0, end: int | None = None) -> list[int]:
        return sorted(n for n in self.arrivals if first <= n < (self.sent if end is None else end))

    def lost(self) -> list[int]:
        return [number for number in range(self.sent) if number not in self.arrivals]

    def longest_gap(self) -> float:
        """Seconds without an arrival."""
        times = sorted(self.arrivals.values())
        return max(later - earlier for earlier, later in zip(times, times[1:]))


class Transfer:
    """One TCP connection that is kept busy while the `with` block runs, and then ends well."""

    def __init__(self, source: Netns, sink: Netns, address: str, port: int = PORT) -> None:
        kind = family_of(address)
        self._mouth = source.socket(kind, socket.SOCK_STREAM)
        with sink.socket(kind, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.settimeout(5)
            listener.bind((address, port))
            listener.listen()
            self._mouth.settimeout(5)
            self._mouth.connect((address, port))
            self._ear, _ = listener.accept()
        for end in (self._mouth, self._ear):
            end.settimeout(20)
        self.sent = self.received = 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._send, self._read)]

    def _send(self) -> None:
        payload = bytes(range(256)) * 4
        while not self._ending.wait(0.001):
            self._mouth.sendall(payload)
            self.sent += len(payload)
        self._mouth.shutdown(socket.SHUT_WR)

    def _read(self) -> None:
        while data := self._ear.recv(65536):
            # Byte n of the stream is n modulo 256.
            start = self.received % 256
            assert data == (bytes(range(256)) * (len(data) // 256 + 2))[start : start + len(data)]
            self.received += len(data)

    def __enter__(self) -> Transfer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(30)
        self._mouth.close()
        self._ear.close()
