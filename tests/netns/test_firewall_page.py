# SPDX-License-Identifier: Apache-2.0
"""Do the examples of the README's "Firewall rules" do what the README says they do?

They are read from there, each block a list of commands, and typed into the host with m0 for eth0.
"""

from __future__ import annotations

import shlex
import socket
import threading
from pathlib import Path

import pytest

from ipvlanx import EXTERNAL, HOST, Slave, Topology
from space import Netns

README = Path(__file__).resolve().parents[2] / "README.md"
WEB, FETCH, FORWARDED = 80, 8080, 8000


def blocks() -> dict[str, list[str]]:
    """The section's examples, by their first command's first words."""
    section = README.read_text().split("\n## Firewall rules\n")[1].split("\n## ")[0]
    found: dict[str, list[str]] = {}
    commands: list[str] = []
    for line in [*section.splitlines(), ""]:
        if line.startswith("    "):
            commands.append(line.strip().replace("eth0", "m0"))
        elif commands:
            found[" ".join(commands[0].split()[:5])] = commands
            commands = []
    return found


def type_in(host: Netns, first: str) -> None:
    for command in blocks()[first]:
        host.run(*shlex.split(command))


def serve(netns: Netns, address: str, port: int) -> None:
    """Says its name to whoever connects."""
    listener = netns.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()

    def answer() -> None:
        while True:
            connection, peer = listener.accept()
            with connection:
                connection.sendall(f"{netns.name} to {peer[0]}".encode())

    threading.Thread(target=answer, daemon=True).start()


def fetch(client: Netns, address: str, port: int) -> str | None:
    """What the server says; None: no connection."""
    with client.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect((address, port))
            return connection.recv(100).decode()
        except OSError:
            return None


@pytest.fixture
def web(net: Topology) -> Slave:
    """A slave in l3s with a web server; the external host has services, too."""
    space = net.netns("ns0")
    net.daemon.cli("link add link m0 name ipvl0 mode l3s netns ns0 addr 10.0.0.10/24")
    space.ip("route add default dev ipvl0")
    net.external.ip(f"neigh add 10.0.0.10 lladdr {net.mac} dev x0")
    serve(space, "10.0.0.10", WEB)
    for port in (FETCH, FETCH + 1):
        serve(net.external, EXTERNAL[4], port)
    return Slave(0, space, "ipvl0", net.id_of("ipvl0"))


def test_every_example_is_tried_here() -> None:
    assert set(blocks()) == {
        "nft add table inet slaves",
        "iptables -P FORWARD DROP",
        "nft add table ip slaves-nat",
    }


@pytest.mark.parametrize("example", ["nft add table inet slaves", "iptables -P FORWARD DROP"])
def test_only_what_the_rules_name_is_forwarded(net: Topology, web: Slave, example: str) -> None:
    host, external = net.host, net.external
    assert fetch(web.netns, EXTERNAL[4], FETCH + 1) == "external to 10.0.0.10"
    type_in(host, example)
    assert fetch(web.netns, EXTERNAL[4], FETCH) == "external to 10.0.0.10"
    assert fetch(web.netns, EXTERNAL[4], FETCH + 1) is None
    assert fetch(external, "10.0.0.10", WEB) == "ns0 to 10.0.0.1"
    serve(web.netns, "10.0.0.10", WEB + 1)
    assert fetch(external, "10.0.0.10", WEB + 1) is None


def test_the_host_s_address_for_a_slave(net: Topology, web: Slave) -> None:
    type_in(net.host, "nft add table ip slaves-nat")
    assert fetch(web.netns, EXTERNAL[4], FETCH) == f"external to {HOST[4]}"
    assert fetch(net.external, HOST[4], FORWARDED) == "ns0 to 10.0.0.1"
