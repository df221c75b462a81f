# SPDX-License-Identifier: Apache-2.0
"""What does bash offer after `ipvlanx ...<TAB>`? Asked of bash itself, in the way it asks."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ipvlanx import IPVLANX, Topology

SCRIPT = Path(__file__).parents[2] / "deploy" / "completion" / "ipvlanx"


def offered(net: Topology, line: str) -> set[str]:
    """What may follow `line`, whose last word has been begun (or is empty)."""
    words = [IPVLANX, "--socket", net.daemon.socket, *line.split(" ")]
    ask = f"""
        set -u
        source {SCRIPT}
        COMP_WORDS=({shlex.join(words)})
        COMP_CWORD={len(words) - 1}
        _ipvlanx {IPVLANX} {shlex.quote(words[-1])} {shlex.quote(words[-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = net.host.run("bash", "-c", ask, timeout=30)
    assert not done.stderr, done.stderr
    return set(done.stdout.split())


def usages() -> list[list[str]]:
    """Of all commands, as help writes them."""
    text = subprocess.run([IPVLANX, "help"], capture_output=True, text=True).stdout.split("\n\n")[0]
    lines = re.sub(r"\n {15}", " ", text).splitlines()[1:]
    return [line.removeprefix("       ipvlanx ").split() for line in lines]


def test_every_word_of_the_help(net: Topology) -> None:
    objects = {usage[0] for usage in usages()}
    assert {"link", "addr", "port", "reload"} <= objects
    assert offered(net, "") == objects | {"help"}
    for usage in usages():
        words = {word for word in usage[1:] if re.fullmatch("[a-z][a-z0-9-]+", word)}
        if len(usage) > 1 and re.fullmatch("[a-z]+", usage[1]):
            assert usage[1] in offered(net, f"{usage[0]} ")
            words.discard(usage[1])
            line = f"{usage[0]} {usage[1]} "
        else:
            line = f"{usage[0]} "
        there = offered(net, line)
        assert "help" in there
        for word in words & there:
            there |= offered(net, f"{line}{word} ")
        assert words <= there, usage


def test_what_was_begun_is_ended(pair: Topology) -> None:
    assert offered(pair, "li") == {"link"}
    assert offered(pair, "-j") == {"-json"}
    assert offered(pair, "-j -p link s") == {"set", "show"}
    assert offered(pair, "link add link m0 mode l3") == {"l3", "l3s"}
    assert offered(pair, "port set m0 announce ") == {"on", "off"}
    assert offered(pair, "link set ipvl0 addr-policy s") == {"static"}
    assert "mode" not in offered(pair, "link set ipvl0 mode l2 ")
    assert "addr" in offered(pair, "link add link m0 new0 addr 10.0.0.9/24 ")
    assert offered(pair, "nonsense ") == set() == offered(pair, "link nonsense ")


def test_masters_slaves_addresses_namespaces(pair: Topology) -> None:
    assert offered(pair, "link del ipvl") == {"ipvl0", "ipvl1"}
    assert {"dev", "ipvl0", "ipvl1"} <= offered(pair, "link set ")
    assert offered(pair, "addr show dev ") == {"ipvl0", "ipvl1"}
    assert offered(pair, "link show link ") == {"m0"} == offered(pair, "port del m")
    assert {"lo", "m0"} <= offered(pair, "link add link ")
    assert offered(pair, "addr del 10.") == {"10.0.0.10/24", "10.0.0.11/24"}
    assert {"ns0", "ns1", "host"} <= offered(pair, "link set ipvl0 netns ")
    assert offered(pair, "trace m0 tx dev ") == {"ipvl0", "ipvl1"}
    assert {"m0", "rx", "tx"} <= offered(pair, "trace ")
    assert offered(pair, "trace m0 rx dst 10.0.0.1 proto ") == {"arp", "icmp", "tcp", "udp"}
    assert not {"ipvl0", "ipvl1"} & offered(pair, "link add link m0 "), "it is to be a new one"


def test_without_a_daemon_the_words_are_there(idle: Topology) -> None:
    assert {"add", "del", "set", "show", "help"} == offered(idle, "link ")
    assert offered(idle, "link del ") == {"dev", "help"}


def test_files_and_folders(net: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.json").touch()
    (tmp_path / "sub").mkdir()
    assert offered(net, f"apply {tmp_path}/so") == {f"{tmp_path}/some.json"}
    assert offered(net, f"purge pin-root {tmp_path}/s") == {f"{tmp_path}/sub"}
    assert offered(net, f"--socket {tmp_path}/s") == {f"{tmp_path}/some.json", f"{tmp_path}/sub"}


def test_a_tenant_runs_nothing_by_its_names(pair: Topology) -> None:
    evil = pair.slaves[0]
    for name in ("$(id)", "`id`;ls", "a'b", 'a"b', "*", "a\\b", "-j"):
        evil.netns.run("ip", "link", "set", evil.name, "down", "name", name)
        evil.name = name
        assert offered(pair, "link del ") == {"dev", "help", "ipvl1", str(evil.id)}, name


def test_a_name_that_two_bear_means_neither(pair: Topology) -> None:
    one, two = pair.slaves
    two.ip("link set {} down")
    two.netns.ip("link set ipvl1 name ipvl0")
    assert offered(pair, "link del dev ") == {str(one.id), str(two.id)}
