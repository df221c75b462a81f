# SPDX-License-Identifier: Apache-2.0
"""The drawing of tests/netns, whose `host` is the machine's own network namespace."""

from __future__ import annotations

import os
import subprocess
from typing import Iterator

import pytest

from ipvlanx import IPVLANX, Topology
from space import Netns


def pytest_configure(config: pytest.Config) -> None:
    if "IPVLANX_MACHINE" not in os.environ:
        raise pytest.UsageError("run these by tests/systemd/run: they need a machine of their own")


class OwnNetns(Netns):
    """Process 1's network namespace, by another name."""

    def __init__(self) -> None:
        self.name, self.path = "host", "/run/netns/host"
        subprocess.run(["ip", "netns", "attach", "host", "1"], check=True)

    def delete(self) -> None:
        self.ip("link del m0")
        super().delete()


class MachineTopology(Topology):
    """The daemon runs beside udevd, and beside whatever else the test starts."""

    def __init__(self) -> None:
        super().__init__()
        # A master that has just been made gets its MAC address from udev.
        subprocess.run(["udevadm", "settle"], check=True)
        self.mac = self.host.link("m0")["address"]

    def netns(self, name: str) -> Netns:
        if name == "host" and not self.spaces:
            self.spaces.append(OwnNetns())
        return super().netns(name)

    def close(self) -> None:
        """The machine outlives the test: nothing of it is left there."""
        try:
            if self.daemon.running:
                self.daemon.stop()
            folders = ("pin-root", self.daemon.pin_root, "state-dir", f"{self.daemon.folder}/state")
            subprocess.run([IPVLANX, "purge", *folders], check=True)
        finally:
            super().close()


@pytest.fixture
def machine() -> Iterator[MachineTopology]:
    """The drawing; the daemon is not started yet."""
    topology = MachineTopology()
    try:
        yield topology
    finally:
        topology.close()

