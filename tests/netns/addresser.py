# SPDX-License-Identifier: Apache-2.0
"""How does a test add and delete addresses thousands of times a second?

`ip addr add` and `del` without the cost of starting a process.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

from space import Netns

# rtnetlink
RTM_NEWADDR, RTM_DELADDR = 20, 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 1, 4, 0x400
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 2


class Addresser:
    """One interface's addresses, by one socket in its namespace."""

    def __init__(self, netns: Netns, interface: str) -> None:
        self._socket = netns.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._ifindex = netns.link(interface)["ifindex"]

    def close(self) -> None:
        self._socket.close()

    def _request(self, message: int, address: str) -> None:
        parsed = ipaddress.ip_address(address)
        family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
        bits = parsed.max_prefixlen
        body = struct.pack("=BBBBI", family, bits, IFA_F_NODAD, 0, self._ifindex)
        for kind in (IFA_LOCAL, IFA_ADDRESS):
            body += struct.pack("=HH", 4 + len(parsed.packed), kind) + parsed.packed
        flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE
        header = struct.pack("=IHHII", 16 + len(body), message, flags, 1, 0)
        self._socket.send(header + body)
        reply = self._socket.recv(4096)
        (error,) = struct.unpack_from("=i", reply, 16)
        assert error == 0, os.strerror(-error)

    def add(self, address: str) -> None:
        self._request(RTM_NEWADDR, address)

    def delete(self, address: str) -> None:
        self._request(RTM_DELADDR, address)
