# SPDX-License-Identifier: Apache-2.0
"""What can root of one AF_XDP slave's tenant do to the others?

    external              host                     ns0 (the tenant)   ns1              ns2
    x0  ---- veth ----  m0 ==== slaves ==========  app0               app1 (echo)      plain0

Each tenant as tenant.py makes it; what it tries is intruder.py's. Meanwhile the others get all that
is theirs.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

import intruder
from ipvlanx import EXTERNAL, Topology, slave_addresses
from maps import pinned_link
from programs import Program
from space import eventually, ping_lost, ping_ok
from tenant import DOOR, Container, Tenant, UserNamespace
from test_handshake import door, map_of
from test_restart import Flood
from test_xsk_maps import open_pin
from wire import Capture, Frame
from xsk import Client, with_prefix

OWN, VICTIM, PLAIN = slave_addresses(0), slave_addresses(1), slave_addresses(2)
HERE = Path(__file__).parent
FORGED_MAC = "02:de:ad:be:ef:03"
BY_DOOR = ("--socket", DOOR)


class Others:
    """Two slaves beside the tenant's: app1, whose application answers, and plain0. While the `with`
    block runs, for a second at least, packets go to each and between them; none of them is lost."""

    def __init__(self, net: Topology) -> None:
        self.net = net
        self.spaces = {}
        for number, (name, via) in enumerate({"app1": "afxdp", "plain0": "veth"}.items(), 1):
            self.spaces[name] = net.netns(f"ns{number}")
            addresses = " ".join(f"addr {with_prefix(a)}" for a in slave_addresses(number).values())
            net.daemon.cli(
                f"link add link m0 name {name} mode l2 via {via} netns ns{number} {addresses}"
            )

    def __enter__(self) -> Others:
        class OneSecond(Flood):
            COUNT = 100

        self._client = Client(self.spaces["app1"], "echo", "app1")
        ways = [(self.net.external, VICTIM[4]), (self.net.external, PLAIN[4])]
        ways += [(self.spaces["plain0"], VICTIM[4])]
        for way in ways:
            ping_ok(*way)
        self._floods = [OneSecond(*way) for way in ways]
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for flood in self._floods:
                flood.done()
            heard = self._client.summary()["heard"]
            assert heard["ping"] == 2 * (100 + 3), "by the application, not by its stack"
        finally:
            self._client.kill()

    @property
    def ids(self) -> dict[str, list]:
        """What app1 has in the kernel."""
        folder = f"{self.net.daemon.pin_root}/slaves/{self.net.id_of('app1')}"
        fd = open_pin(f"{folder}/xsks_map")
        map_id = int(map_of(fd)["map_id"])
        os.close(fd)
        link, program = pinned_link(f"{folder}/link")
        return {
            "pins": [f"{folder}/xsks_map", f"{folder}/link"],
            "maps": [map_id],
            "programs": [program],
            "links": [link],
            "victims": [self.net.master, self.spaces["app1"].link("app1")["ifindex"]],
        }


def add_own(net: Topology, to: str) -> None:
    """The tenant's slave app0, moved to `to` (a namespace's name, or a process), with a number that
    no interface of the others has."""
    net.daemon.cli("link add link m0 name app0 mode l2 via afxdp")
    net.host.ip(f"link set app0 netns {to}")
    for address in OWN.values():
        net.daemon.cli(f"addr add {with_prefix(address)} dev app0")


def container(net: Topology) -> Container:
    """With its slave app0, up."""
    add_own(net, net.netns("ns0").name)
    tenant = Container(net.netns("ns0"), door(net, "app0").parent)
    tenant.run("ip", "link", "set", "app0", "up")
    return tenant


@pytest.fixture(params=["container", "user namespace"])
def tenant(net: Topology, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    with ExitStack() as stack:
        if request.param == "container":
            one: Tenant = container(net)
        else:
            one = stack.enter_context(UserNamespace(net.external))
            add_own(net, str(one.pid))
            one.run("ip", "link", "set", "app0", "up")
        ping_ok(net.external, OWN[4])
        yield one


def program_of(tenant: Tenant) -> int:
    (link,) = json.loads(tenant.run("ip", "-j", "-d", "link", "show", "app0").stdout)
    return link["xdp"]["prog"]["id"]


def attempts(net: Topology, tenant: Tenant, others: Others) -> dict[str, str]:
    (own,) = json.loads(tenant.run("ip", "-j", "link", "show", "app0").stdout)
    task = others.ids | {"interface": "app0", "host": [own["link_netnsid"], net.master]}
    if isinstance(tenant, UserNamespace):
        task["host_end"] = f"ipvx{net.id_of('app0')}"
    program = task["program"] = intruder.load_program()  # as if somebody had given it one
    words = ("/usr/bin/python3", "-B", str(HERE / "intruder.py"), json.dumps(task))
    done = tenant.run(*words, pass_fds=(program,))
    os.close(program)
    return json.loads(done.stdout)


def test_what_root_tries_is_refused(net: Topology, tenant: Tenant) -> None:
    others, own = Others(net), program_of(tenant)
    with others:
        tried = attempts(net, tenant, others)
    contained = isinstance(tenant, Container)
    expected = {
        "map by id": "EPERM",
        "program by id": "EPERM",
        "link by id": "EPERM",
        "look for maps": "EPERM",
        "pin xsks_map": "ENOENT" if contained else "EACCES",
        "pin link": "ENOENT" if contained else "EACCES",
        "load a program": "EPERM",
        **{f"queue of {ifindex}": "ENODEV" for ifindex in others.ids["victims"]},
        "its own second queue": "EINVAL",
        # At its own end is our program, by a link.
        "detach": "EBUSY",
        "detach, generic": "done",  # of which there is none
        "replace": "EBUSY",
        "replace, generic": "EEXIST",
        "replace, native": "EBUSY",
        "replace by a link": "EBUSY",
        # CAP_NET_ADMIN of the host's makes a tenant a trusted one: README.md of daemon/.
        "a macvlan on the master": "done" if contained else "EPERM",
    }
    if not contained:
        expected |= {"look at the host end": "EACCES", "delete the host end": "EACCES"}
    # Some kernels let a user namespace have one of its own, which is empty.
    assert tried.pop("mount bpffs") in (("EPERM",) if contained else ("EPERM", "done"))
    assert tried == expected
    assert program_of(tenant) == own
    ping_ok(net.external, OWN[4])


@pytest.mark.parametrize("xdp", ["auto", "native"])
def test_it_hears_nothing_of_others(net: Topology, xdp: str) -> None:
    """Promiscuous, and with an application that answers for the others' addresses; where frames
    come by TC, and where they come by XDP on the master."""
    net.daemon.cli(f"port set m0 xdp {xdp}")
    tenant, others = container(net), Others(net)
    tenant.run("ip", "link", "set", "app0", "promisc", "on")
    addresses = {bytes(map(int, slave[4].split("."))) for slave in (VICTIM, PLAIN)}

    def is_of_others(frame: Frame) -> bool:
        is_ip = frame.data[12:14] == b"\x08\x00"
        return not frame.outgoing and is_ip and bool({frame.data[26:30], frame.data[30:34]} & addresses)

    def forget() -> None:
        for space, interface in ((net.external, "x0"), (others.spaces["plain0"], "plain0")):
            space.ip(f"neigh flush dev {interface}")

    with Capture(net.netns("ns0"), "app0") as heard:
        forget()
        with others:
            ping_ok(net.external, OWN[4])
    assert heard.frames and not heard.matching(is_of_others)
    words = [word for slave in (VICTIM, PLAIN) for ip in slave.values() for word in ("--address", ip)]
    with Client(tenant, "echo", "app0", *BY_DOOR, *words) as client:
        forget()
        with others:
            ping_ok(net.external, OWN[4])
        heard = client.summary()["heard"]
    assert heard["ping"] == 3 and heard["arp"] >= 3, heard  # who has: everybody is asked


def test_what_it_sends_goes_by_the_rules(net: Topology) -> None:
    """From its AF_XDP socket, past its own stack: to the wire as the master, to siblings as the
    flag says, and all of it counted."""
    tenant, others = container(net), Others(net)
    tenant.run("ip", "link", "set", "app0", "down")
    tenant.run("ip", "link", "set", "app0", "address", FORGED_MAC)
    tenant.run("ip", "link", "set", "app0", "up")

    def generate(to: str, mac: str) -> None:
        words = ("--to", to, "--to-mac", mac, "--count", "50", "--size", "222")
        with Client(tenant, "generate", "app0", *words) as client:
            client.wait()

    def is_generated(frame: Frame) -> bool:
        return not frame.outgoing and frame.length == 222

    def stats() -> dict:
        return net.daemon.get(f"/v1/slaves/{net.id_of('app0')}/stats")

    with others, Capture(net.external, "x0") as wire:
        generate(EXTERNAL[4], net.external_mac)
        frames = wire.wait_for(is_generated, 50)
        assert {frame.source for frame in frames} == {net.mac}
    before = stats()
    assert before["tx"]["packets"] >= 50
    net.daemon.cli("port set m0 private")
    with Capture(others.spaces["plain0"], "plain0") as sibling:
        generate(PLAIN[4], net.mac)
        # Its own stack may ask for a sibling besides.
        eventually("all are dropped", lambda: stats()["drops"].get("private", 0) >= 50)
        sibling.settle()
    assert not sibling.matching(is_generated)
    assert stats()["drops"].keys() == {"private"}


def test_its_interface_goes_while_it_is_bound(net: Topology) -> None:
    others = Others(net)
    os.chmod(net.daemon.folder, 0o711)  # as /run/ipvlanx is
    with UserNamespace(net.external) as tenant:
        add_own(net, str(tenant.pid))
        tenant.run("ip", "link", "set", "app0", "up")
        path = ("--socket", str(door(net, "app0")))
        with others, Program(tenant, "unshare", "--net", "sleep", "1000") as inner:
            with Client(tenant, "echo", "app0", *path) as client:
                ping_ok(net.external, OWN[4])
                comm = Path(f"/proc/{inner.pid}/comm")
                eventually("it has gone there", lambda: comm.read_text() == "sleep\n")
                tenant.run("ip", "link", "set", "app0", "netns", str(inner.pid))
                eventually("the application is told", lambda: not client.running)
                assert "interface 'app0' is gone" in client.said
            enter = ("nsenter", f"--target={inner.pid}", "--net", "--")
            tenant.run(*enter, "ip", "link", "set", "app0", "up")
            eventually("it has followed", lambda: net.owner(OWN[4]) == net.id_of("app0"))
            ping_ok(net.external, OWN[4])
            tenant.run(*enter, "ip", "link", "del", "app0")
            eventually("the slave is gone", lambda: len(net.daemon.get("/v1/slaves")) == 2)
        ping_lost(net.external, OWN[4])
    assert len([pin for pin in net.daemon.pins() if pin.startswith("slaves/")]) == 2  # app1's
