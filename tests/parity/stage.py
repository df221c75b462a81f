# SPDX-License-Identifier: Apache-2.0
"""Where is it observed?

    external            switch               host                  a, b          c
    e0 --- veth ---  e1 =bridge= x0 -------  m0 ==== slaves =====  ipvl0         ipvl0
    10.0.0.1/24      (x0: hairpin            10.0.0.2/24           10.0.0.10/24  10.1.0.12/24
    10.1.0.1/24       off or on)                                   10.0.0.11/24
    192.0.2.1

IPv6 the same: fd00::1, fd01::1, 2001:db8::1; fd00::2; fd00::10, fd00::11; fd01::12. The wire is
x0: frames are put on it and seen on it there. Who is external knows a's address by a static
neighbour entry, and has to ask for everybody else's.

The drawing outlives its slaves: each mode and flag gets new ones.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Callable, Iterator

import rtnetlink
from backends import Backend
from ears import Ears, Heard, Place, token
from space import Netns

MODES, FLAGS = ("l2", "l3", "l3s"), ("bridge", "private", "vepa")
FAMILIES = (4, 6)
EXTERNAL = {4: "10.0.0.1", 6: "fd00::1"}
BEYOND = {4: "192.0.2.1", 6: "2001:db8::1"}
HOST = {4: "10.0.0.2", 6: "fd00::2"}
NOBODY = {4: "10.0.0.99", 6: "fd00::99"}
SLAVES = {
    "a": {4: "10.0.0.10", 6: "fd00::10"},
    "b": {4: "10.0.0.11", 6: "fd00::11"},
    "c": {4: "10.1.0.12", 6: "fd01::12"},
}
LINK_LOCAL = {"external": "fe80::1", "a": "fe80::10", "b": "fe80::11", "c": "fe80::12"}
# More addresses of the external host: who asks from each of them can tell the answers apart.
ASKERS = {4: [f"10.0.0.2{n:02}" for n in range(20)], 6: [f"fd00::2{n:02}" for n in range(20)]}
GROUP = {4: "239.1.2.3", 6: "ff05::1:3"}  # b, the host and the external host are in it
MASTER, SLAVE = "m0", "ipvl0"

SLOW = float(os.environ.get("IPVLANX_SLOW", "1"))
SILENCE = min(0.4 * SLOW, 1.2)  # nobody is heard any more

# What a script yields: a key and its value, or how to find it once all is silent; WAIT waits.
Value = str | Callable[[], str]
Step = tuple[str, Value] | None
Script = Callable[["Stage"], Iterator[Step]]
WAIT = None


class Stage:
    """The drawing, and a back end in it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.ears = Ears()
        self.spaces: list[Netns] = []
        self.mode = self.flag = ""
        self.switch = self.netns("switch", ipv6=False)
        spaces = {name: self.netns(name) for name in ("external", "host", "a", "b", "c")}
        self._draw(spaces["host"], spaces["external"])
        self.mac = spaces["host"].link(MASTER)["address"]
        self.external_mac = spaces["external"].link("e0")["address"]

        def place(name: str, interface: str) -> Place:
            return Place(self.ears, name, spaces[name], interface, stack=True)

        self.external, self.host = place("external", "e0"), place("host", MASTER)
        self.a, self.b, self.c = (place(name, SLAVE) for name in SLAVES)
        self.slaves = [self.a, self.b, self.c]
        self.wire = Place(self.ears, "wire", self.switch, "x0", stack=False)
        backend.start(spaces["host"])

    def close(self) -> None:
        try:
            self.backend.close()
        finally:
            self.ears.close()
            for space in self.spaces:
                space.delete()

    def netns(self, name: str, *, ipv6: bool = True) -> Netns:
        space = Netns(name, ipv6=ipv6)
        self.spaces.append(space)
        for scope in ("all", "default"):  # as the kernel has them, whatever this machine likes
            space.sysctl(f"net/ipv4/conf/{scope}/rp_filter", 0)
            if ipv6:
                space.sysctl(f"net/ipv6/conf/{scope}/accept_dad", 0)  # at once usable
        return space

    def _draw(self, host: Netns, external: Netns) -> None:
        batch(
            self.switch,
            "link add x0 type veth peer name m0 netns host",
            "link add e1 type veth peer name e0 netns external",
            "link add name br0 type bridge stp_state 0 mcast_snooping 0",
            "link set x0 master br0",
            "link set e1 master br0",
            *(f"link set {name} up" for name in ("x0", "e1", "br0")),
        )
        batch(
            external,
            "link set e0 up",
            "addr add 10.0.0.1/24 dev e0",
            "addr add 10.1.0.1/24 dev e0",
            "addr add fd00::1/64 dev e0 nodad",
            "addr add fd01::1/64 dev e0 nodad",
            f"addr add {LINK_LOCAL['external']}/64 dev e0 nodad",
            *(f"addr add {address}/24 dev e0" for address in ASKERS[4]),
            *(f"addr add {address}/64 dev e0 nodad" for address in ASKERS[6]),
            "addr add 192.0.2.1/32 dev lo",
            "addr add 2001:db8::1/128 dev lo",
        )
        batch(
            host,
            "link set m0 up",
            "addr add 10.0.0.2/24 dev m0",
            "addr add fd00::2/64 dev m0 nodad",
            "route add 10.1.0.0/24 dev m0",
            "route add fd01::/64 dev m0",
            "route add default via 10.0.0.1",
            "route add default via fd00::1",
        )

    # ------------------------------------------------------------------- mode and flag

    @property
    def combination(self) -> str:
        return f"{self.mode} {self.flag}"

    def enter(self, mode: str, flag: str) -> str:
        """New slaves in this mode and flag: `ok`, or what was refused."""
        self.mode, self.flag = mode, flag
        for place in self.slaves:
            result = self.backend.add(MASTER, SLAVE, place.space, mode, flag)
            if result != "ok":
                self.leave()
                return result
        for place in self.slaves:
            self.address(place)
        batch(
            self.external.space,
            f"neigh replace {SLAVES['a'][4]} lladdr {self.mac} dev e0",
            f"neigh replace {SLAVES['a'][6]} lladdr {self.mac} dev e0",
            f"neigh replace {LINK_LOCAL['a']} lladdr {self.mac} dev e0",
        )
        for place in (self.b, self.host, self.external):
            place.join(GROUP)
        return "ok"

    def address(self, place: Place) -> None:
        """A slave's addresses and routes, and its interface up."""
        four, six = SLAVES[place.name].values()
        other = "10.0.0.0/24", "fd00::/64"
        if place is not self.c:
            other = "10.1.0.0/24", "fd01::/64"
        gateway = ("10.1.0.1", "fd01::1") if place is self.c else ("10.0.0.1", "fd00::1")
        batch(
            place.space,
            # Up first: at an interface that comes up, IPv6 takes up to a second over its addresses.
            f"link set {SLAVE} up",
            f"addr add {four}/24 dev {SLAVE}",
            f"addr add {six}/64 dev {SLAVE} nodad",
            f"addr replace {LINK_LOCAL[place.name]}/64 dev {SLAVE} nodad",
            *(f"route add {network} dev {SLAVE}" for network in other),
            *(f"route add default via {address} dev {SLAVE}" for address in gateway),
        )
        for address in (four, six, LINK_LOCAL[place.name]):
            self.backend.know(MASTER, address, place.space, SLAVE)

    def leave(self) -> None:
        for place in self.slaves:
            if rtnetlink.index_of(place.space, SLAVE):
                self.backend.delete(place.space, SLAVE)
        for place in (self.b, self.host, self.external):
            place.leave()
        for place in (self.external, self.host):
            self.forget_neighbours(place)
        self.hairpin(False)

    def forget_neighbours(self, place: Place) -> None:
        batch(place.space, f"neigh flush dev {place.interface} nud all")

    def hairpin(self, on: bool) -> None:
        words = ["bridge", "link", "set", "dev", "x0", "hairpin", "on" if on else "off"]
        self.switch.run(*words)

    # ------------------------------------------------------------------------- playing

    def play(self, *scripts: Script) -> dict[str, str]:
        """What these scripts observe; where they wait, they wait together."""
        running = [script(self) for script in scripts]
        observed: dict[str, str] = {}
        while running:
            self.ears.clear()
            waiting, found = [], {}
            for script in running:
                for step in script:
                    if step is WAIT:
                        waiting.append(script)
                        break
                    key, value = step
                    assert key not in found and key not in observed, key
                    found[key] = value
            if any(callable(value) for value in found.values()) or waiting:
                self.wait()
            for key, value in found.items():
                observed[key] = value() if callable(value) else value
            running = waiting
        return observed

    def wait(self) -> None:
        """Until nobody has been heard for a while."""
        self.ears.last = begin = time.monotonic()
        while time.monotonic() < min(self.ears.last + SILENCE, begin + 10 * SILENCE):
            time.sleep(0.01)

    def pause(self) -> None:
        """Time to learn by netlink what was done with plain `ip`; nothing says when it is over."""
        if self.backend.name != "kernel":
            time.sleep(0.1 * SLOW)

    @staticmethod
    def sysctl(place: Place, name: str) -> str:
        return place.space.run("cat", f"/proc/sys/{name}").stdout.strip()

    # -------------------------------------------------------- probes, and what came of them

    def ping(self, source: Place, address: str) -> Value:
        mark = token()
        with contextlib.suppress(OSError):
            source.request_echo(address, mark)
        return lambda: "answered" if self._heard(mark, "echo", source) else "lost"

    def datagram(self, source: Place, address: str, ttl: int = 64) -> bytes:
        """By the stacks; the token to ask for."""
        return self._say(source, address, token(), ttl)

    def big_datagram(self, source: Place, address: str) -> bytes:
        """Its token is at both ends: what comes with it has come whole."""
        mark = token()
        return self._say(source, address, mark.ljust(4000 - len(mark), b".") + mark)[-len(mark) :]

    @staticmethod
    def _say(source: Place, address: str, data: bytes, ttl: int = 64) -> bytes:
        with contextlib.suppress(OSError):  # what cannot be sent is not heard: that is enough
            source.say(address, data, ttl)
        return data

    def size(self, mark: bytes, place: Place) -> str:
        heard = self._heard(mark, "socket", place)
        return f"{len(heard[0].data)} bytes" if heard else "lost"

    def tap(self, place: Place, *, outgoing: bool) -> list[Heard]:
        """All that was seen on its interface."""
        return [
            one
            for one in list(self.ears.heard)
            if (one.how, one.place, one.interface) == ("tap", place.name, place.interface)
            and one.outgoing == outgoing
        ]

    def _heard(self, mark: bytes, how: str, place: Place) -> list[Heard]:
        return [
            one
            for one in self.ears.with_token(mark)
            if (one.how, one.place) == (how, place.name)
            and one.interface in ("", place.interface)
            and not one.outgoing
        ]

    def who(self, mark: bytes, *, but: Place | None = None) -> str:
        """Who got it, and how many copies of it: `a, b, host ×2, wire`."""
        stacks = [place for place in (*self.slaves, self.host) if place is not but]
        counts = {place.name: self.copies(mark, place) for place in stacks}
        counts["wire"] = len(self._heard(mark, "tap", self.wire))
        said = [name + (f" ×{n}" if n > 1 else "") for name, n in counts.items() if n]
        return ", ".join(said) or "nobody"

    def copies(self, mark: bytes, place: Place) -> int:
        """That a stack got: what is handed over behind the interface's own entrance counts, too."""
        return max(len(self._heard(mark, how, place)) for how in ("entrance", "socket"))

    def whose_socket(self, mark: bytes, *, but: Place | None = None) -> str:
        places = [*self.slaves, self.host, self.external]
        counts = {p.name: len(self._heard(mark, "socket", p)) for p in places if p is not but}
        said = [name + (f" ×{n}" if n > 1 else "") for name, n in counts.items() if n]
        return ", ".join(said) or "nobody's"

    def on_the_wire(self, mark: bytes) -> list[Heard]:
        """From the master, that is."""
        return self._heard(mark, "tap", self.wire)

    def seen_by(self, mark: bytes, place: Place) -> list[Heard]:
        """By a capture on its interface."""
        return self._heard(mark, "tap", place)

    def ttl(self, mark: bytes, place: Place) -> str:
        heard = self._heard(mark, "socket", place)
        return str(heard[0].ttl) if heard else "lost"

    def whose(self, mac: str) -> str:
        names = {self.mac: "the master's", self.external_mac: "the external host's"}
        return names.get(mac, "forged")


def batch(space: Netns, *lines: str) -> None:
    done = subprocess.run(
        ["ip", "-n", space.name, "-batch", "-"],
        input="".join(line + "\n" for line in lines), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{space.name}: {lines}: {done.stderr}"

