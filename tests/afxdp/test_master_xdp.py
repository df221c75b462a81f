# SPDX-License-Identifier: Apache-2.0
"""Is there a program at the master's XDP hook while it is needed, and does it change nothing but speed?

What it takes is not seen by a capture on the master: that sits behind XDP.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Iterator

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ipvlanx import EXTERNAL, FAMILIES, Topology
from space import Netns, ping_ok
from wire import Capture, Sender, carrying
from xsk import APP, PLAIN, Client, add_app, add_plain

MARK = b"ipvlanx-test-marker"


def xdp_of(net: Topology, master: str = "m0") -> dict:
    (port,) = net.daemon.cli_json(f"port show {master}")
    return port["xdp"]


def program_at(net: Topology, interface: str = "m0") -> int | None:
    """The id of the program at this XDP hook, whosever it is."""
    xdp = net.host.link(interface).get("xdp")
    return xdp["prog"]["id"] if xdp else None


def to_app(net: Topology, payload: bytes = MARK, family: int = 4) -> Packet:
    ip = IP if family == 4 else IPv6
    ethernet = Ether(dst=net.mac, src=net.external_mac)
    return ethernet / ip(src=EXTERNAL[family], dst=APP[family]) / UDP(sport=9, dport=9) / payload


@contextlib.contextmanager
def natively(net: Topology, mode: str = "l2") -> Iterator[Netns]:
    space, _ = add_app(net, mode)
    net.daemon.cli("port set m0 xdp native")
    assert xdp_of(net) == {"wanted": "native", "attached": "native", "why": None}
    yield space


# ------------------------------------------------------------------------ the frames


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_it_takes_the_frames_before_the_stack(net: Topology, mode: str, family: int) -> None:
    with natively(net, mode) as space:
        frame = bytes(to_app(net, MARK, family))
        with Client(space, "drop", "app0", "--count", "50") as client, Capture(net.host, "m0") as master:
            with Sender(net.external, "x0") as sender:
                sender.send(frame, 50)
            (queue,) = client.wait()["sockets"]
            master.settle()
    assert queue["rx"] == {"packets": 50, "bytes": 50 * len(frame)}
    assert not master.matching(carrying(MARK))
    rx = net.daemon.cli_json("stats show dev app0")[0]["rx"]
    assert rx["packets"] >= 50 and rx["bytes"] >= 50 * len(frame)


def seen_behind_it(net: Topology, space: Netns, *frames: Packet) -> int:
    """How many of these frames, which bear the mark, the host's side of the master sees."""
    with Client(space, "drop", "app0"), Capture(net.host, "m0") as master:
        with Sender(net.external, "x0") as sender:
            for frame in frames:
                sender.send(frame)
        master.settle()
    return len(master.matching(carrying(MARK)))


def test_what_it_does_not_know_goes_on_to_tc(net: Topology) -> None:
    with natively(net) as space:
        assert seen_behind_it(net, space, to_app(net)) == 0
        for_another = to_app(net)
        for_another[Ether].dst = "02:00:00:00:00:77"
        to_all = to_app(net)
        to_all[Ether].dst = "ff:ff:ff:ff:ff:ff"
        for_nobody = to_app(net)
        for_nobody[IP].dst = "10.0.0.99"
        lies = to_app(net)
        lies[IP].len = 1000
        other_transport = to_app(net)
        other_transport[IP].proto = 47
        assert seen_behind_it(net, space, for_another, to_all, for_nobody, lies, other_transport) == 5


def test_in_l3s_the_hosts_stack_comes_first(net: Topology) -> None:
    with natively(net, "l3s") as space:
        with Capture(net.host, "m0") as master, Client(space, "drop", "app0", "--count", "5") as client:
            with Sender(net.external, "x0") as sender:
                sender.send(to_app(net), 5)
            client.wait()
        assert len(master.matching(carrying(MARK))) == 5


# A tag that lies beside the frame, as a NIC that takes it out gives it, or a sender that
# leaves it to the hardware.
TAGGED = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
SEC("tc") int tag(struct __sk_buff *skb) { bpf_skb_vlan_push(skb, bpf_htons(0x8100), 5); return 0; }
char LICENSE[] SEC("license") = "GPL";
"""


def test_a_tag_that_lies_beside_the_frame_is_seen(net: Topology, tmp_path: Path) -> None:
    source, program = tmp_path / "tag.c", tmp_path / "tag.o"
    source.write_text(TAGGED)
    include = "-I/usr/include/x86_64-linux-gnu"
    net.host.run("clang-19", "-target", "bpf", "-O2", "-g", include, "-c", str(source), "-o", str(program))
    with natively(net) as space:
        net.external.run("tc", "qdisc", "add", "dev", "x0", "clsact")
        words = f"tc filter add dev x0 egress bpf direct-action obj {program} sec tc"
        net.external.run(*words.split())
        with Client(space, "drop", "app0") as client, Capture(net.host, "m0") as master:
            with Sender(net.external, "x0") as sender:
                sender.send(to_app(net), 5)
            assert {frame.vlan for frame in master.wait_for(carrying(MARK), 5)} == {5}
            (queue,) = client.summary()["sockets"]
    assert queue["rx"]["packets"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_checksums_that_a_sender_left_to_hardware_are_whole(net: Topology, family: int) -> None:
    with natively(net) as space, Client(space, "echo", "app0"):
        features = net.external.run("ethtool", "-k", "x0").stdout
        assert "tx-checksumming: on" in features
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with net.external.socket(kind, socket.SOCK_DGRAM, 0) as asker:
            asker.settimeout(3)
            asker.connect((APP[family], 7))
            for size in (1, 2, 333, 1400):
                payload = os.urandom(size)
                asker.send(payload)
                # The answer bears the sum of the question, and is looked at by the kernel.
                assert asker.recv(2000) == payload


# ------------------------------------------------------------------- when it is there


def test_on_a_veth_only_where_it_is_asked_for(net: Topology) -> None:
    add_app(net)
    xdp = xdp_of(net)
    assert xdp["wanted"] == "auto" and xdp["attached"] == "off" and "segmentation" in xdp["why"]
    assert not program_at(net)
    net.daemon.cli("port set m0 xdp native")
    assert program_at(net)
    net.daemon.cli("port set m0 xdp off")
    assert xdp_of(net) == {"wanted": "off", "attached": "off", "why": None}
    assert not program_at(net)


TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


@pytest.fixture
def tap(net: Topology) -> Iterator[int]:
    """`nic0` on the host, whose driver has native XDP, and which is no pair; the fd is its wire."""
    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"nic0", IFF_TAP | IFF_NO_PI))
        return fd

    fd = net.host.inside(make)
    net.host.ip("link set nic0 up")
    yield fd
    os.close(fd)


def test_on_a_nic_while_a_slave_needs_it(net: Topology, tap: int) -> None:
    space = net.netns("ns0")
    net.daemon.cli("link add link nic0 name plain0 mode l2 netns ns0")
    assert xdp_of(net, "nic0") == {"wanted": "auto", "attached": "off", "why": None}
    net.daemon.cli("link add link nic0 name app0 mode l2 via afxdp netns ns0 addr 10.0.0.10/24")
    assert xdp_of(net, "nic0") == {"wanted": "auto", "attached": "native", "why": None}
    mac = net.host.link("nic0")["address"]
    frame = bytes(Ether(dst=mac, src=net.external_mac) / IP(src=EXTERNAL[4], dst=APP[4]) / UDP() / MARK)
    with Client(space, "drop", "app0", "--count", "10") as client, Capture(net.host, "nic0") as master:
        for _ in range(10):
            os.write(tap, frame)
        client.wait()
        assert not master.matching(carrying(MARK))
    net.daemon.cli("port set nic0 mode l3s")
    assert xdp_of(net, "nic0")["attached"] == "off"
    net.daemon.cli("port set nic0 mode l3")
    assert xdp_of(net, "nic0")["attached"] == "native"
    net.daemon.cli("link del app0")
    assert xdp_of(net, "nic0")["attached"] == "off"
    assert not program_at(net, "nic0")


def test_a_driver_that_cannot_is_told(net: Topology) -> None:
    net.host.ip("link add br0 type bridge"), net.host.ip("link set br0 up")
    net.netns("ns0")
    net.daemon.cli("link add link br0 name app0 mode l2 via afxdp netns ns0")
    xdp = xdp_of(net, "br0")
    assert xdp["attached"] == "off" and "not supported" in xdp["why"]
    done = net.daemon.try_cli("port", "set", "br0", "xdp", "native")
    assert done.returncode == 2 and "not supported" in done.stderr
    assert xdp_of(net, "br0")["wanted"] == "auto"


def test_somebody_elses_program_stays(net: Topology, tmp_path: Path) -> None:
    source, program = tmp_path / "pass.c", tmp_path / "pass.o"
    text = '#include <linux/bpf.h>\n__attribute__((section("xdp"))) int p(struct xdp_md *c) { return 2; }\n'
    source.write_text(text)
    include = "-I/usr/include/x86_64-linux-gnu"
    net.host.run("clang-19", "-target", "bpf", "-O2", "-g", include, "-c", str(source), "-o", str(program))
    net.host.ip(f"link set m0 xdpdrv obj {program} sec xdp")
    theirs = program_at(net)
    add_app(net)
    done = net.daemon.try_cli("port", "set", "m0", "xdp", "native")
    assert done.returncode == 2 and "busy" in done.stderr
    assert xdp_of(net)["attached"] == "off" and program_at(net) == theirs


def test_it_outlives_the_daemon_and_is_replaced_in_place(net: Topology) -> None:
    with natively(net) as space:
        before = program_at(net)
        with Client(space, "drop", "app0", "--count", "20") as client, Sender(net.external, "x0") as sender:
            net.daemon.kill()
            sender.send(to_app(net), 10)
            net.daemon.start()
            sender.send(to_app(net), 10)
            client.wait()
        assert program_at(net) != before
        assert xdp_of(net)["attached"] == "native"


def test_turning_it_on_and_off_loses_nothing_of_others(net: Topology) -> None:
    add_app(net)
    plain = add_plain(net)
    ping_ok(net.external, PLAIN[4])
    with Capture(plain, "plain0") as at_plain, Sender(net.external, "x0") as sender:
        frame = Ether(dst=net.mac, src=net.external_mac) / IP(src=EXTERNAL[4], dst=PLAIN[4]) / UDP()
        sent = 0
        for turn in range(20):
            word = "native" if turn % 2 == 0 else "off"
            change = threading.Thread(target=net.daemon.cli, args=(f"port set m0 xdp {word}",))
            change.start()
            while change.is_alive():
                sender.send(frame / MARK)
                sent += 1
        assert xdp_of(net)["attached"] == "off"
        at_plain.wait_for(carrying(MARK), sent)
