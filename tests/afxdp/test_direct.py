# SPDX-License-Identifier: Apache-2.0
"""Do sockets on the master itself get their slaves' frames, and those alone? For trusted applications.

    external              host                            ns0
    x0  ---- veth ----  m0 (the sockets) ==== slaves ==== app0
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Callable, Iterator

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from intruder import AF_XDP
from ipvlanx import EXTERNAL, FAMILIES, Topology
from raw_xsk import RawXsk
from space import eventually, ping_lost, ping_ok
from test_handshake import Client, door
from wire import Capture, Sender, carrying
from xsk import APP, PLAIN, with_prefix
from xsk import Client as Application

MARK = b"ipvlanx-test-marker"
APPS = {"app0": APP, "app1": PLAIN}


@pytest.fixture
def direct(net: Topology) -> Topology:
    """Direct slaves are allowed; app0 and app1 are some, each in a namespace of its own."""
    net.daemon.use_settings("[afxdp]\ndirect = on\n")
    for number, (name, addresses) in enumerate(APPS.items()):
        net.netns(f"ns{number}")
        words = " ".join(f"addr {with_prefix(address)}" for address in addresses.values())
        net.daemon.cli(f"link add link m0 name {name} mode l2 via afxdp direct netns ns{number} {words}")
    return net


Open = Callable[..., RawXsk]


@pytest.fixture
def opened(direct: Topology) -> Iterator[Open]:
    """Opens the socket of an application that is beside the master."""
    with contextlib.ExitStack() as stack:

        def open_one(name: str, queue: int = 0, beside: RawXsk | None = None) -> RawXsk:
            client = Client(direct.host, door(direct, name))
            stack.callback(client.close)
            assert client.ask("/connect,here") == "/host_ok"
            assert client.ask("/xsk_map_fd,m0") == "/fd_ack"
            (sockets,) = client.fds
            fd = direct.host.socket(AF_XDP, socket.SOCK_RAW).detach()
            xsk = RawXsk(fd, direct.master, queue, beside)
            stack.callback(xsk.close)
            xsk.enter(sockets, queue)
            return xsk

        yield open_one


def frame_to(net: Topology, name: str, family: int = 4, payload: bytes = MARK) -> Packet:
    ip = IP if family == 4 else IPv6
    ethernet = Ether(dst=net.mac, src=net.external_mac)
    return ethernet / ip(src=EXTERNAL[family], dst=APPS[name][family]) / UDP(sport=9, dport=9) / payload


@pytest.mark.parametrize("family", FAMILIES)
def test_a_socket_gets_its_slaves_frames_byte_for_byte(direct: Topology, opened: Open, family: int) -> None:
    (port,) = direct.daemon.cli_json("port show m0")
    assert port["xdp"] == {"wanted": "auto", "attached": "native", "why": None}
    mine, other = opened("app0"), direct.netns("ns1")
    ours, theirs = (bytes(frame_to(direct, name, family)) for name in ("app0", "app1"))
    with Capture(other, "app1") as at_other, Sender(direct.external, "x0") as sender:
        sender.send(theirs), sender.send(ours)
        assert mine.receive() == ours
        at_other.wait_for(carrying(MARK))  # whose application has no socket: its stack gets it
        assert mine.frames() == []


def test_what_it_sends_leaves_as_it_is(direct: Topology, opened: Open) -> None:
    mine = opened("app0")
    frame = bytes(Ether(dst=direct.external_mac, src="02:00:00:00:00:55") / IP(dst=EXTERNAL[4]) / MARK)
    with Capture(direct.external, "x0") as wire:
        mine.send(frame)
        (seen,) = wire.wait_for(carrying(MARK))
    assert seen.data == frame


def test_several_share_a_queue_and_its_memory(direct: Topology, opened: Open) -> None:
    first = opened("app0")
    with pytest.raises(OSError, match="16"):  # EBUSY: a queue has one memory
        opened("app1")
    second = opened("app1", beside=first)
    frames = {name: bytes(frame_to(direct, name)) for name in APPS}
    with Sender(direct.external, "x0") as sender:
        for _ in range(5):
            for frame in frames.values():
                sender.send(frame)
        assert first.frames() == [frames["app0"]] * 5
        assert second.frames() == [frames["app1"]] * 5


def test_when_the_application_dies_the_stack_has_the_frames_again(direct: Topology) -> None:
    direct.netns("ns0").wait_for_addresses("app0")
    words = ("drop", "m0", "--socket", str(door(direct, "app0")))
    with Application(direct.host, *words) as application:
        ping_lost(direct.external, APP[4])
        application.kill()
        ping_ok(direct.external, APP[4])


@pytest.mark.parametrize("family", FAMILIES)
def test_checksums_that_a_sender_left_to_hardware_are_whole(
    direct: Topology, opened: Open, family: int
) -> None:
    mine = opened("app0")
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    direct.external.ip(f"neigh replace {APP[family]} lladdr {direct.mac} dev x0")

    def check(transport: type[Packet]) -> None:
        def look() -> Packet | None:
            return next((p for p in map(Ether, mine.frames(0.02)) if transport in p), None)

        packet = eventually("its packet", look)
        said = packet[transport].chksum
        del packet[transport].chksum
        assert Ether(bytes(packet))[transport].chksum == said

    with direct.external.socket(kind, socket.SOCK_DGRAM) as sender:
        sender.connect((APP[family], 7))
        for size in (0, 1, 2, 333, 1400):
            sender.send(os.urandom(size))
            check(UDP)
    with direct.external.socket(kind, socket.SOCK_STREAM) as sender:
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sender.connect((APP[family], 7))
        check(TCP)


def test_handed_a_socket_an_application_in_a_container_needs_no_right(direct: Topology) -> None:
    client = Client(direct.netns("ns0"), door(direct, "app0"))
    assert client.ask("/connect,there") == "/host_ok"
    assert client.ask("/x_socket") == f"/fd_ack,{direct.master}"
    (handed,) = client.fds
    assert client.ask("/xsk_map_fd,m0") == "/fd_ack"
    (sockets,) = client.fds
    mine = RawXsk(handed, direct.master, 0)
    mine.enter(sockets, 0)
    frame = bytes(frame_to(direct, "app0"))
    with Sender(direct.external, "x0") as sender:
        sender.send(frame)
        assert mine.receive() == frame
    client.close()


def test_others_are_handed_nothing(direct: Topology) -> None:
    stranger = Client(direct.netns("ns1"), door(direct, "app0"))
    assert stranger.ask("/connect,there") == "/host_nak"
    stranger.close()
    direct.netns("ns2")
    direct.daemon.cli("link add link m0 name tenant0 via afxdp netns ns2")
    tenant = Client(direct.netns("ns2"), door(direct, "tenant0"))
    assert tenant.ask("/connect,there") == "/host_ok"
    assert tenant.ask("/x_socket") == "/nak"
    tenant.close()


def test_the_reference_client_beside_the_master(direct: Topology) -> None:
    words = ("drop", "m0", "--socket", str(door(direct, "app0")), "--count", "10")
    with Application(direct.host, *words) as application, Sender(direct.external, "x0") as sender:
        sender.send(frame_to(direct, "app0"), 10)
        (queue,) = application.wait()["sockets"]
    assert queue["rx"]["packets"] == 10


def test_it_outlives_the_daemon(direct: Topology, opened: Open) -> None:
    mine = opened("app0")
    frame = bytes(frame_to(direct, "app0"))
    direct.daemon.kill()
    with Sender(direct.external, "x0") as sender:
        sender.send(frame)
        assert mine.receive() == frame
        direct.daemon.start()
        sender.send(frame)
        assert mine.receive() == frame
        direct.daemon.cli("link del app0")
        sender.send(frame)
        assert mine.frames() == []


def test_not_unless_the_settings_allow_it(net: Topology) -> None:
    net.netns("ns0")
    words = ("link", "add", "link", "m0", "name", "app0", "mode", "l2", "via", "afxdp", "direct", "netns", "ns0")
    done = net.daemon.try_cli(*words)
    assert done.returncode == 2 and "the settings do not allow it" in done.stderr
    assert net.daemon.cli_json("link show") == []
    net.daemon.use_settings("[afxdp]\ndirect = on\n")
    net.daemon.cli(" ".join(words))
    done = net.daemon.try_cli("port", "set", "m0", "mode", "l3s")
    assert done.returncode == 2 and "direct" in done.stderr
    net.daemon.cli("link del app0")
    done = net.daemon.try_cli(*(word.replace("l2", "l3s") for word in words))
    assert done.returncode == 2 and "l3s" in done.stderr


def test_where_the_driver_has_no_xdp_it_is_generic(net: Topology) -> None:
    net.host.ip("link add br0 type bridge"), net.host.ip("link set br0 up")
    net.netns("ns0")
    net.daemon.use_settings("[afxdp]\ndirect = on\n")
    net.daemon.cli("link add link br0 name app0 mode l2 via afxdp direct netns ns0")
    (port,) = net.daemon.cli_json("port show br0")
    assert port["xdp"] == {"wanted": "auto", "attached": "generic", "why": None}
    net.daemon.cli("link del app0")
    assert "xdp" not in net.host.link("br0")


def test_an_application_has_a_socket_for_each_queue(direct: Topology) -> None:
    direct.host.ip(
        f"link add m1 numrxqueues 2 type veth peer name x1 numtxqueues 2 netns {direct.external.name}"
    )
    direct.external.run("ethtool", "-L", "x1", "tx", "2")
    direct.host.ip("link set m1 up"), direct.external.ip("link set x1 up")
    direct.daemon.cli("link add link m1 name app2 mode l2 via afxdp direct addr 10.9.0.2/24")
    link = direct.host.link("m1")
    client = Client(direct.host, door(direct, "app2"))
    assert client.ask("/connect,here") == "/host_ok" and client.ask("/xsk_map_fd,m1") == "/fd_ack"
    (sockets,) = client.fds
    queues = []
    for queue in range(2):
        fd = direct.host.socket(AF_XDP, socket.SOCK_RAW).detach()
        queues.append(RawXsk(fd, link["ifindex"], queue))
        queues[-1].enter(sockets, queue)
    direct.external.ip("addr add 10.9.0.1/24 dev x1")
    direct.external.ip(f"neigh replace 10.9.0.2 lladdr {link['address']} dev x1")
    sent = set()
    for flow in range(32):  # each on the queue that its hash says
        with direct.external.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("10.9.0.2", 9))
            sender.send(b"%d" % flow)
            sent.add(b"%d" % flow)
    got = [{bytes(Ether(frame)[Raw])[:2] for frame in queue.frames()} for queue in queues]
    assert {text.strip(b"\0") for text in got[0] | got[1]} == sent and all(got) and not got[0] & got[1]
    client.close()
