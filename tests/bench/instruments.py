# SPDX-License-Identifier: Apache-2.0
"""How are the C programs of this folder called, and what do they say?

They are compiled when a run starts, into the run's own /run. Each one's head says how it measures.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path("/run/ipvlanx-bench")
PATIENCE = 60  # seconds; no measurement takes nearly as long


class Failed(Exception):
    """A program could not measure, and said why."""


def compile_all() -> None:
    FOLDER.mkdir()
    for source in sorted(HERE.glob("*.c")):
        words = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", FOLDER / source.stem]
        done = subprocess.run([*words, source], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{source.name} does not compile:\n{done.stderr}")


def start(name: str, *words: object) -> subprocess.Popen:
    argv = [str(FOLDER / name), *map(str, words)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> list[list[int]]:
    """What it printed: lines of numbers."""
    try:
        said, complaint = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"{command(process)}: no end after {PATIENCE} s") from None
    if process.returncode:
        raise Failed(f"{command(process)}: {complaint.strip() or f'exit {process.returncode}'}")
    return [[int(word) for word in line.split()] for line in said.splitlines()]


def command(process: subprocess.Popen) -> str:
    program, *words = process.args  # type: ignore[misc]
    return " ".join([Path(program).name, *words])


@dataclass(frozen=True)
class Way:
    """From a namespace to an address in another."""

    source: str
    target: str
    address: str

    @property
    def words(self) -> tuple[str, str, str]:
        return self.source, self.target, self.address


@dataclass(frozen=True)
class Window:
    start: int  # ns, as the storm's
    end: int
    size: int  # bytes that were received in it


def rate(windows: list[Window]) -> float:
    """Bits per second in all of them."""
    seconds = sum(window.end - window.start for window in windows) / 1e9
    return sum(window.size for window in windows) * 8 / seconds if seconds else 0.0


def tcp_stream(way: Way, cpu: int, windows: int, milliseconds: int) -> subprocess.Popen:
    return start("tcp", "bulk", *way.words, cpu, windows, milliseconds)


def tcp_windows(stream: subprocess.Popen) -> list[Window]:
    return [Window(*numbers) for numbers in finish(stream)]


def tcp_round_trip(way: Way, cpu: int, milliseconds: int) -> float:
    """The median, in seconds."""
    _, median, _ = finish(start("tcp", "roundtrip", *way.words, cpu, milliseconds))[0]
    return median / 1e9


def udp_received(way: Way, cpu: int, milliseconds: int) -> float:
    """Packets per second."""
    _, received, nanoseconds = finish(start("udp", *way.words, cpu, milliseconds))[0]
    return received * 1e9 / nanoseconds


@dataclass(frozen=True)
class Fanout:
    sent: int
    copies: int  # different ones that arrived
    duplicates: int
    disordered: int
    complete: int  # slaves that got all
    unseen: int  # arrived, but our program was too slow
    nanoseconds: int  # from before the first frame to the last copy


def fanout(
    netns: str, interface: str, count: int, per_second: int, receivers: int, observed: list[str]
) -> Fanout:
    """`per_second` 0: as fast as it goes."""
    words = (netns, interface, count, per_second, receivers, *observed)
    return Fanout(*finish(start("broadcast", "fanout", *words))[0])


def storm(netns: str, interface: str, cpu: int, milliseconds: int) -> subprocess.Popen:
    return start("broadcast", "storm", netns, interface, cpu, milliseconds)


@dataclass(frozen=True)
class Storm:
    start: int
    end: int
    sent: int

    @property
    def per_second(self) -> float:
        return self.sent * 1e9 / (self.end - self.start)


def storm_report(process: subprocess.Popen) -> Storm:
    return Storm(*finish(process)[0])


# ----------------------------------------------------------------------------------- memory


def _sizes(path: str) -> dict[str, int]:
    """Bytes by name, of a file of /proc that has lines `Name:  n kB`."""
    rows = (line.split() for line in Path(path).read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if row[-1] == "kB"}


def kernel_memory() -> int:
    """Of the whole machine, in objects and per CPU: interfaces, their settings, programs."""
    sizes = _sizes("/proc/meminfo")
    return sizes["Slab"] + sizes["Percpu"]


def resident_memory(pid: int) -> int:
    return _sizes(f"/proc/{pid}/status")["VmRSS"]
