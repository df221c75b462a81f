# SPDX-License-Identifier: Apache-2.0
"""Which files are the project's? What the checks of this folder have in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def source_files() -> list[Path]:
    """Tracked files, and those about to be; paths from the repository's root."""
    # A checkout may belong to another user than the one who runs the tests.
    words = ["git", "-c", f"safe.directory={REPO}", "-C", str(REPO), "ls-files", "-z"]
    listed = subprocess.run(
        [*words, "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    )
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [Path(name) for name in names if (REPO / name).is_file()]


def conclude(what: str, checked: int, problems: list[str]) -> None:
    """Ends the check; one that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    if not checked:
        problems.append("nothing")
        print(f"{what}: no file to check")
    print(f"{what}: {checked} files, {len(problems)} problems")
    sys.exit(1 if problems else 0)


def self_test(what: str, sample: str, caught: bool) -> None:
    """A check that cannot fail is a defect: each tries itself on samples first."""
    if not caught:
        sys.exit(f"{what}: does not do its work: {sample}")
