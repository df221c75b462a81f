# SPDX-License-Identifier: Apache-2.0
"""The C++ client: its header's example, and events that go on where they ended."""

from __future__ import annotations

import http.server
import json
import os
import re
import socketserver
import subprocess
import threading
from pathlib import Path

import pytest

from ipvlanx import BIN, IPVLANX, Topology
from space import eventually

REPOSITORY = Path(__file__).parents[2]
LIBRARIES = [
    str(Path(os.environ["IPVLANX_BUILD"], "lib", f"libipvlanx_{name}.a"))
    for name in ("client", "api", "model", "base")
]
# Reads SOCKET, and `all` to ask all there is, or SINCE for events after that number: the next one,
# or what is wrong.
MAIN = """
void all(const std::string& socket) {
  auto client = Client::connect(socket);
  const SlaveId id{7};
  const Prefix prefix = *Prefix::parse("10.0.0.5/24");
  (void)client->version(), client->health(), client->check(), client->metrics();
  (void)client->ports(), client->port("m0"), client->change_port("m0", {}), client->delete_port("m0");
  (void)client->flush_port("m0"), client->slaves(), client->slave(id), client->stats(id), client->drops();
  (void)client->trace({.master = *IfName::parse("m0"), .dst = prefix.address});
  (void)client->add_slave({*IfName::parse("m0"), *IfName::parse("web0")}), client->change_slave(id, {});
  (void)client->delete_slave(id), client->add_address(id, {prefix});
  (void)client->delete_address(id, prefix.address), client->save(), client->apply("{}"), client->reload();
  (void)EventStream::open(socket, 1);
}

int main(int, char** argv) {
  if (argv[2] && argv[2] == std::string{"all"}) return all(argv[1]), 0;
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


class Recorder(http.server.BaseHTTPRequestHandler):
    """A server that has nothing, and remembers what was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def address_string(self) -> str:
        return "unix"


def test_the_client_asks_all_there_is(program: Path, tmp_path: Path) -> None:
    tables = subprocess.run([BIN / "api_tables"], capture_output=True, check=True).stdout
    routes = {f"{route['method']} {route['path']}" for route in json.loads(tables)["routes"]}
    # Those are for Docker's engine alone.
    routes = {route for route in routes if "/NetworkDriver." not in route and "/Plugin." not in route}
    path = str(tmp_path / "socket")
    with socketserver.ThreadingUnixStreamServer(path, Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert said(program, path, "all")[0] == 0
        server.shutdown()
    patterns = {route: re.compile(re.sub(r"{\w+}", "[^/]+", route)) for route in routes}
    asked = {route for route in routes for one in Recorder.asked if patterns[route].fullmatch(one)}
    assert asked == routes


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
