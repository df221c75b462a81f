# SPDX-License-Identifier: Apache-2.0
"""Each test's own topology; ipvlanxd's log is printed where a test fails. For every folder of
end-to-end tests: its conftest.py imports all of this."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from ipvlanx import Topology
from routed import Routed

SKIPPED = 77


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "topology(**options): how the test's Topology is made")
    if os.getpid() != 1:
        raise pytest.UsageError("run these by tests/netns/run: they need a machine of their own")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Nothing ran: that is no success."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    ran = any(reporter.stats.get(outcome) for outcome in ("passed", "failed", "error"))
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not ran:
        session.exitstatus = SKIPPED


@pytest.fixture
def idle(request: pytest.FixtureRequest) -> Iterator[Topology]:
    """The standard drawing; the daemon is not started yet."""
    mark = request.node.get_closest_marker("topology")
    topology = Topology(**(mark.kwargs if mark else {}))
    try:
        yield topology
    finally:
        topology.close()


@pytest.fixture
def net(idle: Topology) -> Topology:
    """The standard drawing with the daemon running, and no slave yet."""
    idle.daemon.start()
    return idle


@pytest.fixture
def pair(net: Topology) -> Topology:
    """The standard drawing with two slaves, as most tests want it."""
    net.add_slave()
    net.add_slave()
    return net


@pytest.fixture
def routed(net: Topology) -> Routed:
    """The drawing with routes, for modes l3 and l3s; no slave yet."""
    return Routed(net)
