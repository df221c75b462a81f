# SPDX-License-Identifier: Apache-2.0
"""What all tests on a machine of systemd's have: see drawing.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

tests = Path(__file__).parents[1]
sys.path[:0] = [str(tests / "netns"), str(tests / "systemd")]
os.environ.setdefault("IPVLANX_BUILD", str(tests.parent / "build"))

from drawing import *  # noqa: E402, F403  (needs the path above)
