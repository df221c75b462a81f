# SPDX-License-Identifier: Apache-2.0
"""What can root inside a slave's namespace do to others?

    external              host                     ns0 (the tenant)   ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0              ipvl1

What decides is at the host's ends of the veths, out of its reach; daemon/README.md names the tests
of what else it may try.
"""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from ipvlanx import EXTERNAL, Topology
from programs import Program
from space import eventually, ping_lost, ping_ok
from test_port import know_each_other
from wire import Capture, Sender, carrying

MARK = b"of-the-tenant"
OTHER_MAC = "02:de:ad:be:ef:02"
TRICKS: dict[str, list[str]] = {
    "promiscuous": ["ip link set ipvl0 promisc on"],
    "mac": [f"ip link set ipvl0 address {OTHER_MAC}"],
    "filters": ["tc qdisc add dev ipvl0 clsact", "tc qdisc del dev ipvl0 clsact"],
    "offloads": ["ethtool -K ipvl0 tx off gso off gro off"],
    "mtu": ["ip link set ipvl0 mtu 9000"],
}


@pytest.mark.parametrize("trick", TRICKS)
def test_its_interface_is_its_own_and_nothing_else(pair: Topology, trick: str) -> None:
    tenant, victim = pair.slaves
    know_each_other(pair)
    pair.daemon.cli("port set m0 private")
    for words in TRICKS[trick]:
        tenant.netns.run(*words.split())
    forged = Ether(src=OTHER_MAC, dst=pair.external_mac) / IP(
        src=tenant.addresses[4], dst=EXTERNAL[4]
    ) / ICMP(type=0) / Raw(MARK)  # fmt: skip
    with (
        Capture(tenant.netns, tenant.name) as heard,
        Capture(pair.external, "x0") as wire,
        Sender(tenant.netns, tenant.name) as sender,
    ):
        sender.send(forged)
        (sent,) = wire.wait_for(carrying(MARK))
        assert sent.source == pair.mac
        ping_ok(victim.netns, EXTERNAL[4])
        ping_ok(pair.external, victim.addresses[4])
        ping_lost(victim.netns, tenant.addresses[4])
        ping_lost(tenant.netns, victim.addresses[4])
    assert not heard.matching(
        lambda f: not f.outgoing and IP in f.packet and f.packet[IP].src == victim.addresses[4]
    )


# Asks rtnetlink for the namespace of its interface's other end, to look at it and to delete it.
REACH_OUT = """
import json, socket, struct
IFLA_IFNAME, IFLA_TARGET_NETNSID, RTM_DELLINK, RTM_GETLINK = 3, 46, 17, 18
def ask(kind, nsid, name):
    text = name.encode() + b"\\0"
    attributes = struct.pack("HHi", 8, IFLA_TARGET_NETNSID, nsid)
    attributes += struct.pack("HH", 4 + len(text), IFLA_IFNAME) + text + b"\\0" * (-len(text) % 4)
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.sendto(struct.pack("IHHII", 16 + len(body), kind, 5, 1, 0) + body, (0, 0))
        reply = s.recv(65536)
        return -struct.unpack_from("i", reply, 16)[0] if struct.unpack_from("H", reply, 4)[0] == 2 else 0
import sys
print(json.dumps([ask(kind, int(sys.argv[1]), sys.argv[2]) for kind in (RTM_GETLINK, RTM_DELLINK)]))
"""


def test_in_a_user_namespace_of_its_own_the_host_end_is_out_of_reach(net: Topology) -> None:
    words = "setpriv --reuid=64000 --regid=64000 --clear-groups unshare --user --map-root-user --net"
    with Program(net.external, *words.split(), "sleep", "1000") as sleeper:
        comm = Path(f"/proc/{sleeper.pid}/comm")
        eventually("it has gone there", lambda: comm.read_text() == "sleep\n")
        words = f"link add link m0 name web0 mode l2 netns {sleeper.pid} addr 10.0.0.10/24"
        net.daemon.cli(words)
        host_end = f"ipvx{net.id_of('web0')}"

        def tenant(*words: str) -> str:
            enter = ("nsenter", f"--target={sleeper.pid}", "--user", "--net", "--")
            done = subprocess.run([*enter, *words], capture_output=True, text=True)
            assert done.returncode == 0, f"{words}: {done.stderr}"
            return done.stdout

        links = json.loads(tenant("ip", "-j", "link", "show"))
        assert {row["ifname"] for row in links} == {"lo", "web0"}
        tenant("ip", "link", "set", "web0", "mtu", "1400")  # it is its own
        (nsid,) = [row["link_netnsid"] for row in links if row["ifname"] == "web0"]
        said = tenant("/usr/bin/python3", "-c", REACH_OUT, str(nsid), host_end)
        assert json.loads(said) == [errno.EACCES, errno.EACCES]
        ping_ok(net.external, "10.0.0.10")
        assert net.host.link(host_end)
        net.daemon.cli("link del web0")


def test_with_capabilities_of_the_hosts_it_is_not(pair: Topology) -> None:
    """Such a tenant is trusted, by the kernel: with any veth, and with its own ipvlan, too."""
    tenant = pair.slaves[0]
    (nsid,) = [r["link_netnsid"] for r in tenant.netns.ip_json("link show dev ipvl0")]
    script = ("/usr/bin/python3", "-c", REACH_OUT, str(nsid), f"ipvx{tenant.id}")
    assert json.loads(tenant.netns.run(*script).stdout) == [0, 0]
    eventually("its slave is gone", lambda: len(pair.daemon.get("/v1/slaves")) == 1)
    ping_ok(pair.external, pair.slaves[1].addresses[4])
