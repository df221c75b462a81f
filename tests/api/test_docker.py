# SPDX-License-Identifier: Apache-2.0
"""Is the daemon the network driver that Docker's engine expects?

    external              host                     c0, c1
    x0  ---- veth ----  m0 ==== endpoints =======  eth0, eth0
    10.0.0.1/24         10.0.0.2/24                10.0.0.10/24, 10.0.0.11/24
    fd00::1/64          fd00::2/64                 fd00::10/64, fd00::11/64

The engine is played (engine.py); tests/docker has the real one.
"""

from __future__ import annotations

import itertools

import pytest

from engine import GENERIC, Endpoint, Engine, new_id
from ipvlanx import EXTERNAL, Topology
from space import Netns, eventually, ping_lost, ping_ok
from wire import Capture

ADDRESSES = (("10.0.0.10/24", "fd00::10/64"), ("10.0.0.11/24", "fd00::11/64"))


@pytest.fixture
def engine(net: Topology) -> Engine:
    return Engine(net)


def plain(addresses: tuple[str, ...]) -> list[str]:
    return [address.partition("/")[0] for address in addresses]


def containers(net: Topology) -> list[Netns]:
    return [net.netns("c0"), net.netns("c1")]


def run(engine: Engine, network: str, container: Netns, addresses: tuple[str, ...]) -> Endpoint:
    """As docker run does."""
    endpoint = engine.endpoint(network, *addresses)
    engine.join(endpoint)
    engine.move_in(endpoint, container)
    return endpoint


def wait_active(net: Topology, addresses: tuple[str, ...]) -> None:
    """Until the daemon has followed the engine."""

    def active() -> bool:
        rows = [row for slave in net.daemon.get("/v1/slaves") for row in slave["addresses"]]
        return {row["address"] for row in rows if row["state"] == "active"} >= set(addresses)

    eventually(f"{addresses} are active", active)


def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.ask("Plugin.Activate") == {"Implements": ["NetworkDriver"]}
    capabilities = engine.driver("GetCapabilities")
    assert capabilities == {"Scope": "local", "ConnectivityScope": "local", "GwAllocChecker": True}


def test_methods_it_does_not_know(engine: Engine) -> None:
    """The engine takes 404, and nothing else, for `not supported`."""
    for method in ("NetworkDriver.AllocateNetwork", "IpamDriver.RequestPool", "Plugin.Deactivate"):
        assert engine.send(method, {}).status == 404


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_containers_reach_each_other_and_the_wire(engine: Engine, mode: str) -> None:
    net = engine.net
    network = engine.network(ipvlan_mode=mode)
    spaces = containers(net)
    ends = [run(engine, network, *both) for both in zip(spaces, ADDRESSES)]
    for end, addresses in zip(ends, ADDRESSES):
        wait_active(net, addresses)
        assert end.joined["InterfaceName"] == {"SrcName": end.source, "DstPrefix": "eth"}
        assert end.joined["DisableGatewayService"] is True
        gateways = (end.joined["Gateway"], end.joined["GatewayIPv6"])
        assert gateways == (("10.0.0.1", "fd00::1") if mode == "l2" else ("", ""))
        routes = [route["Destination"] for route in end.joined["StaticRoutes"]]
        assert routes == ([] if mode == "l2" else ["0.0.0.0/0", "::/0"])
    if mode != "l2":
        # Who is on the wire has to be told where they are, as with any ipvlan in l3.
        for family, prefix in ((4, "32"), (6, "128")):
            for addresses in ADDRESSES:
                address = next(a for a in plain(addresses) if (":" in a) == (family == 6))
                via = {4: "10.0.0.2", 6: "fd00::2"}[family]
                net.external.ip(f"route add {address}/{prefix} via {via}")
    with Capture(net.external, "x0") as wire:
        for family in (4, 6):
            other = plain(ADDRESSES[1])[family == 6]
            ping_ok(spaces[0], other)
            ping_ok(spaces[0], EXTERNAL[family])
            ping_ok(net.external, other)
    assert {f.source for f in wire.frames if not f.outgoing and f.is_unicast} == {net.mac}
    port = net.daemon.get("/v1/ports/m0")
    assert (port["mode"], port["flag"], port["slaves"]) == (mode, "bridge", 2)

    for end, space in zip(ends, spaces):
        engine.leave(end, space)
        engine.delete(end)
    engine.driver("DeleteNetwork", {"NetworkID": network})
    assert net.daemon.get("/v1/slaves") == []
    left = {link["ifname"] for link in net.host.ip_json("link show type veth")}
    assert left == {"m0", "ipvxrelay0", "ipvxrelay1"}


def test_the_daemon_puts_nothing_on_the_interface_itself(engine: Engine) -> None:
    """Neither in the host's namespace, where it would be the host's, nor in the container's, where
    the engine would find it taken."""
    net = engine.net
    network = engine.network()
    end = engine.endpoint(network, *ADDRESSES[0])
    engine.join(end)
    link = net.host.link(end.source)
    assert net.host.addresses(end.source) == [] and "UP" not in link["flags"]
    assert link["address"] == net.mac
    space = net.netns("c0")
    net.host.ip(f"link set {end.source} netns c0")
    there = space.link(end.source)["ifindex"]
    eventually("the move was followed", lambda: net.daemon.get("/v1/slaves")[0]["netns"] == "c0")
    assert net.daemon.get("/v1/slaves")[0]["ifindex"] == there
    assert [row for row in space.addresses(end.source) if row["scope"] == "global"] == []
    (slave,) = net.daemon.get("/v1/slaves")
    assert not slave["up"]
    assert [(row["address"], row["origin"], row["state"]) for row in slave["addresses"]] == [
        (address, "api", "inactive") for address in ADDRESSES[0]
    ]


# -------------------------------------------------------------------- restarts and lost answers


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_is_restarted_between_any_two_messages(engine: Engine, end: str) -> None:
    net = engine.net

    def again() -> None:
        getattr(net.daemon, end)()
        net.daemon.start()

    network = engine.network()
    again()
    endpoint = engine.endpoint(network, *ADDRESSES[0])
    again()
    engine.join(endpoint)
    again()
    space = net.netns("c0")
    engine.move_in(endpoint, space)
    wait_active(net, ADDRESSES[0])
    again()
    for family in (4, 6):
        ping_ok(net.external, plain(ADDRESSES[0])[family == 6])
    engine.leave(endpoint, space)
    again()
    engine.delete(endpoint)
    again()
    assert net.daemon.get("/v1/slaves") == []
    engine.driver("DeleteNetwork", {"NetworkID": network})
    again()
    late = Endpoint(network, ["10.0.0.10/24"])
    assert "knows no network" in engine.refusal("CreateEndpoint", late.request())


def test_the_engine_moves_the_interface_while_nobody_looks(engine: Engine) -> None:
    net = engine.net
    network = engine.network()
    endpoint = engine.endpoint(network, *ADDRESSES[0])
    engine.join(endpoint)
    net.daemon.kill()
    engine.move_in(endpoint, net.netns("c0"))
    net.daemon.start()
    wait_active(net, ADDRESSES[0])
    ping_ok(net.external, plain(ADDRESSES[0])[0])


def test_what_is_asked_twice_is_done_once(engine: Engine) -> None:
    """The engine asks again when the connection broke before the answer."""
    net = engine.net
    request = engine.network_request()
    for _ in range(2):
        assert engine.driver("CreateNetwork", request) == {}
    endpoint = Endpoint(request["NetworkID"], list(ADDRESSES[0]))
    for _ in range(2):
        assert engine.driver("CreateEndpoint", endpoint.request()) == {"Interface": {}}
    engine.join(endpoint)
    first = endpoint.joined
    engine.join(endpoint)
    assert endpoint.joined == first and len(net.daemon.get("/v1/slaves")) == 1
    space = net.netns("c0")
    engine.move_in(endpoint, space)
    wait_active(net, ADDRESSES[0])
    # Nor does it hurt one that is in use.
    engine.driver("CreateEndpoint", endpoint.request())
    ping_ok(net.external, plain(ADDRESSES[0])[0])
    engine.leave(endpoint, space)
    engine.driver("Leave", endpoint.names)
    for _ in range(2):
        engine.delete(endpoint)
    for _ in range(2):
        engine.driver("DeleteNetwork", {"NetworkID": request["NetworkID"]})


def test_an_endpoint_that_the_engine_forgot_gives_way(engine: Engine) -> None:
    """It did not hear the answer, was killed, and gives the address to another one."""
    net = engine.net
    network = engine.network()
    forgotten = engine.endpoint(network, *ADDRESSES[0])
    endpoint = engine.endpoint(network, *ADDRESSES[0])
    (slave,) = net.daemon.get("/v1/slaves")
    assert "no slave any more" in engine.refusal("Join", forgotten.names)
    engine.join(endpoint)
    assert slave["name"] == endpoint.source


def test_an_endpoint_without_its_slave(engine: Engine) -> None:
    """Somebody removed it: the engine is told, cleans up, and may try again."""
    net = engine.net
    network = engine.network()
    endpoint = engine.endpoint(network, *ADDRESSES[0])
    net.daemon.cli(f"link del {net.daemon.get('/v1/slaves')[0]['name']}")
    assert "no slave any more" in engine.refusal("Join", endpoint.names)
    engine.driver("Leave", endpoint.names)
    engine.delete(endpoint)
    run(engine, network, net.netns("c0"), ADDRESSES[0])
    wait_active(net, ADDRESSES[0])


def test_a_network_takes_its_endpoints_along(engine: Engine) -> None:
    net = engine.net
    networks = [engine.network(), engine.network()]
    engine.endpoint(networks[0], *ADDRESSES[0])
    engine.endpoint(networks[1], *ADDRESSES[1])
    engine.driver("DeleteNetwork", {"NetworkID": networks[0]})
    (slave,) = net.daemon.get("/v1/slaves")
    assert [row["address"] for row in slave["addresses"]] == list(ADDRESSES[1])


def test_a_container_that_ends_with_its_namespace(engine: Engine) -> None:
    net = engine.net
    network = engine.network()
    space = net.netns("gone")
    endpoint = run(engine, network, space, ADDRESSES[0])
    wait_active(net, ADDRESSES[0])
    space.delete()
    net.spaces.remove(space)
    eventually("its slave is gone", lambda: net.daemon.get("/v1/slaves") == [])
    engine.driver("Leave", endpoint.names)
    engine.delete(endpoint)
    run(engine, network, net.netns("c0"), ADDRESSES[0])
    wait_active(net, ADDRESSES[0])


def test_a_file_of_networks_that_is_damaged(engine: Engine) -> None:
    net = engine.net
    network = engine.network()
    endpoint = run(engine, network, net.netns("c0"), ADDRESSES[0])
    wait_active(net, ADDRESSES[0])
    net.daemon.stop()
    path = f"{net.daemon.folder}/state/docker.json"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text[:-20])
    net.daemon.start()
    with open(f"{path}.refused") as file:
        assert file.read() == text[:-20]
    # Who runs, runs; what is there can be removed, and made again.
    ping_ok(net.external, plain(ADDRESSES[0])[0])
    another = Endpoint(network, ["10.0.0.12/24"])
    assert "knows no network" in engine.refusal("CreateEndpoint", another.request())
    engine.leave(endpoint, net.netns("c0"))
    engine.delete(endpoint)
    assert net.daemon.get("/v1/slaves") == []
    engine.network()


# ------------------------------------------------------------------------ networks and options


def test_options_of_dockers_own_driver_and_podmans_word(engine: Engine) -> None:
    modes, flags = (None, "l2", "l3", "l3s"), (None, "bridge", "private", "vepa")
    for key, mode, flag in itertools.product(("ipvlan_mode", "mode"), modes, flags):
        words = {key: mode, "ipvlan_flag": flag}
        network = engine.network(**{key: word for key, word in words.items() if word})
        engine.endpoint(network, "10.0.0.10/24")
        (slave,) = engine.net.daemon.get("/v1/slaves")
        assert (slave["mode"], slave["flag"]) == (mode or "l2", flag or "bridge")
        engine.driver("DeleteNetwork", {"NetworkID": network})


def test_options_that_are_refused(engine: Engine) -> None:
    for options, sentence in (
        ({"parent": "nowhere"}, "there is no interface 'nowhere'"),
        ({"parent": "lo"}, "'lo' is the loopback"),
        ({"parent": ""}, "interface name"),
        ({"parent": "sixteen-letters-"}, "15 are allowed"),
        ({"ipvlan_mode": "l4"}, "mode 'l4' is none of 'l2', 'l3', 'l3s'"),
        ({"mode": "L2"}, "mode 'L2' is none of"),
        ({"ipvlan_flag": "isolated"}, "flag 'isolated' is none of"),
        ({"macvlan_mode": "bridge"}, "there is no option 'macvlan_mode': there are parent, ipvlan_mode"),
        ({"mode": "l2", "ipvlan_mode": "l2"}, "given twice"),
        ({"parent": "a\nb"}, "has a control character"),
    ):
        request = engine.network_request(**options)
        assert sentence in engine.refusal("CreateNetwork", request), options
        if options.get("parent") not in ("nowhere", "lo"):  # of which that says nothing
            assert sentence in engine.refusal("GwAllocCheck", {"Options": request["Options"]})
        endpoint = Endpoint(request["NetworkID"], ["10.0.0.10/24"])
        assert "knows no network" in engine.refusal("CreateEndpoint", endpoint.request())


def test_a_network_without_a_parent(engine: Engine) -> None:
    request = engine.network_request()
    for options in ({GENERIC: {}}, {}, None):
        assert "-o parent=" in engine.refusal("CreateNetwork", {**request, "Options": options})


def test_whether_an_address_is_kept_for_the_gateway(engine: Engine) -> None:
    for mode, skip in (("l2", False), ("l3", True), ("l3s", True)):
        options = {GENERIC: {"parent": "m0", "ipvlan_mode": mode}}
        assert engine.driver("GwAllocCheck", {"Options": options}) == {"SkipIPv4": skip, "SkipIPv6": skip}
    internal = {GENERIC: {"parent": "m0"}, "com.docker.network.internal": True}
    assert engine.driver("GwAllocCheck", {"Options": internal})["SkipIPv4"] is True


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_an_internal_network_has_no_way_out(engine: Engine, mode: str) -> None:
    net = engine.net
    network = engine.network(internal=True, ipvlan_mode=mode)
    spaces = containers(net)
    ends = [run(engine, network, *both) for both in zip(spaces, ADDRESSES)]
    for end, addresses in zip(ends, ADDRESSES):
        wait_active(net, addresses)
        joined = end.joined
        assert (joined["Gateway"], joined["GatewayIPv6"], joined["StaticRoutes"]) == ("", "", [])
    ping_ok(spaces[0], plain(ADDRESSES[1])[0])
    done = spaces[0].ping("192.0.2.1", "-c", "1")
    assert "unreachable" in done.stderr.lower()


def test_gateways_of_several_pools(engine: Engine) -> None:
    request = engine.network_request()
    more = {"AddressSpace": "LocalDefault", "Pool": "10.7.0.0/16", "Gateway": "10.7.0.9/16"}
    request["IPv4Data"].append(more)
    engine.driver("CreateNetwork", request)
    for addresses, gateways in (
        (("10.0.0.10/24", "fd00::10/64"), ("10.0.0.1", "fd00::1")),
        (("10.7.3.10/16",), ("10.7.0.9", "")),
        (("fd00::11/64",), ("", "fd00::1")),
    ):
        endpoint = engine.endpoint(request["NetworkID"], *addresses)
        engine.join(endpoint)
        assert (endpoint.joined["Gateway"], endpoint.joined["GatewayIPv6"]) == gateways


def test_a_network_without_gateways(engine: Engine) -> None:
    """An engine that was told to skip them leaves the key out."""
    request = engine.network_request((4,))
    del request["IPv4Data"][0]["Gateway"]
    engine.driver("CreateNetwork", request)
    endpoint = engine.endpoint(request["NetworkID"], "10.0.0.10/24")
    engine.join(endpoint)
    assert endpoint.joined["Gateway"] == "" and endpoint.joined["DisableGatewayService"] is True


def test_keys_of_a_later_engine_are_passed_over(engine: Engine) -> None:
    request = engine.network_request() | {"Later": 1}
    request["Options"]["com.docker.network.later"] = {"a": [1]}
    request["IPv4Data"][0]["Later"] = True
    engine.driver("CreateNetwork", request)
    endpoint = Endpoint(request["NetworkID"], ["10.0.0.10/24"])
    body = endpoint.request(Later="x") | {"Later": None}
    assert engine.driver("CreateEndpoint", body) == {"Interface": {}}


# ------------------------------------------------------------------------------- endpoints


def test_networks_of_one_parent_share_its_mode(engine: Engine) -> None:
    net = engine.net
    first, second = engine.network(), engine.network((4,), ipvlan_mode="l2")
    engine.endpoint(first, "10.0.0.10/24")
    engine.endpoint(second, "10.1.0.10/24")
    assert len(net.daemon.get("/v1/slaves")) == 2
    for options in ({"ipvlan_mode": "l3"}, {"ipvlan_flag": "private"}):
        said = engine.refusal("CreateNetwork", engine.network_request(**options))
        assert said == "port 'm0' is in mode l2 bridge with other slaves"


def test_a_network_that_was_there_before_the_ports_mode(engine: Engine) -> None:
    net = engine.net
    network = engine.network()
    net.daemon.cli("link add link m0 name other type ipvlan mode l3")
    said = engine.refusal("CreateEndpoint", Endpoint(network, ["10.0.0.10/24"]).request())
    assert said == "port 'm0' is in mode l3 bridge with other slaves"
    assert [slave["name"] for slave in net.daemon.get("/v1/slaves")] == ["other"]


def test_endpoints_that_are_refused(engine: Engine) -> None:
    net = engine.net
    network = engine.network()
    net.daemon.cli("link add link m0 name other type ipvlan mode l2 addr 10.0.0.20/24")
    before = net.daemon.get("/v1/slaves")
    for addresses, sentence in (
        (["10.0.0.20/24"], "10.0.0.20 belongs to slave 'other'"),
        (["10.0.0.2/24"], "10.0.0.2 is the master's own"),
        ([], "needs an IP address"),
    ):
        assert sentence in engine.refusal("CreateEndpoint", Endpoint(network, addresses).request())
    mac = Endpoint(network, ["10.0.0.10/24"]).request(MacAddress="02:42:0a:00:00:0a")
    assert "parent's MAC address" in engine.refusal("CreateEndpoint", mac)
    nobody = Endpoint(new_id(), ["10.0.0.10/24"])
    assert "knows no network" in engine.refusal("CreateEndpoint", nobody.request())
    assert "knows no network" in engine.refusal("Join", nobody.names)
    assert "no slave any more" in engine.refusal("Join", Endpoint(network, []).names)
    assert net.daemon.get("/v1/slaves") == before
    assert "belongs to slave 'other'" in net.daemon.log.read_text()


def test_what_needs_nothing_done(engine: Engine) -> None:
    endpoint = Endpoint(engine.network(), [])
    assert engine.driver("EndpointOperInfo", endpoint.names) == {"Value": {}}
    for method in ("ProgramExternalConnectivity", "RevokeExternalConnectivity"):
        assert engine.driver(method, {**endpoint.names, "Options": {}}) == {}
    for method in ("DiscoverNew", "DiscoverDelete"):
        node = {"Address": "10.0.0.2", "Self": True}
        assert engine.driver(method, {"DiscoveryType": 1, "DiscoveryData": node}) == {}


def test_save_leaves_them_to_the_engine(engine: Engine) -> None:
    net = engine.net
    engine.endpoint(engine.network(), "10.0.0.10/24")
    assert net.daemon.get("/v1/save")["slaves"] == []
