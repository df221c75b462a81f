# SPDX-License-Identifier: Apache-2.0
"""How does a test run the reference client, tools/xsk, on an AF_XDP slave?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (client)   plain0
"""

from __future__ import annotations

import json

from ipvlanx import BIN, Topology, slave_addresses
from programs import Program
from space import Netns, eventually

XSK = str(BIN / "ipvlanx-xsk")
APP, PLAIN = slave_addresses(0), slave_addresses(1)


class Client(Program):
    """`ipvlanx-xsk WORDS` while the `with` block runs; from its begin on it is ready for frames."""

    def __init__(self, space: Netns, *words: str) -> None:
        super().__init__(space, XSK, *words, "--json")
        eventually(
            f"{' '.join(words)} is ready", lambda: "ready:" in self.said or not self.running, 10
        )
        assert self.running or self._process.returncode == 0, self.said

    @property
    def reports(self) -> list[dict]:
        lines = [line for line in self.said.splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]

    def summary(self) -> dict:
        """Of the run, which is over then: by itself, or because this ends it."""
        if self.running:
            self.stop()
        assert self._process.returncode == 0, self.said
        (final,) = [report for report in self.reports if report["final"]]
        return final

    def wait(self, seconds: float = 10) -> dict:
        """The summary, when the run ends by itself."""
        eventually(f"{self.name} ends", lambda: not self.running, seconds)
        return self.summary()


def with_prefix(address: str) -> str:
    return f"{address}/64" if ":" in address else f"{address}/24"


def add_app(net: Topology, mode: str = "l2") -> tuple[Netns, int]:
    """The AF_XDP slave app0 in ns0; the namespace, and the slave's id."""
    space = net.netns("ns0")
    words = " ".join(f"addr {with_prefix(address)}" for address in APP.values())
    net.daemon.cli(f"link add link m0 name app0 mode {mode} via afxdp netns ns0 {words}")
    return space, net.id_of("app0")


def add_plain(net: Topology, mode: str = "l2") -> Netns:
    """The ordinary slave plain0 in ns1."""
    space = net.netns("ns1")
    words = " ".join(f"addr {with_prefix(address)}" for address in PLAIN.values())
    net.daemon.cli(f"link add link m0 name plain0 mode {mode} netns ns1 {words}")
    space.wait_for_addresses("plain0")
    return space


def refused(space: Netns, *words: str, **options: object) -> str:
    """The sentence with which `ipvlanx-xsk WORDS` refuses."""
    done = space.run(XSK, *words, "--seconds", "3", check=False, timeout=20, **options)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("Error: "), done
    return lines[0].removeprefix("Error: ")
