# SPDX-License-Identifier: Apache-2.0
"""Does ipvlanx do what the kernel's ipvlan does? (`run` says how this is started)"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "netns")]

import lists  # noqa: E402  (needs the path above)
from backends import Ipvlanx, Kernel, kernel_has_ipvlan  # noqa: E402
from lists import GOLDEN, IPVLANX, Lists, Observations, Verdict  # noqa: E402
from observe import observe  # noqa: E402
from space import Netns  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/parity/run")
    parser.add_argument("--only", metavar="SUBSTRING", default="", help="of an observation's key")
    parser.add_argument("--list", action="store_true", help="what was recorded; runs nothing")
    parser.add_argument("--verbose", action="store_true", help="all differences, with their values")
    parser.add_argument("--record", metavar="FOLDER", help="writes both observations there")
    return parser.parse_args()


def main() -> int:
    lists.try_myself()
    asked = arguments()
    kernel_recorded, golden = lists.read(GOLDEN)
    if asked.list:
        for key, value in golden.items():
            if asked.only in key:
                print(f"{key}: {value}")
        return 0

    matching = [key for key in golden if asked.only in key]

    def wanted(combination: str) -> bool:
        return not matching or any(key.startswith(f"{combination} | ") for key in matching)

    def of_backend(backend: Kernel | Ipvlanx) -> Observations:
        observed = observed_by(backend, wanted)
        return {key: value for key, value in observed.items() if asked.only in key}

    ipvlanx = of_backend(Ipvlanx())
    here = platform.release()
    live = of_backend(Kernel()) if has_ipvlan() else None
    if asked.record:
        assert live is not None, "this kernel has no ipvlan"
        lists.write(Path(asked.record, GOLDEN.name), here, live)
        lists.write(Path(asked.record, IPVLANX.name), here, ipvlanx)
        return 0
    reference = live or {key: value for key, value in golden.items() if asked.only in key}
    if not reference:
        print(f"no observation has '{asked.only}' in its key (--list)")
        return 1
    known = Lists.load()
    verdict = lists.compare(reference, ipvlanx, known, whole=not asked.only)
    problems = show(verdict, reference, ipvlanx, asked.verbose)
    for what, now, before in (
        ("the kernel's driver", live or {}, golden),
        ("ipvlanx", ipvlanx, lists.read(IPVLANX)[1]),
    ):
        but = {key for key in now if key in verdict.open or lists.depends(known, key)}
        problems += as_recorded(what, now, before, but)
    if not asked.only:
        for sentence in lists.idle_probes(reference, known):
            problems += tell("probe that proves nothing", sentence)
    print(
        f"{len(reference)} observations, ipvlanx on {here} against ipvlan of "
        f"{here if live else kernel_recorded}: {len(verdict.equal)} equal, "
        f"{len(verdict.named)} named differences, {len(verdict.open)} open, "
        f"{len(verdict.unavailable)} not to be had on this kernel, "
        f"{len(verdict.unexplained)} unexplained; {problems} problems"
    )
    return 1 if problems else 0


def has_ipvlan() -> bool:
    space = Netns("try-ipvlan")
    try:
        return kernel_has_ipvlan(space)
    finally:
        space.delete()


def observed_by(backend: Kernel | Ipvlanx, wanted) -> Observations:  # type: ignore[no-untyped-def]
    """The daemon's log is of interest only where something went wrong."""
    began = time.monotonic()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            observed = observe(backend, wanted)
    except BaseException:
        print(said.getvalue())
        raise
    took = time.monotonic() - began
    print(f"-- {backend.name}: {len(observed)} observations in {took:.0f} s", flush=True)
    return observed


def show(verdict: Verdict, kernel: Observations, ipvlanx: Observations, verbose: bool) -> int:
    def values(title: str, keys: list[str]) -> int:
        for key in keys:
            theirs, ours = kernel.get(key, "not observed"), ipvlanx.get(key, "not observed")
            print(f"{title}: {key}\n    kernel:  {theirs}\n    ipvlanx: {ours}")
        return len(keys)

    if verbose:
        values("named", verdict.named)
        values("open", verdict.open)
        values("not to be had on this kernel", verdict.unavailable)
    problems = values("UNEXPLAINED", verdict.unexplained)
    for sentence in verdict.stale:
        problems += tell("stale entry in differences.toml", sentence)
    return problems


def as_recorded(what: str, now: Observations, before: Observations, but: set[str]) -> int:
    """What the README's table is made of has to be what is."""
    problems = 0
    for key, value in now.items():
        old = before.get(key, "not observed")
        if value != old and key not in but and not value.startswith(lists.UNAVAILABLE):
            sentence = f"{what}, {key}: '{value}', was '{old}'"
            problems += tell("not as recorded (tests/parity/record)", sentence)
    return problems


def tell(what: str, sentence: str) -> int:
    print(f"{what}: {sentence}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
