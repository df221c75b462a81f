# SPDX-License-Identifier: Apache-2.0
"""How fast is a packet application in a slave of its own, beside one on the NIC itself, and beside
sockets?

    KEY-ext                 KEY-host            KEY-0
    x0  ---- veth ----  m0 ==== slaves =======  s0

Frames come as flood.c makes them, on one CPU, in m0's NAPI (GRO is on there, so that it has one
without an XDP program, too); who receives them has another CPU. What is sent, on one CPU, is counted
at x0, whose stack drops it as somebody else's. Applications are `ipvlanx-xsk`, which never sleeps.
"""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from typing import Callable

import instruments
from contestants import EXTERNAL, HOST, Contestant, Ipvlanx, Macvlan
from instruments import Failed
from ipvlanx import BIN
from report import Figure, Results
from space import Netns

XSK = str(BIN / "ipvlanx-xsk")
PATH_CPU, APPLICATION_CPU = 0, (os.cpu_count() or 1) - 1
SOMEBODY = "02:00:00:00:00:99"  # not x0
FRAMES = 2_000_000  # of each measurement
MILLISECONDS = 700  # of each measurement of what is sent


class Application:
    """`ipvlanx-xsk WORDS` on a CPU, while the `with` block runs."""

    def __init__(self, space: Netns, cpu: int, *words: str) -> None:
        argv = ("taskset", "--cpu-list", str(cpu), XSK, *words, "--json", "--spin")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self._process = space.spawn(*argv, **pipes)
        said = self._process.stderr.readline()
        if not said.startswith("ready: "):
            raise Failed(f"{' '.join(words)}: {said}")

    def end(self) -> dict:
        """What it counted."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> dict:
        said, complaint = self._process.communicate(timeout=instruments.PATIENCE)
        if self._process.returncode:
            raise Failed(complaint)
        return json.loads(said.splitlines()[-1])

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Nic:
    """m0 alone, and x0 behind it."""

    def __init__(self, key: str) -> None:
        self.external, self.host = Netns(f"{key}-ext", ipv6=False), Netns(f"{key}-host", ipv6=False)
        self.host.ip(f"link add m0 type veth peer name x0 netns {self.external.name}")
        self.external.ip(f"addr add {EXTERNAL}/24 dev x0")
        self.external.ip("link set x0 up")
        self.host.ip(f"addr add {HOST}/24 dev m0")
        self.host.ip("link set m0 up")

    def check(self) -> None:
        pass


class SocketsMacvlan(Macvlan):
    key = "socket"


class AfxdpSlaves(Ipvlanx):
    key, title, via = "afxdp", "AF_XDP slave, TC hop", "afxdp"


class XdpSlaves(AfxdpSlaves):
    """Their frames leave the master in its driver: on a veth, only if the port says so."""

    key, title = "xdp", "AF_XDP slave, XDP on the master"

    def _prepare(self) -> None:
        super()._prepare()
        answer = self.daemon.api("PATCH", "/v1/ports/m0", {"xdp": "native"})
        if answer.status != 200:
            raise Failed(f"ipvlanx: xdp native: {answer.body}")

    def check(self) -> None:
        super().check()
        attached = self.daemon.get("/v1/ports/m0")["xdp"]["attached"]
        if attached != "native":
            raise Failed(f"ipvlanx: the master's program is attached: {attached}")


class DirectSlaves(AfxdpSlaves):
    key, title, via = "direct", "AF_XDP socket, direct slave", "afxdp-direct"

    def _prepare(self) -> None:
        super()._prepare()
        self.daemon.use_settings("[afxdp]\ndirect = on\n")


class Competitor(ABC):
    """Who receives, or sends; on a drawing of its own, or on another one's."""

    key: str
    title: str

    def __init__(self, drawing: Nic | Contestant) -> None:
        self.drawing, self.external, self.host = drawing, drawing.external, drawing.host
        self.host.run("ethtool", "-K", "m0", "gro", "on")
        self.mac = self.host.link("m0")["address"]

    @abstractmethod
    def receive(self, flood: Callable[[], None]) -> int:
        """Frames that arrived of a flood."""

    def send(self) -> float:
        """Seconds in which it has sent to SOMEBODY all it could."""
        raise NotImplementedError


class Socket(Competitor):
    """A UDP socket behind macvlan."""

    key, title = SocketsMacvlan.key, "UDP socket, macvlan"

    def __init__(self) -> None:
        drawing = SocketsMacvlan()
        super().__init__(drawing)
        self._home = drawing.home(0)
        self._home.ip(f"neigh replace {EXTERNAL} lladdr {SOMEBODY} dev s0 nud permanent")
        # Frames for a macvlan bear its own MAC address.
        self.mac = self._home.link("s0")["address"]

    def receive(self, flood: Callable[[], None]) -> int:
        words = (self._home.name, Contestant.address(0), 9, APPLICATION_CPU)
        sink = instruments.start("flood", "sink", *words)
        try:
            if sink.stdout.readline() != "bound\n":
                raise Failed(f"flood sink: {sink.communicate()[1]}")
            flood()
            sink.terminate()
            return instruments.finish(sink)[0][0]
        finally:
            sink.kill()

    def send(self) -> float:
        words = (self._home.name, EXTERNAL, 9, PATH_CPU, MILLISECONDS)
        _, nanoseconds = instruments.finish(instruments.start("flood", "pour", *words))[0]
        return nanoseconds / 1e9


class Packets(Competitor):
    """An AF_XDP socket on `interface` of `space`."""

    space: Netns
    interface: str
    options: tuple[str, ...] = ()

    def receive(self, flood: Callable[[], None]) -> int:
        words = ("drop", self.interface, *self.options)
        with Application(self.space, APPLICATION_CPU, *words) as application:
            flood()
            (queue,) = application.end()["sockets"]
        return queue["rx"]["packets"]

    def send(self) -> float:
        words = ("generate", self.interface, "--to", EXTERNAL, "--to-mac", SOMEBODY, "--size", "60")
        time_out = ("--seconds", str(MILLISECONDS / 1000))
        with Application(self.space, PATH_CPU, *words, *time_out) as application:
            return application.wait()["seconds"]


class OnNic(Packets):
    """With libxdp's own program there, that does nothing else."""

    key, title = "nic", "AF_XDP socket, NIC alone"
    interface, options = "m0", ("--load",)

    def __init__(self) -> None:
        super().__init__(Nic(self.key))
        self.space = self.host


class InSlave(Packets):
    interface = "s0"

    def __init__(self, slaves: type[AfxdpSlaves]) -> None:
        drawing = slaves()
        self.key, self.title = slaves.key, slaves.title
        super().__init__(drawing)
        self.space = drawing.home(0)


class Direct(Packets):
    """On the master, which gives it its slave's frames alone."""

    interface = "m0"

    def __init__(self) -> None:
        drawing = DirectSlaves()
        self.key, self.title = drawing.key, drawing.title
        super().__init__(drawing)
        self.space = drawing.host
        (slave,) = drawing.daemon.get("/v1/slaves")
        self.options = ("--map", f"{drawing.daemon.pin_root}/slaves/{slave['id']}/xsks_map")


class Dropped(Competitor):
    """An XDP program that drops all."""

    key, title = "drop", "XDP drop, NIC alone"

    def __init__(self, nic: Nic) -> None:
        super().__init__(nic)

    def receive(self, flood: Callable[[], None]) -> int:
        program = instruments.start("flood", "drop", self.host.name, "m0")
        try:
            if program.stdout.readline() != "attached\n":
                raise Failed(f"flood drop: {program.communicate()[1]}")
            before = received(self.host, "m0")
            flood()
            return received(self.host, "m0") - before
        finally:
            program.kill()
            program.communicate()


def received(space: Netns, interface: str) -> int:
    (link,) = space.ip_json(f"-s link show dev {interface}")
    return link["stats64"]["rx"]["packets"]


class Afxdp:
    def __init__(self, results: Results) -> None:
        self._results = results
        on_nic = OnNic()
        self._applications: list[Competitor] = [
            Socket(), on_nic, InSlave(AfxdpSlaves), InSlave(XdpSlaves), Direct()
        ]
        self._droppers: list[Competitor] = [Dropped(on_nic.drawing)]
        for one in (*self._applications, *self._droppers):
            results.titles[one.key] = one.title

    def measure(self, number: int) -> None:
        """One round; who goes first changes from round to round."""
        first = number % len(self._applications)
        turns = self._applications[first:] + self._applications[:first]
        for one in turns:
            rate = self._received(one)
            self._results.add(Figure("receive 60 B", "Mpps", 1e6, "more", Socket.key), one.key, rate)
            if one.key != Socket.key:
                figure = Figure("receive 60 B, of the NIC alone", "Mpps", 1e6, "more", OnNic.key)
                self._results.add(figure, one.key, rate)
        for one in self._droppers:
            figure = Figure("drop 60 B", "Mpps", 1e6, "more", Dropped.key)
            self._results.add(figure, one.key, self._received(one))
        for one in turns:
            before = received(one.external, "x0")
            seconds = one.send()
            rate = (received(one.external, "x0") - before) / seconds
            self._results.add(Figure("send 60 B", "Mpps", 1e6, "more", Socket.key), one.key, rate)

    def _received(self, one: Competitor) -> float:
        took = 0.0

        def flood() -> None:
            nonlocal took
            words = (one.external.name, "x0", Contestant.address(0), one.mac, PATH_CPU, FRAMES)
            took = instruments.finish(instruments.start("flood", "frames", *words))[0][0] / 1e9

        return one.receive(flood) / took

    def check(self) -> None:
        for one in self._applications:
            one.drawing.check()
