# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a trace, and how is it answered? tests/netns/test_trace.py asks whether the
answer is true."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.utils import rdpcap

from ipvlanx import IPVLANX, Slave, Topology, slave_addresses
from space import eventually
from wire import Sender

A, B = slave_addresses(0)[4], slave_addresses(1)[4]
FAR = "198.51.100.1"  # by the host's routes


def trace(net: Topology, **fields: Any) -> dict[str, Any]:
    answer = net.daemon.api("POST", "/v1/trace", {"master": "m0"} | fields)
    assert answer.status == 200, answer
    return answer.body


def test_checksums_of_all_protocols(pair: Topology) -> None:
    a = pair.slaves[0]
    for way in ({"direction": "rx"}, {"direction": "tx", "slave": a.id}):
        for dst in ("10.0.0.11", "fd00::11", "224.0.0.251", "ff02::fb"):
            for proto in ("icmp", "tcp", "udp"):
                data = bytes.fromhex(trace(pair, dst=dst, proto=proto, **way)["before"])
                assert bytes(signed(Ether(data))) == data, (dst, proto)
    said = trace(pair, direction="rx", dst="fd00::11", src="fd00::1", proto="tcp", dport=80)
    assert said["slave"]["name"] == "ipvl1" and said["slave"]["netns"] == "ns1"
    packet = Ether(bytes.fromhex(said["after"]))
    assert (packet[IPv6].src, packet[TCP].dport, packet[TCP].flags) == ("fd00::1", 80, "S")
    arp = Ether(bytes.fromhex(trace(pair, direction="rx", dst="10.0.0.11", proto="arp")["before"]))
    assert (arp.dst, arp[ARP].op, arp[ARP].pdst, arp[ARP].hwlen) == ("ff:ff:ff:ff:ff:ff", 1, "10.0.0.11", 6)


def signed(packet: Ether) -> Ether:
    """The same with the checksums that scapy would give it."""
    layer = packet
    while layer:
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                delattr(layer, name)
        layer = layer.payload
    return packet


def test_from_the_command_line(pair: Topology, tmp_path: Path) -> None:
    cli, file = pair.daemon.cli, tmp_path / "trace.pcap"
    a = pair.slaves[0]
    said = cli(f"trace m0 rx dst {A} proto udp dport 53 pcap {file}")
    mac = pair.mac.replace(":", "")
    assert said.startswith(f"slave ipvl0 id {a.id} netns ns0: slave 'ipvl0' gets it\n    frame {mac}")
    (only,) = rdpcap(str(file))
    assert only[UDP].dport == 53 and only[IP].dst == A

    pair.daemon.cli("port set m0 mode l3")
    said = pair.daemon.cli_json(f"trace m0 tx dev ipvl0 dst {FAR} pcap {file}")
    assert said["verdict"] == "routed" and said["slave"] is None
    assert said["detail"] == "the host routes it, if its netfilter lets it pass"
    assert [frame[IP].ttl for frame in rdpcap(str(file))] == [64, 65]
    assert [bytes(frame).hex() for frame in rdpcap(str(file))] == [said["before"], said["after"]]

    pair.daemon.cli("port set m0 private")
    said = cli(f"trace m0 tx dev ipvl0@ns0 dst {B}")
    assert said.startswith("dropped private: it is dropped: the port's flag private keeps its slaves apart\n")
    for words, status, complaint in (
        (f"trace m0 rx dst {A} dev ipvl0", 1, '"dev" is of "tx" alone'),
        (f"trace m0 dst {A}", 1, '"{ rx | tx dev NAME }" is missing'),
        (f"trace m0 tx dst {A}", 1, '"dev NAME" is missing'),
        ("trace m0 rx", 1, '"dst IP" is missing'),
        (f"trace m0 rx dst {A} proto gre", 1, "proto 'gre' is none of"),
        (f"trace m0 rx dst {A} sport 1", 2, "'sport' is of tcp and udp, not of icmp"),
        (f"trace m9 rx dst {A}", 2, "'m9' is no port"),
        (f"trace m0 tx dev ipvl7 dst {A}", 2, "there is no slave 'ipvl7'"),
        (f"trace m0 rx dst {A} pcap /nowhere/x", 2, "/nowhere/x"),
    ):
        done = pair.daemon.try_cli(*words.split())
        assert (done.returncode, complaint in done.stderr) == (status, True), (words, done.stderr)


def test_in_which_words_it_is_refused(pair: Topology) -> None:
    a = pair.slaves[0]
    pair.host.ip("link add m1 type veth peer name m1-wire")
    pair.host.ip("link set m1 up")
    pair.daemon.cli("link add link m1 name other mode l2")
    other = pair.id_of("other")
    for fields_, status, code, field in (
        ({"master": "m1", "direction": "tx", "slave": a.id, "dst": A}, 404, "no-such-slave", "slave"),
        ({"direction": "tx", "slave": 65000, "dst": A}, 404, "no-such-slave", "slave"),
        ({"direction": "rx", "master": "lo", "dst": A}, 422, "no-such-master", "master"),
        ({"direction": "tx", "master": "m1", "slave": other, "dst": A}, 400, "missing-field", "src"),
    ):
        answer = pair.daemon.api("POST", "/v1/trace", {"master": "m0"} | fields_)
        problem = {"status": status, "code": code, "field": field}
        assert problem.items() <= answer.body.items(), (fields_, answer)
    pair.host.ip("link del m1")


@pytest.mark.parametrize("options", [(), ("-j",)], ids=["text", "json"])
def test_drops_can_be_followed(pair: Topology, options: tuple[str, ...]) -> None:
    """What a trace says would be dropped."""
    pair.daemon.cli("port set m0 mode l3 private")
    a = pair.slaves[0]
    frame = bytes.fromhex(trace(pair, direction="tx", slave=a.id, dst=B)["before"])
    argv = [IPVLANX, *options, "--socket", pair.daemon.socket, "drops", "follow"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as follower:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")))
        reader.start()
        try:
            with Sender(a.netns, "ipvl0") as sender:
                eventually("a drop is told", lambda: sender.send(frame) or told(lines), 10)
            time.sleep(1.1)  # the last of them
            before = told(lines)
            time.sleep(1.5)
            assert told(lines) == before, "told again"
            pair.daemon.restart()
            with Sender(a.netns, "ipvl0") as sender:
                eventually("another", lambda: sender.send(frame) or told(lines) > before, 10)
        finally:
            follower.kill()
            reader.join(5)


def told(lines: list[str]) -> int:
    """How often; of other drops (its stack's own multicast) something may be told, too."""
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    objects = [row for row in rows if row["dev"] == "ipvl0" and "private" in row["drops"]]
    return len(objects) + sum(line.startswith("ipvl0 ns0 private ") for line in lines)


def test_of_an_afxdp_slave_and_after_a_restart(net: Topology) -> None:
    net.netns("ns0")
    net.daemon.cli(f"link add link m0 name app0 mode l2 via afxdp netns ns0 addr {A}/24")
    net.wait_steered(Slave(0, net.netns("ns0"), "app0", net.id_of("app0")), A)
    said = trace(net, direction="rx", dst=A)
    assert (said["verdict"], said["slave"]["name"]) == ("slave", "app0")
    net.daemon.restart()
    assert trace(net, direction="rx", dst=A) == said
