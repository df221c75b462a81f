# SPDX-License-Identifier: Apache-2.0
"""How does a test send what no honest HTTP client would? Bytes over the daemon's socket."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def connect(path: str, timeout: float = 15) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.settimeout(timeout)
    one.connect(path)
    return one


def connect_as(path: str, uid: int) -> socket.socket:
    """The kernel notes who connects, not who talks: SO_PEERCRED."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        return connect(path)
    finally:
        os.seteuid(before)


def read_reply(one: socket.socket, head: bool = False) -> Reply:
    """One answer; ConnectionError where the daemon hangs up without one."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = one.recv(65536)
        if not part:
            raise ConnectionError(f"the end, after {data!r}")
        data += part
    text, _, body = data.partition(b"\r\n\r\n")
    first, *lines = text.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if head else int(headers.get("content-length", 0))
    while len(body) < length:
        part = one.recv(65536)
        if not part:
            raise ConnectionError(f"the end, {length - len(body)} bytes early")
        body += part
    return Reply(int(first.split()[1]), headers, body)


def request(method: str, target: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: x"]
    if body is not None:
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def exchange(
    path: str,
    method: str,
    target: str,
    body: bytes | None,
    headers: dict[str, str] | None = None,
    uid: int = 0,
) -> Reply:
    """One request on a connection of its own, and its answer."""
    with connect_as(path, uid) if uid else connect(path) as one:
        try:
            one.sendall(request(method, target, body, headers or {}))
        except BrokenPipeError:
            pass  # it has read enough: the answer says why
        return read_reply(one, head=method == "HEAD")
