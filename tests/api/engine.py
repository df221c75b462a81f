# SPDX-License-Identifier: Apache-2.0
"""What Docker's engine does with a remote network driver: its requests, byte for byte as it sends
them, and its own part in a container's interface."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from ipvlanx import FAMILIES, Topology
from space import Netns
from wire_http import Reply, connect, read_reply

GENERIC = "com.docker.network.generic"
MIME = "application/vnd.docker.plugins.v1.1+json"
POOLS = {4: ("10.0.0.0/24", "10.0.0.1/24"), 6: ("fd00::/64", "fd00::1/64")}


def new_id() -> str:
    return secrets.token_hex(32)


def data_of(family: int) -> dict[str, Any]:
    pool, gateway = POOLS[family]
    space = {"AddressSpace": "LocalDefault", "Pool": pool, "Gateway": gateway}
    return space | ({"AuxAddresses": {}} if family == 4 else {})


@dataclass
class Endpoint:
    """One container's end, and what the driver said of it."""

    network: str
    addresses: list[str]  # with their lengths, IPv4 first
    id: str = field(default_factory=new_id)
    joined: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        return {"NetworkID": self.network, "EndpointID": self.id}

    @property
    def source(self) -> str:
        return self.joined["InterfaceName"]["SrcName"]

    def request(self, **interface: str) -> dict[str, Any]:
        given = {":" in address: address for address in self.addresses}
        shown = {"Address": given.get(False, ""), "AddressIPv6": given.get(True, ""), "MacAddress": ""}
        ports = "com.docker.network.endpoint.exposedports"
        options = {ports: [{"Proto": 6, "Port": 80}], "com.docker.network.portmap": []}
        return {**self.names, "Interface": {**shown, **interface}, "Options": options}


class Engine:
    def __init__(self, net: Topology) -> None:
        self.net = net

    def send(self, method: str, body: Any = None) -> Reply:
        """`body` as JSON, or as it is when it is bytes; None: no body."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode() + b"\n"
        head = (
            f"POST /{method} HTTP/1.1\r\nHost: %2Frun%2Fipvlanx%2Fapi.sock\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {len(data)}\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n"
        )
        with connect(self.net.daemon.socket) as one:
            one.sendall(head.encode() + data)
            return read_reply(one)

    def ask(self, method: str, body: Any = None) -> dict[str, Any]:
        """The driver's answer, which is no error of HTTP."""
        reply = self.send(method, body)
        assert reply.status == 200, (method, reply)
        assert reply.headers["content-type"] == MIME
        return json.loads(reply.body)

    def driver(self, method: str, body: Any = None) -> dict[str, Any]:
        """The same, where the driver has no objection."""
        answer = self.ask(f"NetworkDriver.{method}", body)
        assert "Err" not in answer, (method, answer)
        return answer

    def refusal(self, method: str, body: Any) -> str:
        return self.ask(f"NetworkDriver.{method}", body)["Err"]

    def network_request(
        self, families: tuple[int, ...] = FAMILIES, *, internal: bool = False, **options: str
    ) -> dict[str, Any]:
        generic = {"parent": "m0", **options}
        shared = {"com.docker.network.enable_ipv6": 6 in families, GENERIC: generic}
        if internal:
            shared["com.docker.network.internal"] = True
        return {
            "NetworkID": new_id(),
            "Options": shared,
            "IPv4Data": [data_of(4)] if 4 in families else None,
            "IPv6Data": [data_of(6)] if 6 in families else None,
        }

    def network(self, families: tuple[int, ...] = FAMILIES, **options: Any) -> str:
        request = self.network_request(families, **options)
        assert self.driver("CreateNetwork", request) == {}
        return request["NetworkID"]

    def endpoint(self, network: str, *addresses: str) -> Endpoint:
        endpoint = Endpoint(network, list(addresses))
        assert self.driver("CreateEndpoint", endpoint.request()) == {"Interface": {}}
        return endpoint

    def join(self, endpoint: Endpoint) -> None:
        request = {**endpoint.names, "SandboxKey": "/var/run/docker/netns/0123456789ab", "Options": {}}
        endpoint.joined = self.driver("Join", request)

    def move_in(self, endpoint: Endpoint, container: Netns) -> None:
        """In the order in which the engine does it: moved, down, renamed, addressed, up, routes."""
        host, source = self.net.host, endpoint.source
        host.ip(f"link set {source} netns {container.name}")
        lines = [f"link set {source} down", f"link set {source} name eth0"]
        lines += [f"addr add {address} dev eth0 nodad" for address in endpoint.addresses]
        lines += ["link set eth0 up"]
        for route in endpoint.joined["StaticRoutes"]:
            assert (route["RouteType"], route["NextHop"]) == (1, "")
            lines.append(f"route add {route['Destination']} dev eth0")
        for key in ("Gateway", "GatewayIPv6"):
            if endpoint.joined[key]:
                lines.append(f"route add default via {endpoint.joined[key]}")
        container.ip_lines(*lines)

    def move_out(self, endpoint: Endpoint, container: Netns) -> None:
        """As the engine does after Leave."""
        lines = ("link set eth0 down", f"link set eth0 name {endpoint.source}")
        container.ip_lines(*lines)
        container.ip(f"link set {endpoint.source} netns {self.net.host.name}")

    def leave(self, endpoint: Endpoint, container: Netns) -> None:
        assert self.driver("Leave", endpoint.names) == {}
        self.move_out(endpoint, container)

    def delete(self, endpoint: Endpoint) -> None:
        assert self.driver("DeleteEndpoint", endpoint.names) == {}
