# SPDX-License-Identifier: Apache-2.0
"""The C++ client: its header's example, and events that go on where they ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ipvlanx import IPVLANX, Topology
from space import eventually

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = [
    str(Path(os.environ["IPVLANX_BUILD"], "lib", f"libipvlanx_{name}.a"))
    for name in ("client", "api", "model", "base")
]
# Reads SOCKET, and SINCE for events after that number: the next one, or what is wrong.
MAIN = """
int main(int, char** argv) {
  if (!argv[2]) {
    const auto done = example(argv[1]);
    if (!done) fmt::print("{}\\n", done.error().message);
    return done ? 0 : 1;
  }
  auto events = EventStream::open(argv[1], std::stoull(argv[2]));
  const auto event = events ? events->next(std::chrono::milliseconds{200}) : std::unexpected(events.error());
  if (!event) {
    fmt::print("{}\\n", name(event.error().code));
  } else if (!*event) {
    fmt::print("nothing after {}\\n", *events->last());
  } else {
    fmt::print("{} {}\\n", (*event)->seq, (*event)->type);
  }
}
"""


def example() -> str:
    lines = (REPOSITORY / "include/ipvlanx/client.h").read_text().splitlines()
    code = [line.removeprefix("//     ") for line in lines if line.startswith("//     ")]
    assert code, "client.h has no example"
    return "\n".join(line if line != "//" else "" for line in code)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as it stands there, and MAIN behind it."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "example.cpp").write_text(f"{example()}\n{MAIN}")
    built = subprocess.run(
        ["c++", "-std=c++23", "-O0", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
         f"-I{REPOSITORY}/include", "-o", "example", "example.cpp", *LIBRARIES, "-lfmt", "-lpthread"],
        cwd=folder, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder / "example"


def said(program: Path, *words: object) -> tuple[int, str]:
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


def test_the_example_is_short_and_works(net: Topology, program: Path) -> None:
    assert len(example().splitlines()) <= 30
    net.daemon.cli("port set m0 mode l2")
    status, lines = said(program, net.daemon.socket)
    assert status == 0, lines
    assert re.fullmatch(r"(\d+ slave-added \n)(\d+ \S+ .*\n)*\d+ address-added 10.0.0.50\n", lines)
    assert net.daemon.get("/v1/slaves") == []

    net.daemon.stop()
    assert said(program, net.daemon.socket) == (
        1, f"no daemon at '{net.daemon.socket}': No such file or directory\n")  # fmt: skip


def test_events_after_a_number(net: Topology, program: Path) -> None:
    net.daemon.cli("port set m0 mode l2")
    net.daemon.cli("port set m0 private")
    assert said(program, net.daemon.socket, 1) == (0, "2 port-changed\n")
    assert said(program, net.daemon.socket, 2) == (0, "nothing after 2\n")
    net.daemon.restart()
    assert said(program, net.daemon.socket, 1) == (0, "events-gone\n")


def test_monitor_misses_nothing_while_the_daemon_is_restarted(net: Topology) -> None:
    with subprocess.Popen(
        [IPVLANX, "-j", "--socket", net.daemon.socket, "monitor"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as monitor:  # fmt: skip
        try:
            os.set_blocking(monitor.stdout.fileno(), False)
            seen: list[dict] = []

            def see(number: int) -> bool:
                seen.extend(json.loads(line) for line in iter(monitor.stdout.readline, ""))
                return len(seen) >= number

            # Until it follows, what happens is not for it.
            def follows() -> bool:
                net.daemon.cli("port set m0 private")
                net.daemon.cli("port set m0 bridge")
                return see(1)

            eventually("the first event", follows)
            net.daemon.restart()
            for words in ("link add link m0 name web0", "link del web0", "port del m0"):
                net.daemon.cli(words)
            eventually("the last event", lambda: see(1) and seen[-1]["type"] == "port-removed")
            numbers = [event["seq"] for event in seen]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert {"slave-added", "slave-removed"} <= {event["type"] for event in seen}
        finally:
            monitor.kill()


def test_monitor_as_text(net: Topology) -> None:
    assert net.daemon.try_cli("monitor", "forever").returncode == 1
    net.daemon.stop()
    refused = net.daemon.try_cli("monitor")
    assert refused.returncode == 3 and "no daemon" in refused.stderr
