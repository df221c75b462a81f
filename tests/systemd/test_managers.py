# SPDX-License-Identifier: Apache-2.0
"""Do udev and systemd-networkd, told by the files of deploy/, leave ipvlanx's interfaces alone?

    external              host                                       ns0, ns1
    x0  ---- veth ----  m0 ==== slaves ============================  ipvl0, ipvl1
    10.0.0.1/24         10.0.0.2/24  |                               10.0.0.10/24, 10.0.0.11/24
    fd00::1/64          fd00::2/64   `---- lan7, which stays here    fd00::10/64, fd00::11/64

The host's operator has files for all interfaces. They hold for lan7, too, as for any interface of
the host; without our files also for host ends, which the last test sees.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from drawing import MachineTopology
from ipvlanx import EXTERNAL, FAMILIES, HOST, Slave
from space import eventually, ping_ok

INSTALL = Path(os.environ["IPVLANX_BUILD"], "deploy", "cmake_install.cmake")
RELAY = ("ipvxrelay0", "ipvxrelay1")
STRANGER, QUEUE = "10.99.0.1", 77
OPERATORS = {
    "/etc/systemd/network/05-m0.network": f"""
        [Match]
        Name=m0
        [Network]
        Address={HOST[4]}/24
        Address={HOST[6]}/64
        IPv6AcceptRA=no
        """,
    "/etc/systemd/network/10-all.network": f"""
        [Match]
        Type=ether
        [Network]
        DHCP=yes
        Address={STRANGER}/24
        """,
    "/etc/systemd/network/10-all.link": f"""
        [Match]
        Type=ether
        [Link]
        NamePolicy=keep
        MACAddressPolicy=persistent
        TransmitQueueLength={QUEUE}
        """,
    "/etc/sysctl.d/10-all.conf": """
        net.ipv4.conf.*.rp_filter = 1
        net.ipv4.conf.*.arp_notify = 1
        """,
}


def sh(words: str) -> str:
    done = subprocess.run(words.split(), capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def networkd() -> dict[str, str]:
    """What networkd makes of each interface: unmanaged, configuring, configured, ..."""
    listed = json.loads(sh("networkctl --json=short list"))["Interfaces"]
    return {row["Name"]: row["AdministrativeState"] for row in listed}


def settle() -> None:
    """Until udev and networkd have done with all there is, except waiting for a DHCP server."""
    sh("udevadm settle")

    def done() -> bool:
        now = networkd()
        present = {row["ifname"] for row in json.loads(sh("ip -j link show"))} - {"lo"}
        waiting = {now.get(name, "pending") for name in present} & {"pending", "initialized"}
        return now["m0"] == "configured" and not waiting

    eventually("networkd has seen all interfaces", done, 20)


@contextlib.contextmanager
def managers() -> Iterator[None]:
    """networkd and udev run, with the operator's files."""
    for path, text in OPERATORS.items():
        lines = [line.strip() for line in text.splitlines()]
        Path(path).write_text("\n".join([*lines, ""]))
    sh("systemctl reset-failed")  # or systemd finds that they start too often
    sh("systemctl restart systemd-udevd systemd-networkd")
    try:
        yield
    finally:
        sh("systemctl stop systemd-networkd.socket systemd-networkd")
        for path in OPERATORS:
            Path(path).unlink()
        sh("udevadm control --reload")


def install() -> list[Path]:
    """Our files, now where `cmake --install` puts them."""
    said = sh(f"cmake -DCMAKE_INSTALL_PREFIX=/usr -P {INSTALL}")
    named = [Path(line.split(": ", 1)[1]) for line in said.splitlines() if ": /" in line]
    return [path for path in named if path.is_file()]


@pytest.fixture
def installed() -> None:
    install()
    sh("udevadm control --reload")


@pytest.fixture
def uninstalled() -> None:
    for file in install():
        file.unlink()
    sh("udevadm control --reload")


class Host:
    """The slaves of the drawing, and what the host has for them."""

    def __init__(self, machine: MachineTopology, mode: str) -> None:
        self.machine, self.daemon, self.here = machine, machine.daemon, machine.host
        self.mode = mode
        self.daemon.start()

    def add(self, name: str, netns: str = "") -> int:
        there = f"netns {netns}" if netns else ""
        self.daemon.cli(f"link add link m0 name {name} mode {self.mode} {there}")
        return self.machine.id_of(name)

    def add_in_namespace(self, number: int, made_there: bool) -> Slave:
        name, netns = f"ipvl{number}", f"ns{number}"
        space = self.machine.netns(netns)
        slave = Slave(number, space, name, self.add(name, netns if made_there else ""))
        if made_there:
            self.set_up(slave)
        else:
            self.move_in(slave)
        return slave

    def move_in(self, slave: Slave) -> None:
        """From the host's namespace, where others have seen it."""
        sh("udevadm settle")
        self.here.ip(f"link set {slave.name} netns {slave.netns.name}")
        self.set_up(slave)

    def set_up(self, slave: Slave) -> None:
        slave.ip("link set {} up")
        for family, length in ((4, 24), (6, 64)):
            address = slave.addresses[family]
            slave.ip(f"addr add {address}/{length} {{}} {'nodad' if family == 6 else ''}")
            self.machine.wait_steered(slave, address)
            # In l3s nobody answers for it.
            self.machine.external.ip(f"neigh replace {address} lladdr {self.machine.mac} dev x0")

    def facts(self, interface: str) -> dict:
        """All that somebody could have changed, and nothing that differs between host ends."""
        link = self.here.link(interface)
        changing = ("ifname", "ifindex", "link", "link_index", "link_netnsid", "operstate")
        facts = {key: value for key, value in link.items() if key not in changing}
        facts["flags"] = set(link["flags"]) & {"UP", "NOARP", "PROMISC", "ALLMULTI"}
        facts["addresses"] = [row["local"] for row in self.here.addresses(interface)]
        for file in Path("/proc/sys/net").glob(f"ipv[46]/conf/{interface}/*"):
            if file.name != "stable_secret":
                facts[str(file).replace(interface, "*")] = file.read_text().strip()
        return facts

    def rules(self) -> list[dict]:
        shown = [row for f in FAMILIES for row in self.here.ip_json(f"-{f} rule show")]
        return [row for row in shown if row.get("iif") == "m0"]

    def routes(self) -> list[dict]:
        words = "route show table all proto 155"
        return [row for f in FAMILIES for row in self.here.ip_json(f"-{f} {words}")]


@pytest.mark.parametrize("mode", ["l2", "l3s"])
def test_they_leave_our_interfaces_alone(
    installed: None, machine: MachineTopology, mode: str
) -> None:
    host = Host(machine, mode)
    # What a host end is like where nobody else looks at it.
    sh("systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd")
    alone = host.facts(f"ipvx{host.add('first')}")
    host.daemon.cli("link del first")
    relay = [host.facts(name) for name in RELAY]

    with managers():
        settle()
        slaves = [host.add_in_namespace(0, made_there=True), host.add_in_namespace(1, False)]
        ids = [*(slave.id for slave in slaves), host.add("lan7")]

        def check() -> None:
            settle()
            state = networkd()
            # The operator's file is for all interfaces.
            assert state["lan7"] == "configuring"
            eventually(
                f"lan7 has {STRANGER}",
                lambda: STRANGER in [row["local"] for row in host.here.addresses("lan7")],
            )
            host_ends = [f"ipvx{number}" for number in ids]
            assert {name for name in state if name.startswith("ipvx")} == {*host_ends, *RELAY}
            assert {state[name] for name in (*host_ends, *RELAY)} == {"unmanaged"}
            for name in host_ends:
                assert host.facts(name) == alone, name
            assert [host.facts(name) for name in RELAY] == relay
            assert host.here.link("lan7")["address"] == machine.mac == alone["address"]
            for slave in slaves:
                assert slave.netns.link(slave.name)["address"] == machine.mac
            for family in FAMILIES:
                ping_ok(slaves[0].netns, EXTERNAL[family])
                ping_ok(machine.external, slaves[1].addresses[family])
                ping_ok(slaves[0].netns, slaves[1].addresses[family])

        check()
        routes, rules = host.routes(), host.rules()
        assert bool(rules) == (mode == "l3s")
        sh("systemctl restart systemd-networkd systemd-udevd")
        for action in ("add", "change"):
            sh(f"udevadm trigger --settle --subsystem-match=net --action={action}")
        # Back in the host's namespace an interface is a new one for them.
        slaves[1].ip("link set {} netns 1")
        settle()
        assert host.here.link("ipvl1")["address"] == machine.mac
        host.move_in(slaves[1])
        check()
        assert (host.routes(), host.rules()) == (routes, rules)


def test_without_our_files_they_would_not(uninstalled: None, machine: MachineTopology) -> None:
    host = Host(machine, "l3s")
    host.add("ipvl0")
    assert host.rules()
    with managers():
        name = f"ipvx{host.add('ipvl1')}"
        settle()
        assert networkd()[name] == "configuring"
        facts = host.facts(name)
        assert STRANGER in facts["addresses"]
        assert facts["txqlen"] == QUEUE
        # Of rp_filter, the last to write it has its way, udev or the daemon.
        assert facts["/proc/sys/net/ipv4/conf/*/arp_notify"] == "1"
        assert not host.rules()
