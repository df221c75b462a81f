# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom?

    host                     ns0
    m0 === many slaves ====  s0, s1, ...

Nobody who reads waits for a slow change or a slow reader; and whoever follows the events gets each
of them once and in order, whoever else does, or does not, read.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Any, Callable

import pytest

from ipvlanx import Topology
from space import SLOW, eventually
from wire_http import connect, read_reply, request

SLAVES = 800
HEALTH = request("GET", "/v1/health", None, {})
pytestmark = pytest.mark.topology(ipv6=False)  # whose addresses come by themselves


def slave(number: int, **fields: Any) -> dict[str, Any]:
    return {"master": "m0", "mode": "l2", "netns": "ns0", "name": f"s{number}"} | fields


def make(net: Topology, count: int) -> None:
    net.netns("ns0")
    with net.daemon.requests() as ask:
        for number in range(count):
            assert ask("POST", "/v1/slaves", slave(number)).status == 201


def longest_read_during(net: Topology, change: Callable[[], None], what: bytes) -> tuple[float, float]:
    """Seconds that the change took, and the longest read meanwhile."""
    waits: list[float] = []
    begun, over = threading.Event(), threading.Event()

    def read() -> None:
        with connect(net.daemon.socket, 60) as connection:
            while not over.is_set():
                start = time.monotonic()
                connection.sendall(what)
                read_reply(connection)
                waits.append(time.monotonic() - start)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(10)
    start = time.monotonic()
    change()
    took = time.monotonic() - start
    over.set()
    reader.join()
    return took, max(waits)


def test_nobody_who_reads_waits_for_a_deletion(net: Topology) -> None:
    make(net, SLAVES)

    def delete() -> None:
        assert net.daemon.api("DELETE", "/v1/ports/m0").status == 204

    took, longest = longest_read_during(net, delete, HEALTH)
    assert longest < max(took / 3, 0.03 * SLOW), f"{longest:.3f} s of {took:.3f} s"
    assert net.daemon.get("/v1/slaves") == []


def test_what_is_read_during_a_change_is_before_or_after_it(net: Topology) -> None:
    """Never a port with some of its slaves gone."""
    make(net, 100)
    seen: set[int] = set()
    over = threading.Event()

    def read() -> None:
        with net.daemon.requests() as ask:
            while not over.is_set():
                seen.add(len(ask("GET", "/v1/slaves").body))
                seen.add(sum(port["slaves"] for port in ask("GET", "/v1/ports").body))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    assert net.daemon.api("POST", "/v1/ports/m0/flush").status == 200
    over.set()
    for reader in readers:
        reader.join()
    assert seen <= {0, 100}


def test_nobody_waits_for_a_slow_reader(net: Topology) -> None:
    make(net, 60)
    many = request("GET", "/v1/slaves", None, {}) * 400  # megabytes of answers, which it does not read
    with connect(net.daemon.socket) as slow:
        slow.setblocking(False)
        try:
            slow.send(many)
        except BlockingIOError:
            pass
        _, longest = longest_read_during(net, lambda: time.sleep(0.5), HEALTH)
        assert longest < 0.1 * SLOW
        assert net.daemon.api("POST", "/v1/slaves", slave(99)).status == 201


def test_a_change_is_seen_by_whoever_asks_after_its_answer(net: Topology) -> None:
    make(net, 1)
    with net.daemon.requests() as change, net.daemon.requests() as read:
        for number in range(1, 100):
            made = change("POST", "/v1/slaves", slave(number)).body
            assert read("GET", f"/v1/slaves/{made['id']}").status == 200
            assert change("DELETE", f"/v1/slaves/{made['id']}").status == 204
            assert read("GET", f"/v1/slaves/{made['id']}").status == 404


def test_a_key_is_carried_out_once_also_at_the_same_time(net: Topology) -> None:
    net.netns("ns0")
    body = json.dumps(slave(0)).encode()
    data = request("POST", "/v1/slaves", body, {"Idempotency-Key": "one"})
    connections = [connect(net.daemon.socket) for _ in range(16)]
    for connection in connections:
        connection.sendall(data)
    replies = [read_reply(connection) for connection in connections]
    for connection in connections:
        connection.close()
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    assert len(net.daemon.get("/v1/slaves")) == 1


class Resuming(threading.Thread):
    """Hangs up after a few events, and comes back for those after the last one it had."""

    def __init__(self, net: Topology, last: int, until: Callable[[], int]) -> None:
        super().__init__()
        self.net, self.last, self.until = net, last, until
        self.seen: list[dict] = []
        self.connections = 0

    def run(self) -> None:
        while self.last < self.until():
            self.connections += 1
            with self.net.daemon.events(since=self.last) as events:
                time.sleep(0.02)
            self.seen += events.seen
            self.last = events.seen[-1]["seq"] if events.seen else self.last


def test_events_are_complete_ordered_and_resumable_under_load(net: Topology) -> None:
    make(net, 1)
    before = net.daemon.api("GET", "/v1/events?since=999999999").body["detail"]
    last = int(before.rsplit("to ")[-1].split()[0])
    end = threading.Event()
    resuming = Resuming(net, last, lambda: 1 << 60 if not end.is_set() else final)
    final = 0

    def work(first: int) -> None:
        with net.daemon.requests() as ask:
            for number in range(first, first + 40):
                made = ask("POST", "/v1/slaves", slave(number))
                assert made.status == 201, made
                path = f"/v1/slaves/{made.body['id']}"
                address = f"10.0.{number >> 8}.{number & 255}/16"
                assert ask("POST", f"{path}/addresses", {"address": address}).status == 201
                assert ask("DELETE", path).status == 204

    with connect(net.daemon.socket, 60) as slow:
        slow.sendall(request("GET", "/v1/events", None, {}))
        read_reply(slow)
        with net.daemon.events() as one, net.daemon.events() as two, net.daemon.events(since=0) as all_:
            resuming.start()
            workers = [threading.Thread(target=work, args=(n * 100 + 300,)) for n in range(5)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            net.daemon.api("POST", "/v1/ports/m0/flush")
            mark = one.wait_for("port-changed", 10)["seq"]
            final = mark
            end.set()
            for reader in (one, two, all_):
                eventually("all events", lambda: reader.seen and reader.seen[-1]["seq"] >= mark, 10)
        resuming.join(30)
        slow.settimeout(2)
        text = b""
        while f'"seq":{mark},'.encode() not in text:
            text += slow.recv(1 << 16)

    wanted = list(range(last + 1, mark + 1))
    for reader in (one.seen, two.seen, resuming.seen):
        assert [event["seq"] for event in reader if event["seq"] <= mark] == wanted
    assert [event["seq"] for event in all_.seen] == list(range(1, len(all_.seen) + 1))
    assert one.seen == two.seen == all_.seen[last:]
    assert resuming.connections > 3
    made = Counter((event["type"], event.get("slave")) for event in one.seen)
    added = [identity for kind, identity in made if kind == "slave-added"]
    assert len(added) == 200
    for identity in added:
        for kind in ("slave-added", "address-added", "address-removed", "slave-removed"):
            assert made[kind, identity] == 1, (kind, identity)
    times = [event["time"] for event in one.seen]
    assert times == sorted(times)
