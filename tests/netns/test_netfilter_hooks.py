# SPDX-License-Identifier: Apache-2.0
"""Which of a slave's packets does a netfilter see, and in which hooks? SEMANTICS.md 0, rule 4.

An echo request and its reply, counted in every hook of the host and of the slaves. Kernel ipvlan's
counts are OUTPUT and POSTROUTING in l3, and PREROUTING and INPUT besides in l3s.
"""

from __future__ import annotations

from typing import Iterator

import pytest

from ipvlanx import EXTERNAL, FAMILIES
from netfilter import counting_echoes, flows, tracking
from routed import A, B, Routed, running
from space import Netns, ping_ok

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])

# prerouting, input, forward, output, postrouting
NONE = (0, 0, 0, 0, 0)
FORWARDED = (1, 0, 1, 0, 1)
SENT, RECEIVED = (0, 0, 0, 1, 1), (1, 1, 0, 0, 0)
# What the host sees of what goes to the wire, and of what comes from there.
TO_WIRE = {"l2": NONE, "l3": FORWARDED, "l3s": FORWARDED}
FROM_WIRE = {"l2": NONE, "l3": NONE, "l3s": FORWARDED}


@pytest.fixture(scope="module", params=["l2", "l3", "l3s"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def routed(mode: str) -> Iterator[Routed]:
    with running(mode) as drawing:
        yield drawing


def one_echo(source: Netns, address: str) -> None:
    ping_ok(source, address, "-c", "1", "-W", "5")


@by_family
@pytest.mark.parametrize("initiator", ["slave", "external"])
def test_between_slave_and_wire(routed: Routed, mode: str, initiator: str, family: int) -> None:
    a = routed.slaves[0].netns
    ends = {"slave": A[family], "external": EXTERNAL[family]}
    one_echo(a, EXTERNAL[family])  # neighbours are known from here on
    with counting_echoes(routed.host, ends) as host, counting_echoes(a, ends) as slave:
        if initiator == "slave":
            one_echo(a, EXTERNAL[family])
        else:
            one_echo(routed.external, A[family])
        assert host.read() == {"slave": TO_WIRE[mode], "external": FROM_WIRE[mode]}
        assert slave.read() == {"slave": SENT, "external": RECEIVED}


@by_family
def test_between_two_slaves(routed: Routed, family: int) -> None:
    a, b = (slave.netns for slave in routed.slaves[:2])
    ends = {"a": A[family], "b": B[family]}
    one_echo(a, B[family])
    with (
        counting_echoes(routed.host, ends) as host,
        counting_echoes(a, ends) as at_a,
        counting_echoes(b, ends) as at_b,
    ):
        one_echo(a, B[family])
        assert host.read() == {"a": NONE, "b": NONE}
        assert at_a.read() == {"a": SENT, "b": RECEIVED}
        assert at_b.read() == {"a": RECEIVED, "b": SENT}


@by_family
def test_what_conntrack_knows(routed: Routed, mode: str, family: int) -> None:
    """In l3 one direction, as the kernel's: to the host all but the first packet of a connection is
    invalid there."""
    a = routed.slaves[0].netns
    one_echo(a, EXTERNAL[family])
    with tracking(routed.host):
        one_echo(a, EXTERNAL[family])
        one_echo(routed.external, A[family])
        seen = [(f.original.packets, f.reply.packets) for f in flows(routed.host, A[family])]
    # The echo of external's has its entry from the slave's reply on, if any.
    assert sorted(seen) == {"l2": [], "l3": [(1, 0)], "l3s": [(1, 1), (1, 1)]}[mode]
