# SPDX-License-Identifier: Apache-2.0
"""What all tests of the API have: the drawings and fixtures of tests/netns."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "netns")]
os.environ.setdefault("IPVLANX_BUILD", str(Path(__file__).parents[2] / "build"))

from fixtures import *  # noqa: E402, F403  (needs the path above)
