# SPDX-License-Identifier: Apache-2.0
"""What came out, as a table for people and as JSON for programs?

A ratio is taken within one round, where contestants were measured within seconds of each other:
it stands where absolute figures drift. No figure passes or fails here.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

BASE = "macvlan"  # the contestant whose figure is 1.00, mostly


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    per_unit: float  # how much of what is measured is one unit
    better: str  # "more" or "less"
    base: str = BASE  # whose is 1.00


@dataclass
class Spread:
    low: float
    median: float
    high: float

    def words(self) -> list[str]:
        return [f"{value:.2f}" for value in (self.low, self.median, self.high)]

    @staticmethod
    def of(values: list[float]) -> Spread | None:
        if not values:
            return None
        return Spread(min(values), statistics.median(values), max(values))


@dataclass
class Results:
    titles: dict[str, str]  # contestant's key -> as people call it
    rounds: dict[Figure, dict[str, list[float]]] = field(default_factory=dict)
    remarks: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, figure: Figure, contestant: str, value: float) -> None:
        self.rounds.setdefault(figure, {}).setdefault(contestant, []).append(value)

    def remark(self, contestant: str, what: str, count: int) -> None:
        """Something that is best not there at all; once per round."""
        self.remarks.setdefault((contestant, what), []).append(count)

    def ratio(self, figure: Figure, contestant: str) -> Spread | None:
        base = self.rounds[figure].get(figure.base, [])
        pairs = zip(self.rounds[figure][contestant], base)
        return Spread.of([value / one for value, one in pairs if one])


# ------------------------------------------------------------------------------- the machine


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "CPU part")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit() -> str:
    repo = Path(__file__).resolve().parents[2]
    words = ["git", "-c", f"safe.directory={repo}", "-C", str(repo)]
    try:
        done = subprocess.run(
            [*words, "describe", "--always", "--dirty"], capture_output=True, text=True
        )
    except FileNotFoundError:  # no git here
        return "unknown"
    return done.stdout.strip() or "unknown"


def cpu_use(seconds: float = 0.5) -> float:
    """The share of all CPUs' time that somebody uses now."""

    def ticks() -> list[int]:
        return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    before = ticks()
    time.sleep(seconds)
    spent = [now - then for then, now in zip(before, ticks())]
    idle = spent[3] + spent[4]
    return 1 - idle / (sum(spent) or 1)


def machine() -> dict[str, object]:
    default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "congestion_control": "cubic",
        "default_congestion_control": default,
        "netdev_max_backlog": int(os.environ["IPVLANX_BENCH_BACKLOG"]),
    }


# ------------------------------------------------------------------------------- for people


def head(about: dict[str, object]) -> str:
    return (
        f"ipvlanx {about['commit']}, {about['date']}\n"
        f"kernel {about['kernel']}, {about['cpus']} CPUs ({about['cpu']})\n"
        f"TCP {about['congestion_control']} (set on each socket; the machine's default is "
        f"{about['default_congestion_control']}), netdev_max_backlog {about['netdev_max_backlog']}"
    )


def plain(value: float) -> str:
    """Three digits, without an exponent."""
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(results: Results) -> str:
    rows = [("figure", "unit", "contestant", "min", "median", "max", "median")]
    for figure, by_contestant in results.rounds.items():
        shown = figure.name
        unit = figure.unit + (", less is better" if figure.better == "less" else "")
        for contestant, values in by_contestant.items():
            ratio = results.ratio(figure, contestant)
            ratios = ratio.words() if ratio else ["-"] * 3
            absolute = plain(statistics.median(values) / figure.per_unit)
            rows.append((shown, unit, results.titles[contestant], *ratios, absolute))
            shown = unit = ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        words = [word.ljust(width) for word, width in zip(row[:3], widths)]
        numbers = [number.rjust(width) for number, width in zip(row[3:], widths[3:])]
        lines.append("  ".join(words + numbers))
    ruler = "-" * len(lines[0])
    over = "ratio to who has 1.00".rjust(sum(widths[:6]) + 10) + "absolute".rjust(widths[6] + 4)
    return "\n".join([over, lines[0], ruler, *lines[1:]])


def remarks(results: Results) -> str:
    lines = [
        f"{results.titles[contestant]}, {what}: {plain(statistics.median(counts))}"
        f" ({min(counts)} - {max(counts)})"
        for (contestant, what), counts in results.remarks.items()
        if any(counts)
    ]
    return "\n".join(lines)


# ----------------------------------------------------------------------------- for programs


def write_json(results: Results, about: dict[str, object], file: IO[str]) -> None:
    figures = []
    for figure, by_contestant in results.rounds.items():
        for contestant, values in by_contestant.items():
            ratio = results.ratio(figure, contestant)
            figures.append({
                "figure": figure.name,
                "unit": figure.unit,
                "better": figure.better,
                "contestant": contestant,
                "rounds": [value / figure.per_unit for value in values],
                "median": statistics.median(values) / figure.per_unit,
                "ratio": {"min": ratio.low, "median": ratio.median, "max": ratio.high}
                if ratio
                else None,
            })  # fmt: skip
    counts = [
        {"contestant": contestant, "what": what, "rounds": values}
        for (contestant, what), values in results.remarks.items()
    ]
    json.dump({"machine": about, "figures": figures, "counts": counts}, file, indent=1)
    file.write("\n")
