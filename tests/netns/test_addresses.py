# SPDX-License-Identifier: Apache-2.0
"""Which slave does an address steer to, and how soon after the truth changed?

    external              host                     ns0             ns1
    x0  ---- veth ----  m0 ==== two l2 slaves ===  ipvl0           ipvl1

Addresses are learnt from and forgotten with the slave's interface, wherever it is; the first
owner of a duplicate keeps the traffic; lost netlink messages are made up for.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from addresser import Addresser
from ipvlanx import EXTERNAL, FAMILIES, HOST, Slave, Topology, slave_addresses
from maps import address_key
from space import eventually, ping_lost, ping_ok
from wire import Capture

by_family = pytest.mark.parametrize("family", FAMILIES, ids=["ipv4", "ipv6"])
A, B = slave_addresses(0), slave_addresses(1)
LIMIT = 0.100  # seconds, of learning and forgetting


@by_family
def test_an_address_is_learnt_and_forgotten_at_once(
    pair: Topology, family: int, capsys: pytest.CaptureFixture
) -> None:
    slave = pair.slaves[0]
    addresser = Addresser(slave.netns, slave.name)
    learnt, forgotten = [], []
    with pair.maps.open("ipvx_addrs") as table:

        def until_steered(key: tuple, steered: bool, start: float) -> float:
            while (table.lookup(*key) is not None) != steered:
                assert time.monotonic() - start < 5, f"{key} steered: still {not steered}"
                time.sleep(0)
            return time.monotonic() - start

        for number in range(50):
            address = {4: f"10.0.1.{number + 1}", 6: f"fd00::1:{number + 1:x}"}[family]
            key = address_key(pair.master, address)
            start = time.monotonic()
            addresser.add(address)
            learnt.append(until_steered(key, True, start))
            start = time.monotonic()
            addresser.delete(address)
            forgotten.append(until_steered(key, False, start))
    for what, times in (("learnt", learnt), ("forgotten", forgotten)):
        middle, worst = statistics.median(times) * 1000, max(times) * 1000
        with capsys.disabled():
            print(f" IPv{family} {what}: median {middle:.2f} ms, worst {worst:.2f} ms", end=";")
    assert max(learnt) < LIMIT and max(forgotten) < LIMIT


@by_family
def test_a_learnt_address_gets_packets_and_a_forgotten_one_does_not(
    pair: Topology, family: int
) -> None:
    slave = pair.slaves[0]
    new = {4: "10.0.0.77", 6: "fd00::77"}[family]
    length = {4: 24, 6: 64}[family]
    slave.ip(f"addr add {new}/{length} {{}}" + (" nodad" if family == 6 else ""))
    pair.wait_steered(slave, new)
    ping_ok(pair.external, new)
    assert shown(pair, slave)[f"{new}/{length}"] == ("learnt", "active")
    slave.ip(f"addr del {new}/{length} {{}}")
    pair.wait_steered(None, new)
    with Capture(slave.netns, slave.name) as at_slave:
        ping_lost(pair.external, new)
    requests = at_slave.matching(lambda f: f.is_unicast and not f.outgoing)
    assert not requests, [f.packet.summary() for f in requests]
    assert f"{new}/{length}" not in shown(pair, slave)
    ping_ok(pair.external, slave.addresses[family])


def shown(net: Topology, slave: Slave) -> dict[str, tuple[str, str]]:
    """The slave's addresses as the API says them: origin and state."""
    rows = net.daemon.get(f"/v1/slaves/{slave.id}")["addresses"]
    return {row["address"]: (row["origin"], row["state"]) for row in rows}


@by_family
def test_an_address_by_the_api_is_put_on_the_interface_and_taken_off(
    pair: Topology, family: int
) -> None:
    slave = pair.slaves[0]
    new, length = {4: ("10.0.0.78", 24), 6: ("fd00::78", 64)}[family]
    for _ in range(2):  # the second time it is there already: a success, unchanged
        pair.daemon.cli(f"addr add {new}/{length} dev {slave.name}")
        assert pair.owner(new) == slave.id
        rows = [row for row in slave.netns.addresses(slave.name) if row["local"] == new]
        assert [row["prefixlen"] for row in rows] == [length]
        assert shown(pair, slave)[f"{new}/{length}"] == ("api", "active")
    ping_ok(pair.external, new)
    listed = {row["address"]: row for row in pair.daemon.cli_json(f"addr show dev {slave.name}")}
    assert listed[f"{new}/{length}"]["origin"] == "api"
    assert listed[f"{new}/{length}"]["netns"] == slave.netns.name
    pair.daemon.cli(f"addr del {new}/{length} dev {slave.name}")
    assert pair.owner(new) is None
    assert new not in {row["local"] for row in slave.netns.addresses(slave.name)}
    again = pair.daemon.api("DELETE", f"/v1/slaves/{slave.id}/addresses/{new}")
    assert (again.status, again.body["code"]) == (404, "no-such-address")


def test_the_peers_address_is_the_key_where_there_is_one(pair: Topology) -> None:
    """Rule 43: `addr add 10.0.0.5 peer 10.0.0.6` reserves .6, as in the kernel."""
    slave = pair.slaves[0]
    slave.ip("addr add 10.0.0.5 peer 10.0.0.6 {}")
    pair.wait_steered(slave, "10.0.0.6")
    assert pair.owner("10.0.0.5") is None


# ---------------------------------------------------------------------- duplicates


@by_family
def test_a_duplicate_by_the_api_is_refused(pair: Topology, family: int) -> None:
    a, b = pair.slaves
    taken = f"{A[family]}/{ {4: 24, 6: 64}[family] }"
    answer = pair.daemon.api("POST", f"/v1/slaves/{b.id}/addresses", {"address": taken})
    assert (answer.status, answer.body["code"]) == (409, "address-in-use")
    assert answer.body["field"] == "address" and A[family] in answer.body["detail"]
    new = {"master": "m0", "name": "third", "addresses": [taken]}
    answer = pair.daemon.api("POST", "/v1/slaves", new)
    assert (answer.status, answer.body["code"]) == (409, "address-in-use")
    assert answer.body["field"] == "addresses[0]"
    done = pair.daemon.try_cli("addr", "add", taken, "dev", b.name)
    assert done.returncode == 2 and done.stderr.startswith("Error: ") and not done.stdout
    assert pair.owner(A[family]) == a.id
    assert A[family] not in {row["local"] for row in b.netns.addresses(b.name)}
    assert len(pair.daemon.get("/v1/slaves")) == 2


def test_an_address_of_a_slave_that_is_down_is_taken_all_the_same(pair: Topology) -> None:
    """Rule 44: on any slave of the port, up or down."""
    a, b = pair.slaves
    a.ip("link set {} down")
    pair.wait_steered(None, A[4])
    answer = pair.daemon.api("POST", f"/v1/slaves/{b.id}/addresses", {"address": f"{A[4]}/24"})
    assert (answer.status, answer.body["code"]) == (409, "address-in-use")
    with pair.daemon.events() as events:
        b.ip(f"addr add {A[4]}/24 {{}}")
        assert events.wait_for("address-conflict", slave=b.id)["owner"] == a.id
    assert pair.owner(A[4]) is None
    a.ip("link set {} up")
    pair.wait_steered(a, A[4])


@by_family
def test_of_a_duplicate_inside_a_namespace_the_first_owner_keeps_the_traffic(
    pair: Topology, family: int
) -> None:
    a, b = pair.slaves
    taken = f"{A[family]}/{ {4: 24, 6: 64}[family] }"
    nodad = " nodad" if family == 6 else ""
    with pair.daemon.events() as events:
        b.ip(f"addr add {taken} {{}}{nodad}")
        event = events.wait_for("address-conflict", slave=b.id)
        assert event["address"].startswith(A[family]) and event["owner"] == a.id
        assert event["master"] == "m0" and event["name"] == b.name
    assert pair.owner(A[family]) == a.id
    assert shown(pair, b)[taken] == ("learnt", "conflict")
    assert shown(pair, a)[taken] == ("learnt", "active")
    # A fixed neighbour, so that it is the steering that is tried, not who answers first.
    pair.external.ip(f"neigh replace {A[family]} lladdr {pair.mac} dev x0")
    with Capture(a.netns, a.name) as at_a, Capture(b.netns, b.name) as at_b:
        ping_ok(pair.external, A[family])
    assert at_a.matching(lambda f: f.is_unicast and not f.outgoing)
    assert not at_b.matching(lambda f: f.is_unicast and not f.outgoing)

    a.ip(f"addr del {taken} {{}}")
    pair.wait_steered(b, A[family])
    assert shown(pair, b)[taken] == ("learnt", "active")
    with Capture(b.netns, b.name) as at_b:
        ping_ok(pair.external, A[family])
    assert at_b.matching(lambda f: f.is_unicast and not f.outgoing)


def test_a_tenant_cannot_take_the_hosts_addresses(pair: Topology) -> None:
    """The master's own, and the default gateway's: refused, with an event."""
    slave = pair.slaves[0]
    pair.host.ip(f"route add default via {EXTERNAL[4]}")
    for address, where in ((HOST[4], pair.host), (EXTERNAL[4], pair.external)):
        with pair.daemon.events() as events:
            slave.ip(f"addr add {address}/24 {{}}")
            event = events.wait_for("address-refused", slave=slave.id)
            assert event["address"].startswith(address)
        assert pair.owner(address) is None
        origin, state = shown(pair, slave)[f"{address}/24"]
        assert origin == "learnt" and state != "active"
        answer = pair.daemon.api(
            "POST", f"/v1/slaves/{pair.slaves[1].id}/addresses", {"address": f"{address}/24"}
        )
        assert (answer.status, answer.body["code"]) == (422, "address-reserved")
        slave.ip(f"addr del {address}/24 {{}}")
    ping_ok(pair.external, HOST[4])


def test_a_tenant_cannot_take_more_than_max_addresses(net: Topology) -> None:
    body = {"master": "m0", "name": "few", "mode": "l2", "netns": net.netns("ns0").path}
    answer = net.daemon.api("POST", "/v1/slaves", body | {"max_addresses": 2})
    assert answer.status == 201, answer
    few = Slave(0, net.netns("ns0"), "few", answer.body["id"])
    few.netns.sysctl("net/ipv6/conf/few/disable_ipv6", 1)
    few.ip("link set {} up")
    with net.daemon.events() as events:
        for last in (10, 11, 12):
            few.ip(f"addr add 10.0.0.{last}/32 {{}}")
        events.wait_for("address-refused", slave=few.id)
    assert [net.owner(f"10.0.0.{last}") for last in (10, 11, 12)] == [few.id, few.id, None]
    few.ip("addr del 10.0.0.10/32 {}")
    net.wait_steered(few, "10.0.0.12")


def test_with_a_static_policy_only_the_apis_addresses_steer(net: Topology) -> None:
    body = {
        "master": "m0", "name": "fixed", "mode": "l2", "netns": net.netns("ns0").path,
        "addr_policy": "static", "addresses": ["10.0.0.10/24"],
    }  # fmt: skip
    answer = net.daemon.api("POST", "/v1/slaves", body)
    assert answer.status == 201, answer
    fixed = Slave(0, net.netns("ns0"), "fixed", answer.body["id"])
    net.wait_steered(fixed, "10.0.0.10")
    ping_ok(net.external, "10.0.0.10")
    fixed.ip("addr add 10.0.0.11/24 {}")
    time.sleep(0.3)
    assert net.owner("10.0.0.11") is None


def test_a_policy_that_changes_forgets_what_was_learnt_and_learns_it_again(pair: Topology) -> None:
    slave = pair.slaves[0]
    pair.daemon.cli(f"addr add 10.0.0.78/24 dev {slave.name}")
    pair.daemon.cli(f"link set {slave.name} addr-policy static")
    assert pair.owner(A[4]) is None and pair.owner("10.0.0.78") == slave.id
    assert shown(pair, slave) == {"10.0.0.78/24": ("api", "active")}
    # The interface keeps its addresses; nobody asks for them.
    assert A[4] in {row["local"] for row in slave.netns.addresses(slave.name)}
    pair.daemon.cli(f"link set {slave.name} addr-policy learn")
    assert pair.owner(A[4]) == slave.id
    assert shown(pair, slave)[f"{A[4]}/24"] == ("learnt", "active")
    ping_ok(pair.external, A[4])


# ------------------------------------------------------------------ up, down, moved


@by_family
def test_a_slave_that_is_down_gets_nothing(pair: Topology, family: int) -> None:
    slave = pair.slaves[0]
    pair.external.ip(f"neigh replace {A[family]} lladdr {pair.mac} dev x0")
    slave.ip("link set {} down")
    pair.wait_steered(None, A[family])
    assert not pair.daemon.get(f"/v1/slaves/{slave.id}")["up"]
    assert slave.id not in {row[1] for row in pair.maps.dump("ipvx_members").values()}
    if family == 4:  # a down link loses its IPv6 addresses, as every Linux interface does
        assert shown(pair, slave)[f"{A[4]}/24"] == ("learnt", "inactive")
    passed = ("passed", pair.master, "packets")
    before = pair.maps.counters()[passed]
    ping_lost(pair.external, A[family])
    assert pair.maps.counters()[passed] >= before + 3, "it went to the host"
    ping_ok(pair.external, B[family])
    slave.ip("link set {} up")
    if family == 6:
        slave.ip(f"addr add {A[6]}/64 {{}} nodad")
    pair.wait_steered(slave, A[family])
    ping_ok(pair.external, A[family])


def test_a_slave_is_followed_into_another_namespace_and_under_another_name(pair: Topology) -> None:
    slave = pair.slaves[0]
    elsewhere = pair.netns("elsewhere")
    slave.ip("link set {} netns elsewhere")
    pair.wait_steered(None, A[4])
    pair.wait_steered(None, A[6])
    elsewhere.ip(f"link set {slave.name} name renamed")
    elsewhere.ip("addr add 10.0.0.66/24 dev renamed")
    elsewhere.ip("link set renamed up")
    pair.wait_steered(slave, "10.0.0.66")
    ping_ok(pair.external, "10.0.0.66")
    eventually(
        "the API says the new place and name",
        lambda: [
            (each["name"], each["netns"])
            for each in pair.daemon.get("/v1/slaves")
            if each["id"] == slave.id
        ]
        == [("renamed", "elsewhere")],
    )


def test_a_namespace_that_ends_takes_its_slave_along(pair: Topology) -> None:
    slave = pair.slaves[0]
    with pair.daemon.events() as events:
        slave.netns.delete()
        events.wait_for("slave-removed", slave=slave.id)
    pair.wait_steered(None, A[4])
    assert [each["id"] for each in pair.daemon.get("/v1/slaves")] == [pair.slaves[1].id]
    assert not [r for r in pair.maps.dump("ipvx_slaves").values() if r[1] == slave.id]
    assert not [r for r in pair.maps.dump("ipvx_members").values() if r[1] == slave.id]
    ping_ok(pair.external, B[4])


# ------------------------------------------------------------------- lost messages


def test_lost_netlink_messages_are_made_up_for(pair: Topology) -> None:
    """The daemon sleeps while far more happens than its socket can hold: a floods it, and what
    counts happens to b, unheard."""
    a, b = pair.slaves
    for slave in (a, b):  # later b says nothing by itself that would make the daemon look at it
        slave.netns.wait_for_addresses(slave.name)
    b.ip("addr add 10.0.7.1/32 {}")
    pair.wait_steered(b, "10.0.7.1")
    flood = Path(pair.daemon.folder, "flood")
    lines = [
        f"addr {verb} 10.0.9.{last}/32 dev {a.name}"
        for _ in range(200)
        for verb in ("add", "del")
        for last in range(1, 31)
    ]
    flood.write_text("\n".join(lines) + "\n")
    with pair.daemon.events() as events:
        os.kill(pair.daemon.pid, signal.SIGSTOP)
        try:
            a.netns.run("ip", "-batch", str(flood))
            dropped = netlink_drops(pair.daemon.pid)
            assert dropped > 0, "the socket did not overflow: the test tests nothing"
            for last in range(1, 31):
                b.ip(f"addr add 10.0.0.{100 + last}/32 {{}}")
            b.ip("addr del 10.0.7.1/32 {}")
            assert netlink_drops(pair.daemon.pid) >= dropped + 31, "the daemon heard it"
        finally:
            os.kill(pair.daemon.pid, signal.SIGCONT)
        events.wait_for("resync", seconds=10)
    pair.wait_steered(b, "10.0.0.130")
    pair.wait_steered(None, "10.0.7.1")
    steered = {key[2][:4] for key in pair.maps.dump("ipvx_addrs") if key[1] == 4}
    wanted = {f"10.0.0.{100 + last}" for last in range(1, 31)} | {A[4], B[4]}
    assert steered == {ipaddress.ip_address(each).packed for each in wanted}
    ping_ok(pair.external, "10.0.0.130")
    ping_ok(pair.external, A[4])


def netlink_drops(pid: int) -> int:
    """Messages lost on the route sockets of this process, as /proc/net/netlink counts them."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(entry)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]
    return sum(int(row.split()[8]) for row in rows if row.split()[9] in inodes)
