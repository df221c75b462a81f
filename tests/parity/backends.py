# SPDX-License-Identifier: Apache-2.0
"""How are slaves made and changed: by the kernel's own driver, and by ipvlanx?

The words of management differ; what a scenario compares does not: `ok`, or what the request was
refused with, as an errno where both have one.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any, Protocol

import rtnetlink
from ipvlanx import Daemon
from space import Netns, eventually


class Backend(Protocol):
    name: str

    def start(self, host: Netns) -> None: ...
    def close(self) -> None: ...
    def add(
        self, master: str, name: str, netns: Netns, mode: str = "", flag: str = "", mtu: int = 0
    ) -> str:
        """A slave of `master`, in `netns`; mode and flag as given, or not said at all."""

    def change(self, master: str, netns: Netns, name: str, mode: str = "", flag: str = "") -> str:
        """Of the whole port."""

    def delete(self, netns: Netns, name: str) -> str: ...
    def shown(self, netns: Netns, name: str) -> str:
        """Mode and flag as the back end's own tool shows them: `l3 bridge`."""

    def know(self, master: str, address: str, netns: Netns | None, name: str = "") -> None:
        """Waits until the back end has noticed who has this address; None: no slave."""


class Kernel:
    name = "kernel"

    def start(self, host: Netns) -> None:
        self.host = host

    def close(self) -> None:
        pass

    def add(
        self, master: str, name: str, netns: Netns, mode: str = "", flag: str = "", mtu: int = 0
    ) -> str:
        link = rtnetlink.index_of(self.host, master)
        # What is no mode at all: the number after the last one.
        mode_number = rtnetlink.MODES.get(mode, 3) if mode else None
        flag_number = rtnetlink.FLAGS.get(flag, 4) if flag else None
        if flag == "private+vepa":
            flag_number = 3
        return refused(
            rtnetlink.add_ipvlan(
                self.host, link if master else None, name, netns, mode_number, flag_number, mtu
            )
        )

    def change(self, master: str, netns: Netns, name: str, mode: str = "", flag: str = "") -> str:
        mode_number = rtnetlink.MODES[mode] if mode else None
        flag_number = rtnetlink.FLAGS[flag] if flag else None
        return refused(rtnetlink.change_ipvlan(netns, name, mode_number, flag_number))

    def delete(self, netns: Netns, name: str) -> str:
        return refused(rtnetlink.delete(netns, name))

    def shown(self, netns: Netns, name: str) -> str:
        data = netns.link(name)["linkinfo"]["info_data"]
        flag = next((flag for flag in ("private", "vepa") if data.get(flag)), "bridge")
        return f"{data['mode']} {flag}"

    def know(self, master: str, address: str, netns: Netns | None, name: str = "") -> None:
        pass


# The API's codes, where the kernel has an errno for the same.
ERRNOS = {
    "address-in-use": "EADDRINUSE",
    "bad-master": "EINVAL",
    "missing-field": "EINVAL",
    "name-in-use": "EEXIST",
    "no-such-master": "ENODEV",
    "out-of-range": "EINVAL",
    "unknown-word": "EINVAL",
}


class Ipvlanx:
    name = "ipvlanx"

    def start(self, host: Netns) -> None:
        self.daemon = Daemon(host)
        self.daemon.start()
        self._context = self.daemon.requests()
        self._ask = self._context.__enter__()

    def close(self) -> None:
        self._context.__exit__(None, None, None)
        self.daemon.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        answer = self._ask(method, path, body)
        if answer.status < 300:
            return "ok"
        code = answer.body["code"]
        return refused(ERRNOS.get(code, code))

    def add(
        self, master: str, name: str, netns: Netns, mode: str = "", flag: str = "", mtu: int = 0
    ) -> str:
        body = {"master": master, "name": name, "netns": netns.path, "mode": mode, "flag": flag}
        body = {key: value for key, value in body.items() if value}
        return self.ask("POST", "/v1/slaves", body | ({"mtu": mtu} if mtu else {}))

    def change(self, master: str, netns: Netns, name: str, mode: str = "", flag: str = "") -> str:
        body = {key: value for key, value in (("mode", mode), ("flag", flag)) if value}
        return self.ask("PATCH", f"/v1/ports/{master}", body)

    def delete(self, netns: Netns, name: str) -> str:
        return self.ask("DELETE", f"/v1/slaves/{self._slave(netns, name)['id']}")

    def shown(self, netns: Netns, name: str) -> str:
        slave = self._slave(netns, name)
        return f"{slave['mode']} {slave['flag']}"

    def _slave(self, netns: Netns, name: str) -> dict[str, Any]:
        where = None if netns is self.daemon.host else netns.name
        rows = self._ask("GET", f"/v1/slaves?name={name}").body
        (slave,) = [row for row in rows if row["netns"] == where]
        return slave

    def know(self, master: str, address: str, netns: Netns | None, name: str = "") -> None:
        wanted = self._slave(netns, name)["id"] if netns else None
        with contextlib.suppress(AssertionError):  # what is observed next will show it
            eventually(address, lambda: self._owner(master, address) == wanted, 2)

    def _owner(self, master: str, address: str) -> int | None:
        """The id of the slave that it steers to."""
        for slave in self._ask("GET", f"/v1/slaves?master={master}").body:
            for row in slave["addresses"]:
                if row["address"].split("/")[0] == address and row["state"] == "active":
                    return slave["id"]
        return None


def refused(word: str) -> str:
    return word if word == "ok" else f"refused: {word}"


def kernel_has_ipvlan(host: Netns) -> bool:
    """By trying: a module may be loaded by the request itself."""
    host.ip("link add probe0 type veth peer name probe1")
    try:
        words = "link add link probe0 name probe2 type ipvlan mode l2".split()
        return subprocess.run(["ip", "-n", host.name, *words], capture_output=True).returncode == 0
    finally:
        host.ip("link del probe0")
