# SPDX-License-Identifier: Apache-2.0
"""What do the frames look like that are put on an interface as they are?"""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ears import ETH_P_TEST, PORT

BROADCAST = "ff:ff:ff:ff:ff:ff"
STRANGER = "02:de:ad:be:ef:01"


def group_mac(address: str) -> str:
    """Where a stack sends a packet for this group, or to everybody."""
    if ":" in address:
        tail = bytes(IPv6(src="::", dst=address))[36:40]
        return "33:33:" + tail.hex(":")
    if address.endswith(".255"):
        return BROADCAST
    a, b, c = (int(part) for part in address.split(".")[1:])
    return f"01:00:5e:{a & 0x7F:02x}:{b:02x}:{c:02x}"


def udp(source: str, destination: str, mark: bytes) -> Packet:
    layer = IPv6(src=source, dst=destination, hlim=64) if ":" in destination else None
    layer = layer or IP(src=source, dst=destination, ttl=64)
    return layer / UDP(sport=PORT, dport=PORT) / Raw(mark)


def frame(source_mac: str, destination_mac: str, packet: Packet) -> bytes:
    return bytes(Ether(src=source_mac, dst=destination_mac) / packet)


def of_another_protocol(source_mac: str, destination_mac: str, mark: bytes, kind: int = ETH_P_TEST):
    return bytes(Ether(src=source_mac, dst=destination_mac, type=kind) / Raw(mark.ljust(46, b".")))


def with_bytes(data: bytes, at: int, value: bytes) -> bytes:
    """The frame with some of its bytes replaced; checksums stay as they were."""
    return data[:at] + value + data[at + len(value) :]
