# SPDX-License-Identifier: Apache-2.0
"""Does bad input get its answer, and hurt nobody?

    external              host                     ns0
    x0  ---- veth ----  m0 ==== one l2 slave ====  ipvl0 10.0.0.10

Afterwards interfaces, pins, tables, state and the API's view are as before, the daemon serves, and
it has not grown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import socket
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest

import bad_input
from bad_input import CASES, SLAVE, Case
from ipvlanx import Topology
from space import eventually
from test_refusals import everything
from wire_http import Reply, connect, exchange, read_reply, request

MEBIBYTE = 1 << 20
CONNECTIONS = 10_000
MOST_SESSIONS = 256  # Loop::kMostSessions
ROOTS_SESSIONS = 16  # Loop::kRootsSessions
SOMEBODY = 64000
IDLE_SECONDS = 60  # Session::kIdleTime, the longest of its times


@pytest.fixture(scope="module")
def one() -> Iterator[Topology]:
    """One drawing for all of it: that is the point, it changes nothing."""
    net = Topology()
    try:
        net.netns("spare")
        make_odd_files()
        net.daemon.start()
        net.add_slave()
        net.host.wait_for_addresses("m0")
        net.slaves[0].netns.wait_for_addresses("ipvl0")
        net.daemon.get("/v1/slaves")
        yield net
    finally:
        net.close()


def make_odd_files() -> None:
    """What a path may lead to instead of a namespace."""
    folder = Path("/run/bad-input")
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind(str(folder / "socket"))
    for name, target in (("loop", "loop"), ("dangling", "nowhere"), ("link-to-file", "/etc/hostname")):
        (folder / name).symlink_to(target)


def rss(net: Topology) -> int:
    """Of the daemon, in bytes."""
    text = Path(f"/proc/{net.daemon.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) << 10


def serves(net: Topology) -> bool:
    reply = exchange(net.daemon.socket, "GET", "/v1/health", None)
    return reply.status == 200


def send(net: Topology, case: Case) -> Reply:
    data = case.data.replace(SLAVE.encode(), str(net.slaves[0].id).encode())
    with connect(net.daemon.socket) as connection:
        with contextlib.suppress(BrokenPipeError):  # it has read enough: the answer says why
            connection.sendall(data)
        return read_reply(connection)


def check_problem(reply: Reply, case: Case) -> None:
    assert reply.headers.get("content-type") == "application/problem+json", (case, reply)
    problem = json.loads(reply.body)
    said = (reply.status, problem["code"], problem.get("field"))
    assert said == (case.status, case.code, case.field), (case, problem)
    assert problem["status"] == reply.status and 400 <= reply.status < 500
    assert problem["type"] == f"urn:ipvlanx:problem:{case.code}" and problem["title"]
    assert len(problem["detail"].split()) >= 3, "a sentence"


def test_there_are_enough_of_them() -> None:
    assert len({(case.data, case.code) for case in CASES}) >= 300


# Together, as it takes longer to look at everything than to send one.
GROUPS = [CASES[n : n + 25] for n in range(0, len(CASES), 25)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: str(group[0])[:40])
def test_each_gets_its_answer_and_leaves_nothing_behind(one: Topology, group: list[Case]) -> None:
    before = everything(one)
    wrong = []
    for case in group:
        try:
            check_problem(send(one, case), case)
        except (AssertionError, OSError) as error:
            wrong.append(f"{case}: {error}")
    assert not wrong, "\n".join(wrong)
    assert everything(one) == before
    assert serves(one)


# ------------------------------------------------------------------------ behaviour


def test_a_hundred_mebibytes_are_refused_before_they_are_read(one: Topology) -> None:
    before, size = everything(one), rss(one)
    head = b"POST /v1/slaves HTTP/1.1\r\nHost: x\r\n"
    chunk = b"%x\r\n" % MEBIBYTE + b" " * MEBIBYTE + b"\r\n"
    for start, part in (
        (b"Content-Length: %d\r\n\r\n" % (100 * MEBIBYTE), b" " * MEBIBYTE),
        (b"Transfer-Encoding: chunked\r\n\r\n", chunk),
    ):
        with connect(one.daemon.socket) as connection:
            connection.sendall(head + start)
            sent = 0
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for _ in range(100):
                    connection.sendall(part)
                    sent += len(part)
            assert read_reply(connection).status == 413
    assert rss(one) - size < 16 * MEBIBYTE
    assert everything(one) == before and serves(one)


HALVES = [
    b"", b"G", b"GET /v1/version", b"GET /v1/version HTTP/1.1\r\n", b"GET /v1/version HTTP/1.1\r\nHost: x\r\n",
    b"POST /v1/slaves HTTP/1.1\r\nContent-Length: 100\r\n\r\n",
    b'POST /v1/slaves HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"master": "m0", "name": "new0"',
    b"POST /v1/slaves HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /v1/slaves HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{",
    b'POST /v1/slaves HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"master": "m0", "name": "new0"}\r\n',
    b"POST /v1/slaves HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("half", HALVES, ids=lambda half: repr(half)[:60])
@pytest.mark.parametrize("end", ["shut", "closed", "reset"])
def test_half_a_request_is_none(one: Topology, half: bytes, end: str) -> None:
    before = everything(one)
    with connect(one.daemon.socket) as connection:
        connection.sendall(half)
        if end == "shut":
            connection.shutdown(socket.SHUT_WR)
            # Nothing, or 100 Continue: never an answer to what was not asked.
            while data := connection.recv(4096):
                assert data.startswith(b"HTTP/1.1 100 "), data
        elif end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert serves(one)
    assert everything(one) == before


def test_whole_requests_whose_answers_nobody_waits_for(one: Topology) -> None:
    """They are carried out or refused as any other; the daemon lives on."""
    before = everything(one)
    for _ in range(200):
        for data in (request("GET", "/v1/slaves", None, {}), request("POST", "/v1/slaves", b"{}", {}),
                     request("GET", "/v1/events", None, {}), request("GET", "/metrics", None, {})):  # fmt: skip
            with connect(one.daemon.socket) as connection:
                connection.sendall(data * 5)
    assert serves(one)
    assert everything(one) == before


def test_requests_in_one_piece_are_answered_one_by_one(one: Topology) -> None:
    """And what follows a refusal of HTTP is not taken for a request."""
    good = request("GET", "/v1/health", None, {})
    bad = b"GET /v1/health HTTP/1.1\r\nno colon\r\n\r\n"
    with connect(one.daemon.socket) as connection:
        connection.sendall(good + good + bad + good)
        text = b""
        while data := connection.recv(65536):
            text += data
            if text.count(b"HTTP/1.1 ") == 3:
                connection.shutdown(socket.SHUT_WR)
    assert re.findall(rb"HTTP/1\.1 (\d+)", text) == [b"200", b"200", b"400"]


def test_more_connections_than_it_takes(one: Topology) -> None:
    """Those over the bound are closed at once; the others are, too, when they say nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (CONNECTIONS + 500, max(hard, CONNECTIONS + 500)))
    size = rss(one)
    held = []
    try:
        for number in range(CONNECTIONS):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(15)
            connection.connect(one.daemon.socket)
            held.append(connection)
            if number % 2:
                with contextlib.suppress(BrokenPipeError):
                    connection.send(b"GET /v1/slaves HTTP/1.1\r\nHost:")
        alive = [c for c in held if not hung_up(c)]
        eventually("the rest hung up", lambda: sum(not hung_up(c) for c in alive) <= MOST_SESSIONS)
        assert sum(not hung_up(c) for c in alive) == MOST_SESSIONS
        descriptors = len(os.listdir(f"/proc/{one.daemon.pid}/fd"))
        assert descriptors < MOST_SESSIONS + 100
        assert rss(one) - size < 32 * MEBIBYTE
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    eventually("served again", lambda: serves_now(one))
    assert one.daemon.log.read_text().count("connections: more are closed at once") == 1


def test_whoever_holds_all_connections_leaves_root_some(one: Topology) -> None:
    os.chmod(one.daemon.folder, 0o755)
    os.chmod(one.daemon.socket, 0o666)  # as a member of the group
    os.seteuid(SOMEBODY)
    try:
        held = [connect(one.daemon.socket) for _ in range(MOST_SESSIONS + 50)]
    finally:
        os.seteuid(0)
        os.chmod(one.daemon.socket, 0o660)
    try:
        left = MOST_SESSIONS - ROOTS_SESSIONS
        eventually("the rest hung up", lambda: sum(not hung_up(c) for c in held) == left)
        assert serves(one)
    finally:
        for connection in held:
            connection.close()


def hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(0))


def serves_now(net: Topology) -> bool:
    try:
        return serves(net)
    except (ConnectionError, BrokenPipeError):
        return False


def test_event_readers_who_do_not_read_cost_little(one: Topology) -> None:
    """One that is a mebibyte behind is cut off, and nobody waits for it."""
    size = rss(one)
    readers = [connect(one.daemon.socket) for _ in range(50)]
    try:
        for reader in readers:
            reader.sendall(request("GET", "/v1/events", None, {}))
            read_reply(reader)
        with one.daemon.requests() as ask:
            for number in range(300):
                up = {"max_addresses": 60 + number % 2}
                assert ask("PATCH", f"/v1/slaves/{one.slaves[0].id}", up).status == 200
        assert rss(one) - size < 64 * MEBIBYTE
    finally:
        for reader in readers:
            reader.close()
        one.daemon.api("PATCH", f"/v1/slaves/{one.slaves[0].id}", {"max_addresses": 64})
    assert serves(one)


def test_a_path_that_changes_while_it_is_looked_at(one: Topology) -> None:
    """A symlink that leads to a namespace or to a file: each request finds one of the two, and a
    slave is only ever where its path led."""
    before = everything(one)
    link, spare = Path("/run/bad-input/link"), "/run/netns/spare"
    link.symlink_to(spare)
    stop = threading.Event()

    def flip() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            other = Path(f"/run/bad-input/next{number % 2}")
            other.symlink_to(("/etc/hostname", spare, "nowhere", "/run/bad-input/fifo")[number % 4])
            other.rename(link)

    flipper = threading.Thread(target=flip)
    flipper.start()
    answers = set()
    try:
        with one.daemon.requests() as ask:
            for number in range(400):
                body = {"master": "m0", "name": f"race{number}", "netns": str(link)}
                answer = ask("POST", "/v1/slaves", body)
                answers.add(answer.body.get("code", "made"))
                if answer.status == 201:
                    assert answer.body["netns"] in ("spare", str(link), None), answer
                    assert one.netns("spare").link(body["name"]), answer
                    assert ask("DELETE", f"/v1/slaves/{answer.body['id']}").status == 204
                else:
                    assert answer.status == 422, answer
    finally:
        stop.set()
        flipper.join()
        link.unlink()
    assert {"made", "not-a-netns", "netns-gone"} == answers
    after = everything(one)
    for one_of_them in (before, after):
        del one_of_them["state"]  # the number of the last slave is in it
    assert after == before


@pytest.mark.skipif("IPVLANX_LONG" not in os.environ, reason="a minute of waiting")
def test_slow_clients_are_hung_up_on(one: Topology) -> None:
    """Byte by byte, by halves, or not reading: none keeps a connection for good."""
    before, size = everything(one), rss(one)
    slow = {
        "says nothing": b"",
        "never ends its header": b"GET /v1/version HTTP/1.1\r\nHost: x\r\n",
        "never ends its body": b"POST /v1/slaves HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        "does not read": request("GET", "/metrics", None, {}) * 2000,
    }
    connections = {}
    for what, data in slow.items():
        connections[what] = connect(one.daemon.socket)
        connections[what].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connections[what].send(data)
    start = time.monotonic()
    trickle = connections["never ends its header"]
    while time.monotonic() - start < IDLE_SECONDS + 5:
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            trickle.send(b"x")
        time.sleep(0.5)
        assert serves(one)
    for what, connection in connections.items():
        connection.setblocking(True)
        connection.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1 << 20):
                pass  # what was on its way; then the end, or a timeout: the test fails
        connection.close()
    assert rss(one) - size < 16 * MEBIBYTE
    assert everything(one) == before
