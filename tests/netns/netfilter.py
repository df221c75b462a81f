# SPDX-License-Identifier: Apache-2.0
"""What does a namespace's netfilter see, what does its conntrack know, and how is it told?"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import Iterator

from space import Netns

HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
TABLE = {4: "ip", 6: "ip6"}
ECHO = {4: "icmp type { echo-request, echo-reply }", 6: "icmpv6 type { echo-request, echo-reply }"}


def nft(space: Netns, rules: str) -> None:
    space.run("nft", "-f", "-", input=rules)


def version_of(address: str) -> int:
    return 6 if ":" in address else 4


class EchoCounters:
    def __init__(self, space: Netns, table: str) -> None:
        self._space, self._table = space, table

    def read(self) -> dict[str, tuple[int, ...]]:
        """By the source's name: the packets in each of HOOKS."""
        said = self._space.run("nft", "-j", "list", "table", *self._table.split()).stdout
        counts: dict[str, dict[str, int]] = {}
        for item in json.loads(said)["nftables"]:
            if rule := item.get("rule"):
                (counter,) = [e["counter"] for e in rule["expr"] if "counter" in e]
                counts.setdefault(rule["comment"], {})[rule["chain"]] = counter["packets"]
        return {name: tuple(each[hook] for hook in HOOKS) for name, each in counts.items()}


@contextlib.contextmanager
def counting_echoes(space: Netns, sources: dict[str, str]) -> Iterator[EchoCounters]:
    """Counts the echo packets from these addresses, of one family, in each hook."""
    family = version_of(next(iter(sources.values())))
    table = f"{TABLE[family]} echoes"
    lines = [f"table {table} {{"]
    for hook in HOOKS:
        lines.append(f"chain {hook} {{ type filter hook {hook} priority -350;")
        for name, address in sources.items():
            match = f"{TABLE[family]} saddr {address} {ECHO[family]}"
            lines.append(f'{match} counter comment "{name}"')
        lines.append("}")
    nft(space, "\n".join([*lines, "}"]))
    try:
        yield EchoCounters(space, table)
    finally:
        nft(space, f"delete table {table}")


# --------------------------------------------------------------------- conntrack


@dataclass(frozen=True)
class Direction:
    source: str
    destination: str
    packets: int


@dataclass(frozen=True)
class Flow:
    protocol: str
    original: Direction
    reply: Direction


@contextlib.contextmanager
def tracking(space: Netns) -> Iterator[None]:
    """Conntrack is at work, and counts packets; it forgets what it knew."""
    forget_flows(space)
    space.sysctl("net/netfilter/nf_conntrack_acct", 1)
    # It runs where there is a rule that asks for it.
    chain = "chain prerouting { type filter hook prerouting priority 0; ct state new accept"
    nft(space, f"table inet tracked {{\n{chain}\n}}\n}}")
    try:
        yield
    finally:
        nft(space, "delete table inet tracked")


def forget_flows(space: Netns) -> None:
    for family in ("ipv4", "ipv6"):
        space.run("conntrack", "-F", "-f", family)


def flows(space: Netns, address: str) -> list[Flow]:
    """Those that an end with this address has started or answers."""
    found = []
    family = f"ipv{version_of(address)}"
    for line in space.run("conntrack", "-L", "-f", family).stdout.splitlines():
        ends = re.findall(r"src=(\S+) dst=(\S+) .*?packets=(\d+)", line)
        original, reply = (Direction(source, to, int(packets)) for source, to, packets in ends)
        if address in (original.source, reply.source):
            found.append(Flow(line.split()[0], original, reply))
    return found


# ------------------------------------------------------------- a host's firewall


class Nftables:
    """Rules for one family, in the words of nft."""

    def __init__(self, space: Netns, family: int) -> None:
        self._space, self._family = space, TABLE[family]
        chain = "chain {0} {{ type {1} hook {0} priority {2}; }}"
        nft(
            space,
            f"""table {self._family} fw {{
                {chain.format("forward", "filter", "filter")}
                {chain.format("prerouting", "nat", "dstnat")}
                {chain.format("postrouting", "nat", "srcnat")}
            }}""",
        )

    def clear(self) -> None:
        nft(self._space, "flush ruleset")

    def _add(self, chain: str, rule: str) -> None:
        nft(self._space, f"add rule {self._family} fw {chain} {rule}")

    def drop_by_default(self) -> None:
        nft(self._space, f"add chain {self._family} fw forward {{ policy drop; }}")
        self._add("forward", "ct state established,related accept")
        self._add("forward", "ct state invalid drop")

    def accept_from(self, interface: str, port: int | None = None) -> None:
        match = f"tcp dport {port} " if port else ""
        self._add("forward", f'iifname "{interface}" {match}accept')

    def drop_invalid(self) -> None:
        self._add("forward", "ct state invalid drop")

    def drop(self, protocol: str, port: int) -> None:
        self._add("forward", f"{protocol} dport {port} drop")

    def reject(self, protocol: str, port: int, way: str = "") -> None:
        self._add("forward", f"{protocol} dport {port} reject {way and f'with {way}'}")

    def dnat(self, address: str, port: int, to: str, to_port: int) -> None:
        match = f"{self._family} daddr {address} tcp dport {port}"
        self._add("prerouting", f"{match} dnat to {with_port(to, to_port)}")

    def masquerade(self, interface: str) -> None:
        self._add("postrouting", f'oifname "{interface}" masquerade')

    def snat(self, source: str, to: str) -> None:
        self._add("postrouting", f"{self._family} saddr {source} snat to {to}")

    def help_ftp(self) -> None:
        load_ftp_nat()
        nft(
            self._space,
            f"""table {self._family} fw {{
                ct helper ftp {{ type "ftp" protocol tcp; }}
                chain helped {{
                    type filter hook prerouting priority filter;
                    tcp dport 21 ct helper set "ftp"
                }}
            }}""",
        )


def load_ftp_nat() -> None:
    """Where it is a module: the helper brings what reads addresses, not what translates them."""
    subprocess.run(["modprobe", "-q", "nf_nat_ftp"], check=False)


class LegacyIptables:
    """The same rules, in the words of iptables-legacy."""

    def __init__(self, space: Netns, family: int) -> None:
        self._space = space
        self._program = {4: "iptables-legacy", 6: "ip6tables-legacy"}[family]

    def clear(self) -> None:
        self._space.run(self._program, "-P", "FORWARD", "ACCEPT")
        for table in ("filter", "nat", "raw"):
            self._space.run(self._program, "-t", table, "-F")

    def _add(self, chain: str, rule: str, table: str = "filter") -> None:
        self._space.run(self._program, "-t", table, "-A", chain, *rule.split())

    def drop_by_default(self) -> None:
        self._space.run(self._program, "-P", "FORWARD", "DROP")
        self._add("FORWARD", "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
        self.drop_invalid()

    def accept_from(self, interface: str, port: int | None = None) -> None:
        match = f"-p tcp --dport {port} " if port else ""
        self._add("FORWARD", f"-i {interface.replace('*', '+')} {match}-j ACCEPT")

    def drop_invalid(self) -> None:
        self._add("FORWARD", "-m conntrack --ctstate INVALID -j DROP")

    def drop(self, protocol: str, port: int) -> None:
        self._add("FORWARD", f"-p {protocol} --dport {port} -j DROP")

    def reject(self, protocol: str, port: int, way: str = "") -> None:
        how = way and f"--reject-with {way.replace(' ', '-')}"
        self._add("FORWARD", f"-p {protocol} --dport {port} -j REJECT {how}")

    def dnat(self, address: str, port: int, to: str, to_port: int) -> None:
        rule = f"-d {address} -p tcp --dport {port} -j DNAT --to-destination"
        self._add("PREROUTING", f"{rule} {with_port(to, to_port)}", "nat")

    def masquerade(self, interface: str) -> None:
        self._add("POSTROUTING", f"-o {interface} -j MASQUERADE", "nat")

    def snat(self, source: str, to: str) -> None:
        self._add("POSTROUTING", f"-s {source} -j SNAT --to-source {to}", "nat")

    def help_ftp(self) -> None:
        load_ftp_nat()
        self._add("PREROUTING", "-p tcp --dport 21 -j CT --helper ftp", "raw")


Firewall = Nftables | LegacyIptables


def with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
