# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests have: see ../netns/fixtures.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "netns"))
os.environ.setdefault("IPVLANX_BUILD", str(Path(__file__).parents[2] / "build"))

from fixtures import *  # noqa: E402, F403  (needs the path above)

import pytest  # noqa: E402

from ipvlanx import Topology  # noqa: E402


@pytest.fixture
def net(idle: Topology) -> Topology:
    """As fixtures.py's; with IPVLANX_XDP=native frames come by XDP on the master."""
    idle.daemon.start()
    if wanted := os.environ.get("IPVLANX_XDP"):
        idle.daemon.cli(f"port set m0 xdp {wanted}")
    return idle
