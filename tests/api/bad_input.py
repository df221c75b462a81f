# SPDX-License-Identifier: Apache-2.0
"""What no request may be, and what each is answered: the table of test_bad_input.py.

A case is the bytes that are sent, and status, code and field of the problem that comes back. SLAVE
stands for the id of the one slave there is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterator

from wire_http import request

SLAVE = "SLAVE"
ESCAPES = "\x1b[2J\x1b]0;owned\x07"


@dataclass(frozen=True)
class Case:
    what: str
    data: bytes
    status: int
    code: str
    field: str | None = None

    def __str__(self) -> str:
        return self.what


def to(method: str, target: str, body: Any, status: int, code: str, field: str | None = None) -> Case:
    """A request that is good HTTP; `body` as JSON, or as it is when it is bytes."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    what = f"{method} {target[:60]} {data[:80] if data else ''}"
    return Case(what, request(method, target, data, {}), status, code, field)


def slave(**fields: Any) -> dict[str, Any]:
    """A request that is right but for `fields`."""
    return {"master": "m0", "name": "new0", "mode": "l2"} | fields


# ------------------------------------------------------------------------------- no HTTP at all


def raw(data: bytes, status: int = 400, code: str = "bad-request") -> Case:
    return Case(f"raw {data[:80]!r}", data, status, code)


GET = b"GET /v1/version HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/slaves HTTP/1.1\r\nHost: x\r\n"
NOT_HTTP = [
    raw(b"hello\r\n\r\n"),
    raw(b"GET\r\n\r\n"),
    raw(b"GET /v1/version\r\n\r\n"),
    raw(b"GET  /v1/version HTTP/1.1\r\n\r\n"),
    raw(b"GET /v1/version  HTTP/1.1\r\n\r\n"),
    raw(b" GET /v1/version HTTP/1.1\r\n\r\n"),
    raw(b"GET /v1/version HTTP/2.0\r\n\r\n"),
    raw(b"GET /v1/version HTTP/1\r\n\r\n"),
    raw(b"GET /v1/version HTTP/11\r\n\r\n"),
    raw(b"GET /v1/version http/1.1\r\n\r\n"),
    raw(b"GET /v1/version HTTP/1.1 \r\n\r\n"),
    raw(b"GET /v1/ver\x00sion HTTP/1.1\r\n\r\n"),
    raw(b"GET /v1/ver\x01sion HTTP/1.1\r\n\r\n"),
    raw(b"GET /v1/ver\x7fsion HTTP/1.1\r\n\r\n"),
    raw(b"G\x00T /v1/version HTTP/1.1\r\n\r\n"),
    raw(b"G(T /v1/version HTTP/1.1\r\n\r\n"),
    raw(b"\xc3\x84 /v1/version HTTP/1.1\r\n\r\n"),
    raw(b"GET / HTTP/1.1\nHost: x\n\n"),
    raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
    raw(b"\x00" * 64),
    raw(b"\xff" * 64),
    raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    raw(b"{\"master\": \"m0\"}\r\n\r\n"),
    raw(GET + b"no colon\r\n\r\n"),
    raw(GET + b": no name\r\n\r\n"),
    raw(GET + b"Space : before\r\n\r\n"),
    raw(GET + b"Na\x00me: x\r\n\r\n"),
    raw(GET + b"Name: a\x00b\r\n\r\n"),
    raw(GET + b"Name: a\x01b\r\n\r\n"),
    raw(GET + b"N\xc3\xa4me: x\r\n\r\n"),
    raw(GET + b"Big: " + b"x" * (17 << 10) + b"\r\n\r\n"),
    raw(GET + b"".join(b"H%d: x\r\n" % n for n in range(5000)) + b"\r\n"),
    raw(b"GET /" + b"x" * (17 << 10) + b" HTTP/1.1\r\n\r\n"),
    raw(b"G" * (17 << 10)),
    raw(POST + b"Content-Length: -1\r\n\r\n"),
    raw(POST + b"Content-Length: x\r\n\r\n"),
    raw(POST + b"Content-Length: 1x\r\n\r\nx"),
    raw(POST + b"Content-Length: \r\n\r\n"),
    raw(POST + b"Content-Length: 0x10\r\n\r\n"),
    raw(POST + b"Content-Length: 18446744073709551616\r\n\r\n"),
    raw(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    raw(POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", 413, "body-too-large"),
    raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 33,
             413, "body-too-large"),
    raw(POST + b"Content-Length: 1048577\r\n\r\n", 413, "body-too-large"),
    raw(POST + b"Content-Length: 104857600\r\n\r\n", 413, "body-too-large"),
    raw(POST + b"Content-Length: 18446744073709551615\r\n\r\n", 413, "body-too-large"),
]  # fmt: skip

# ------------------------------------------------------------------------------- where

NOWHERE = [
    to("GET", target, None, 404, "no-such-route")
    for target in (
        "/", "//", "/v1", "/v1/", "/v2/version", "/V1/version", "/v1/Version", "/v1/version/",
        "/v1//version", "/v1/slaves/1/", "/v1/slaves/", "/v1/slaves/1/addresses/10.0.0.5/24",
        "/v1/slaves/1/stats/rx", "/v1/ports/", "/v1/ports/m0/", "/v1/ports/m0/flush/", "/metrics/",
        "/v1/../v1/version", "/v1/./version", "/v1/%2e%2e/version", "/%76%31/version/x",
        "/../../etc/passwd", "/etc/passwd", "/v1/slaves;a=b/1", "/v1/slaves/1%2Fstats/x",
        "/Plugin.Activated", "/v1/trace/x", "/favicon.ico", "/" + "a/" * 2000,
    )
] + [
    to("GET", target, None, 400, "bad-request")
    for target in (
        "v1/version", "http://x/v1/version", "*", "?", "x", "%2Fv1%2Fversion", "/%", "/v1/%", "/v1/%4",
        "/v1/%zz", "/v1/%0g", "/v1/%+1", "/v1/%-1", "/v1/%%41", "/v1/ports/m0%00",
        "/v1/ports/%00", "/v1/slaves?name=%", "/v1/slaves?%00=1", "/v1/slaves?name=%zz",
    )
]  # fmt: skip
NOWHERE = [
    Case(case.what, case.data, case.status, case.code, "name" if "?name" in case.what else None)
    for case in NOWHERE
]

METHODS = [
    to(method, target, None, 405, "method-not-allowed")
    for method, target in (
        ("PUT", "/v1/slaves"), ("PUT", "/v1/slaves/1"), ("DELETE", "/v1/slaves"), ("PATCH", "/v1/slaves"),
        ("POST", "/v1/slaves/1"), ("POST", "/v1/version"), ("DELETE", "/v1/version"), ("POST", "/v1/health"),
        ("POST", "/metrics"), ("DELETE", "/v1/events"), ("POST", "/v1/events"), ("GET", "/v1/apply"),
        ("POST", "/v1/save"), ("PUT", "/v1/ports/m0"), ("POST", "/v1/ports/m0"), ("POST", "/v1/ports"),
        ("GET", "/v1/ports/m0/flush"), ("DELETE", "/v1/ports/m0/flush"), ("GET", "/v1/slaves/1/addresses"),
        ("GET", "/v1/slaves/1/addresses/10.0.0.5"), ("PATCH", "/v1/slaves/1/stats"), ("OPTIONS", "/v1/slaves"),
        ("TRACE", "/v1/slaves"), ("CONNECT", "/v1/slaves"), ("get", "/v1/version"), ("GETT", "/v1/version"),
        ("DELETE", "/v1/drops"), ("POST", "/v1/check"),
    )
]  # fmt: skip

QUERIES = [
    to("GET", f"{target}?colour=red", None, 400, "unknown-field", "colour")
    for target in ("/v1/version", "/v1/health", "/v1/check", "/metrics", "/v1/ports", "/v1/ports/m0",
                   "/v1/slaves", f"/v1/slaves/{SLAVE}", f"/v1/slaves/{SLAVE}/stats", "/v1/drops",
                   "/v1/save", "/v1/events")
] + [
    to("GET", "/v1/slaves?name=a&name=b", None, 400, "bad-request", "name"),
    to("GET", "/v1/slaves?name=a&name=a", None, 400, "bad-request", "name"),
    to("GET", "/v1/slaves?name=a&%6eame=a", None, 400, "bad-request", "name"),
    to("GET", "/v1/slaves?Name=a", None, 400, "unknown-field", "Name"),
    to("GET", "/v1/slaves?id=1", None, 400, "unknown-field", "id"),
    to("GET", "/v1/slaves?=1", None, 400, "unknown-field", None),
    to("GET", "/v1/slaves?&", None, 400, "unknown-field", None),
    to("GET", "/v1/events?since=", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=-1", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=%2B1", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=1.5", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=1e3", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=0x10", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=now", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=1%20", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=18446744073709551616", None, 400, "wrong-type", "since"),
    to("GET", "/v1/events?since=18446744073709551615", None, 410, "events-gone", "since"),
    to("GET", "/v1/events?since=99999999", None, 410, "events-gone", "since"),
]  # fmt: skip

IDS = [
    to(method, f"/v1/slaves/{text}", {} if method == "PATCH" else None, 404, "no-such-slave")
    for method in ("GET", "PATCH", "DELETE")
    for text in ("0", "-1", "65534", "4294967296", "4294967297", "18446744073709551617", "1e0", "0x1", "%201",
                 "1%20", "+1", "1.0", "x", "%F0%9F%98%80", "1%0A", "%1b%5b2J", "..", "%2e%2e%2f1")
]  # fmt: skip

# ------------------------------------------------------------------------------- JSON

NOT_JSON = [
    to("POST", "/v1/slaves", body, 400, "bad-json", field)
    for body, field in (
        (b"", None), (b" ", None), (b"{", None), (b"}", None), (b"{}}", None), (b"{} {}", None), (b"[", None),
        (b"nul", None), (b"tru", None), (b"'m0'", None), (b'"m0', None), (b"{'master': 'm0'}", None),
        (b'{"master": }', None), (b'{"master" "m0"}', None), (b'{"master": "m0",}', None),
        (b'{, "master": "m0"}', None), (b'{master: "m0"}', None), (b'{"master": m0}', None),
        (b'{"master": "m0" /* c */}', None), (b'{"master": "m0"} // c', None), (b'{"a": 01}', None),
        (b'{"a": 1.}', None), (b'{"a": .5}', None), (b'{"a": +1}', None), (b'{"a": 0x10}', None),
        (b'{"a": NaN}', None), (b'{"a": Infinity}', None), (b'{"a": 1e}', None), (b'{"a": -}', None),
        (b'{"a": "\x01"}', None), (b'{"a": "\n"}', None), (b'{"a": "\x00"}', None), (b'\x00{}', None),
        (b'{"a": "\\x"}', None), (b'{"a": "\\u12"}', None), (b'{"a": "\\ud800"}', None),
        (b'{"a": "\\udc00"}', None), (b'{"a": "\xff"}', None), (b'{"a": "\xc3"}', None),
        (b'{"a": "\xc0\xaf"}', None), (b'{"a": "\xed\xa0\x80"}', None), (b'{"a": "\xf4\x90\x80\x80"}', None),
        ("{}".encode("utf-16"), None), ("{}".encode("utf-32"), None), (b"<slave/>", None),
        (b"master=m0&name=new0", None), (b'{"a": 1e999}', None),
        (b'{"master": "m0", "master": "m0", "name": "new0"}', "master"),
        (b'{"master": "m0", "name": "new0", "name": "new1"}', "name"),
        (b'{"master": "m0", "na\\u006de": "new0", "name": "new0"}', "name"),
        (b'{"a": {"b": 1, "b": 1}}', "b"), (b'{"": 1, "": 2}', None),
        (b"[" * 33 + b"]" * 33, None), (b"[" * 100_000, None), (b"[" * 100_000 + b"]" * 100_000, None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None), (b'[{"a":' * 20 + b"1", None),
        (b"[" * ((1 << 20) - 1), None), (b'{"a":' * 200_000, None), (b'"' + b"x" * 1_000_000, None),
        (b"-" * 1_000_000, None), (b"9" * 400, None),
    )
] + [
    to("POST", "/v1/slaves", body, 400, "wrong-type", None)
    for body in (b"[]", b"null", b"true", b"0", b"-1.5e3", b'""', b'"{}"', b"[{}]", b"[" * 32 + b"]" * 32)
]  # fmt: skip

# ------------------------------------------------------------------------------- fields

VALUES: dict[str, Any] = {
    "null": None, "boolean": True, "number": 7, "fraction": 1.5, "string": "x", "array": [], "object": {},
}  # fmt: skip
# Of each field: which kinds of values are none of wrong-type.
FIELDS = {
    "master": {"string"}, "name": {"string"}, "netns": {"string"}, "mode": {"string"}, "flag": {"string"},
    "mtu": {"number"}, "up": {"boolean"}, "addr_policy": {"string"}, "max_addresses": {"number"},
    "addresses": {"array"}, "address": {"string"}, "strict_private": {"boolean"}, "announce": {"boolean"},
    "xdp": {"string"},
    "version": {"number"}, "ports": {"array"}, "slaves": {"array"},
    "direction": {"string"}, "slave": {"number"}, "src": {"string"}, "dst": {"string"}, "proto": {"string"},
    "sport": {"number"}, "dport": {"number"},
}  # fmt: skip
BODIES = {
    ("POST", "/v1/slaves"): (
        {"master": "m0", "name": "new0"},
        ("master", "name", "netns", "mode", "flag", "mtu", "addr_policy", "max_addresses", "addresses"),
    ),
    ("PATCH", f"/v1/slaves/{SLAVE}"): (
        {}, ("netns", "mode", "flag", "mtu", "up", "addr_policy", "max_addresses"),
    ),
    ("POST", f"/v1/slaves/{SLAVE}/addresses"): ({}, ("address",)),
    ("PATCH", "/v1/ports/m0"): ({}, ("mode", "flag", "strict_private", "announce", "xdp")),
    ("POST", "/v1/apply"): ({"version": 1}, ("version", "ports", "slaves")),
    ("POST", "/v1/trace"): (
        {"master": "m0", "direction": "rx", "dst": "10.0.0.9"},
        ("master", "direction", "slave", "src", "dst", "proto", "sport", "dport"),
    ),
}  # fmt: skip
IN_DOCUMENT = {
    "ports": ({"master": "m0"}, ("master", "mode", "flag", "strict_private", "announce", "xdp")),
    "slaves": (
        {"master": "m0", "name": "new0"},
        ("master", "name", "mtu", "up", "addr_policy", "max_addresses", "addresses"),
    ),
}


def wrong_types() -> Iterator[Case]:
    for (method, target), (right, fields) in BODIES.items():
        for field in fields:
            for kind, value in VALUES.items():
                if kind not in FIELDS[field]:
                    yield to(method, target, right | {field: value}, 400, "wrong-type", field)
    for key, (right, fields) in IN_DOCUMENT.items():
        for field in fields:
            for kind, value in VALUES.items():
                if kind not in FIELDS[field]:
                    body = {"version": 1, key: [right, right | {field: value}]}
                    yield to("POST", "/v1/apply", body, 400, "wrong-type", f"{key}[1].{field}")
        for value in (None, 1, "x", []):
            yield to("POST", "/v1/apply", {"version": 1, key: [value]}, 400, "wrong-type", f"{key}[0]")
    for value in (None, True, 7, 1.5, [], {}):
        body = slave(addresses=["10.0.0.30/24", value])
        yield to("POST", "/v1/slaves", body, 400, "wrong-type", "addresses[1]")


def unknown_fields() -> Iterator[Case]:
    for (method, target), (right, _) in BODIES.items():
        right = right or ({"address": "10.0.0.30/24"} if target.endswith("addresses") else {})
        for name in ("colour", "", "Master", "mode ", "mac", "id", "ipvlan\u200b", "__proto__", ESCAPES):
            yield to(method, target, right | {name: 1}, 400, "unknown-field", name or None)
    for key, (right, _) in IN_DOCUMENT.items():
        body = {"version": 1, key: [right | {"colour": 1}]}
        yield to("POST", "/v1/apply", body, 400, "unknown-field", f"{key}[0].colour")
    yield to("POST", "/v1/ports/m0/flush", {"all": True}, 400, "unknown-field", "all")
    yield to("POST", "/v1/ports/m0/flush", b"[]", 400, "wrong-type")
    yield to("POST", "/v1/ports/m0/flush", b"x", 400, "bad-json")


MISSING = [
    to("POST", "/v1/slaves", {}, 400, "missing-field", "master"),
    to("POST", "/v1/slaves", {"name": "new0"}, 400, "missing-field", "master"),
    to("POST", "/v1/slaves", {"master": "m0"}, 400, "missing-field", "name"),
    to("POST", f"/v1/slaves/{SLAVE}/addresses", {}, 400, "missing-field", "address"),
    to("POST", "/v1/apply", {}, 400, "missing-field", "version"),
    to("POST", "/v1/apply", {"version": 1, "ports": [{}]}, 400, "missing-field", "ports[0].master"),
    to("POST", "/v1/apply", {"version": 1, "slaves": [{"master": "m0"}]}, 400, "missing-field", "slaves[0].name"),
]

NUMBERS = [
    to(method, target, body, 400, "out-of-range", field)
    for method, target, field, right, values in (
        ("POST", "/v1/slaves", "mtu", slave(), (0, 1, 67, 65536, -1, -68, 2**31, 2**32, 2**32 + 1500, 2**63, 2**64, 1501)),
        ("POST", "/v1/slaves", "max_addresses", slave(), (0, -1, 65537, 2**32, 2**32 + 1, 2**64, -(2**63), -(2**64))),
        ("PATCH", f"/v1/slaves/{SLAVE}", "mtu", {}, (0, 67, 65536, -1, 2**32 + 1400, 2**64, 10**30, 1501)),
        ("PATCH", f"/v1/slaves/{SLAVE}", "max_addresses", {}, (0, 65537, -1, 2**64)),
        ("POST", "/v1/apply", "version", {}, (0, 2, -1, 2**32 + 1, 2**64)),
    )
    for value in values
    for body in [right | {field: value}]
] + [
    to("POST", "/v1/slaves", b'{"master": "m0", "name": "new0", "mtu": %s}' % text, 400, code, "mtu")
    for text, code in ((b"1e300", "out-of-range"), (b"-1e300", "out-of-range"), (b"1400.5", "wrong-type"),
                       (b"1e-300", "wrong-type"), (b'"1400"', "wrong-type"), (b"-0.0", "wrong-type"))
]  # fmt: skip

WORDS = [
    to(method, target, right | {field: word}, 400, "unknown-word", field)
    for method, target, right in (("POST", "/v1/slaves", slave()), ("PATCH", f"/v1/slaves/{SLAVE}", {}))
    for field, words in (
        ("mode", ("", "l4", "L2", "l2 ", " l2", "l2\n", "l2\0", "bridge", "0", "l" * 10_000)),
        ("flag", ("", "none", "Bridge", "l2", "private_", ESCAPES)),
        ("addr_policy", ("", "ask", "static_", "LEARN")),
    )
    for word in words
] + [
    to("PATCH", "/v1/ports/m0", {field: word}, 400, "unknown-word", field)
    for field, word in (("mode", "l1"), ("mode", ""), ("flag", "vepa "), ("flag", "passthru"))
]  # fmt: skip

# ------------------------------------------------------------------------------- names

BAD_NAMES = ("", ".", "..", "a/b", "/", "a%d", "%", "a:b", "a b", "a\tb", "a\nb", "a\rb", "a\0b", "\0", "\x7f",
             "\x1b[2J", "a\x01", "new0\n")  # fmt: skip
LONG_NAMES = ("sixteen-letters-", "x" * 255, "x" * 100_000, "\u00e4" * 8, "../../../../etc/x")
NAMES = [
    to("POST", "/v1/slaves", slave(**{field: name}), 400, code, field)
    for field in ("name", "master")
    for code, names in (("bad-name", BAD_NAMES), ("name-too-long", LONG_NAMES))
    for name in names
] + [
    to("PATCH", f"/v1/ports/{quoted}", {}, 400, code, "master")
    for quoted, code in (("%2E%2E", "bad-name"), ("a%2Fb", "bad-name"), ("a%25d", "bad-name"), ("a%0Ab", "bad-name"),
                         ("%1B%5B2J", "bad-name"), ("a%20b", "bad-name"), ("sixteen-letters-", "name-too-long"))
] + [
    to("POST", "/v1/slaves", slave(master=master), 422, code, "master")
    for master, code in (("lo", "bad-master"), ("nosuch0", "no-such-master"), ("M0", "no-such-master"),
                         ("\u00e4\u00f6", "no-such-master"), ("'\";--", "no-such-master"), ("m0@x0", "no-such-master"))
]  # fmt: skip

# ------------------------------------------------------------------------------- namespaces

NETNS = [
    to(method, target, right | {"netns": text}, status, code, "netns")
    for method, target, right in (("POST", "/v1/slaves", slave()), ("PATCH", f"/v1/slaves/{SLAVE}", {}))
    for text, status, code in (
        ("nosuch", 422, "netns-gone"),
        ("999999999", 422, "netns-gone"),
        ("0", 422, "netns-gone"),
        ("99999999999999999999999", 422, "netns-gone"),
        ("/no/such", 422, "netns-gone"),
        ("./nosuch", 422, "netns-gone"),
        ("../netns/nosuch", 422, "netns-gone"),
        ("x" * 5000, 422, "netns-gone"),
        ("/" + "x" * 5000, 422, "netns-gone"),
        ("/" + "x/" * 3000, 422, "netns-gone"),
        ("/etc/hostname/x", 422, "netns-gone"),
        ("/run/bad-input/loop", 422, "netns-gone"),
        ("/run/bad-input/dangling", 422, "netns-gone"),
        ("", 422, "not-a-netns"),
        (".", 422, "not-a-netns"),
        ("..", 422, "not-a-netns"),
        ("/", 422, "not-a-netns"),
        ("//", 422, "not-a-netns"),
        ("/etc/hostname", 422, "not-a-netns"),
        ("/etc", 422, "not-a-netns"),
        ("/run/netns", 422, "not-a-netns"),
        ("/dev/null", 422, "not-a-netns"),
        ("/dev/zero", 422, "not-a-netns"),
        ("/proc/self/ns/mnt", 422, "not-a-netns"),
        ("/proc/self/ns/user", 422, "not-a-netns"),
        ("/proc/self/mem", 422, "not-a-netns"),
        ("/sys/fs/bpf", 422, "not-a-netns"),
        ("/run/bad-input/fifo", 422, "not-a-netns"),
        ("/run/bad-input/socket", 422, "not-a-netns"),
        ("/run/bad-input/link-to-file", 422, "not-a-netns"),
        ("a\nb", 400, "bad-name"),
        ("a\0b", 400, "bad-name"),
        ("\0", 400, "bad-name"),
        (ESCAPES, 400, "bad-name"),
        ("/run/netns/spare\0", 400, "bad-name"),
    )
]

# ------------------------------------------------------------------------------- addresses

BAD_PREFIXES = (
    "", "/", "/24", "10.0.0.30/", "10.0.0.30/33", "10.0.0.30/-1", "10.0.0.30/ 24", "10.0.0.30/24 ", " 10.0.0.30/24",
    "10.0.0.30/24/24", "10.0.0.30/255.255.255.0", "10.0.0.30/+24", "10.0.0.30/0x18", "10.0.0.30/4294967320",
    "10.0.0", "10.0.0.300/24", "10.0.0.0.30/24", "010.0.0.030/24", "0x0a.0.0.30/24", "167772190/24", "10.30/24",
    "10.0.0.30%m0/24", "fd00::/129", "fd00::30/-1", "fd00:::30/64", "fd00::30::1/64", "fd00::g/64", "[fd00::30]/64",
    "fe80::1%m0/64", "1:2:3:4:5:6:7:8:9/64", "0.0.0.0/0", "::/0", "127.0.0.1/8", "::1/128", "224.0.0.1/24", "ff02::1/64",
    "255.255.255.255/32", "10.0.0.30\0/24", "10.0.0.30/24\0", "10.0.0.30\n/24", "localhost", "m0", "\u0661\u0660.0.0.1/24",
    "1" * 10_000, ESCAPES,
)  # fmt: skip
PREFIXES = [
    case
    for text in BAD_PREFIXES
    for case in (
        to("POST", "/v1/slaves", slave(addresses=["10.0.0.40/24", text]), 400, "bad-prefix", "addresses[1]"),
        to("POST", f"/v1/slaves/{SLAVE}/addresses", {"address": text}, 400, "bad-prefix", "address"),
    )
] + [
    to("DELETE", f"/v1/slaves/{SLAVE}/addresses/{text}", None, status, code)
    for text, status, code in (
        ("10.0.0", 400, "bad-prefix"), ("10.0.0.10%2F33", 400, "bad-prefix"), ("10.0.0.10%2F", 400, "bad-prefix"),
        ("%2F24", 400, "bad-prefix"), ("x", 400, "bad-prefix"), ("10.0.0.10%00", 400, "bad-request"),
        ("10.0.0.10%0A", 400, "bad-prefix"), ("%1B", 400, "bad-prefix"), ("10.0.0.99", 404, "no-such-address"),
        ("fd00::99", 404, "no-such-address"), ("10.0.0.10%2F16", 404, "no-such-address"),
    )
] + [
    to("POST", "/v1/slaves", slave(addresses=["10.0.0.40/24", "10.0.0.40/24"]), 400, "bad-request", "addresses[1]"),
    to("POST", "/v1/slaves", slave(addresses=["10.0.0.40/24", "10.0.0.40/16"]), 400, "bad-request", "addresses[1]"),
    to("POST", "/v1/slaves", slave(addresses=["fd00::40/64", "fd00::0:40/64"]), 400, "bad-request", "addresses[1]"),
    to("POST", "/v1/slaves", slave(addresses=["10.0.0.2/24"]), 422, "address-reserved", "addresses[0]"),
    to("POST", "/v1/slaves", slave(addresses=["10.0.0.10/24"]), 409, "address-in-use", "addresses[0]"),
    to("POST", "/v1/slaves", slave(addresses=["::ffff:10.0.0.2", "fd00::2/64"]), 422, "address-reserved", "addresses[1]"),
    to("POST", "/v1/slaves", slave(max_addresses=2, addresses=[f"10.0.1.{n}/24" for n in range(1, 9)]), 422,
       "too-many-addresses", "addresses[2]"),
    to("POST", "/v1/slaves", slave(addresses=[f"10.{n >> 8}.{n & 255}.7/8" for n in range(50_000)]), 422,
       "too-many-addresses", "addresses[64]"),
]  # fmt: skip

# ------------------------------------------------------------------------------- Docker's engine
# What its user may not do is no error of HTTP: test_docker.py.

NETWORK: dict[str, Any] = {
    "NetworkID": "c0ffee", "Options": {"com.docker.network.generic": {"parent": "m0", "ipvlan_mode": "l2"}},
}  # fmt: skip
ENDPOINT: dict[str, Any] = {"NetworkID": "c0ffee", "EndpointID": "e0d1", "Interface": {"Address": "10.0.0.30/24"}}
IGNORANT = ("ProgramExternalConnectivity", "RevokeExternalConnectivity", "DiscoverNew", "DiscoverDelete")
BODIES_OF_DOCKER: dict[str, dict[str, Any]] = {
    "CreateNetwork": NETWORK,
    "GwAllocCheck": {"Options": NETWORK["Options"]},
    "DeleteNetwork": {"NetworkID": "c0ffee"},
    "CreateEndpoint": ENDPOINT,
    **{method: ENDPOINT for method in ("DeleteEndpoint", "EndpointOperInfo", "Join", "Leave")},
}


def docker() -> Iterator[Case]:
    def ask(method: str, body: Any, code: str, field: str | None = None) -> Case:
        return to("POST", f"/NetworkDriver.{method}", body, 400, code, field)

    for method in (*BODIES_OF_DOCKER, *IGNORANT, "GetCapabilities"):
        path = f"/NetworkDriver.{method}"
        yield to("GET", path, None, 405, "method-not-allowed")
        yield to("POST", f"{path}?colour=red", None, 400, "unknown-field", "colour")
        for body, code in ((b"{", "bad-json"), (b"x", "bad-json"), (b"[]", "wrong-type"), (b"null", "wrong-type"),
                           (b'{"a":' * 33 + b"1" + b"}" * 33, "bad-json"), (b'{"a": "\xff"}', "bad-json")):  # fmt: skip
            yield ask(method, body, code)
        yield ask(method, b'{"NetworkID": "a", "NetworkID": "b"}', "bad-json", "NetworkID")
    for method, right in BODIES_OF_DOCKER.items():
        yield ask(method, None, "bad-json")
        for key in ("NetworkID", "EndpointID"):
            if key not in right:
                continue
            yield ask(method, {k: v for k, v in right.items() if k != key}, "missing-field", key)
            yield ask(method, right | {key: None}, "missing-field", key)
            for value in (True, 7, 1.5, [], {}, "", "a/b", "../x", "a b", "a.b", "a\0", ESCAPES, "\u00e4", "x" * 129):
                yield ask(method, right | {key: value}, "wrong-type", key)
    for method in ("CreateNetwork", "GwAllocCheck"):
        right, generic = BODIES_OF_DOCKER[method], "com.docker.network.generic"
        for value in (True, 7, "x", []):
            yield ask(method, right | {"Options": value}, "wrong-type", "Options")
            yield ask(method, right | {"Options": {generic: value}}, "wrong-type", f"Options.{generic}")
        for value in (None, True, 7, [], {}):
            body = right | {"Options": {generic: {"parent": value}}}
            yield ask(method, body, "wrong-type", f"Options.{generic}.parent")
        for value in (7, "yes", []):
            options = {**right["Options"], "com.docker.network.internal": value}
            yield ask(method, right | {"Options": options}, "wrong-type", "Options.com.docker.network.internal")
    for key in ("IPv4Data", "IPv6Data"):
        for value in (True, 7, "x", {}):
            yield ask("CreateNetwork", NETWORK | {key: value}, "wrong-type", key)
            if value != {}:
                yield ask("CreateNetwork", NETWORK | {key: [{}, value]}, "wrong-type", f"{key}[1]")
        for text in ("x", "/", "10.0.0.1/33", "10.0.0.1/24/24", "0.0.0.0/0", "fd00::1/129"):
            yield ask("CreateNetwork", NETWORK | {key: [{"Gateway": text}]}, "bad-prefix", f"{key}[0].Gateway")
        yield ask("CreateNetwork", NETWORK | {key: [{"Gateway": 7}]}, "wrong-type", f"{key}[0].Gateway")
    for value in (True, 7, "x", []):
        yield ask("CreateEndpoint", ENDPOINT | {"Interface": value}, "wrong-type", "Interface")
    for key in ("Address", "AddressIPv6", "MacAddress"):
        for value in (True, 7, [], {}):
            yield ask("CreateEndpoint", ENDPOINT | {"Interface": {key: value}}, "wrong-type", f"Interface.{key}")
    for key in ("Address", "AddressIPv6"):
        for text in ("x", "/", "10.0.0.1/33", "10.0.0/24", "::/0", "224.0.0.1/4", "10.0.0.1 /24", "fd00::1/129"):
            yield ask("CreateEndpoint", ENDPOINT | {"Interface": {key: text}}, "bad-prefix", f"Interface.{key}")


# ------------------------------------------------------------------------------- traces


def traced(**fields: Any) -> dict[str, Any]:
    """A request that is right but for `fields`."""
    return {"master": "m0", "direction": "rx", "dst": "10.0.0.10"} | fields


TRACES = [
    to("POST", "/v1/trace", body, status, code, field)
    for body, status, code, field in (
        ({}, 400, "missing-field", "master"),
        ({"master": "m0"}, 400, "missing-field", "direction"),
        ({"master": "m0", "direction": "rx"}, 400, "missing-field", "dst"),
        (traced(direction="tx"), 400, "missing-field", "slave"),
        (traced(slave=1), 400, "bad-request", "slave"),
        (traced(direction="tx", slave=65000), 404, "no-such-slave", "slave"),
        (traced(master="nosuch0"), 422, "no-such-master", "master"),
        (traced(master="lo"), 422, "no-such-master", "master"),
        (traced(src="fd00::1"), 400, "bad-request", "src"),
        (traced(dst="fd00::10", src="10.0.0.1"), 400, "bad-request", "src"),
        (traced(dst="fd00::10", proto="arp"), 400, "bad-request", "proto"),
        (traced(sport=1), 400, "bad-request", "sport"),
        (traced(dport=1, proto="icmp"), 400, "bad-request", "dport"),
        (traced(dport=1, proto="arp"), 400, "bad-request", "dport"),
        *((traced(proto=proto), 400, "unknown-word", "proto")
          for proto in ("", "UDP", "udp ", "gre", "17", ESCAPES, "u" * 10_000)),
        *((traced(direction=word), 400, "unknown-word", "direction") for word in ("", "up", "RX", "rx\0")),
        *((traced(proto="udp", **{field: port}), 400, "out-of-range", field)
          for field in ("sport", "dport") for port in (-1, 65536, 2**32, 2**64)),
        *((traced(direction="tx", slave=slave), 400, "out-of-range", "slave") for slave in (0, -1, 65534, 2**32)),
        *((traced(**{field: ip}), 400, "bad-prefix", field) for field in ("src", "dst")
          for ip in ("", "10.0.0", "10.0.0.10/24", "10.0.0.10 ", "10.0.0.10\0", "fe80::1%m0", "x", "1" * 10_000)),
    )
]  # fmt: skip

CASES = [
    *NOT_HTTP, *NOWHERE, *METHODS, *QUERIES, *IDS, *NOT_JSON, *wrong_types(), *unknown_fields(), *MISSING,
    *NUMBERS, *WORDS, *NAMES, *NETNS, *PREFIXES, *docker(), *TRACES,
]  # fmt: skip
