# SPDX-License-Identifier: Apache-2.0
"""Does what `ipvlanx save` writes come back by `ipvlanx apply`, all or nothing?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ipvlanx import Topology
from space import ping_ok

CLI = ("port set m0 mode l2 private", "link add link m0 name web netns ns0 addr 10.0.0.10/24",
       "link add link m0 name db netns ns1 addr-policy static addr 10.0.0.11/24 addr fd00::11/64",
       "link add link m0 name spare mtu 1400 max-addresses 3")  # fmt: skip


@pytest.fixture
def saved(net: Topology) -> Path:
    """Two slaves in namespaces, one in the host's, down; and what was saved of them."""
    for name in ("ns0", "ns1"):
        net.netns(name)
    for words in CLI:
        net.daemon.cli(words)
    path = Path(net.daemon.folder, "saved.json")
    net.daemon.cli(f"save {path}")
    return path


def wanted(net: Topology) -> list[dict[str, Any]]:
    """What the API says of all slaves, but for what each life of one has anew."""
    slaves = net.daemon.get("/v1/slaves")
    for slave in slaves:
        del slave["id"], slave["ifindex"]
        own = [a for a in slave["addresses"] if a["origin"] == "api"]
        slave["addresses"] = sorted(own, key=lambda a: a["address"])
    return sorted(slaves, key=lambda slave: slave["name"])


def apply(net: Topology, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = net.daemon.api("POST", "/v1/apply", document)
    return answer.status, answer.body


def test_what_was_saved_comes_back(net: Topology, saved: Path) -> None:
    before = wanted(net)
    assert json.loads(saved.read_text()) == net.daemon.get("/v1/save")
    net.daemon.cli("port del m0")
    assert net.daemon.get("/v1/slaves") == []
    assert net.daemon.cli_json(f"apply {saved}") == {"created": 4, "changed": 0}
    assert wanted(net) == before
    assert net.daemon.cli_json(f"apply {saved}") == {"created": 0, "changed": 0}
    ping_ok(net.external, "10.0.0.10")


def test_what_changed_is_changed_back_and_the_rest_stays(net: Topology, saved: Path) -> None:
    before = wanted(net)
    ids = {slave["name"]: slave["id"] for slave in net.daemon.get("/v1/slaves")}
    net.daemon.cli("port set m0 bridge strict-private on")
    net.daemon.cli("link set web mtu 1300 down")
    net.daemon.cli("addr del 10.0.0.11 dev db")
    net.daemon.cli("addr add 10.0.0.12/24 dev db")
    net.daemon.cli("link add link m0 name other")
    assert net.daemon.cli_json(f"apply {saved}") == {"created": 0, "changed": 3}
    other = [slave for slave in wanted(net) if slave["name"] == "other"]
    assert [slave for slave in wanted(net) if slave not in other] == before
    assert len(other) == 1, "what the document does not name stays"
    now = {slave["name"]: slave["id"] for slave in net.daemon.get("/v1/slaves")}
    assert {name: now[name] for name in ids} == ids, "none was made anew"


@pytest.mark.parametrize(
    "spoil, code, field",
    [
        (lambda d: d["slaves"].append({"name": "x", "master": "m9"}), "no-such-master", "slaves[3].master"),
        (lambda d: d["slaves"].append({"name": "x", "master": "m0", "netns": "gone"}), "netns-gone", "slaves[3].netns"),
        (
            lambda d: d["slaves"].append({"name": "x", "master": "m0", "addresses": ["10.0.0.10/24"]}),
            "address-in-use", "slaves[3].addresses[0]",
        ),
        (lambda d: d["slaves"][2].update(mtu=9000), "out-of-range", "slaves[2].mtu"),
    ],
    ids=["no master", "no namespace", "somebody's address", "mtu"],
)  # fmt: skip
def test_all_or_nothing(net: Topology, saved: Path, spoil: Any, code: str, field: str) -> None:
    document = json.loads(saved.read_text())
    net.daemon.cli("link del web")
    net.daemon.cli("addr del 10.0.0.11 dev db")
    net.daemon.cli("port set m0 bridge")
    before = wanted(net), net.daemon.get("/v1/ports"), net.maps.tables()
    document["slaves"] = [s for s in document["slaves"] if s["name"] != "web"] + [
        {"name": "web", "master": "m0", "netns": "ns0", "addresses": ["10.0.0.10/24"]}
    ]
    document["slaves"].sort(key=lambda s: s["name"] == "spare")
    spoil(document)
    status, problem = apply(net, document)
    assert status >= 400 and (problem["code"], problem["field"]) == (code, field)
    assert (wanted(net), net.daemon.get("/v1/ports"), net.maps.tables()) == before


@pytest.mark.parametrize(
    "document, code, field",
    [
        ({}, "missing-field", "version"),
        ({"version": 2}, "out-of-range", "version"),
        ({"version": 1, "slaves": {}}, "wrong-type", "slaves"),
        ({"version": 1, "slaves": [7]}, "wrong-type", "slaves[0]"),
        ({"version": 1, "slaves": [{"name": "x"}]}, "missing-field", "slaves[0].master"),
        ({"version": 1, "ports": [{"master": "m0", "mod": "l2"}]}, "unknown-field", "ports[0].mod"),
        ({"version": 1, "ports": [{"master": "m0", "mode": "l4"}]}, "unknown-word", "ports[0].mode"),
    ],
)
def test_documents_that_are_none(net: Topology, document: Any, code: str, field: str) -> None:
    status, problem = apply(net, document)
    assert (status, problem["code"], problem["field"]) == (400, code, field)
