# SPDX-License-Identifier: Apache-2.0
"""Whichever call to the kernel fails in a request: is everything as before, and is it told why?

    external              host                          ns0             ns1, ns2
    x0  ---- veth ----  m0 ==== two slaves ===========  web0, db0

Each request is made again and again; the first call to the kernel fails, then the second, and so
on, until none is left that could. Every day that is one call in three.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable

import pytest

from calls import LIBRARY, Calls
from ipvlanx import Answer, Topology
from snapshot import differences, snapshot
from space import SLOW, eventually, ping_ok

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="built without tests")
MOST_CALLS = 400
STEP = 1 if os.environ.get("IPVLANX_LONG") else 3


class Stage:
    def __init__(self, net: Topology) -> None:
        self.net, self.daemon = net, net.daemon
        self.calls = Calls(net.daemon.folder)
        for number in range(3):
            net.netns(f"ns{number}")
        for space, interface in ((net.host, "m0"), (net.external, "x0")):
            has_link_local = lambda: len(space.addresses(interface)) == 3  # noqa: E731, B023
            eventually("the wire is there", has_link_local)
            space.wait_for_addresses(interface)
        net.daemon.start(environment=self.calls.environment)

    def add(self, name: str, mode: str, *addresses: str) -> int:
        body = {"master": "m0", "name": name, "netns": "ns0", "mode": mode, "addresses": addresses}
        answer = self.daemon.api("POST", "/v1/slaves", body)
        assert answer.status == 201, answer
        return answer.body["id"]

    def settled(self) -> dict[str, Any]:
        """What is there when the kernel's notices have been dealt with."""
        last: list[dict[str, Any]] = [snapshot(self.net)]

        def quiet() -> bool:
            now = snapshot(self.net)
            same = now == last[0]
            last[0] = now
            return same

        eventually("nothing changes any more", quiet)
        return last[0]

    def check_as(self, before: dict[str, Any], when: str) -> None:
        """At once, or when the kernel's notices have been dealt with."""
        changes: list[str] = []

        def as_before() -> bool:
            changes[:] = differences(before, snapshot(self.net))
            return not changes

        try:
            eventually("all is as before", as_before, 1)
        except AssertionError:
            raise AssertionError("\n".join([when, *changes])) from None


@pytest.fixture
def stage(idle: Topology) -> Stage:
    return Stage(idle)


Words = tuple[str, str, Any]  # method, path, body


@dataclass(frozen=True)
class Request:
    """`given` makes what it is about; it is done again where `ask` was done and `undo` cannot."""

    given: Callable[[Stage], None]
    ask: Callable[[Stage], Words]
    undo: Callable[[Stage], Words] | None = None


def go_through(stage: Stage, request: Request) -> int:
    """Every call of the request, or every third, fails once. Returns how many there were, or nearly."""
    request.given(stage)
    before = stage.settled()
    for number in range(1, MOST_CALLS, STEP):
        words = request.ask(stage)
        stage.calls.refuse(number)
        answer = stage.daemon.api(*words)
        failed = stage.calls.stop()
        when = f"call {number}: {failed}: {answer}"
        if answer.status >= 400:
            assert failed, when
            assert answer.status == 503 and answer.body["code"] == "kernel-refused", when
            stage.check_as(before, when)
            continue
        if not failed:
            return number - 1
        # What failed was not necessary, or is made good later.
        if request.undo:
            undone = stage.daemon.api(*request.undo(stage))
            assert undone.status < 300, f"{when}; {undone}"
            stage.check_as(before, f"{when}, undone")
        else:
            request.given(stage)
            before = stage.settled()
    raise AssertionError("the request never gets through")


WEB = ("10.0.0.5/24", "10.0.0.15/24", "10.0.0.25/24", "fd00::5/64")
DB = ("10.0.0.6/24", "fd00::6/64")


def web(mode: str) -> Callable[[Stage], None]:
    return lambda stage: stage.add("web0", mode, *WEB)


def both(mode: str) -> Callable[[Stage], None]:
    def given(stage: Stage) -> None:
        for name, addresses in (("web0", WEB), ("db0", DB)):
            if not any(slave["name"] == name for slave in stage.daemon.get("/v1/slaves")):
                stage.add(name, mode, *addresses)

    return given


def afresh(mode: str) -> Callable[[Stage], None]:
    def given(stage: Stage) -> None:
        for slave in stage.daemon.get("/v1/slaves"):
            stage.daemon.api("DELETE", f"/v1/slaves/{slave['id']}")
        both(mode)(stage)

    return given


def kept(mode: str) -> Callable[[Stage], None]:
    def given(stage: Stage) -> None:
        both(mode)(stage)
        assert stage.daemon.api("PATCH", "/v1/ports/m0", {"mode": mode}).status == 200

    return given


def to_slave(method: str, name: str, rest: str = "", body: Any = None) -> Callable[[Stage], Words]:
    def words(stage: Stage) -> Words:
        found = stage.daemon.get(f"/v1/slaves?name={name}")
        return method, f"/v1/slaves/{found[0]['id']}{rest}", body

    return words


def to_port(method: str, body: Any = None) -> Callable[[Stage], Words]:
    return lambda stage: (method, "/v1/ports/m0", body)


def new_slave(mode: str) -> Callable[[Stage], Words]:
    body = {"master": "m0", "name": "more0", "netns": "ns1", "mode": mode}
    body["addresses"] = ["10.0.0.8/24", "fd00::8/64"]
    return lambda stage: ("POST", "/v1/slaves", body)


delete_more = to_slave("DELETE", "more0")


def requests(mode: str) -> dict[str, Request]:
    other = "l3s" if mode == "l2" else "l2"
    more = {"address": "10.0.0.9/24"}
    return {
        "first-slave": Request(lambda stage: None, new_slave(mode), delete_more),
        "another-slave": Request(both(mode), new_slave(mode), delete_more),
        "mode": Request(kept(mode), to_port("PATCH", {"mode": other}), to_port("PATCH", {"mode": mode})),
        "netns": Request(
            both(mode),
            to_slave("PATCH", "web0", body={"netns": "ns2", "up": True}),
            to_slave("PATCH", "web0", body={"netns": "ns0", "up": True}),
        ),
        "mtu": Request(
            both(mode),
            to_slave("PATCH", "web0", body={"mtu": 1400}),
            to_slave("PATCH", "web0", body={"mtu": 1500}),
        ),
        "down": Request(afresh(mode), to_slave("PATCH", "web0", body={"mtu": 1400, "up": False})),
        "address": Request(
            both(mode),
            to_slave("POST", "web0", "/addresses", more),
            to_slave("DELETE", "web0", "/addresses/10.0.0.9"),
        ),
        "no-address": Request(afresh(mode), to_slave("DELETE", "web0", "/addresses/10.0.0.5")),
        "no-slave": Request(both(mode), to_slave("DELETE", "db0")),
        "no-slave-at-all": Request(web(mode), to_slave("DELETE", "web0")),
        "no-port": Request(both(mode), to_port("DELETE")),
    }


@pytest.mark.parametrize("what", requests("l2"))
@pytest.mark.parametrize("mode", ["l2", "l3s"])
def test_whichever_call_fails_all_is_as_before(stage: Stage, mode: str, what: str) -> None:
    calls = go_through(stage, requests(mode)[what])
    assert calls > 5
    print(f"{calls} calls")
