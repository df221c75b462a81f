# SPDX-License-Identifier: Apache-2.0
"""What does the kernel answer to a request about links and addresses, in its own word?

`ip` prints a sentence where the kernel sends one, and hides the errno behind it; and it costs a
process each time. `ok` or the errno's name: that is all a scenario compares.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

from space import Netns

_NETLINK_ROUTE, _NLMSG_ERROR = 0, 2
_REQUEST, _ACK, _CREATE, _EXCL = 0x1, 0x4, 0x400, 0x200
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR = 16, 17, 18, 20, 21
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_LINKINFO, _IFLA_NET_NS_FD, _INFO_KIND, _INFO_DATA = 18, 28, 1, 2
_IPVLAN_MODE, _IPVLAN_FLAGS = 1, 2
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_F_NODAD = 1, 2, 8, 0x02
IFF_UP = 0x1
MODES = {"l2": 0, "l3": 1, "l3s": 2}
FLAGS = {"bridge": 0, "private": 1, "vepa": 2}


def attribute(kind: int, value: bytes | str | int) -> bytes:
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def ask(space: Netns, kind: int, body: bytes, flags: int = 0) -> str:
    """`ok`, or the errno's name."""
    answer = _exchange(space, kind, body, flags | _ACK)
    assert struct.unpack_from("=H", answer, 4)[0] == _NLMSG_ERROR, answer
    code = -struct.unpack_from("=i", answer, 16)[0]
    names = errno.errorcode | {errno.EOPNOTSUPP: "EOPNOTSUPP"}  # Python says ENOTSUP
    return names[code] if code else "ok"


def _exchange(space: Netns, kind: int, body: bytes, flags: int) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST, 1, 0)
    with space.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as channel:
        channel.send(header + body)
        return channel.recv(65536)


def index_of(space: Netns, interface: str) -> int:
    """0 where there is no such interface; if_nametoindex() would look for a module by its name."""
    answer = _exchange(space, _GETLINK, _link() + attribute(_IFLA_IFNAME, interface), 0)
    if struct.unpack_from("=H", answer, 4)[0] == _NLMSG_ERROR:
        return 0
    return struct.unpack_from("=i", answer, 16 + 4)[0]


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


def _ipvlan(mode: int | None, flag: int | None) -> bytes:
    data = b""
    if mode is not None:
        data += attribute(_IPVLAN_MODE, struct.pack("=H", mode))
    if flag is not None:
        data += attribute(_IPVLAN_FLAGS, struct.pack("=H", flag))
    info = attribute(_INFO_KIND, "ipvlan") + (attribute(_INFO_DATA, data) if data else b"")
    return attribute(_IFLA_LINKINFO, info)


def add_ipvlan(
    space: Netns,
    link: int | None,
    name: str,
    netns: Netns,
    mode: int | None = None,
    flag: int | None = None,
    mtu: int = 0,
) -> str:
    body = _link() + attribute(_IFLA_IFNAME, name) + _ipvlan(mode, flag)
    if link is not None:
        body += attribute(_IFLA_LINK, link)
    if mtu:
        body += attribute(_IFLA_MTU, mtu)
    with open(netns.path) as handle:
        body += attribute(_IFLA_NET_NS_FD, handle.fileno())
        return ask(space, _NEWLINK, body, _CREATE | _EXCL)


def change_ipvlan(space: Netns, name: str, mode: int | None, flag: int | None) -> str:
    return ask(space, _NEWLINK, _link(index_of(space, name)) + _ipvlan(mode, flag))


def add_macvlan(space: Netns, link: str, name: str) -> str:
    body = _link() + attribute(_IFLA_IFNAME, name) + attribute(_IFLA_LINK, index_of(space, link))
    body += attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, "macvlan"))
    return ask(space, _NEWLINK, body, _CREATE | _EXCL)


def add_vlan(space: Netns, link: str, name: str, number: int) -> str:
    data = attribute(1, struct.pack("=H", number))  # IFLA_VLAN_ID
    info = attribute(_INFO_KIND, "vlan") + attribute(_INFO_DATA, data)
    body = _link() + attribute(_IFLA_IFNAME, name) + attribute(_IFLA_LINK, index_of(space, link))
    return ask(space, _NEWLINK, body + attribute(_IFLA_LINKINFO, info), _CREATE | _EXCL)


def delete(space: Netns, name: str) -> str:
    return ask(space, _DELLINK, _link(index_of(space, name)))


def set_up(space: Netns, name: str, up: bool) -> str:
    return ask(space, _NEWLINK, _link(index_of(space, name), IFF_UP * up, IFF_UP))


def set_mac(space: Netns, name: str, mac: str) -> str:
    value = bytes.fromhex(mac.replace(":", ""))
    return ask(space, _NEWLINK, _link(index_of(space, name)) + attribute(_IFLA_ADDRESS, value))


def set_mtu(space: Netns, name: str, mtu: int) -> str:
    return ask(space, _NEWLINK, _link(index_of(space, name)) + attribute(_IFLA_MTU, mtu))


def set_master(space: Netns, name: str, master: str) -> str:
    index = index_of(space, master) if master else 0
    return ask(space, _NEWLINK, _link(index_of(space, name)) + attribute(_IFLA_MASTER, index))


def move(space: Netns, name: str, netns: Netns) -> str:
    with open(netns.path) as handle:
        body = _link(index_of(space, name)) + attribute(_IFLA_NET_NS_FD, handle.fileno())
        return ask(space, _NEWLINK, body)


def add_address(space: Netns, name: str, prefix: str, peer: str | None = None) -> str:
    return _address(_NEWADDR, space, name, prefix, peer, _CREATE | _EXCL)


def delete_address(space: Netns, name: str, prefix: str) -> str:
    return _address(_DELADDR, space, name, prefix, None, 0)


def _address(
    kind: int, space: Netns, name: str, prefix: str, peer: str | None, flags: int
) -> str:
    own = ipaddress.ip_interface(prefix)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, own.network.prefixlen, 0, 0, index_of(space, name))
    body += attribute(_IFA_LOCAL, own.ip.packed)
    body += attribute(_IFA_ADDRESS, ipaddress.ip_address(peer).packed if peer else own.ip.packed)
    if own.version == 6:
        body += attribute(_IFA_FLAGS, _IFA_F_NODAD)
    return ask(space, kind, body, flags)
