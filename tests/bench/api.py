# SPDX-License-Identifier: Apache-2.0
"""How many requests does the daemon answer, and who waits for whom? Of ipvlanx alone: the others have
no daemon.

    host                                ns0
    m0 === 64 slaves, then more ======  a0, a1, ...
"""

from __future__ import annotations

import json
import time

import instruments
from instruments import Failed
from ipvlanx import Topology
from report import Figure, Results

CLIENTS = 64
SLAVES = 64  # that a list has
DELETED = 1000
MILLISECONDS = 1500
OURS = "ipvlanx"


def measure(results: Results, rounds: int) -> None:
    net = Topology(ipv6=False)
    try:
        net.netns("ns0")
        net.daemon.start()
        for number in range(rounds):
            _round(net, results)
    finally:
        net.close()


def _slave(name: str) -> dict[str, str]:
    return {"master": "m0", "mode": "l2", "netns": "ns0", "name": name}


def _ask(net: Topology, clients: int, how: str, *request: str) -> tuple[float, list[float]]:
    """Answers per second; and seconds that one waits: median, 99 of 100, most."""
    words = (net.daemon.socket, clients, MILLISECONDS, how, *request)
    ((answered, refused, lasted, *waits),) = instruments.finish(instruments.start("http", *words))
    if refused:
        raise Failed(f"{' '.join(request)}: {refused} of {answered} refused")
    return answered * 1e9 / lasted, [wait / 1e9 for wait in waits]


def _add(results: Results, name: str, speed: float, waits: list[float]) -> None:
    results.add(Figure(f"API, {name}", "1/s", 1, "more"), OURS, speed)
    for which, wait in zip(("p50", "p99", "most"), waits):
        results.add(Figure(f"API, {name}: one waits, {which}", "ms", 1e-3, "less"), OURS, wait)


def _round(net: Topology, results: Results) -> None:
    with net.daemon.requests(timeout=60) as ask:
        for number in range(SLAVES):
            made = ask("POST", "/v1/slaves", _slave(f"a{number}")).body
        one = f"/v1/slaves/{made['id']}"
        for how, words in (("keep", "connections kept"), ("once", "each a new connection")):
            _add(results, f"reads of a slave, {CLIENTS} {words}", *_ask(net, CLIENTS, how, "GET", one))
        name = f"reads of {SLAVES} slaves, {CLIENTS} connections kept"
        _add(results, name, *_ask(net, CLIENTS, "keep", "GET", "/v1/slaves"))
        body = json.dumps(_slave("b%d"))
        name = f"slaves made, {CLIENTS} connections kept"
        _add(results, name, *_ask(net, CLIENTS, "keep", "POST", "/v1/slaves", body))

        count = len(ask("GET", "/v1/slaves").body)
        for number in range(count, DELETED):
            ask("POST", "/v1/slaves", _slave(f"c{number}"))
        words = (net.daemon.socket, 8, MILLISECONDS, "keep", "GET", "/v1/health")
        readers = instruments.start("http", *words)
        time.sleep(0.2)
        start = time.monotonic()
        ask("DELETE", "/v1/ports/m0")
        deletion = time.monotonic() - start
        ((*_, most),) = instruments.finish(readers)
    name = f"{DELETED:,} slaves or more deleted at once"
    results.add(Figure(f"API, {name}", "ms", 1e-3, "less"), OURS, deletion)
    figure = Figure(f"API, {name}: a reader waits, most", "ms", 1e-3, "less")
    results.add(figure, OURS, most / 1e9)
