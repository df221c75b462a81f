# SPDX-License-Identifier: Apache-2.0
"""Which rights does an application of an ordinary user's take?

    external              host                     ns0
    x0  ---- veth ----  m0 ==== slaves ==========  app0 (an application of user 1000's)
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import pytest

from ipvlanx import Topology
from space import Netns, eventually, ping_ok
from test_handshake import door
from test_testpmd import dpdk, echoes, is_up
from test_xsk_errors import as_tenant
from test_xsk_maps import pinned
from xsk import APP, Client, add_app

TWO = "+net_raw,+ipc_lock"


class AsTenant:
    """A namespace whose programs user 1000 starts, with these capabilities alone."""

    def __init__(self, space: Netns, capabilities: str, *through: str) -> None:
        self.name, self._space = space.name, space
        self._capabilities, self._through = capabilities, through
        self._folder = Path("/run/of-1000")  # where DPDK has its files
        self._folder.mkdir(exist_ok=True)
        os.chown(self._folder, 1000, 1000)

    def spawn(self, *words: str, **options: object) -> object:
        mine = as_tenant(self._capabilities, "env", f"XDG_RUNTIME_DIR={self._folder}", *words)
        return self._space.spawn(*self._through, *mine, **options)


def test_two_capabilities_do_by_the_daemons_socket(net: Topology) -> None:
    space, _ = add_app(net)
    os.chmod(net.daemon.folder, 0o711)  # as /run/ipvlanx is
    before = echoes(space)
    for words in ([], ["--busy-poll"]):
        path = ("--socket", str(door(net, "app0")))
        with Client(AsTenant(space, TWO), "echo", "app0", *path, *words) as client:
            ping_ok(net.external, APP[4])
            assert client.summary()["heard"]["ping"] == 3
    assert echoes(space) == before


def test_two_capabilities_do_by_the_pinned_map(net: Topology) -> None:
    """Mounted into its container, once root has given it the file: daemons leave it its owner."""
    space, slave = add_app(net)
    os.chown(pinned(net, slave), 1000, 1000)
    net.daemon.restart()
    give = 'mount -t tmpfs none /mnt; touch /mnt/map; mount --bind "$0" /mnt/map; exec "$@"'
    through = ("unshare", "--mount", "--propagation", "private", "bash", "-c", give, pinned(net, slave))
    with Client(AsTenant(space, TWO, *through), "echo", "app0", "--map", "/mnt/map") as client:
        ping_ok(net.external, APP[4])
        assert client.summary()["heard"]["ping"] == 3


@pytest.mark.parametrize("more", ["", ",+bpf"])
def test_two_capabilities_do_not_for_libxdp(net: Topology, more: str) -> None:
    """DPDK 22.11 knows neither socket nor pin, and the kernel opens programs by their numbers for
    CAP_SYS_ADMIN alone (CAP_BPF is not enough). It takes nothing from its slave's stack."""
    space, slave = add_app(net)
    trace = Path(f"/run/trace-{secrets.token_hex(4)}")
    watch = ("strace", "-f", "-e", "trace=bpf", "-o", str(trace))
    with dpdk(AsTenant(space, TWO + more, *watch), "app0", "--forward-mode=icmpecho") as client:
        eventually("it gives up", lambda: not client.running, 20)
        assert "couldn't get program fd: Operation not permitted" in client.said
    calls = [line for line in trace.read_text().splitlines() if "bpf(" in line]
    program = space.link("app0")["xdp"]["prog"]["id"]
    asked = rf"bpf\(BPF_PROG_GET_FD_BY_ID, {{prog_id={program}, .*= -1 EPERM"
    assert [line for line in calls if re.search(asked, line)], calls
    ping_ok(net.external, APP[4])
    assert space.link("app0")["xdp"]["prog"]["id"] == program


def test_four_capabilities_do_for_libxdp_and_dpdk(net: Topology) -> None:
    """libxdp takes the third. DPDK 22.11 does not start a port whose promiscuity it cannot set."""
    space, _ = add_app(net)
    before = echoes(space)
    three, four = f"{TWO},+sys_admin", f"{TWO},+sys_admin,+net_admin"
    with dpdk(AsTenant(space, three), "app0", "--forward-mode=icmpecho") as client:
        eventually("it says why", lambda: "Fail to start port 0: Operation not permitted" in client.said, 20)
        assert "Failed to disable promiscuous mode" in client.said
        client.kill()
    with dpdk(AsTenant(space, four), "app0", "--forward-mode=icmpecho") as client:
        is_up(client)
        ping_ok(net.external, APP[4])
    assert echoes(space) == before
    ping_ok(net.external, APP[4])
