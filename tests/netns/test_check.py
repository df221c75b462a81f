# SPDX-License-Identifier: Apache-2.0
"""Does `ipvlanx check` name what an operator would stumble over, without a daemon?"""

from __future__ import annotations

import json

import pytest

from ipvlanx import IPVLANX, Topology

NFT_DROP = (
    "add table inet t; add chain inet t fw { type filter hook forward priority 0; policy drop; }"
)


def findings(net: Topology) -> dict[str, dict]:
    done = net.host.run(IPVLANX, "-j", "check")
    return {finding["id"]: finding for finding in json.loads(done.stdout)}


def test_nothing_to_say(idle: Topology) -> None:
    assert {found["state"] for found in findings(idle).values()} <= {"ok", "hint"}
    assert findings(idle)["forward-policy"]["state"] == "ok"
    assert findings(idle)["rp-filter"]["state"] == "ok"


@pytest.mark.parametrize(
    "words, named",
    [
        (["nft", NFT_DROP], "'inet t fw'"),
        (["iptables-nft", "-P", "FORWARD", "DROP"], "'ip filter FORWARD'"),
        (["iptables-legacy", "-P", "FORWARD", "DROP"], "legacy iptables chain"),
        (["ip6tables-legacy", "-P", "FORWARD", "DROP"], "legacy ip6tables chain"),
    ],
    ids=["nft", "iptables-nft", "iptables-legacy", "ip6tables-legacy"],
)
def test_a_chain_that_drops_what_it_does_not_know_is_named(
    idle: Topology, words: list[str], named: str
) -> None:
    idle.host.run(*words)
    found = findings(idle)["forward-policy"]
    assert found["state"] == "hint"
    assert named in found["detail"]


def test_another_hook_s_policy_is_no_matter(idle: Topology) -> None:
    idle.host.run("nft", NFT_DROP.replace("forward", "input"))
    idle.host.run("iptables-legacy", "-P", "INPUT", "DROP")
    assert findings(idle)["forward-policy"]["state"] == "ok"


def test_a_strict_reverse_path_filter_is_named(idle: Topology) -> None:
    idle.host.sysctl("net/ipv4/conf/all/rp_filter", 1)
    assert findings(idle)["rp-filter"]["state"] == "hint"


def test_looking_makes_no_table(idle: Topology) -> None:
    findings(idle)
    for family in ("ip", "ip6"):
        assert idle.host.run("cat", f"/proc/net/{family}_tables_names", check=False).stdout == ""


def test_for_people(idle: Topology) -> None:
    shown = idle.host.run(IPVLANX, "check").stdout.splitlines()
    assert shown[0].split() == ["CHECK", "STATE", "DETAIL"]
    assert len(shown) == 1 + len(findings(idle))
