# SPDX-License-Identifier: Apache-2.0
"""What is refused, in which words, and is nothing left behind?

    external              host                     ns0
    x0  ---- veth ----  m0 ==== one l2 slave ====  ipvl0

Before and after each refusal interfaces, pins, tables and the API's view must be the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest

from ipvlanx import IPVLANX, Daemon, Topology
from space import Netns

LONG = "sixteen-letters-"


@pytest.fixture(scope="module")
def one() -> Iterator[Topology]:
    """One drawing for all refusals: that is the point, they change nothing."""
    net = Topology()
    try:
        net.netns("spare")
        net.host.ip("link add plain type veth peer name plain-peer")
        net.daemon.start()
        net.add_slave()
        # IPv6 changes a few things by itself, but not for long.
        net.host.wait_for_addresses("m0")
        net.slaves[0].netns.wait_for_addresses("ipvl0")
        yield net
    finally:
        net.close()


def everything(net: Topology) -> dict[str, Any]:
    """All that a refused request might have touched."""
    spaces = [net.host, *(slave.netns for slave in net.slaves), net.netns("spare")]
    return {
        "links": {space.name: space.ip_json("-d link show") for space in spaces},
        "addresses": {space.name: space.ip_json("addr show") for space in spaces},
        "namespaces": sorted(path.name for path in Path("/run/netns").iterdir()),
        "pins": net.daemon.pins(),
        "tables": net.maps.tables(),
        "slaves": net.daemon.get("/v1/slaves"),
        "ports": net.daemon.get("/v1/ports"),
        "state": [
            Path(net.daemon.folder, "state", name).read_text()
            for name in ("state.json", "state.journal")
        ],
    }


def slave(**fields: object) -> dict[str, object]:
    """A request that is right but for `fields`."""
    return {"master": "m0", "name": "new0", "mode": "l2"} | fields


# What is asked: body of POST /v1/slaves; what is answered: status, code, field; and the same in
# the CLI's words.
REFUSED = [
    (slave(master="nosuch0"), (422, "no-such-master", "master"),
     "link add link nosuch0 name new0 type ipvlan mode l2"),
    (slave(master="lo"), (422, "bad-master", "master"),
     "link add link lo name new0 type ipvlan mode l2"),
    (slave(name="plain"), (409, "name-in-use", "name"),
     "link add link m0 name plain type ipvlan mode l2"),
    (slave(name="ipvl0", netns="ns0"), (409, "name-in-use", "name"),
     "link add link m0 name ipvl0 type ipvlan mode l2 netns ns0"),
    (slave(addresses=["10.0.0.300/24"]), (400, "bad-prefix", "addresses[0]"),
     "link add link m0 name new0 type ipvlan mode l2 addr 10.0.0.300/24"),
    (slave(addresses=["10.0.0.30/24", "10.0.0.31/33"]), (400, "bad-prefix", "addresses[1]"),
     "link add link m0 name new0 type ipvlan mode l2 addr 10.0.0.30/24 addr 10.0.0.31/33"),
    (slave(netns="nosuch"), (422, "netns-gone", "netns"),
     "link add link m0 name new0 type ipvlan mode l2 netns nosuch"),
    (slave(netns="/etc/hostname"), (422, "not-a-netns", "netns"),
     "link add link m0 name new0 type ipvlan mode l2 netns /etc/hostname"),
    (slave(name=LONG), (400, "name-too-long", "name"),
     f"link add link m0 name {LONG} type ipvlan mode l2"),
    (slave(name="a/b"), (400, "bad-name", "name"),
     "link add link m0 name a/b type ipvlan mode l2"),
    (slave(mode="l3"), (409, "mode-conflict", "mode"),
     "link add link m0 name new0 type ipvlan mode l3"),
    (slave(addresses=["10.0.0.10/24"]), (409, "address-in-use", "addresses[0]"),
     "link add link m0 name new0 type ipvlan mode l2 addr 10.0.0.10/24"),
]  # fmt: skip


def check_problem(answer: Any, status: int, code: str, field: str | None) -> None:
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert answer.body["status"] == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.body["title"] and answer.body["type"]
    assert len(answer.body["detail"].split()) >= 3, "a sentence"
    assert answer.body.get("field") == field, answer.body


@pytest.mark.parametrize("body, wanted, words", REFUSED, ids=lambda value: str(value)[:50])
def test_a_refused_slave_leaves_nothing_behind(
    one: Topology, body: dict, wanted: tuple[int, str, str], words: str
) -> None:
    before = everything(one)
    check_problem(one.daemon.api("POST", "/v1/slaves", body), *wanted)
    assert everything(one) == before
    done = one.daemon.try_cli(*words.split())
    assert done.returncode == 2, done
    assert done.stderr.startswith("Error: ") and not done.stdout, done
    assert everything(one) == before


# What no request may be, and the answer's status, code and field.
MALFORMED = [
    (b"{", (400, "bad-json", None)),
    (b"", (400, "bad-json", None)),
    (b"[]", (400, "wrong-type", None)),
    (json.dumps(slave(colour="red")).encode(), (400, "unknown-field", "colour")),
    (json.dumps(slave(name=7)).encode(), (400, "wrong-type", "name")),
    (json.dumps(slave(addresses="10.0.0.30/24")).encode(), (400, "wrong-type", "addresses")),
    (json.dumps(slave(addresses=[7])).encode(), (400, "wrong-type", "addresses[0]")),
    (json.dumps(slave(mode="l4")).encode(), (400, "unknown-word", "mode")),
    (json.dumps(slave(flag="bridged")).encode(), (400, "unknown-word", "flag")),
    (json.dumps(slave(max_addresses=-1)).encode(), (400, "out-of-range", "max_addresses")),
    (json.dumps({"master": "m0"}).encode(), (400, "missing-field", "name")),
    (json.dumps({"name": "new0"}).encode(), (400, "missing-field", "master")),
]


@pytest.mark.parametrize("body, wanted", MALFORMED, ids=lambda value: str(value)[:50])
def test_a_malformed_request_leaves_nothing_behind(
    one: Topology, body: bytes, wanted: tuple[int, str, str | None]
) -> None:
    before = everything(one)
    check_problem(one.daemon.api("POST", "/v1/slaves", body), *wanted)
    assert everything(one) == before


def test_what_is_not_there_is_said_to_be_missing(one: Topology) -> None:
    before = everything(one)
    asked = [
        ("GET", "/v1/slaves/4711", None, (404, "no-such-slave", None)),
        ("DELETE", "/v1/slaves/4711", None, (404, "no-such-slave", None)),
        ("GET", "/v1/ports/plain", None, (404, "no-such-port", None)),
        ("GET", "/v1/nothing", None, (404, "no-such-route", None)),
        ("PUT", "/v1/slaves", {}, (405, "method-not-allowed", None)),
    ]
    for method, path, body, wanted in asked:
        answer = one.daemon.api(method, path, body)
        assert (answer.status, answer.body["code"]) == wanted[:2], (method, path, answer)
    for words in ("link del nosuch", "link show dev nosuch", "addr add 10.0.0.40/24 dev nosuch"):
        done = one.daemon.try_cli(*words.split())
        assert done.returncode == 2 and "nosuch" in done.stderr, done
    done = one.daemon.try_cli("addr", "del", "10.0.0.40/24", "dev", "ipvl0")
    assert done.returncode == 2 and "10.0.0.40" in done.stderr, done
    assert everything(one) == before


USAGE = [
    "lnk show",
    "li show",  # no prefix matching
    "link ad link m0 name new0",
    "link add link m0 name new0 type ipvlan mode l4",
    "link add link m0 name new0 type ipvlan mode",
    "link add link m0 name new0 type ipvlan mode l2 colour red",
    "link add link m0 name new0 type macvlan mode l2",
    "link add link m0 name new0 type ipvlan mode l2 bridge private",
    "link add name new0 type ipvlan mode l2",
    "link add link m0 type ipvlan mode l2",
    "addr add 10.0.0.40/24",
    "stats shown",
    "--nosuch link show",
]


@pytest.mark.parametrize("words", USAGE)
def test_an_unknown_word_is_a_matter_of_usage(one: Topology, words: str) -> None:
    before = everything(one)
    done = one.daemon.try_cli(*words.split())
    assert done.returncode == 1, done
    assert done.stderr.strip() and not done.stdout, done
    assert everything(one) == before


def test_without_a_daemon_the_cli_says_so(host_only: Netns) -> None:
    done = host_only.run(IPVLANX, "--socket", "/run/no/such.sock", "link", "show", check=False)
    assert done.returncode == 3, done
    assert "/run/no/such.sock" in done.stderr and not done.stdout, done


@pytest.fixture
def host_only() -> Iterator[Netns]:
    space = Netns("host-only")
    try:
        yield space
    finally:
        space.delete()


def test_a_body_over_a_mebibyte_is_refused(one: Topology) -> None:
    before = everything(one)
    answer = one.daemon.api("POST", "/v1/slaves", b" " * (1 << 20) + b"{}")
    assert (answer.status, answer.body["code"]) == (413, "body-too-large")
    assert everything(one) == before


def test_a_bpffs_that_process_1_does_not_see_is_refused(host_only: Netns) -> None:
    """What is pinned there would end with the mount: refused, with the remedy."""
    daemon = Daemon(host_only)
    own_bpffs = "mount -t bpf bpf /sys/fs/bpf && exec \"$@\""
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-c", own_bpffs, "sh")
    try:
        done = host_only.run(*words, *daemon.argv(), check=False, timeout=10)
        assert done.returncode == 1, done
        assert "nsenter --net=" in done.stderr and "ready" not in done.stdout, done
        allowed = host_only.run(
            "timeout", "-k", "5", "3", *words, *daemon.argv("--allow-private-bpffs"), check=False
        )
        assert f"ready {daemon.socket}" in allowed.stdout, allowed
    finally:
        daemon.close()
