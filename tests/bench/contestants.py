# SPDX-License-Identifier: Apache-2.0
"""What is compared? Each contestant has the same drawing, in namespaces of its own:

    KEY-ext                 KEY-host            KEY-0      KEY-1      KEY-crowd
    x0  ---- veth ----  m0 ==== slaves =======  s0         s1         s2, s3, ...
    10.0.0.1                10.0.0.2            10.0.0.10  10.0.0.11  no address

s0 and s1 are there from the start; the crowd gets broadcasts and is otherwise silent. IPv6 is off
everywhere: nothing but what is measured is on the way.
"""

from __future__ import annotations

import json
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import instruments
from ipvlanx import Daemon
from instruments import Failed, Way
from space import Netns, eventually

EXTERNAL, HOST = "10.0.0.1", "10.0.0.2"
OWN = 2  # slaves with a namespace and an address of their own
GROUP = 6971  # of interfaces that are deleted together


def ip_batch(netns: str, lines: list[str]) -> None:
    done = subprocess.run(
        ["ip", "-n", netns, "-batch", "-"], input="\n".join(lines), capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(f"{netns}# ip -batch: {done.stderr.strip()}")


def drops_by_reason(dump: str) -> dict[str, int]:
    """Of all slaves, from `bpftool -j map dump` of ipvx_drops."""
    drops: dict[str, int] = {}
    for row in json.loads(dump):
        reason = row["formatted"]["key"]["reason"].removeprefix("IPVX_DROP_").lower()
        each = [cpu["value"]["packets"] for cpu in row["formatted"]["values"]]
        drops[reason] = drops.get(reason, 0) + sum(each)
    return drops


@dataclass(frozen=True)
class Growth:
    """Seconds it took."""

    to_add: float
    to_bring_up: float


class Contestant(ABC):
    key: str
    title: str
    counts_drops = False
    most = 5000  # slaves

    def __init__(self) -> None:
        self.count = 0  # slaves
        self.external, self.host = self._netns("ext"), self._netns("host")
        self._homes = [self._netns(str(number)) for number in range(OWN)]
        self._crowd = self._netns("crowd")
        self.host.ip(f"link add m0 type veth peer name x0 netns {self.external.name}")
        self.external.ip(f"addr add {EXTERNAL}/24 dev x0")
        self.external.ip("link set x0 up")
        self.host.ip("link set m0 up")
        self._prepare()
        self.grow(OWN)
        for number in range(OWN):
            self._homes[number].ip(f"addr add {self.address(number)}/24 dev s{number}")

    def _netns(self, name: str) -> Netns:
        return Netns(f"{self.key}-{name}", ipv6=False)

    @staticmethod
    def address(number: int) -> str:
        return f"10.0.0.{10 + number}"

    def grow(self, count: int) -> Growth:
        """Until there are so many slaves; all are up."""
        numbers = range(self.count, count)
        start = time.monotonic()
        self._add({number: self.home(number).name for number in numbers})
        added = time.monotonic()
        for home in (*self._homes, self._crowd):
            mine = [number for number in numbers if self.home(number) is home]
            if mine:
                ip_batch(home.name, [f"link set s{number} up" for number in mine])
        self.count = count
        self._settle()
        return Growth(to_add=added - start, to_bring_up=time.monotonic() - added)

    def clear(self) -> float:
        """All slaves are deleted at once; the seconds it took."""
        start = time.monotonic()
        self._clear()
        self.count = 0
        return time.monotonic() - start

    def home(self, number: int) -> Netns:
        return self._homes[number] if number < OWN else self._crowd

    @property
    def observed(self) -> list[str]:
        """Where slaves are."""
        return [home.name for home in (*self._homes, self._crowd)]

    @property
    def crowd(self) -> str:
        return self._crowd.name

    def ways(self) -> dict[str, Way]:
        a, b = (home.name for home in self._homes)
        return {
            "wire→slave": Way(self.external.name, a, self.address(0)),
            "slave→wire": Way(a, self.external.name, EXTERNAL),
            "slave→slave": Way(a, b, self.address(1)),
        }

    @abstractmethod
    def _prepare(self) -> None:
        """What is needed before the first slave."""

    @abstractmethod
    def _add(self, slaves: dict[int, str]) -> None:
        """Makes slaves of these numbers in these namespaces."""

    @abstractmethod
    def _clear(self) -> None:
        """Deletes all slaves."""

    def _settle(self) -> None:
        """Returns when all slaves get broadcasts."""

    def chores(self) -> dict[str, float]:
        """What else is done to all slaves at once, and the seconds each takes."""
        return {}

    def memory(self) -> dict[str, int]:
        """Bytes, of whom; besides what the kernel has of interfaces."""
        return {}

    def drops(self) -> dict[str, int]:
        """Counted so far, by reason; nothing where not counts_drops."""
        return {}

    def check(self) -> None:
        """Fails if it is no longer well."""


class Macvlan(Contestant):
    key, title = "macvlan", "macvlan"

    def _prepare(self) -> None:
        self.host.ip(f"addr add {HOST}/24 dev m0")

    def _add(self, slaves: dict[int, str]) -> None:
        line = f"link add link m0 name s{{}} group {GROUP} netns {{}} type macvlan mode bridge"
        ip_batch(self.host.name, [line.format(*slave) for slave in slaves.items()])

    def _clear(self) -> None:
        for home in {self.home(number).name for number in range(self.count)}:
            ip_batch(home, [f"link del group {GROUP}"])


class Bridge(Contestant):
    """As Docker's default network."""

    key, title = "bridge", "veth + bridge"
    most = 1000  # the kernel's limit (BR_MAX_PORTS) is 1024

    def _prepare(self) -> None:
        self.host.ip("link add br0 type bridge")
        self.host.ip(f"addr add {HOST}/24 dev br0")
        self.host.ip("link set m0 master br0")
        self.host.ip("link set br0 up")

    def _add(self, slaves: dict[int, str]) -> None:
        line = f"link add h{{0}} up group {GROUP} master br0 type veth peer name s{{0}} netns {{1}}"
        ip_batch(self.host.name, [line.format(*slave) for slave in slaves.items()])

    def _clear(self) -> None:
        ip_batch(self.host.name, [f"link del group {GROUP}"])


class Ipvlanx(Contestant):
    key, title = "ipvlanx", "ipvlanx l2"
    via = "veth"
    counts_drops = True

    def _prepare(self) -> None:
        self.host.ip(f"addr add {HOST}/24 dev m0")
        self.daemon = Daemon(self.host)
        self.daemon.start()

    def _add(self, slaves: dict[int, str]) -> None:
        for number, netns in slaves.items():
            wanted = {"master": "m0", "name": f"s{number}", "mode": "l2", "netns": netns}
            answer = self.daemon.api("POST", "/v1/slaves", wanted | {"via": self.via})
            if answer.status != 201:
                raise Failed(f"ipvlanx: slave {number}: {answer.body}")

    def chores(self) -> dict[str, float]:
        """Each ends with the last slave as it was: the daemon answers again when it is through."""
        times = {}
        with self.daemon.requests(timeout=120) as ask:
            for mode in ("l3s", "l2"):
                start = time.monotonic()
                answer = ask("PATCH", "/v1/ports/m0", {"mode": mode})
                if answer.status != 200:
                    raise Failed(f"ipvlanx: mode {mode}: {answer.body}")
                ask("POST", "/v1/apply", {"version": 1})
                times[f"changed to {mode}"] = time.monotonic() - start
        self.daemon.stop()
        start = time.monotonic()
        self.daemon.start(patience=120)
        times["taken over by the next daemon"] = time.monotonic() - start
        return times

    def memory(self) -> dict[str, int]:
        return {
            "the daemon": instruments.resident_memory(self.daemon.pid),
            "BPF maps": self.daemon.maps.memory(),
        }

    def _clear(self) -> None:
        with self.daemon.requests(timeout=120) as ask:
            answer = ask("DELETE", "/v1/ports/m0")
        if answer.status != 204:
            raise Failed(f"ipvlanx: DELETE /v1/ports/m0: {answer.body}")

    def _settle(self) -> None:
        def all_are_members() -> bool:
            return len(self.daemon.maps.dump("ipvx_members")) >= self.count

        eventually(f"{self.count} slaves get broadcasts", all_are_members, 60)

    def drops(self) -> dict[str, int]:
        # bpftool knows the reasons' names from the map itself.
        pin = f"{self.daemon.pin_root}/maps/ipvx_drops"
        words = ["bpftool", "-j", "map", "dump", "pinned", pin]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return drops_by_reason(done.stdout)

    def check(self) -> None:
        if not self.daemon.running:
            raise Failed(f"ipvlanxd ended by itself:\n{self.daemon.log.read_text()}")
