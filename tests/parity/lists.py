# SPDX-License-Identifier: Apache-2.0
"""What was recorded, which differences are known, and what is left over?

    golden.json        what the kernel's driver does
    ipvlanx.json       what ipvlanx does, on the same kernel
    differences.toml   which of the two may differ, and why
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
GOLDEN, IPVLANX = HERE / "golden.json", HERE / "ipvlanx.json"
DIFFERENCES = HERE / "differences.toml"
UNAVAILABLE = "unavailable: "  # this machine's kernel has no such thing
# Nothing came, which is also what a probe says that does not work.
NEGATIVE = {"lost", "nobody", "nobody's", "not seen", "no slave"}

Observations = dict[str, str]


def read(file: Path) -> tuple[str, Observations]:
    """The kernel it is of, and what was observed there."""
    if not file.exists():
        return "nothing", {}
    content = json.loads(file.read_text())
    return content["kernel"], content["observations"]


def write(file: Path, kernel: str, observations: Observations) -> None:
    content = {"kernel": kernel, "observations": observations}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


# ---------------------------------------------------------------------- differences.toml


@dataclass
class Entry:
    """One row of README's table; `observed`: patterns of keys, and of ipvlanx's values there."""

    what: str
    why: str
    remedy: str = ""
    unobserved: str = ""  # why no observation shows it
    depends: str = ""  # ipvlanx's value depends on the kernel it runs on: why
    issue: int = 0  # the one that ends it, where it is open
    observed: dict[str, str] = field(default_factory=dict)


@dataclass
class Constant:
    """Probes that the kernel's driver answers the same way everywhere, and that prove something
    nevertheless: `control` is what shows that they work."""

    observed: list[str]
    control: str
    why: str


@dataclass
class Lists:
    differences: list[Entry]
    open: list[Entry]
    constants: list[Constant]

    @classmethod
    def load(cls) -> Lists:
        content = tomllib.loads(DIFFERENCES.read_text())
        lists = cls(
            [Entry(**row) for row in content.get("difference", [])],
            [Entry(**row) for row in content.get("open", [])],
            [Constant(**row) for row in content.get("constant", [])],
        )
        for entry in lists.differences:
            assert bool(entry.observed) != bool(entry.unobserved), entry.what
        for entry in lists.open:
            assert entry.observed and entry.issue, entry.what
        return lists


# ---------------------------------------------------------------------- comparing


@dataclass
class Verdict:
    equal: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # sentences


def compare(kernel: Observations, ipvlanx: Observations, lists: Lists, *, whole: bool) -> Verdict:
    """`whole`: of all there is to observe, so that what no entry meets is stale."""
    verdict = Verdict()
    for key in kernel | ipvlanx:
        theirs, ours = kernel.get(key, "not observed"), ipvlanx.get(key, "not observed")
        if UNAVAILABLE in (theirs[: len(UNAVAILABLE)], ours[: len(UNAVAILABLE)]):
            verdict.unavailable.append(key)
        elif theirs == ours:
            verdict.equal.append(key)
        elif any(explains(entry, key, ours) for entry in lists.differences):
            verdict.named.append(key)
        elif any(explains(entry, key, ours) for entry in lists.open):
            verdict.open.append(key)
        else:
            verdict.unexplained.append(key)
    known = list(kernel | ipvlanx)
    equal = set(verdict.equal)
    for entry in lists.differences:
        if not entry.depends:
            verdict.stale += stale(entry, known, equal, whole, every=True)
    for entry in lists.open:
        verdict.stale += stale(entry, known, equal, whole, every=False)
    return verdict


def explains(entry: Entry, key: str, value: str) -> bool:
    return any(
        fnmatchcase(key, keys) and fnmatchcase(value, values)
        for keys, values in entry.observed.items()
    )


def depends(lists: Lists, key: str) -> bool:
    entries = (entry for entry in lists.differences if entry.depends)
    return any(fnmatchcase(key, pattern) for entry in entries for pattern in entry.observed)


def stale(
    entry: Entry, known: list[str], equal: set[str], whole: bool, *, every: bool
) -> Iterator[str]:
    """A named difference is one for each key of its patterns; of what is open, some may be done."""
    for pattern in entry.observed:
        keys = [key for key in known if fnmatchcase(key, pattern)]
        same = [key for key in keys if key in equal]
        if not keys and whole:
            yield f"'{pattern}' is nothing that is observed ({entry.what})"
        elif keys and (same if every else len(same) == len(keys)):
            yield f"'{pattern}' differs no longer, as at '{same[0]}' ({entry.what})"


# ---------------------------------------------------------------------- do probes prove anything?


def probe_of(key: str) -> str:
    """What was tried: without the mode, the flag, and what was done before."""
    _, _, rest = key.partition(" | ")
    return rest.rpartition(": ")[2]


def idle_probes(kernel: Observations, lists: Lists) -> Iterator[str]:
    """Those that may be broken, for all one can see."""
    by_instrument: dict[str, set[str]] = {}
    by_probe: dict[str, set[str]] = {}
    for key, value in kernel.items():
        by_instrument.setdefault(key.rpartition(" | ")[2], set()).add(value)
        by_probe.setdefault(probe_of(key), set()).add(value)
    for instrument, values in by_instrument.items():
        if len(values) < 2 and not is_constant(instrument, kernel, lists):
            yield f"'{instrument}' is always '{values.pop()}'"
    for probe, values in by_probe.items():
        if values <= NEGATIVE and not is_constant(probe, kernel, lists):
            yield f"'{probe}' is never anything but '{', '.join(sorted(values))}'"
    for constant in lists.constants:
        for pattern in constant.observed:
            if not any(fnmatchcase(text, pattern) for text in by_instrument | by_probe):
                yield f"'{pattern}' in [[constant]] is nothing that is observed"


def is_constant(text: str, kernel: Observations, lists: Lists) -> bool:
    for constant in lists.constants:
        if any(fnmatchcase(text, pattern) for pattern in constant.observed):
            shown = [value for key, value in kernel.items() if fnmatchcase(key, constant.control)]
            return any(value not in NEGATIVE for value in shown)
    return False


# ---------------------------------------------------------------------- does the comparison?


def try_myself() -> None:
    """A check that cannot fail is a defect."""
    named = Entry("named", "", observed={"l2 * | x | ping": "lost"})
    issue = Entry("issue", "", issue=1, observed={"l3 * | ping": "*"})
    known = Lists([named], [issue], [Constant(["z | ping"], "* | x | ping", "")])
    kernel = {f"{c} | x | ping": "answered" for c in ("l2 a", "l3 a")} | {"l3 b | x | ping": "lost"}

    def verdict(whole: bool = True, **ours: str) -> Verdict:
        changed = {key.replace("_", " ") + " | x | ping": value for key, value in ours.items()}
        return compare(kernel, kernel | changed, known, whole=whole)

    right = verdict(l2_a="lost", l3_a="lost")
    assert (len(right.named), len(right.open), len(right.equal)) == (1, 1, 1), right
    assert not right.unexplained and not right.stale, right
    assert verdict(l2_a="late", l3_a="lost").unexplained, "another value than the entry's"
    assert verdict(l2_a="lost", l3_a="lost", l2_b="answered").unexplained, "the kernel's is missing"
    assert len(verdict(l3_a="lost").stale) == 1, "a named difference that is none"
    assert len(verdict(l2_a="lost").stale) == 1, "an open one that is done"
    assert len(verdict(whole=False, l2_a="lost").stale) == 1, "in a part, too"
    assert not list(idle_probes(kernel, Lists([], [], []))), "answered here, lost there"
    broken = {"l2 a | y | ping": "lost", "l2 a | z | ping": "lost", **kernel}
    assert len(list(idle_probes(broken, known))) == 1, "lost everywhere, and not for a reason"
    same = {"l2 a | x | TTL": "64", "l3 a | x | TTL": "64"}
    assert len(list(idle_probes(same, Lists([], [], [])))) == 1, "always the same"
