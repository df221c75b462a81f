# SPDX-License-Identifier: Apache-2.0
"""How does a test run a server or a client that it did not write?"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path

from space import Netns


class Program:
    """One that runs in a namespace, in the foreground, while the `with` block does. What it says
    is in `said`, and printed at its end: pytest shows it where a test fails."""

    def __init__(self, space: Netns, *words: str, **environment: str) -> None:
        self.name = f"{space.name}# {words[0]}"
        self._log = Path(f"/run/{Path(words[0]).name}-{secrets.token_hex(4)}.log")
        with self._log.open("w") as log:
            # A group of its own, so that kill() takes its children along.
            self._process = space.spawn(
                *words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | environment, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid  # nsenter execs: its pid is the program's

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        """As an administrator ends it: it may say goodbye."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """As a crash ends it."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.stop()
        print(f"--- {self.name} (exit {self._process.returncode})\n{self.said}")
