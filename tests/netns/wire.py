# SPDX-License-Identifier: Apache-2.0
"""What frames are on an interface, and how does a test put its own there?

Captures are AF_PACKET sockets: no start-up time and no output to parse. On a receiving interface
they see a frame before TC does, so a capture on the master shows what arrived, not who got it.
"""

from __future__ import annotations

import functools
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Callable

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from space import Netns, eventually

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
PACKET_OUTGOING = 4


@dataclass(frozen=True)
class Frame:
    data: bytes  # what was kept of it
    length: int  # of the frame, also where less was kept
    outgoing: bool  # sent by this interface rather than received
    vlan: int | None  # its tag, which the kernel keeps beside the data
    at: float = 0.0  # when it was read, by time.monotonic()

    @functools.cached_property
    def packet(self) -> Packet:
        return Ether(self.data)

    @property
    def destination(self) -> str:
        return self.data[0:6].hex(":")

    @property
    def source(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def is_unicast(self) -> bool:
        return not self.data[0] & 1


class Capture:
    """The frames on one interface while the `with` block runs."""

    def __init__(self, netns: Netns, interface: str, keep: int = 65536) -> None:
        self.frames: list[Frame] = []
        self._keep = keep
        self._socket = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.settimeout(0.05)
        self._socket.bind((interface, ETH_P_ALL))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while True:
            try:
                data, control, _, address = self._socket.recvmsg(self._keep, 256)
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            except OSError:  # the interface went down or away: nothing more to see
                if self._ending.is_set():
                    return
                time.sleep(0.01)
                continue
            length, vlan = len(data), None
            for level, kind, value in control:
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, length, _, _, _, tag, _ = struct.unpack_from("=IIIHHHH", value)
                    vlan = tag & 0xFFF if status & TP_STATUS_VLAN_VALID else None
            self.frames.append(Frame(data, length, address[2] == PACKET_OUTGOING, vlan, time.monotonic()))

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()  # the reader drains what is queued, then ends
        self._thread.join(10)
        self._socket.close()

    def matching(self, predicate: Callable[[Frame], object]) -> list[Frame]:
        return [frame for frame in list(self.frames) if predicate(frame)]

    def wait_for(self, predicate: Callable[[Frame], object], count: int = 1) -> list[Frame]:
        def enough() -> list[Frame] | None:
            found = self.matching(predicate)
            return found if len(found) >= count else None

        return eventually(f"{count} such frames", enough, 3)

    def settle(self) -> None:
        """Give what must not come the time to come."""
        time.sleep(0.25)


def carrying(marker: bytes) -> Callable[[Frame], bool]:
    """Frames with these bytes in them."""
    return lambda frame: marker in frame.data


class Sender:
    """Puts frames on an interface as they are."""

    def __init__(self, netns: Netns, interface: str) -> None:
        self._socket = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((interface, 0))

    def send(self, frame: Packet | bytes, count: int = 1) -> None:
        data = bytes(frame)
        for _ in range(count):
            self._socket.send(data)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
