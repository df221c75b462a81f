# SPDX-License-Identifier: Apache-2.0
"""What a tenant's root tries against others: each attempt by the kernel's own interfaces, and what
came of it ("done", or errno's name) as JSON on stdout. No test: run by test_isolation.py.

    intruder.py JSON        {"interface": its own, "pins": [path...], "maps": [id...],
                             "programs": [id...], "links": [id...], "victims": [ifindex...],
                             "program": fd, "host": [nsid, the master's ifindex],
                             "host_end": its name, where it is to be reached for}
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import socket
import struct
import sys
from typing import Callable

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, OBJ_GET, MAP_NEXT_ID, PROG_BY_ID, MAP_BY_ID, LINK_CREATE, LINK_BY_ID = 5, 7, 12, 13, 14, 28, 30
AF_XDP, SOL_XDP, UMEM_REG, FILL_RING, COMPLETION_RING, RX_RING = 44, 283, 4, 5, 6, 2
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO, IFLA_LINK_NETNSID, IFLA_XDP, IFLA_TARGET_NETNSID = 3, 5, 18, 37, 43, 46
NESTED = 1 << 15


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def open_pin(path: str) -> None:
    name = ctypes.create_string_buffer(path.encode())
    bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))


def load_program() -> int:
    """A descriptor of one of two instructions: r0 = XDP_PASS, exit."""
    code = ctypes.create_string_buffer(bytes.fromhex("b700000002000000 9500000000000000"))
    licence = ctypes.create_string_buffer(b"GPL")
    head = struct.pack("=IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence))
    return bpf(PROG_LOAD, head)


def bind(ifindex: int, queue: int) -> None:
    """An AF_XDP socket with a UMEM of its own."""
    memory = mmap.mmap(-1, 64 * 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    with socket.socket(AF_XDP, socket.SOCK_RAW) as packets:
        packets.setsockopt(SOL_XDP, UMEM_REG, struct.pack("=QQII", address, len(memory), 4096, 0))
        for ring in (FILL_RING, COMPLETION_RING, RX_RING):
            packets.setsockopt(SOL_XDP, ring, struct.pack("=I", 64))
        name = struct.pack("=HHIII", AF_XDP, 0, ifindex, queue, 0)
        if libc.bind(packets.fileno(), name, len(name)) < 0:
            raise OSError(ctypes.get_errno(), "bind")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def netlink(kind: int, flags: int, ifindex: int, attributes: bytes) -> None:
    body = struct.pack("=BxHiII", 0, 0, ifindex, 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asked:
        asked.sendto(struct.pack("=IHHII", 16 + len(body), kind, 5 | flags, 1, 0) + body, (0, 0))
        reply = asked.recv(65536)
    if struct.unpack_from("=H", reply, 4)[0] == 2:  # NLMSG_ERROR, whose error may be none
        (error,) = struct.unpack_from("=i", reply, 16)
        if error:
            raise OSError(-error, "rtnetlink")


def set_xdp(ifindex: int, program: int, flags: int = 0) -> None:
    """`program` -1: detach."""
    inner = attribute(1, struct.pack("=i", program)) + attribute(3, struct.pack("=I", flags))
    netlink(RTM_SETLINK, 0, ifindex, attribute(IFLA_XDP | NESTED, inner))


def target(nsid: int, name: str) -> bytes:
    namespace = attribute(IFLA_TARGET_NETNSID, struct.pack("=i", nsid))
    return namespace + attribute(IFLA_IFNAME, name.encode() + b"\0")


def on_the_master(nsid: int, master: int) -> None:
    """A macvlan of its own beside the slaves."""
    attributes = attribute(IFLA_IFNAME, b"spy0\0") + attribute(IFLA_LINK, struct.pack("=I", master))
    attributes += attribute(IFLA_LINK_NETNSID, struct.pack("=i", nsid))
    attributes += attribute(IFLA_LINKINFO, attribute(1, b"macvlan\0"))
    netlink(RTM_NEWLINK, 0x600, 0, attributes)


def mount_bpffs() -> None:
    if libc.mount(b"none", b"/mnt", b"bpf", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "mount")
    assert not os.listdir("/mnt"), "nothing is pinned in a new one"


def outcome(attempt: Callable[..., object], *words: object) -> str:
    try:
        attempt(*words)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def main() -> None:
    task = json.loads(sys.argv[1])
    own = socket.if_nametoindex(task["interface"])
    by_id = {"map": MAP_BY_ID, "program": PROG_BY_ID, "link": LINK_BY_ID}
    tried = {
        f"{kind} by id": outcome(bpf, command, struct.pack("=I", number))
        for kind, command in by_id.items()
        for number in task[f"{kind}s"]
    }
    tried["look for maps"] = outcome(bpf, MAP_NEXT_ID, struct.pack("=I", 0))
    for path in task["pins"]:
        tried[f"pin {os.path.basename(path)}"] = outcome(open_pin, path)
    tried["load a program"] = outcome(load_program)
    for ifindex in task["victims"]:
        tried[f"queue of {ifindex}"] = outcome(bind, ifindex, 0)
    tried["its own second queue"] = outcome(bind, own, 1)
    tried["detach"] = outcome(set_xdp, own, -1)
    tried["detach, generic"] = outcome(set_xdp, own, -1, 2)
    for flags, name in ((0, "replace"), (2, "replace, generic"), (4, "replace, native")):
        tried[name] = outcome(set_xdp, own, task["program"], flags)
    link = struct.pack("=IIII", task["program"], own, 37, 0)  # BPF_XDP
    tried["replace by a link"] = outcome(bpf, LINK_CREATE, link)
    nsid, master = task["host"]
    if "host_end" in task:
        there = target(nsid, task["host_end"])
        tried["look at the host end"] = outcome(netlink, RTM_GETLINK, 0, 0, there)
        tried["delete the host end"] = outcome(netlink, RTM_DELLINK, 0, 0, there)
    tried["a macvlan on the master"] = outcome(on_the_master, nsid, master)
    tried["mount bpffs"] = outcome(mount_bpffs)
    print(json.dumps(tried))


if __name__ == "__main__":
    main()
