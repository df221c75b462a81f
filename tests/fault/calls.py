# SPDX-License-Identifier: Apache-2.0
"""How does a test make one chosen call of the running daemon fail? By refuse.c, loaded into it."""

from __future__ import annotations

import errno
import mmap
import os
import struct
from pathlib import Path

LIBRARY = Path(os.environ["IPVLANX_BUILD"]).resolve() / "tests" / "librefuse.so"


class Calls:
    """The daemon's calls; start it with `environment`."""

    _LAYOUT = struct.Struct("=iii116s")  # struct control in refuse.c

    def __init__(self, folder: str) -> None:
        path = f"{folder}/refuse"
        with open(path, "w+b") as file:
            file.truncate(self._LAYOUT.size)
            self._memory = mmap.mmap(file.fileno(), self._LAYOUT.size)
        self.environment = {"LD_PRELOAD": str(LIBRARY), "REFUSE_CONTROL": path}

    def refuse(self, number: int, error: int = errno.ENOMEM) -> None:
        """The call of this number from now fails. A recv() that fails loses the kernel's answer to
        what it has done."""
        self._memory[:] = self._LAYOUT.pack(number, error, 0, b"")

    def stop(self) -> str | None:
        """From now on none fails. What failed, if any."""
        _, _, fired, what = self._LAYOUT.unpack(self._memory[:])
        self._memory[:] = bytes(self._LAYOUT.size)
        return what.split(b"\0")[0].decode() if fired else None
