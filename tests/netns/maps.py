# SPDX-License-Identifier: Apache-2.0
"""What do the data path's pinned maps say?

Reads them with bpf(2): a look-up takes microseconds where bpftool takes milliseconds, which is
what a test of learning latency needs. The structs are those of ipvlanx/datapath_abi.h.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import struct
from typing import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_LOOKUP, _UPDATE, _DELETE, _NEXT_KEY, _OBJ_GET, _OBJ_GET_INFO = 1, 2, 3, 4, 7, 15


def _bpf(command: int, attr: bytes) -> int:
    buffer = ctypes.create_string_buffer(attr, 128)
    return _libc.syscall(_SYS_BPF, command, buffer, 128)


def _possible_cpus() -> int:
    with open("/sys/devices/system/cpu/possible") as handle:
        return int(handle.read().strip().split(",")[-1].split("-")[-1]) + 1


def _open_pinned(path: str) -> int:
    name = ctypes.create_string_buffer(path.encode())
    fd = _bpf(_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"open pinned {path}")
    return fd


def _info(fd: int, layout: str) -> tuple[int, int]:
    """The head of struct bpf_map_info or bpf_link_info."""
    info = ctypes.create_string_buffer(16)
    _bpf(_OBJ_GET_INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    return struct.unpack_from(layout, info)


def pinned_link(path: str) -> tuple[int, int]:
    """The ids of a pinned link and of its program."""
    fd = _open_pinned(path)
    try:
        return _info(fd, "=xxxxII")
    finally:
        os.close(fd)


class Map:
    def __init__(self, path: str, key: str, value: str, per_cpu: bool = False) -> None:
        self.fd = _open_pinned(path)
        self.key, self.value = struct.Struct("=" + key), struct.Struct("=" + value)
        self.cpus = _possible_cpus() if per_cpu else 1
        assert self._sizes() == (self.key.size, self.value.size), f"{path} has other structs"

    def _sizes(self) -> tuple[int, int]:
        """Of key and value; the kernel writes a whole value, however small our buffer."""
        return _info(self.fd, "=8xII")

    def close(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lookup(self, key: bytes) -> tuple[int, ...] | None:
        key_buffer = ctypes.create_string_buffer(key, len(key))
        room = (self.value.size + 7) // 8 * 8
        values = ctypes.create_string_buffer(room * self.cpus)
        attr = struct.pack(
            "=IIQQQ", self.fd, 0, ctypes.addressof(key_buffer), ctypes.addressof(values), 0
        )
        if _bpf(_LOOKUP, attr) != 0:
            return None
        each = [self.value.unpack_from(values, room * cpu) for cpu in range(self.cpus)]
        # Per-CPU values are counters: their sum is the truth.
        return each[0] if self.cpus == 1 else tuple(sum(field) for field in zip(*each))

    def lookup(self, *key: object) -> tuple | None:
        return self._lookup(self.key.pack(*key))

    def dump(self) -> dict[tuple, tuple]:
        rows: dict[tuple, tuple] = {}
        key: bytes | None = None
        following = ctypes.create_string_buffer(self.key.size)
        while True:
            here = ctypes.create_string_buffer(key, len(key)) if key is not None else None
            address = ctypes.addressof(here) if here is not None else 0
            attr = struct.pack("=IIQQQ", self.fd, 0, address, ctypes.addressof(following), 0)
            if _bpf(_NEXT_KEY, attr) != 0:
                return rows
            key = following.raw
            value = self._lookup(key)
            if value is not None:
                rows[self.key.unpack(key)] = value


    def fill(self) -> list[bytes]:
        """The keys of what was added: nobody's, each another number."""
        added: list[bytes] = []
        value = ctypes.create_string_buffer(self.value.size)
        while True:
            key = b"\xff" * (self.key.size - 4) + struct.pack("=I", len(added))
            buffer = ctypes.create_string_buffer(key, len(key))
            where = ctypes.addressof(buffer), ctypes.addressof(value)
            if _bpf(_UPDATE, struct.pack("=IIQQQ", self.fd, 0, *where, 0)) != 0:
                return added
            added.append(key)

    def erase(self, key: bytes) -> None:
        buffer = ctypes.create_string_buffer(key, len(key))
        _bpf(_DELETE, struct.pack("=IIQ", self.fd, 0, ctypes.addressof(buffer)))


# What steers, and to whom.
TABLES = {
    # master, family, address -> host end, way, id, mode, mac, container end
    "ipvx_addrs": ("II16s", "IIII6s2sI"),
    "ipvx_ports": ("I", "IIIII6s2sI"),  # master -> mode, flag, strict private, slots, mtu, mac, xdp
    "ipvx_slaves": ("I", "IIII6s2s"),  # host end -> master, id, mode, flag, mac
    "ipvx_members": ("II", "II"),  # master, slot -> host end, id
}
# What happened. traffic: packets, bytes, multicast, dropped; rx then tx.
COUNTERS = {
    "ipvx_stats": ("I", "8Q"),  # id -> traffic x 2
    "ipvx_drops": ("II", "Q"),  # id, reason -> packets
    "ipvx_passed": ("I", "QQ"),  # master -> packets, bytes
}
DROP_PAUSE, DROP_CLONE_FAILED, DROP_FANOUT_FULL, DROP_FANOUT_LOST = 1, 3, 4, 5
TRAFFIC = tuple(
    f"{way}.{what}" for way in ("rx", "tx") for what in ("packets", "bytes", "multicast", "dropped")
)


class Maps:
    """All maps under one pin root."""

    def __init__(self, pin_root: str) -> None:
        self.folder = f"{pin_root}/maps"

    def open(self, name: str) -> Map:
        per_cpu = name in COUNTERS
        return Map(f"{self.folder}/{name}", *(COUNTERS if per_cpu else TABLES)[name], per_cpu)

    def dump(self, name: str) -> dict[tuple, tuple]:
        with self.open(name) as table:
            return table.dump()

    def tables(self) -> dict[str, dict[tuple, tuple]]:
        return {name: self.dump(name) for name in TABLES}

    def owner(self, master: int, address: str) -> int | None:
        """The id of the slave that packets for this address are steered to."""
        with self.open("ipvx_addrs") as table:
            row = table.lookup(*address_key(master, address))
        return row[2] if row else None

    def memory(self) -> int:
        """Bytes the kernel has allocated for all of them."""
        total = 0
        for name in (*TABLES, *COUNTERS):
            with self.open(name) as table, open(f"/proc/self/fdinfo/{table.fd}") as info:
                total += int(dict(line.split() for line in info)["memlock:"])
        return total

    def fill(self, name: str) -> Callable[[], None]:
        """Takes all the room that is left in the map; the result gives it back."""
        with self.open(name) as table:
            taken = table.fill()

        def free() -> None:
            with self.open(name) as table:
                for key in taken:
                    table.erase(key)

        return free

    def counters(self) -> dict[tuple, int]:
        """Every counter there is, by name: ("slave", 1, "rx.packets"), ("passed", ifindex,
        "packets"), ("drop", id, reason)."""
        out: dict[tuple, int] = {}
        for (slave,), values in self.dump("ipvx_stats").items():
            out |= {("slave", slave, name): value for name, value in zip(TRAFFIC, values)}
        for (slave, reason), (packets,) in self.dump("ipvx_drops").items():
            out["drop", slave, reason] = packets
        for (master,), (packets, size) in self.dump("ipvx_passed").items():
            out["passed", master, "packets"] = packets
            out["passed", master, "bytes"] = size
        return out


def address_key(master: int, address: str) -> tuple[int, int, bytes]:
    parsed = ipaddress.ip_address(address)
    return master, parsed.version, parsed.packed.ljust(16, b"\0")


def difference(before: dict[tuple, int], after: dict[tuple, int]) -> dict[tuple, int]:
    """What was counted in between; nothing but changes."""
    keys = before.keys() | after.keys()
    changes = {key: after.get(key, 0) - before.get(key, 0) for key in keys}
    return {key: change for key, change in changes.items() if change}
