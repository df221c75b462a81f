# SPDX-License-Identifier: Apache-2.0
"""What does a back end do? Every scenario, in every mode and flag."""

from __future__ import annotations

from typing import Callable

from backends import Backend
from scenarios import groups, life, management, neighbours, reachability, unicast
from stage import FLAGS, MODES, Script, Stage

# Each line is played at once; what changes the drawing has a line of its own.
EACH_FLAG: list[list[Script]] = [
    [reachability.pings],
    [reachability.datagrams, reachability.big, reachability.link_local, reachability.host_sends],
    [
        groups.frames, groups.sockets, groups.joined, groups.other_protocols, groups.coming_back,
        unicast.of_a_slave, unicast.from_the_wire, neighbours.arp, neighbours.discovery,
    ],
    [life.reflected],
]  # fmt: skip
# The flag has nothing to say here.
EACH_MODE: list[list[Script]] = [
    [unicast.spoilt, unicast.tagged],
    [life.slave_down],
    [life.duplicates],
    [life.host_answers],
    [life.netfilter_hooks],
]

Wanted = Callable[[str], bool]  # which combinations and script names


def observe(backend: Backend, wanted: Wanted) -> dict[str, str]:
    observed: dict[str, str] = {}
    stage = Stage(backend)
    try:
        for mode in MODES:
            for flag in FLAGS:
                lines = EACH_FLAG + (EACH_MODE if flag == "bridge" else [])
                if wanted(f"{mode} {flag}"):
                    observed |= combination(stage, mode, flag, lines)
        if wanted("manage"):
            for script in management.SCRIPTS:
                for key, value in stage.play(script).items():
                    observed[f"manage | {key}"] = value
    finally:
        stage.close()
    return observed


def combination(stage: Stage, mode: str, flag: str, lines: list[list[Script]]) -> dict[str, str]:
    result = stage.enter(mode, flag)
    observed = {f"{mode} {flag} | a slave in this mode and flag | result": result}
    if result == "ok":
        try:
            for line in lines:
                for key, value in stage.play(*line).items():
                    observed[f"{mode} {flag} | {key}"] = value
        finally:
            stage.leave()
    return observed
