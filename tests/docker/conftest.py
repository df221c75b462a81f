# SPDX-License-Identifier: Apache-2.0
"""What tests with the real engine have: the drawings and fixtures of tests/netns."""

from __future__ import annotations

import os
import sys
from pathlib import Path

tests = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(tests / "netns")]
os.environ.setdefault("IPVLANX_BUILD", str(tests.parent / "build"))

from fixtures import *  # noqa: E402, F403  (needs the path above)
