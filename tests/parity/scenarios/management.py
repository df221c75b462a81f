# SPDX-License-Identifier: Apache-2.0
"""What may be asked of a port and its slaves, and what follows for the others (rules 43 to 67)?

    external           host                 a, b
    x1  --- veth ---   m1 ==== slaves ====  ipvl1
    10.9.0.1/24                             10.9.0.10/24, 10.9.0.11/24

Each script has a master of its own: m1, m2, ...
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import socket
import time
from typing import Iterator

import rtnetlink
from backends import refused
from ears import Place, token
from frames import BROADCAST, frame, udp
from space import Netns
from stage import MASTER, MODES, WAIT, Stage, Step, batch

NAME = "ipvl1"
WIRE, A, B = "10.9.0.1", "10.9.0.10", "10.9.0.11"
_numbers = itertools.count(1)


class Master:
    """One with a wire behind it; its slaves are called ipvl1, in a and b."""

    def __init__(self, stage: Stage) -> None:
        number = next(_numbers)
        self.stage, self.backend = stage, stage.backend
        self.name, self.wire = f"m{number}", f"x{number}"
        self.host, self.external = stage.host.space, stage.external.space
        self.a, self.b = stage.a.space, stage.b.space
        self.spaces = [self.host, self.external, self.a, self.b, stage.c.space]
        batch(
            self.host,
            f"link add {self.name} type veth peer name {self.wire} netns external",
            f"link set {self.name} up",
        )
        batch(self.external, f"link set {self.wire} up", f"addr add {WIRE}/24 dev {self.wire}")

    def close(self) -> None:
        for space in self.spaces:
            for name in (NAME, f"{NAME}b"):
                if rtnetlink.index_of(space, name):
                    with contextlib.suppress(Exception):  # one that it does not know any more
                        self.backend.delete(space, name)
                if rtnetlink.index_of(space, name):
                    rtnetlink.delete(space, name)
        for space in self.spaces:
            for name in (self.name, self.wire):
                if rtnetlink.index_of(space, name):
                    rtnetlink.delete(space, name)

    def add(self, space: Netns, mode: str = "", flag: str = "", name: str = NAME) -> str:
        return self.backend.add(self.name, name, space, mode, flag)

    def pair(self, mode: str = "l2", flag: str = "") -> bool:
        """Two slaves with addresses; False where there is no such mode."""
        for space, address in ((self.a, A), (self.b, B)):
            if self.add(space, mode, flag) != "ok":
                return False
            self.address(space, address)
        return True

    def address(self, space: Netns, address: str) -> None:
        batch(space, f"link set {NAME} up", f"addr replace {address}/24 dev {NAME}")
        self.backend.know(self.name, address, space, NAME)

    def shown(self, *spaces: Netns) -> str:
        shown = [self.backend.shown(space, NAME) for space in spaces or (self.a, self.b)]
        return ", ".join(shown)

    def link(self, space: Netns, name: str = NAME) -> dict:
        return space.link(name)

    def pings(self, key: str) -> Iterator[Step]:
        """From a to b and to the wire."""
        yield f"{key}: slave → slave | ping", self.stage.ping(self.stage.a, B)
        yield f"{key}: slave → external | ping", self.stage.ping(self.stage.a, WIRE)


@contextlib.contextmanager
def master(stage: Stage) -> Iterator[Master]:
    made = Master(stage)
    try:
        yield made
    finally:
        made.close()


# ---------------------------------------------------------------------- new slaves


def errors(stage: Stage) -> Iterator[Step]:
    backend, host, a = stage.backend, stage.host.space, stage.a.space
    with master(stage) as m:
        asked = (
            ("without a master", "", "l2", "", NAME),
            ("on a master that is not there", "nosuch0", "l2", "", NAME),
            ("on lo", "lo", "l2", "", NAME),
            ("in a mode that does not exist", m.name, "l4", "", NAME),
            ("with a flag that does not exist", m.name, "l2", "isolated", NAME),
            ("with flags private and vepa", m.name, "l2", "private+vepa", NAME),
            ("with a name that is in use", m.name, "l2", "", "lo"),
        )
        for what, link, mode, flag, name in asked:
            yield f"new slave {what} | result", backend.add(link, name, a, mode, flag)
        yield "new slave that is right | result", m.add(a, "l2")
    for kind, words in (("bridge", "type bridge"), ("macvlan interface", "type macvlan")):
        with master(stage) as m:
            link = "" if kind == "bridge" else f"link {m.name}"
            batch(host, f"link add {link} name other0 {words}")
            yield f"new slave on a {kind} | result", backend.add("other0", NAME, a, "l2")
            if rtnetlink.index_of(a, NAME):
                backend.delete(a, NAME)
            batch(host, "link del other0")


def defaults(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        result = m.add(m.a)
        yield "first slave, without a mode | result", result
        yield "first slave, without a mode | shown", m.shown(m.a) if result == "ok" else result


def second_slave(stage: Stage) -> Iterator[Step]:
    for what, mode, flag in (
        ("without a mode", "", ""),
        ("with the same mode", "l2", ""),
        ("with another mode", "l3", ""),
        ("with the same mode and another flag", "l2", "private"),
    ):
        with master(stage) as m:
            m.add(m.a, "l2")
            result = m.add(m.b, mode, flag)
            key = f"second slave of an l2 bridge port, {what}"
            yield f"{key} | result", result
            yield f"{key} | shown", m.shown() if result == "ok" else m.shown(m.a)


# ---------------------------------------------------------------------- changes of a port


def changes(stage: Stage) -> Iterator[Step]:
    """Live; the slaves stay up and keep their addresses."""
    for steps in (
        (("l2", ""), ("l3", ""), ("l3s", ""), ("l2", "")),
        (("l2", "private"), ("", "vepa"), ("", "bridge"), ("l2", "")),
        (("l3", "vepa"), ("l3s", "private"), ("l2", "bridge")),
    ):
        with master(stage) as m:
            before = "l2"
            m.pair()
            for mode, flag in steps:
                asked = " ".join(word for word in (mode, flag) if word)
                key = f"port changed from {before} to {asked}"
                result = m.backend.change(m.name, m.a, NAME, mode, flag)
                yield f"{key} | result", result
                before = m.shown(m.a)
                yield f"{key} | shown", m.shown() if result == "ok" else result
                stage.pause()
                yield f"{key} | NOARP", noarp(m)
                yield f"{key}: slave → slave | ping", stage.ping(stage.a, B)
                mark = wire_broadcast(m)
                yield (
                    f"{key}: broadcast from the wire | whose socket",
                    lambda mark=mark: stage.whose_socket(mark),
                )
                yield WAIT


def wire_broadcast(m: Master) -> bytes:
    """From behind this master."""
    mark = token()
    data = frame(m.link(m.external, m.wire)["address"], BROADCAST, udp(WIRE, "10.9.0.255", mark))
    with m.external.socket(socket.AF_PACKET, socket.SOCK_RAW) as channel:
        channel.sendto(data, (m.wire, 0x0800))
    return mark


def noarp(m: Master, *spaces: Netns) -> str:
    return ", ".join(yes("NOARP" in m.link(space)["flags"]) for space in spaces or (m.a, m.b))


def arp_flag(stage: Stage) -> Iterator[Step]:
    for mode in MODES:
        with master(stage) as m:
            up = m.pair(mode)
            yield f"slaves of a new {mode} port | NOARP", noarp(m) if up else "no slave"


def host_settings(stage: Stage) -> Iterator[Step]:
    for mode in MODES:
        with master(stage) as m:
            up = m.pair(mode)
            stage.pause()
            own = [rule for rule in m.host.ip_json("rule show") if 0 < rule["priority"] < 32766]
            said = yes(bool(own)) if up else "no slave"
            yield f"routing rules in the host for the slaves of an {mode} port | value", said
            forwarding = stage.sysctl(stage.host, f"net/ipv4/conf/{m.name}/forwarding")
            yield f"IPv4 forwarding of the master of an {mode} port | value", forwarding


# ------------------------------------------------------------- what slaves have of their master


def mac(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()

        def whose(space: Netns) -> str:
            own, masters = m.link(space)["address"], m.link(m.host, m.name)["address"]
            return "the master's" if own == masters else "another"

        yield "whose MAC a slave has | value", whose(m.a)
        assert rtnetlink.set_mac(m.host, m.name, "02:00:00:00:09:01") == "ok"
        stage.pause()
        yield "whose MAC a slave has, the master's changed | value", whose(m.a)
        yield from m.pings("MAC of the master changed")
        yield WAIT
        result = rtnetlink.set_mac(m.a, NAME, "02:00:00:00:09:02")
        yield "MAC of a slave changed in its namespace | result", refused(result)
        stage.pause()
        yield "whose MAC a slave has, changed in its namespace | value", whose(m.a)


def mtu(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        assert rtnetlink.set_mtu(m.host, m.name, 1400) == "ok"
        m.pair()

        def now(space: Netns) -> str:
            return str(m.link(space)["mtu"])

        yield "MTU of a slave of a master with 1400 | value", now(m.a)
        yield "MTU of a slave set to 1200 | result", refused(rtnetlink.set_mtu(m.a, NAME, 1200))
        yield "MTU of a slave set to 1200 | value", now(m.a)
        for value, what in ((1300, "lowered"), (1500, "raised")):
            assert rtnetlink.set_mtu(m.host, m.name, value) == "ok"
            stage.pause()
            key = f"MTU of the master {what} to {value}"
            yield f"{key}: of a slave that had its own | value", now(m.a)
            yield f"{key}: of another slave | value", now(m.b)
        key = "MTU of a slave set above the master's"
        yield f"{key}, in its namespace | result", refused(rtnetlink.set_mtu(m.a, NAME, 1600))
        stage.pause()
        yield f"{key}, in its namespace | value", now(m.a)
        result = m.backend.add(m.name, NAME, stage.c.space, "l2", mtu=1600)
        yield "new slave with an MTU above the master's | result", result
        too_large = refused(rtnetlink.set_mtu(m.a, NAME, 65536))
        yield "MTU of a slave set to 65536 | result", too_large


def carrier(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()

        def state() -> str:
            link = m.link(m.a)
            return link["operstate"] + (", no carrier" if "NO-CARRIER" in link["flags"] else "")

        def wait_for_state() -> None:
            stage.pause()
            time.sleep(1.5)  # the kernel looks at carriers once a second

        wait_for_state()
        yield "master up | state", state()
        for what, up in (("down", False), ("up again", True)):
            assert rtnetlink.set_up(m.host, m.name, up) == "ok"
            wait_for_state()
            yield f"master {what} | state", state()
        yield from m.pings("master down and up again")
        yield WAIT
        for what, up in (("lost", False), ("back", True)):
            assert rtnetlink.set_up(m.external, m.wire, up) == "ok"
            wait_for_state()
            yield f"carrier of the master {what} | state", state()


# ---------------------------------------------------------------------- comings and goings


def master_renamed(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        new = f"{m.name}new"
        rename(m.host, m.name, new)
        m.name = new
        stage.pause()
        yield from m.pings("master renamed")
        yield "master renamed: new slave by its new name | result", m.add(m.host, "l2")
        yield WAIT


def rename(space: Netns, name: str, new: str) -> None:
    batch(space, f"link set {name} down", f"link set {name} name {new}", f"link set {new} up")


def master_moved(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        assert rtnetlink.move(m.host, m.name, stage.c.space) == "ok"
        batch(stage.c.space, f"link set {m.name} up")
        stage.pause()
        yield "master moved to another namespace: its slaves | value", there(m)
        yield from m.pings("master moved to another namespace")
        yield WAIT


def there(m: Master) -> str:
    return "there" if rtnetlink.index_of(m.a, NAME) else "gone"


def master_deleted(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        batch(m.host, f"link del {m.name}")
        stage.pause()
        yield "master deleted: its slaves | value", there(m)


def slave_deleted(stage: Stage) -> Iterator[Step]:
    for what in ("by its back end", "in its namespace"):
        with master(stage) as m:
            m.pair("l2", "private")
            key = f"slave deleted {what}"
            if what == "in its namespace":
                yield f"{key} | result", refused(rtnetlink.delete(m.a, NAME))
            else:
                yield f"{key} | result", m.backend.delete(m.a, NAME)
            stage.pause()
            result = refused(rtnetlink.add_address(m.b, NAME, f"{A}/24"))
            yield f"{key}: another one takes its address | result", result
            m.backend.know(m.name, A, m.b, NAME)
            yield f"{key}: external → the address | ping", stage.ping(stage.external, A)
            yield f"{key}: mode and flag of the other one | shown", m.shown(m.b)
            yield WAIT


def last_slave_deleted(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.add(m.a, "l3s", "vepa")
        m.backend.delete(m.a, NAME)
        result = m.add(m.a)
        key = "last slave of an l3s vepa port deleted, new one without a mode"
        yield f"{key} | shown", m.shown(m.a) if result == "ok" else result


def slave_moved(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        c = stage.c
        result = rtnetlink.move(m.a, NAME, c.space)
        yield "slave moved to another namespace | result", refused(result)
        stage.pause()
        yield "slave moved to another namespace: its mode and flag | shown", m.shown(c.space)
        yield "slave moved to another namespace: its addresses | value", ipv4_of(c, NAME)
        m.address(c.space, A)
        for way, source, address in (
            ("slave → slave", c, B),
            ("slave → external", c, WIRE),
            ("external → slave", stage.external, A),
        ):
            yield f"slave moved to another namespace: {way} | ping", stage.ping(source, address)
        yield WAIT


def ipv4_of(place: Place, interface: str) -> str:
    rows = [row for row in place.space.addresses(interface) if row["family"] == "inet"]
    return ", ".join(row["local"] for row in rows) or "none"


def slave_renamed(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        new = f"{NAME}b"
        rename(m.a, NAME, new)
        stage.pause()
        yield "slave renamed: its mode and flag | shown", m.backend.shown(m.a, new)
        yield from m.pings("slave renamed")
        yield WAIT


# ---------------------------------------------------------------------- with other drivers


def other_drivers(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        key = "master of slaves"
        yield f"{key} as master of a macvlan interface | result", refused(
            rtnetlink.add_macvlan(m.host, m.name, NAME)
        )
    with master(stage) as m:
        m.pair()
        batch(m.host, "link add name other0 type bridge")
        yield f"{key} as port of a bridge | result", refused(
            rtnetlink.set_master(m.host, m.name, "other0")
        )
        rtnetlink.set_master(m.host, m.name, "")
        batch(m.host, "link del other0")
    with master(stage) as m:
        batch(m.host, "link add name other0 type bridge", f"link set {m.name} master other0")
        yield "new slave on the port of a bridge | result", m.add(m.a, "l2")
        batch(m.host, "link del other0")
    with master(stage) as m:
        rtnetlink.add_macvlan(m.host, m.name, f"{NAME}b")
        yield "new slave on the master of a macvlan interface | result", m.add(m.a, "l2")
    with master(stage) as m:
        m.pair()
        batch(m.a, "link add name other0 type bridge")
        key = "slave as port of a bridge"
        yield f"{key} | result", refused(rtnetlink.set_master(m.a, NAME, "other0"))
        batch(m.a, "link del other0")
        key = "slave as master of a macvlan interface"
        yield f"{key} | result", refused(rtnetlink.add_macvlan(m.b, NAME, f"{NAME}b"))
        if rtnetlink.index_of(m.b, f"{NAME}b"):
            rtnetlink.delete(m.b, f"{NAME}b")
        yield "slave as lower interface of a VLAN | result", vlan_on(m.a, NAME)


def vlan_on(space: Netns, interface: str) -> str:
    """A kernel without VLANs says the same as one that refuses: it has to be asked apart."""
    batch(space, "link add probe0 type veth peer name probe1")
    known = rtnetlink.add_vlan(space, "probe0", "probe2", 5)
    batch(space, "link del probe0")
    if known != "ok":
        return "unavailable: VLANs"
    result = rtnetlink.add_vlan(space, interface, f"{NAME}b", 5)
    if result == "ok":
        rtnetlink.delete(space, f"{NAME}b")
    return refused(result)


def nested(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        # By another name: rtnetlink looks for one that exists where it is asked, not where it goes.
        m.backend.add(m.name, f"{NAME}b", m.host, "l2")
        result = m.backend.add(f"{NAME}b", NAME, m.a, "l2")
        yield "new slave on a slave | result", result
        if result == "ok":
            batch(m.host, f"link set {NAME}b up")
            m.address(m.a, A)
            yield "new slave on a slave: external → it | ping", stage.ping(stage.external, A)
        else:
            yield "new slave on a slave: external → it | ping", "no slave"
        yield WAIT


def slave_in_the_host(stage: Stage) -> Iterator[Step]:
    """The usual way for a host to reach its slaves: one of its own, and routes by it."""
    for mode in MODES:
        with master(stage) as m:
            if m.pair(mode) and m.add(m.host, mode) == "ok":
                batch(
                    m.host,
                    f"addr add 10.9.0.2/24 dev {m.name}",
                    f"link set {NAME} up",
                    f"addr add 10.9.0.3/32 dev {NAME}",
                    f"route replace {A}/32 dev {NAME} src 10.9.0.3",
                )
                m.backend.know(m.name, "10.9.0.3", m.host, NAME)
                for way, source, address in (
                    ("host → slave", stage.host, A),
                    ("slave → slave of the host", stage.a, "10.9.0.3"),
                    ("slave → address on the master", stage.a, "10.9.0.2"),
                ):
                    yield f"{mode}, slave in the host: {way} | ping", stage.ping(source, address)
                yield WAIT


# ---------------------------------------------------------------------- what a slave looks like


def looks(stage: Stage) -> Iterator[Step]:
    with master(stage) as m:
        m.pair()
        yield "kind of a slave in `ip -d link` | value", m.link(m.a)["linkinfo"]["info_kind"]
        own = {kind_of(name) for name in names(m.host) if name not in ("lo", MASTER, m.name)}
        yield "interfaces in the host that slaves need | value", ", ".join(sorted(own)) or "none"
        one, other = (link_local(space) for space in (m.a, m.b))
        yield "link-local addresses of two slaves are distinct | value", yes(one != other)
        tail = bytes.fromhex(m.link(m.a)["address"].replace(":", ""))[3:]
        made = all(ipaddress.ip_address(address).packed[-3:] == tail for address in (one, other))
        yield "link-local addresses of two slaves are made of the MAC | value", yes(made)
        group = socket.inet_aton("239.9.9.9")
        with m.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            index = rtnetlink.index_of(m.a, NAME).to_bytes(4, "little")
            request = group + bytes(4) + index
            channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            stage.pause()
            filters = m.host.run("ip", "maddr", "show", "dev", m.name).stdout
        passes = "01:00:5e:09:09:09" in filters or "ALLMULTI" in m.link(m.host, m.name)["flags"]
        yield "group of a slave in the master's filter | value", yes(passes)


def yes(condition: bool) -> str:
    return "yes" if condition else "no"


def names(space: Netns) -> list[str]:
    return [link["ifname"] for link in space.ip_json("link show")]


def kind_of(name: str) -> str:
    """What of a name is the same in each run."""
    return name.rstrip("0123456789") + "N" if name[-1].isdigit() else name


def link_local(space: Netns) -> str:
    rows = space.addresses(NAME)
    return next(row["local"] for row in rows if row["local"].startswith("fe80:"))


def dropped(stage: Stage) -> Iterator[Step]:
    """Who is charged with what flag private drops?"""
    with master(stage) as m:
        m.pair("l2", "private")
        own = m.link(m.a)["address"]
        with m.a.socket(socket.AF_PACKET, socket.SOCK_RAW) as channel:
            for _ in range(3):
                with contextlib.suppress(OSError):
                    channel.sendto(frame(own, own, udp(A, B, token())), (NAME, 0x0800))
        counted = m.a.ip_json(f"-s link show dev {NAME}")[0]["stats64"]["tx"]["dropped"]
        key = "three frames dropped by flag private: counted by the slave's interface"
        yield f"{key} | value", str(counted)


SCRIPTS = [
    errors, defaults, second_slave, changes, arp_flag, host_settings, mac, mtu, carrier,
    master_renamed, master_moved, master_deleted, slave_deleted, last_slave_deleted, slave_moved,
    slave_renamed, other_drivers, nested, slave_in_the_host, looks, dropped,
]  # fmt: skip
