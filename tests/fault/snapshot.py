# SPDX-License-Identifier: Apache-2.0
"""Everything that a request may touch, to be compared with what it was before."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Iterable

from ipvlanx import Topology
from maps import pinned_link
from space import Netns

SYSCTLS = ("forwarding", "force_forwarding", "rp_filter", "accept_ra", "disable_ipv6", "proxy_arp")
# What changes by itself.
PASSING = ("stats", "stats64", "valid_life_time", "preferred_life_time", "operstate", "carrier_changes")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(field) for key, field in value.items() if key not in PASSING}
    if isinstance(value, list):
        return [_plain(field) for field in value]
    return value


def _batch(program: str, *lines: str) -> str:
    """What all these say, by one process."""
    words = [*program.split(), "-force", "-batch", "-"]
    return subprocess.run(words, input="\n".join(lines), capture_output=True, text=True).stdout


def _interfaces(space: Netns) -> dict[str, Any]:
    """Links, addresses, routes and rules. A link-local address is random, and another one after a
    move."""
    ask = f"ip -n {space.name} -j"
    route, rule = "route show table all", "rule show"
    said = [*_batch(f"{ask} -d", "addr show").splitlines(),
            *_batch(f"{ask} -4", route, rule).splitlines(),
            *_batch(f"{ask} -6", route, rule).splitlines()]  # fmt: skip
    links, *others = [_plain([row for row in json.loads(line) if row]) for line in said if line]
    for link in links:
        for address in link["addr_info"]:
            if address.get("scope") == "link" and address["family"] == "inet6":
                address.clear()
    rows = [json.dumps(row, sort_keys=True) for other in others for row in other
            if not str(row.get("dst")).startswith(("fe80", "multicast", "ff00"))]  # fmt: skip
    return {"links": {link["ifname"]: link for link in links}, "routes, rules": sorted(rows)}


def _sysctls(host: Netns) -> dict[str, str]:
    def read() -> dict[str, str]:
        found = {}
        for family in ("ipv4", "ipv6"):
            conf = f"/proc/sys/net/{family}/conf"
            for path in (Path(conf, one, name) for one in os.listdir(conf) for name in SYSCTLS):
                with contextlib.suppress(OSError):
                    found[str(path)] = path.read_text().strip()
        return found

    return host.inside(read)


def _attached(net: Topology, interfaces: Iterable[str]) -> dict[str, Any]:
    """Which program hangs where: by pinned links, and as filters."""
    pins = [pin for pin in net.daemon.pins() if pin.startswith("links/")]
    programs = {pin: pinned_link(f"{net.daemon.pin_root}/{pin}")[1] for pin in pins}
    hooks = [f"filter show dev {one} {way}" for one in interfaces for way in ("ingress", "egress")]
    return {"links": programs, "filters": _batch(f"tc -n {net.host.name}", *hooks)}


def _without_link_locals(tables: dict[str, dict]) -> dict[str, dict]:
    rows = tables["ipvx_addrs"]
    return tables | {"ipvx_addrs": {key: row for key, row in rows.items() if key[2][:2] != b"\xfe\x80"}}


def _slaves(net: Topology) -> list[dict]:
    slaves = net.daemon.get("/v1/slaves")
    for slave in slaves:
        addresses = slave["addresses"]
        slave["addresses"] = [row for row in addresses if not row["address"].startswith("fe80")]
    return slaves


def _file(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _state(folder: str) -> dict[str, Any]:
    """What the files say, without the last id, which the next slave's is one more than."""
    state = json.loads(_file(f"{folder}/state.json") or '{"ports": [], "slaves": []}')
    found = {"port": {port["ifindex"]: port for port in state["ports"]},
             "slave": {slave["id"]: slave for slave in state["slaves"]}}  # fmt: skip
    lines = [json.loads(line) for line in _file(f"{folder}/state.journal").splitlines()]
    if lines and lines[0]["journal"] == state["journal"]:
        for record in [record for line in lines[1:] for record in line["changes"]]:
            ((kind, value),) = record.items()
            if kind.startswith("drop_"):
                found[kind.removeprefix("drop_")].pop(value, None)
            else:
                found[kind][value["ifindex" if kind == "port" else "id"]] = value
    return found


def snapshot(net: Topology) -> dict[str, Any]:
    folder = f"{net.daemon.folder}/state"
    spaces = {space.name: _interfaces(space) for space in net.spaces}
    return {
        **spaces,
        "sysctls": _sysctls(net.host),
        "tables": _without_link_locals(net.maps.tables()),
        "counters": {key for key in net.maps.counters() if key[0] != "drop"},
        "attached": _attached(net, spaces[net.host.name]["links"]),
        "pins": net.daemon.pins(),
        "slaves": _slaves(net),
        "ports": net.daemon.get("/v1/ports"),
        "state": _state(folder),
        "host-settings": _file(f"{folder}/host-settings").splitlines()[1:],
    }


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys(), key=str)
        each = (differences(before.get(k), after.get(k), f"{path}/{k}") for k in keys)
        return [line for lines in each for line in lines]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        each = (differences(b, a, f"{path}[{i}]") for i, (b, a) in enumerate(zip(before, after)))
        return [line for lines in each for line in lines]
    return [f"{path}: {before!r} -> {after!r}"]
