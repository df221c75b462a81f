# SPDX-License-Identifier: Apache-2.0
"""What if there is no more room: in maps, of descriptors; or a namespace goes between two steps?

    external              host                    ns0
    x0  ---- veth ----  m0 ==== one l2 slave ===  web0
"""

from __future__ import annotations

import os
import resource
import threading
from typing import Any, Callable

from ipvlanx import Topology
from maps import Maps
from snapshot import differences, snapshot
from space import Netns, eventually, ping_ok

WEB = {"master": "m0", "name": "web0", "netns": "ns0", "mode": "l2", "addresses": ["10.0.0.5/24"]}
MORE = WEB | {"name": "more0", "addresses": ["10.0.0.8/24", "fd00::8/64"]}


def as_before(net: Topology, before: dict[str, Any]) -> None:
    changes: list[str] = []

    def same() -> bool:
        changes[:] = differences(before, snapshot(net))
        return not changes

    try:
        eventually("all is as before", same)
    except AssertionError:
        raise AssertionError("\n".join(changes)) from None


def with_web(net: Topology) -> dict[str, Any]:
    net.netns("ns0")
    assert net.daemon.api("POST", "/v1/slaves", WEB).status == 201
    net.netns("ns0").wait_for_addresses("web0")
    eventually("web0 has learnt its link-local address", lambda: len(net.maps.dump("ipvx_addrs")) == 2)
    return snapshot(net)


def test_out_of_descriptors(net: Topology) -> None:
    """With room for no more file, then for one more, and so on, until it is enough."""
    before = with_web(net)
    limits = resource.prlimit(net.daemon.pid, resource.RLIMIT_NOFILE)
    with net.daemon.requests() as ask:  # a connection that is there already
        ask("GET", "/v1/health")
        first = len(os.listdir(f"/proc/{net.daemon.pid}/fd"))
        for most in range(first, first + 30):
            resource.prlimit(net.daemon.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
            answer = ask("POST", "/v1/slaves", MORE)
            resource.prlimit(net.daemon.pid, resource.RLIMIT_NOFILE, limits)
            if answer.status == 201:
                break
            assert (answer.status, answer.body["code"]) in ((503, "kernel-refused"), (422, "netns-gone")), answer
            as_before(net, before)
        assert answer.status == 201 and most > first, answer
    ping_ok(net.external, "10.0.0.8")


def test_a_full_map(net: Topology) -> None:
    before = with_web(net)
    room = net.maps.fill("ipvx_addrs")
    for method, path, body in (
        ("POST", "/v1/slaves", MORE),
        ("POST", f"/v1/slaves/{net.id_of('web0')}/addresses", {"address": "10.0.0.9/24"}),
    ):
        answer = net.daemon.api(method, path, body)
        assert (answer.status, answer.body["code"]) == (503, "map-full"), answer
        assert "ipvx_addrs" in answer.body["detail"]
        ping_ok(net.external, "10.0.0.5")
    # What needs no room there works.
    bare = WEB | {"name": "bare0", "addresses": []}
    answer = net.daemon.api("POST", "/v1/slaves", bare)
    assert answer.status == 201
    assert net.daemon.api("DELETE", f"/v1/slaves/{answer.body['id']}").status == 204
    room()
    as_before(net, before)
    assert net.daemon.api("POST", "/v1/slaves", MORE).status == 201
    ping_ok(net.external, "10.0.0.8")


def test_namespaces_that_go_between_two_steps(net: Topology) -> None:
    """Slaves are made in a namespace, and moved into it, that comes and goes all the time."""
    before = with_web(net)
    ending = threading.Event()

    def come_and_go() -> None:
        while not ending.is_set():
            Netns("fleeting").delete()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    refused: dict[str, int] = {}
    done = 0
    try:
        for number in range(60):
            made = net.daemon.api("POST", "/v1/slaves", MORE | {"netns": "fleeting" if number % 2 else "ns0"})
            answers = [made]
            if made.status == 201:
                path = f"/v1/slaves/{made.body['id']}"
                answers.append(net.daemon.api("PATCH", path, {"netns": "fleeting", "up": True}))
                answers.append(net.daemon.api("DELETE", path))
            for answer in answers:
                if answer.status < 300:
                    done += 1
                else:
                    refused[answer.body["code"]] = refused.get(answer.body["code"], 0) + 1
    finally:
        ending.set()
        thread.join()
    assert done > 10 and refused, (done, refused)
    assert refused.keys() <= {"netns-gone", "not-a-netns", "no-such-slave", "kernel-refused"}, refused

    def only_web() -> bool:
        for slave in net.daemon.get("/v1/slaves"):
            if slave["name"] != "web0":
                net.daemon.api("DELETE", f"/v1/slaves/{slave['id']}")
        return len(net.daemon.get("/v1/slaves")) == 1

    eventually("only web0 is left", only_web)
    as_before(net, before)
