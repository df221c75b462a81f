# SPDX-License-Identifier: Apache-2.0
"""Does traffic notice a daemon that is killed all the time, and is anything left behind?

    external                 host                          ns0, ns1       tom0, ann0, ...
    x0  ------- veth ------  m0 == two l2 slaves ========  ipvl0, ipvl1
                                == slaves that come and go =============  tom-1, ann-1, ...
    x1  ------- veth ------  m1 == others, in every mode ===============  tom-2, ann-2, ...

UDP and TCP flows between external, ipvl0 and ipvl1 run all the time and number what they send.
Meanwhile ipvlanxd is killed with -9 at random moments, also while it starts, and started again;
slaves are added, moved and deleted and addresses come and go, by the API and by `ip`. In the end
all slaves and ports are deleted, and the machine has to look as before.

Run by tools/soak, and a short one by CTest: tests/netns/run --exec python3 soak.py [MINUTES]
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parents[1] / "netns"))
os.environ.setdefault("IPVLANX_BUILD", str(Path(__file__).parents[2] / "build"))

from ipvlanx import EXTERNAL, FAMILIES, Topology  # noqa: E402  (needs the path above)
from snapshot import differences, snapshot  # noqa: E402
from space import Netns, eventually, family_of, ping_ok  # noqa: E402

UDP_PAUSE = 0.002
TCP_PAUSE, TCP_PART = 0.005, 2048
# A flow that stands still this long has been stopped; a machine under load may pause by itself.
TCP_STALL = 3.0
SO_RCVBUFFORCE = 33
NUMBER = struct.Struct("!Q")


def on_one_cpu() -> None:
    """A sender that changes its CPU overtakes itself."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class UdpFlow:
    """Numbered datagrams, one way."""

    def __init__(self, source: Netns, target: Netns, address: str) -> None:
        self.name = f"UDP {source.name} -> {address}"
        self.sent = self.received = self.reordered = self.duplicated = 0
        self._ending = threading.Event()
        family = family_of(address)
        self._in = target.socket(family, socket.SOCK_DGRAM)
        self._in.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        self._in.bind((address, 0))
        self._in.settimeout(0.2)
        self._out = source.socket(family, socket.SOCK_DGRAM)
        self._out.connect(self._in.getsockname()[:2])
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        on_one_cpu()
        while not self._ending.is_set():
            self._out.send(NUMBER.pack(self.sent))
            self.sent += 1
            time.sleep(UDP_PAUSE)

    def _receive(self) -> None:
        seen, highest = set[int](), -1
        while True:
            try:
                (number,) = NUMBER.unpack(self._in.recv(64))
            except TimeoutError:
                if self._ending.is_set():
                    return
                continue
            self.duplicated += number in seen
            self.reordered += number < highest
            highest = max(highest, number)
            if number not in seen:
                seen.add(number)
                self.received += 1

    def end(self) -> list[str]:
        """What went wrong."""
        self._ending.set()
        for thread in self._threads:
            thread.join(5)
        wrong = {"lost": self.sent - self.received, "reordered": self.reordered}
        wrong["duplicated"] = self.duplicated
        return [f"{self.name}: {count} {what}" for what, count in wrong.items() if count]


class TcpFlow:
    """A connection whose bytes are known, there and back."""

    def __init__(self, client: Netns, server: Netns, address: str) -> None:
        self.name = f"TCP {client.name} -> {address}"
        self.sent = self.received = self.reordered = self.duplicated = 0
        self.longest = 0.0  # between two parts
        self._wrong: list[str] = []
        self._ending = threading.Event()
        listener = server.socket(family_of(address), socket.SOCK_STREAM)
        listener.bind((address, 0))
        listener.listen()
        self._out = client.socket(family_of(address), socket.SOCK_STREAM)
        self._out.settimeout(TCP_STALL)
        self._out.connect(listener.getsockname()[:2])
        self._echo, _ = listener.accept()
        listener.close()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._run, self._answer)]
        for thread in self._threads:
            thread.start()

    def _answer(self) -> None:
        try:
            while data := self._echo.recv(65536):
                self._echo.sendall(data)
        except OSError:
            pass  # told by the other side

    def _run(self) -> None:
        before = time.monotonic()
        try:
            while not self._ending.is_set():
                part = NUMBER.pack(self.sent) * (TCP_PART // NUMBER.size)
                self._out.sendall(part)
                self.sent += 1
                back = b""
                while len(back) < len(part):
                    data = self._out.recv(len(part) - len(back))
                    if not data:
                        raise OSError("closed")
                    back += data
                self.received += 1
                if back != part:
                    raise OSError("other bytes came back")
                now = time.monotonic()
                self.longest, before = max(self.longest, now - before), now
                time.sleep(TCP_PAUSE)
        except OSError as error:
            self._wrong.append(f"{self.name}: {error!r} after {self.sent} parts")

    def end(self) -> list[str]:
        self._ending.set()
        self._threads[0].join(TCP_STALL + 2)
        self._out.close()
        return self._wrong


class Churn:
    """Random changes, by all who may make them; those that come to nobody at home fail."""

    SPACES = 3

    def __init__(self, net: Topology, name: str, seed: int) -> None:
        self.net, self.name, self.changes = net, name, 0
        self.refusals: dict[str, int] = {}
        self._random = random.Random(f"{name}{seed}")
        self._names = 0
        self._ending = threading.Event()
        self._errors: list[BaseException] = []
        self.spaces = [Netns(f"{name}{n}") for n in range(self.SPACES)]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        acts = (
            self._add, self._add, self._add, self._delete, self._delete, self._address,
            self._no_address, self._move, self._mode, self._ip_address, self._ip_address,
            self._ip_delete, self._ip_move, self._no_namespace, self._no_port,
        )  # fmt: skip
        while not self._ending.is_set():
            try:
                self._random.choice(acts)()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.005)  # nobody is at home
            except BaseException as error:
                self._errors.append(error)
                raise

    def end(self) -> list[str]:
        self._ending.set()
        self._thread.join(20)
        return [f"churn: {error!r}" for error in self._errors]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.net.daemon.api(method, path, body)
        if answer.status < 300:
            self.changes += method != "GET"
        else:
            code = answer.body["code"]
            self.refusals[code] = self.refusals.get(code, 0) + 1
        return answer.body

    def _ip(self, space: Netns, words: str) -> None:
        argv = ["ip", "-n", space.name, *words.split()]
        done = subprocess.run(argv, capture_output=True)  # may be gone already
        self.changes += done.returncode == 0

    def _slave(self) -> dict | None:
        """One of those that come and go."""
        found = [s for s in self._ask("GET", "/v1/slaves") if s["name"].startswith(self.name)]
        return self._random.choice(found) if found else None

    def _fresh_address(self) -> str:
        number = self._random.randrange(100, 250)
        return self._random.choice([f"10.0.0.{number}/24", f"fd00::{number}/64"])

    def _add(self) -> None:
        if len(self._ask("GET", "/v1/slaves")) > 20:
            return self._delete()
        self._names += 1
        body: dict[str, Any] = {"name": f"{self.name}-{self._names}", "master": self._random.choice(["m0", "m1"])}
        if self._random.random() < 0.8:
            body["netns"] = self._random.choice(self.spaces).name
        if self._random.random() < 0.6:
            body["addresses"] = [self._fresh_address()]
        if body["master"] == "m0":
            body["mode"] = "l2"
        self._ask("POST", "/v1/slaves", body)

    def _delete(self) -> None:
        if slave := self._slave():
            self._ask("DELETE", f"/v1/slaves/{slave['id']}")

    def _address(self) -> None:
        if slave := self._slave():
            self._ask("POST", f"/v1/slaves/{slave['id']}/addresses", {"address": self._fresh_address()})

    def _no_address(self) -> None:
        slave = self._slave()
        if slave and slave["addresses"]:
            address = self._random.choice(slave["addresses"])["address"].split("/")[0]
            self._ask("DELETE", f"/v1/slaves/{slave['id']}/addresses/{address}")

    def _move(self) -> None:
        if slave := self._slave():
            body = {"netns": self._random.choice(self.spaces).name, "up": True}
            self._ask("PATCH", f"/v1/slaves/{slave['id']}", body)

    def _mode(self) -> None:
        mode = self._random.choice(["l2", "l3", "l3s"])
        flag = self._random.choice(["bridge", "private", "vepa"])
        self._ask("PATCH", "/v1/ports/m1", {"mode": mode, "flag": flag})

    def _no_port(self) -> None:
        if self._random.random() < 0.3:
            self._ask("DELETE", "/v1/ports/m1")

    def _ip_address(self) -> None:
        slave = self._slave()
        if slave and slave["netns"]:
            space = next(s for s in self.spaces if s.name == slave["netns"])
            self._ip(space, f"link set {slave['name']} up")
            self._ip(space, f"addr add {self._fresh_address()} dev {slave['name']}")

    def _ip_delete(self) -> None:
        slave = self._slave()
        if slave and slave["netns"] and self._random.random() < 0.5:
            space = next(s for s in self.spaces if s.name == slave["netns"])
            self._ip(space, f"link del {slave['name']}")

    def _ip_move(self) -> None:
        slave = self._slave()
        if slave and not slave["netns"]:
            self._ip(self.net.host, f"link set {slave['name']} netns {self._random.choice(self.spaces).name}")

    def _no_namespace(self) -> None:
        if self._random.random() < 0.5:
            place = self._random.randrange(self.SPACES)
            name = self.spaces[place].name
            self.spaces[place].delete()
            self.changes += 1
            self.spaces[place] = Netns(name)


def second_master(net: Topology) -> None:
    net.host.ip("link add m1 type veth peer name x1 netns external")
    net.host.ip("link set m1 up")
    net.external.ip("link set x1 up")

    def ready() -> bool:
        return all(
            space.link(name)["operstate"] == "UP" and space.addresses(name)
            for space, name in ((net.host, "m1"), (net.external, "x1"))
        )

    eventually("the second wire is there", ready)
    net.host.wait_for_addresses("m1")
    net.external.wait_for_addresses("x1")


def what_counts(net: Topology) -> dict[str, Any]:
    """A snapshot without what is another with each start: which programs."""
    found = snapshot(net)
    found["attached"] = sorted(found["attached"]["links"]), found["attached"]["filters"]
    return found


def kill_and_start(net: Topology, chance: random.Random) -> None:
    """At a random moment of its life; now and then also of its youth."""
    time.sleep(chance.choice([0.0, 0.02, 0.05, 0.1, 0.2]) * chance.random() * 2)
    net.daemon.kill()
    while chance.random() < 0.25:
        net.daemon.spawn()
        time.sleep(chance.random() * 0.15)
        net.daemon.kill()
    net.daemon.start()


def delete_all(net: Topology) -> None:
    def gone() -> bool:
        for slave in net.daemon.get("/v1/slaves"):
            net.daemon.api("DELETE", f"/v1/slaves/{slave['id']}")
        for port in net.daemon.get("/v1/ports"):
            net.daemon.api("DELETE", f"/v1/ports/{port['master']}")
        return net.daemon.get("/v1/slaves") == [] and net.daemon.get("/v1/ports") == []

    eventually("all slaves and ports are deleted", gone)


def soak(net: Topology, seconds: float, seed: int) -> list[str]:
    second_master(net)
    net.netns("ns0"), net.netns("ns1")
    net.daemon.start()
    before = what_counts(net)
    a, b = net.add_slave(), net.add_slave()
    flows: list[UdpFlow | TcpFlow] = []
    for family in FAMILIES:
        for source, target, address in (
            (net.external, a.netns, a.addresses[family]),
            (a.netns, net.external, EXTERNAL[family]),
            (b.netns, a.netns, a.addresses[family]),
        ):
            ping_ok(source, address)
            flows += [UdpFlow(source, target, address), TcpFlow(source, target, address)]
    churns = [Churn(net, name, seed) for name in ("tom", "ann")]
    chance = random.Random(seed)
    kills, began = 0, time.monotonic()
    told = began
    while time.monotonic() < began + seconds:
        kill_and_start(net, chance)
        kills += 1
        if time.monotonic() > told + 60:
            told = time.monotonic()
            print(f"{told - began:.0f} s: {kills} kills", flush=True)
    wrong = [line for churn in churns for line in churn.end()]
    for flow in flows:
        wrong += flow.end()

    sums = {name: sum(getattr(flow, name) for flow in flows)
            for name in ("sent", "received", "reordered", "duplicated")}  # fmt: skip
    longest = max(flow.longest for flow in flows if isinstance(flow, TcpFlow))
    print(f"seed {seed}, {time.monotonic() - began:.0f} s, {kills} kills and restarts")
    for churn in churns:
        print(f"{churn.name}'s changes of state: {churn.changes}, refused: {churn.refusals}")
    print(f"sent {sums['sent']}, lost {sums['sent'] - sums['received']}, "
          f"reordered {sums['reordered']}, duplicated {sums['duplicated']}; "
          f"longest pause of a TCP flow {longest * 1000:.0f} ms")  # fmt: skip

    delete_all(net)
    for space in [space for churn in churns for space in churn.spaces]:
        left = {row["ifname"] for row in space.ip_json("link show")} - {"lo"}
        wrong += [f"{space.name}: {sorted(left)} is left"] if left else []
        space.delete()
    after: list[str] = []

    def as_before() -> bool:
        after[:] = differences(before, what_counts(net))
        return not after

    try:
        eventually("nothing is left", as_before, 3)
    except AssertionError:
        wrong += [f"left behind: {line}" for line in after]
    if kills < 100 * min(1, seconds / 40):
        print(f"only {kills} kills: restarts are slow here")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/soak", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("minutes", nargs="?", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    net = Topology()
    try:
        wrong = soak(net, arguments.minutes * 60, arguments.seed)
    except BaseException:
        print(net.daemon.log.read_text()[-20000:])
        raise
    if wrong:
        print(net.daemon.log.read_text()[-20000:])
        print("\n".join(wrong))
    else:
        print("nothing lost, nothing left behind")
    net.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
