# SPDX-License-Identifier: Apache-2.0
"""How does an application that was handed its AF_XDP socket use it? By system calls alone: no library opens one
in another network namespace than the application's.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
import time

from intruder import AF_XDP, COMPLETION_RING, FILL_RING, RX_RING, SOL_XDP, UMEM_REG, bpf, libc
from space import eventually

MMAP_OFFSETS, TX_RING = 1, 3
PAGES = {RX_RING: 0, TX_RING: 0x80000000, FILL_RING: 0x100000000, COMPLETION_RING: 0x180000000}
SHARED_UMEM, COPY = 1 << 0, 1 << 1
MAP_UPDATE = 2
SLOTS, CHUNK = 64, 2048


class Ring:
    """One ring of a socket: this side's index and the kernel's, and the slots between."""

    def __init__(self, fd: int, kind: int, slot: int) -> None:
        order = (RX_RING, TX_RING, FILL_RING, COMPLETION_RING)
        offsets = struct.unpack("=16Q", socket_option(fd, MMAP_OFFSETS, 128))
        self._producer, self._consumer, self._slots, _ = offsets[4 * order.index(kind) :][:4]
        self._slot = slot
        self._memory = mmap.mmap(fd, self._slots + SLOTS * slot, offset=PAGES[kind])

    def _index(self, offset: int) -> int:
        return struct.unpack_from("=I", self._memory, offset)[0]

    def put(self, content: bytes) -> None:
        index = self._index(self._producer)
        at = self._slots + index % SLOTS * self._slot
        self._memory[at : at + self._slot] = content
        struct.pack_into("=I", self._memory, self._producer, (index + 1) & 0xFFFFFFFF)

    def take(self) -> bytes | None:
        index = self._index(self._consumer)
        if index == self._index(self._producer):
            return None
        at = self._slots + index % SLOTS * self._slot
        content = bytes(self._memory[at : at + self._slot])
        struct.pack_into("=I", self._memory, self._consumer, (index + 1) & 0xFFFFFFFF)
        return content


def socket_option(fd: int, option: int, size: int) -> bytes:
    with socket.socket(AF_XDP, socket.SOCK_RAW, 0, os.dup(fd)) as packets:
        return packets.getsockopt(SOL_XDP, option, size)


class RawXsk:
    """An AF_XDP socket, bound to a queue of an interface; `beside`: on the same queue, with its memory."""

    def __init__(self, fd: int, ifindex: int, queue: int, beside: RawXsk | None = None) -> None:
        self.fd = fd
        self._memory = beside._memory if beside else mmap.mmap(-1, 2 * SLOTS * CHUNK)
        with socket.socket(AF_XDP, socket.SOCK_RAW, 0, os.dup(fd)) as packets:
            if not beside:
                address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
                registered = struct.pack("=QQII", address, len(self._memory), CHUNK, 0)
                packets.setsockopt(SOL_XDP, UMEM_REG, registered)
            kinds = (RX_RING, TX_RING) if beside else (RX_RING, TX_RING, FILL_RING, COMPLETION_RING)
            for kind in kinds:
                packets.setsockopt(SOL_XDP, kind, struct.pack("=I", SLOTS))
        self._rx, self._tx = Ring(fd, RX_RING, 16), Ring(fd, TX_RING, 16)
        if beside:
            self._fill = beside._fill
        else:
            self._fill = Ring(fd, FILL_RING, 8)
            for chunk in range(SLOTS):
                self._fill.put(struct.pack("=Q", chunk * CHUNK))
        flags, umem = (SHARED_UMEM, beside.fd) if beside else (COPY, 0)
        name = struct.pack("=HHIII", AF_XDP, flags, ifindex, queue, umem)
        if libc.bind(fd, name, len(name)) < 0:
            raise OSError(ctypes.get_errno(), "bind")

    def enter(self, sockets: int, queue: int) -> None:
        """Into the map of its slave."""
        key, value = (ctypes.create_string_buffer(struct.pack("=I", word)) for word in (queue, self.fd))
        bpf(
            MAP_UPDATE,
            struct.pack("=IxxxxQQQ", sockets, ctypes.addressof(key), ctypes.addressof(value), 0),
        )

    def poll(self) -> bytes | None:
        """The next frame, if one has come."""
        slot = self._rx.take()
        if slot is None:
            return None
        address, length, _ = struct.unpack("=QII", slot)
        frame = self._memory[address : address + length]
        self._fill.put(struct.pack("=Q", address - address % CHUNK))
        return frame

    def receive(self) -> bytes:
        return eventually("a frame", self.poll)

    def frames(self, seconds: float = 0.3) -> list[bytes]:
        """All that come until then."""
        end, seen = time.monotonic() + seconds, []
        while time.monotonic() < end:
            frame = self.poll()
            if frame is None:
                time.sleep(0.01)
            else:
                seen.append(frame)
        return seen

    def send(self, frame: bytes) -> None:
        address = SLOTS * CHUNK
        self._memory[address : address + len(frame)] = frame
        self._tx.put(struct.pack("=QII", address, len(frame), 0))
        libc.sendto(self.fd, None, 0, socket.MSG_DONTWAIT, None, 0)

    def close(self) -> None:
        os.close(self.fd)
