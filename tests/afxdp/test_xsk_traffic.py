# SPDX-License-Identifier: Apache-2.0
"""Does an application on an AF_XDP slave get every frame, and does what it sends arrive as it was?

    external              host                     ns0
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (client)
"""

from __future__ import annotations

import re
import signal

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import eventually, ping_lost, ping_ok
from wire import Capture, Sender, carrying
from xsk import APP, XSK, Client, add_app


def to_app(net: Topology, payload: bytes) -> Packet:
    ethernet = Ether(dst=net.mac, src=net.external_mac)
    return ethernet / IP(src=EXTERNAL[4], dst=APP[4]) / UDP(sport=9, dport=9) / payload


def test_drop_counts_what_came(net: Topology) -> None:
    space, _ = add_app(net, "l3")  # nobody's broadcasts come there
    frame = bytes(to_app(net, b"x" * 100))
    count = 1500  # the ring holds them all, however late the client is
    with Client(space, "drop", "app0", "--count", str(count)) as client:
        with Sender(net.external, "x0") as sender:
            sender.send(frame, count)
        (queue,) = client.wait()["sockets"]
    assert queue["interface"] == "app0" and queue["queue"] == 0
    assert queue["rx"] == {"packets": count, "bytes": count * len(frame)}
    assert queue["tx"]["packets"] == 0 and not any(queue["drops"].values())


def test_drop_knows_what_it_missed(net: Topology) -> None:
    space, _ = add_app(net, "l3")
    frame = bytes(to_app(net, b"x" * 100))
    with Client(space, "drop", "app0", "--ring", "64", "--count", "64") as client:
        client.signal(signal.SIGSTOP)
        with Sender(net.external, "x0") as sender:
            sender.send(frame, 100)
        client.signal(signal.SIGCONT)
        (queue,) = client.wait()["sockets"]
    assert queue["rx"]["packets"] == 64 and queue["drops"]["rx_dropped"] == 36


def missed(net: Topology) -> int:
    """What the kernel had no chunk for, of app0, as root of its namespace sees it."""
    (link,) = net.netns("ns0").ip_json("-s link show dev app0")
    return link["stats64"]["rx"]["dropped"]


@pytest.mark.parametrize("mtu", [3000, 9000])
def test_what_is_too_long_for_a_chunk_is_counted_or_comes_in_several(net: Topology, mtu: int) -> None:
    net.host.ip(f"link set m0 mtu {mtu}"), net.external.ip(f"link set x0 mtu {mtu}")
    space, _ = add_app(net)
    frame = bytes(to_app(net, b"x" * (mtu - 28)))
    with Client(space, "drop", "app0") as client, Sender(net.external, "x0") as sender:
        before = missed(net)
        sender.send(frame, 10)
        sender.send(bytes(to_app(net, b"short")))
        ping_lost(net.external, APP[4])  # by then all have come
        (queue,) = client.summary()["sockets"]
    assert queue["drops"]["rx_dropped"] == 10 and queue["rx"]["packets"] >= 1
    assert missed(net) == before + 10
    words = ("--multi-buffer", "--count", "10")
    with Client(space, "drop", "app0", *words) as client, Sender(net.external, "x0") as sender:
        sender.send(frame, 10)
        (queue,) = client.wait()["sockets"]
    assert queue["rx"] == {"packets": 10, "bytes": 10 * len(frame)}


@pytest.mark.parametrize("family", FAMILIES)
def test_generated_frames_arrive_as_they_are(net: Topology, family: int) -> None:
    space, _ = add_app(net)
    space.wait_for_addresses("app0")
    size, count = 123, 1000
    # Sending needs no program and no map, and takes nothing from the container's stack.
    words = ["--to", EXTERNAL[family], "--to-mac", net.external_mac, "--size", str(size)]
    words += ["--to-port", "2000", "--from-port", "1000", "--count", str(count)]
    letters = b"abcdefghijklmnopqrstuvwxyz" * 5
    with Capture(net.external, "x0") as capture:
        with Client(space, "generate", "app0", *words) as client:
            (queue,) = client.wait()["sockets"]
        # What the namespace answers, with the frame in it, is no frame of the client's.
        is_generated = carrying(letters[:40])
        frames = capture.wait_for(lambda f: not f.outgoing and is_generated(f), count)
    assert queue["tx"] == {"packets": count, "bytes": count * size}
    for number, frame in enumerate(frames):
        ip = IP(src=APP[4], dst=EXTERNAL[4], id=0, flags="DF") if family == 4 else IPv6(src=APP[6], dst=EXTERNAL[6])
        headers = Ether(dst=net.external_mac, src=net.mac) / ip / UDP(sport=1000, dport=2000)
        room = size - len(headers)
        payload = number.to_bytes(8, "big") + letters[: room - 8]
        assert frame.data == bytes(headers / Raw(payload)), number
    assert len(frames) == count


def test_generate_keeps_a_rate(net: Topology) -> None:
    space, _ = add_app(net)
    words = ["--to", EXTERNAL[4], "--to-mac", net.external_mac, "--rate", "500", "--seconds", "2"]
    with Client(space, "generate", "app0", *words) as client:
        (queue,) = client.wait()["sockets"]
    assert 900 <= queue["tx"]["packets"] <= 1000
    ping_ok(net.external, APP[4])


def test_a_killed_client_leaves_the_stack_its_packets(net: Topology) -> None:
    space, _ = add_app(net)
    ping_ok(net.external, APP[4])
    with Client(space, "drop", "app0") as client:
        ping_lost(net.external, APP[4])
        client.kill()
        ping_ok(net.external, APP[4])
    # Another one finds everything as the first did; what a kill leaves busy for a moment it waits for.
    for _ in range(3):
        with Client(space, "drop", "app0") as client:
            client.kill()
    ping_ok(net.external, APP[4])


def test_what_arrives_is_said_each_second(net: Topology) -> None:
    space, _ = add_app(net)
    with Client(space, "drop", "app0") as client, Sender(net.external, "x0") as sender:
        sender.send(bytes(to_app(net, b"x")), 10)
        eventually("a line of progress", lambda: '"final":false' in client.said)
        reports = client.reports
    assert any(report["sockets"][0]["rx"]["packets"] >= 10 for report in reports)


def test_people_are_told_in_words(net: Topology) -> None:
    space, _ = add_app(net)
    done = space.run(XSK, "drop", "app0", "--seconds", "1.5", timeout=20)
    ready, progress = done.stderr.splitlines()
    assert ready == "ready: app0 queue 0, copying"
    assert re.fullmatch(r"1 s  app0: received \d+/s, sent 0/s, dropped 0", progress)
    name, received, sent, dropped = done.stdout.splitlines()
    assert re.fullmatch(r"app0 queue 0, \d\.\d s", name)
    assert re.fullmatch(r"  received +\d+ packets +\d+ bytes +\d+ packets/s", received)
    assert re.fullmatch(r"  sent +0 packets +0 bytes +0 packets/s", sent)
    assert re.fullmatch(r"  dropped +0 packets", dropped)
