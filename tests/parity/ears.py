# SPDX-License-Identifier: Apache-2.0
"""Who heard it? Every place of the drawing listens all the time, in four ways:

    tap       what is on an interface, in and out, as tcpdump sees it
    entrance  what an interface hands to its stack: behind ipvlan's own hook, so that the master's
              entrance hears what stays with the host, and nothing that went to a slave
    socket    what an ordinary UDP socket receives
    echo      the answers to echo requests

What is sent bears a token; who heard that token is looked up after a while of silence.
"""

from __future__ import annotations

import errno
import itertools
import re
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass

from space import Netns
from wire import ETH_P_ALL, PACKET_AUXDATA, PACKET_OUTGOING, SO_RCVBUFFORCE, SOL_PACKET
from wire import TP_STATUS_VLAN_VALID

PORT = 4000
ETH_P_TEST, ETH_P_PAUSE = 0x88B5, 0x8808
PROTOCOLS = (0x0800, 0x86DD, 0x0806, ETH_P_TEST, ETH_P_PAUSE)
PACKET_OTHERHOST = 3
TOKEN = re.compile(rb"<parity \d{6}>")
_numbers = itertools.count(1)


def token() -> bytes:
    return b"<parity %06d>" % next(_numbers)


@dataclass(frozen=True)
class Heard:
    place: str
    how: str
    interface: str
    outgoing: bool
    data: bytes
    vlan: int | None = None
    ttl: int | None = None

    @property
    def source_mac(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def destination_mac(self) -> str:
        return self.data[0:6].hex(":")


class Ears:
    """All that is heard, in all places."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.last = time.monotonic()  # when a token was heard
        self._selector = selectors.DefaultSelector()
        self._ending = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]

    def add(self, how: str, place: str, channel: socket.socket) -> socket.socket:
        channel.setblocking(False)
        channel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        with self._lock:
            self._selector.register(channel, selectors.EVENT_READ, (how, place))
        return channel

    def clear(self) -> None:
        self.heard = []

    def with_token(self, mark: bytes) -> list[Heard]:
        return [one for one in list(self.heard) if mark in one.data]

    # ------------------------------------------------------------------ the listener

    def _listen(self) -> None:
        while not self._ending:
            # A short sleep where nothing is registered yet, too.
            ready = self._selector.select(0.05) or time.sleep(0.005)
            for key, _ in ready or ():
                try:
                    while True:
                        self._take(key.fileobj, *key.data)  # type: ignore[arg-type]
                except BlockingIOError:
                    pass
                except OSError:  # an interface went away; an ICMP error was reported
                    pass

    def _take(self, channel: socket.socket, how: str, place: str) -> None:
        data, control, _, address = channel.recvmsg(65536, 512)
        interface, outgoing, vlan, ttl = "", False, None, None
        if how in ("tap", "entrance"):
            interface, outgoing = address[0], address[2] == PACKET_OUTGOING
        for level, kind, value in control:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tag, _ = struct.unpack_from("=IIIHHHH", value)
                vlan = tag & 0xFFF if status & TP_STATUS_VLAN_VALID else None
            elif (level, kind) in ((socket.IPPROTO_IP, 2), (socket.IPPROTO_IPV6, 52)):
                (ttl,) = struct.unpack_from("=i", value)  # IP_TTL, IPV6_HOPLIMIT
        if how == "echo" and not _is_echo_reply(data) or how != "echo" and _is_icmp_error(data):
            return
        self.heard.append(Heard(place, how, interface, outgoing, data, vlan, ttl))
        if TOKEN.search(data):
            self.last = time.monotonic()


def _is_echo_reply(data: bytes) -> bool:
    """IPv4's raw sockets hand over the IP header, IPv6's do not."""
    if data[0] >> 4 == 4:
        return data[(data[0] & 0xF) * 4] == 0
    return data[0] == 129


def _is_icmp_error(frame: bytes) -> bool:
    """These quote what they are about, with its token."""
    ethertype, packet = frame[12:14], frame[14:]
    if ethertype == b"\x08\x00" and len(packet) > 20 and packet[9] == socket.IPPROTO_ICMP:
        kind = packet[(packet[0] & 0xF) * 4 :][:1]
        return kind not in (b"\0", b"\x08")
    if ethertype == b"\x86\xdd" and len(packet) > 40 and packet[6] == socket.IPPROTO_ICMPV6:
        return packet[40] < 128 or packet[40] == 137  # a redirect
    return False


class Place:
    """A namespace that listens, and that speaks from its interface."""

    def __init__(self, ears: Ears, name: str, space: Netns, interface: str, *, stack: bool) -> None:
        self.name, self.space, self.interface = name, space, interface
        self.ears = ears
        self._numbers = itertools.count(1)
        self._memberships: list[socket.socket] = []
        tap = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._raw = ears.add("tap", name, tap)
        if not stack:
            return
        for protocol in PROTOCOLS:
            entrance = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
            ears.add("entrance", name, entrance)
        self._udp = {4: self._udp_socket(4), 6: self._udp_socket(6)}
        self._icmp = {
            4: space.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            6: space.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
        }
        for channel in self._icmp.values():
            ears.add("echo", name, channel)

    def _udp_socket(self, family: int) -> socket.socket:
        if family == 4:
            channel = self.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            channel.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
            channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        else:
            channel = self.space.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind(("", PORT))
        return self.ears.add("socket", self.name, channel)

    def join(self, group: dict[int, str]) -> None:
        """On sockets of their own, so that leave() is to close them."""
        index = self.space.inside(lambda: socket.if_nametoindex(self.interface))
        for family, address in group.items():
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            channel = self.space.socket(kind, socket.SOCK_DGRAM)
            packed = socket.inet_pton(kind, address)
            if family == 4:
                request = packed + bytes(4) + struct.pack("=i", index)
                channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                request = packed + struct.pack("=i", index)
                channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            self._memberships.append(channel)

    def leave(self) -> None:
        while self._memberships:
            self._memberships.pop().close()

    # ---------------------------------------------------------------------- speaking

    def send(self, frame: bytes) -> str:
        """Puts a frame on the interface as it is; says what the sender is told."""
        (protocol,) = struct.unpack_from("!H", frame, 12)
        try:
            self._raw.sendto(frame, (self.interface, protocol))
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "nothing"

    def say(self, address: str, mark: bytes, ttl: int = 64) -> None:
        """A UDP datagram by the stack; to groups and broadcast addresses by the interface."""
        family = 6 if ":" in address else 4
        index = self.space.inside(lambda: socket.if_nametoindex(self.interface))
        if family == 4:
            # IP_PKTINFO names the interface, which 255.255.255.255 alone does not.
            grouped = address.endswith(".255") or address.startswith(("224.", "239."))
            info = struct.pack("=i4s4s", index if grouped else 0, bytes(4), bytes(4))
            control = [
                (socket.IPPROTO_IP, 8, info),
                (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", ttl)),
            ]
            self._udp[4].sendmsg([mark], control, 0, (address, PORT))
        else:
            grouped = address.startswith(("ff", "fe80"))
            control = [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack("=i", ttl))]
            to = (address, PORT, 0, index if grouped else 0)
            self._udp[6].sendmsg([mark], control, 0, to)

    def request_echo(self, address: str, mark: bytes) -> None:
        family = 6 if ":" in address else 4
        number = next(self._numbers)
        packet = struct.pack("!BBHHH", 128 if family == 6 else 8, 0, 0, 7, number) + mark
        if family == 4:  # of IPv6 the kernel writes the checksum
            packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
        self._icmp[family].sendto(packet, (address, 0))


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
