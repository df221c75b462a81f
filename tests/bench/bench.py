# SPDX-License-Identifier: Apache-2.0
"""How fast is ipvlanx beside kernel macvlan, and beside veth and a bridge? See tools/bench.

What is measured grows in three stages, on the same topologies: 2 slaves (unicast and fan-out), 64
(fan-out and a storm), 1,000 (fan-out); then up to 5,000 come and go. In each round of a stage every figure is taken of all
contestants, one after the other, before the next figure: so a ratio is of values that are seconds
apart. Who goes first changes from round to round.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "netns"))  # its namespaces and its daemon

import afxdp  # noqa: E402  (needs the path above)
import api  # noqa: E402
import instruments  # noqa: E402
import report  # noqa: E402
from contestants import Bridge, Contestant, Ipvlanx, Macvlan  # noqa: E402
from report import Figure, Results  # noqa: E402

PATH_CPU = 0  # sender, the kernel's part, receiver
LAST_CPU = (os.cpu_count() or 1) - 1  # another one, if there is one
LIVES = (1250, 2500, 5000)  # slaves
TO_SETTLE = 2  # seconds until the kernel has freed what it frees behind our back
STAGES = {2: ("unicast", "fanout"), 64: ("fanout", "storm"), 1000: ("fanout",)}  # by slaves


@dataclass(frozen=True)
class Scale:
    rounds: int
    tcp: int  # milliseconds of each measurement
    udp: int
    round_trip: int
    storm: int
    paced: int  # broadcasts, 100 per second
    burst: int  # broadcasts, at full speed
    requests: int  # rounds of them


QUICK = Scale(rounds=5, tcp=350, udp=250, round_trip=250, storm=800, paced=100, burst=2000, requests=2)
WINDOW = 100  # milliseconds of a stream in which its rate is taken
PACE = 100  # broadcasts per second


class Bench:
    def __init__(self, scale: Scale, only: str | None) -> None:
        self.scale, self.only = scale, only
        self.contestants: list[Contestant] = []
        if only not in ("api", "afxdp"):
            self.contestants = [Macvlan(), Bridge(), Ipvlanx()]
        self.results = Results({one.key: one.title for one in (Macvlan, Bridge, Ipvlanx)})

    def run(self) -> None:
        for count, kinds in STAGES.items():
            wanted = [kind for kind in kinds if self.only in (None, kind)]
            if not wanted:
                continue
            self._grow(count)
            for number in range(self.scale.rounds):
                say(f"{count} slaves, round {number + 1} of {self.scale.rounds}")
                first = number % len(self.contestants)
                turns = self.contestants[first:] + self.contestants[:first]
                for kind in wanted:
                    self._measure(kind, turns, count)
        if self.only in (None, "life"):
            self._lives()
        if self.only in (None, "api"):
            say("requests")
            api.measure(self.results, self.scale.requests)
        if self.only in (None, "afxdp"):
            self._applications()
        for contestant in self.contestants:
            contestant.check()

    def _applications(self) -> None:
        applications = afxdp.Afxdp(self.results)
        for number in range(self.scale.rounds):
            say(f"packet applications, round {number + 1} of {self.scale.rounds}")
            applications.measure(number)
        applications.check()

    def _measure(self, kind: str, turns: list[Contestant], slaves: int) -> None:
        if kind == "unicast":
            self._unicast(turns)
        elif kind == "fanout":
            self._fanout(turns, slaves, PACE, self.scale.paced)
            self._fanout(turns, slaves, 0, self.scale.burst)
        else:
            for cpu in sorted({PATH_CPU, LAST_CPU}, reverse=True):
                self._storm(turns, slaves, cpu)

    def _grow(self, count: int) -> None:
        times = []
        for contestant in self.contestants:
            start = time.monotonic()
            contestant.grow(count)
            times.append(f"{contestant.title} {time.monotonic() - start:.1f} s")
        say(f"{count} slaves each: {', '.join(times)}")

    # ----------------------------------------------------------------- coming and going

    def _lives(self) -> None:
        """Linear is what costs each slave the same, however many there are."""
        for one in self.contestants:
            one.clear()
        for count in LIVES:
            for one in self.contestants:
                if count > one.most:
                    continue
                say(f"{count} slaves come and go: {one.title}")
                time.sleep(TO_SETTLE)
                before = {"kernel": instruments.kernel_memory()} | one.memory()
                grown = one.grow(count)
                time.sleep(TO_SETTLE)
                after = {"kernel": instruments.kernel_memory()} | one.memory()
                times = {"created": grown.to_add, "brought up": grown.to_bring_up}
                times |= one.chores()
                times["deleted at once"] = one.clear()
                for what, seconds in times.items():
                    figure = Figure(f"{count:,} slaves {what}: each", "ms", 1e-3, "less")
                    self.results.add(figure, one.key, seconds / count)
                for whose, size in after.items():
                    figure = Figure(f"{count:,} slaves, memory of {whose}: each", "KiB", 1024, "less")
                    self.results.add(figure, one.key, (size - before[whose]) / count)

    # -------------------------------------------------------------------------- unicast

    def _unicast(self, turns: list[Contestant]) -> None:
        scale = self.scale
        for way in self.contestants[0].ways():
            for one in turns:
                stream = instruments.tcp_stream(one.ways()[way], PATH_CPU, 1, scale.tcp)
                bits = instruments.rate(instruments.tcp_windows(stream))
                self.results.add(Figure(f"TCP bulk {way}", "Gbit/s", 1e9, "more"), one.key, bits)
            for one in turns:
                packets = instruments.udp_received(one.ways()[way], PATH_CPU, scale.udp)
                self.results.add(Figure(f"UDP 64 B {way}", "Mpps", 1e6, "more"), one.key, packets)
            for one in turns:
                median = instruments.tcp_round_trip(one.ways()[way], PATH_CPU, scale.round_trip)
                figure = Figure(f"TCP round trip p50 {way}", "µs", 1e-6, "less")
                self.results.add(figure, one.key, median)

    # ------------------------------------------------------------------------ broadcasts

    def _fanout(self, turns: list[Contestant], slaves: int, pace: int, count: int) -> None:
        """Broadcasts from the wire."""
        name = f"fan-out to {slaves:,}, " + (f"{pace}/s" if pace else f"burst of {count:,}")
        for one in turns:
            before = one.drops()
            seen = instruments.fanout(one.external.name, "x0", count, pace, slaves, one.observed)
            share = seen.copies / (count * slaves)
            self.results.add(Figure(f"{name}: delivered", "%", 0.01, "more"), one.key, share)
            if not pace:
                figure = Figure(f"{name}: copies", "M/s", 1e6, "more")
                speed = seen.copies * 1e9 / seen.nanoseconds if seen.nanoseconds else 0.0
                self.results.add(figure, one.key, speed)
            self._note_drops(one, name, before)
            self.results.remark(one.key, f"{name}: duplicates", seen.duplicates)
            self.results.remark(one.key, f"{name}: out of order", seen.disordered)
            self.results.remark(one.key, f"{name}: copies the observer missed", seen.unseen)

    def _note_drops(self, one: Contestant, name: str, before: dict[str, int]) -> None:
        if not one.counts_drops:
            return
        after = one.drops()
        dropped = {reason: after[reason] - before.get(reason, 0) for reason in after}
        figure = Figure(f"{name}: drops counted", "frames", 1, "less")
        self.results.add(figure, one.key, sum(dropped.values()))
        for reason, packets in dropped.items():
            self.results.remark(one.key, f"{name}: dropped, {reason}", packets)

    def _storm(self, turns: list[Contestant], slaves: int, cpu: int) -> None:
        """One of the crowd floods; what is left of a stream from the wire to s0?"""
        where = "same CPU" if cpu == PATH_CPU else "other CPU"
        for one in turns:
            if isinstance(one, Bridge):
                continue
            before = one.drops()
            windows = self.scale.storm // WINDOW + 8
            stream = instruments.tcp_stream(one.ways()["wire→slave"], PATH_CPU, windows, WINDOW)
            time.sleep(0.55)  # it warms up, and flows undisturbed
            flood = instruments.storm(one.crowd, "s2", cpu, self.scale.storm)
            storm = instruments.storm_report(flood)
            all_windows = instruments.tcp_windows(stream)
            calm = [window for window in all_windows if window.end <= storm.start]
            during = [w for w in all_windows if storm.start <= w.start and w.end <= storm.end]
            if not calm or not during:
                found = f"{len(calm)} windows before it, {len(during)} in it"
                raise instruments.Failed(f"storm: {found}")
            name = f"storm of one of {slaves} on the {where}"
            kept = instruments.rate(during) / instruments.rate(calm)
            bits = instruments.rate(during)
            self.results.add(Figure(f"{name}: TCP keeps", "%", 0.01, "more"), one.key, kept)
            self.results.add(Figure(f"{name}: TCP", "Gbit/s", 1e9, "more"), one.key, bits)
            # Not a figure of merit: how hard it blew.
            figure = Figure(f"{name}: broadcasts sent", "k/s", 1e3, "more")
            self.results.add(figure, one.key, storm.per_second)
            self._note_drops(one, name, before)


def say(what: str) -> None:
    print(f"-- {what}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--json", help="the file's name, in the folder that is open as --folder")
    parser.add_argument("--folder", type=int, help="a file descriptor")
    parser.add_argument("--only", choices=("unicast", "fanout", "storm", "life", "api", "afxdp"))
    return parser.parse_args()


def main() -> None:
    if os.getpid() != 1:
        sys.exit("run this by tools/bench: it needs a machine of its own")
    options = arguments()
    about = report.machine()
    print(report.head(about), flush=True)
    try:
        instruments.compile_all()
        before = report.cpu_use()
        spinner = instruments.start("spin")
        bench = Bench(QUICK, options.only)
        bench.run()
        spinner.kill()
        spinner.communicate()
    except (instruments.Failed, AssertionError) as error:
        sys.exit(f"tools/bench: {error}")
    about["cpu_use_of_others"] = {"before": before, "after": report.cpu_use()}
    others = "before {before:.0%}, after {after:.0%}".format(**about["cpu_use_of_others"])
    print(f"others' share of the CPUs: {others} (more than a few percent: figures are noise)\n")
    print(report.table(bench.results))
    if said := report.remarks(bench.results):
        print(f"\nCounted beside that, median (least - most) of the rounds:\n{said}")
    if options.json:
        # By the folder's descriptor: in this /run, the path might mean something else.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(options.json, flags, 0o644, dir_fd=options.folder), "w") as file:
            report.write_json(bench.results, about, file)


if __name__ == "__main__":
    main()
