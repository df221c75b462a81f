# SPDX-License-Identifier: Apache-2.0
"""Does deploy/openapi.yaml say what the daemon does, no more and no less?

    host                     ns0, ns1
    eth0 === two slaves ===  ipvl0 10.0.0.5/24, ipvl1 10.0.0.6/24        as its examples have it

Every documented example is sent to a daemon and its answer compared with the schema and, where it
is a problem, with the example's code and field. The daemon's own tables (tables.cpp) say which
routes, parameters, codes, event types and drop reasons there are.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ipvlanx import BIN, Topology
from wire_http import Reply, exchange

SPEC_FILE = Path(__file__).parents[2] / "deploy" / "openapi.yaml"
SPEC = yaml.safe_load(SPEC_FILE.read_text())
PROBLEM = "application/problem+json"
METHODS = ("get", "post", "patch", "put", "delete")
NOBODY = 65534
# Changes of the world that has to be made anew afterwards.
CHANGES = {"post", "patch", "delete"}


def tables() -> dict[str, Any]:
    done = subprocess.run([str(BIN / "api_tables")], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


TABLES = tables()


# ------------------------------------------------------------------------ reading the document


def resolve(node: Any) -> Any:
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        target: Any = SPEC
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    node: dict[str, Any] = field(hash=False, compare=False)
    parameters: list[dict[str, Any]] = field(hash=False, compare=False)

    def responses(self) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Status, response, and whether its examples are of this operation alone."""
        for status, response in self.node["responses"].items():
            yield status, resolve(response), "$ref" not in response

    def body(self) -> dict[str, Any]:
        """The request's examples."""
        content = self.node.get("requestBody", {"content": {}})["content"]
        return content.get("application/json", {}).get("examples", {})


def operations() -> Iterator[Operation]:
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            own = [resolve(one) for one in item[method].get("parameters", [])]
            named = {one["name"] for one in own}
            shared = [resolve(one) for one in item.get("parameters", [])]
            parameters = own + [one for one in shared if one["name"] not in named]
            yield Operation(method, path, item[method], parameters)


OPERATIONS = list(operations())
OPERATION = {operation.path: operation for operation in OPERATIONS}


def contents(response: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from response.get("content", {}).items()


@dataclass(frozen=True)
class Case:
    """One example: what is sent, and the answer it has."""

    operation: Operation
    name: str
    status: str
    answer: Any = field(hash=False, compare=False)  # the example's

    @property
    def problem(self) -> dict[str, Any] | None:
        return self.answer if self.status >= "300" else None

    def __str__(self) -> str:
        return f"{self.operation.method} {self.operation.path} {self.name}"

    def parameter(self, one: dict[str, Any]) -> Any:
        examples = one["examples"]
        if self.name in examples:
            return examples[self.name]["value"]
        # What may be left out is left out, where the example does not speak of it.
        return next(iter(examples.values()))["value"] if one.get("required") else None

    def body(self) -> bytes | None:
        examples = self.operation.body()
        if not examples:
            return None
        value = examples.get(self.name, next(iter(examples.values())))["value"]
        return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def cases() -> list[Case]:
    found = []
    for operation in OPERATIONS:
        answers: dict[str, tuple[str, Any]] = {}
        for status, response, own in operation.responses():
            for _, content in contents(response):
                for name, example in content.get("examples", {}).items() if own else ():
                    assert name not in answers, f"{operation}: two answers named {name}"
                    answers[name] = (status, example["value"])
        asked = set(operation.body())
        for parameter in operation.parameters:
            if parameter is not resolve(SPEC["components"]["parameters"]["IdempotencyKey"]):
                asked |= set(parameter["examples"])
        if "204" in operation.node["responses"]:
            for name in asked - set(answers):
                answers[name] = ("204", None)
        assert not asked - set(answers), f"{operation}: without an answer: {asked - set(answers)}"
        refused = {name for name, (status, _) in answers.items() if status >= "300"}
        assert not refused - asked, f"{operation}: answers to nothing: {refused - asked}"
        found += [Case(operation, name, *answer) for name, answer in sorted(answers.items())]
    return found


CASES = cases()


def validate(value: Any, schema: dict[str, Any], where: str) -> None:
    whole = {**schema, "components": SPEC["components"]}
    errors = list(jsonschema.Draft202012Validator(whole).iter_errors(value))
    said = "; ".join(f"{error.json_path}: {error.message}" for error in errors)
    assert not errors, f"{where}: {said}"


# ------------------------------------------------------------------------ the document alone


def test_routes_and_parameters_are_the_daemons() -> None:
    documented = {
        (o.method.upper(), o.path): {p["name"] for p in o.parameters if p["in"] == "query"}
        for o in OPERATIONS
    }
    real = {(r["method"], r["path"]): set(r["parameters"]) for r in TABLES["routes"]}
    assert documented == real


def test_path_parameters_are_declared() -> None:
    for operation in OPERATIONS:
        declared = {p["name"] for p in operation.parameters if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", operation.path)), operation
        assert all(p["required"] for p in operation.parameters if p["in"] == "path")


def test_codes_event_types_and_drop_reasons_are_the_daemons() -> None:
    schemas = SPEC["components"]["schemas"]
    assert schemas["Problem"]["properties"]["code"]["enum"] == sorted(
        TABLES["codes"], key=schemas["Problem"]["properties"]["code"]["enum"].index
    )
    assert set(schemas["Problem"]["properties"]["code"]["enum"]) == set(TABLES["codes"])
    assert set(schemas["Event"]["properties"]["type"]["enum"]) == set(TABLES["events"])
    assert set(schemas["DropReasons"]["properties"]) == set(TABLES["drops"])


def all_examples() -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Where, status, schema, value: of each answer's example."""
    answers = [(f"{o.method} {o.path}", s, r) for o in OPERATIONS for s, r, _ in o.responses()]
    for name, response in SPEC["components"]["responses"].items():
        answers.append((name, "", response))
    for where, status, response in answers:
        for _, content in contents(response):
            for name, example in content.get("examples", {}).items():
                yield f"{where} {status} {name}", status, content["schema"], example["value"]


def test_each_code_has_an_example_with_its_status() -> None:
    seen = set()
    for where, status, schema, value in all_examples():
        if schema.get("$ref", "").endswith("/Problem"):
            assert value["status"] == TABLES["codes"][value["code"]], where
            assert status in ("", str(value["status"])), where
            assert value["type"] == f"urn:ipvlanx:problem:{value['code']}", where
            seen.add(value["code"])
    assert seen == set(TABLES["codes"])


def test_examples_of_answers_obey_their_schemas() -> None:
    for where, _, schema, value in all_examples():
        validate(value, schema, where)


def test_examples_of_requests_obey_their_schemas_where_they_are_accepted() -> None:
    for case in CASES:
        refused = case.status >= "300" or isinstance(case.answer, dict) and "Err" in case.answer
        if not refused and (body := case.body()) is not None:
            schema = case.operation.node["requestBody"]["content"]["application/json"]["schema"]
            validate(json.loads(body), schema, str(case))


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    used = set(re.findall(r"#/components/schemas/(\w+)", SPEC_FILE.read_text()))
    assert used == set(SPEC["components"]["schemas"])
    for name in re.findall(r"\$ref: '([^']+)'", SPEC_FILE.read_text()):
        assert resolve({"$ref": name}), name


# ------------------------------------------------------------------------ against a daemon


class World:
    """The world of the examples."""

    def __init__(self) -> None:
        self.net = Topology()
        self.host = self.net.host
        self.host.ip("link set m0 name eth0")
        for name in ("ns0", "ns1"):
            self.net.netns(name)
        self.socket = self.net.daemon.socket
        self.net.daemon.start()
        self.ids: dict[int, int] = {}
        self.seen: set[str] = set()
        self.make()

    def make(self) -> None:
        for number in (0, 1):
            body = {"master": "eth0", "name": f"ipvl{number}", "netns": f"ns{number}", "mode": "l2",
                    "addresses": [f"10.0.0.{5 + number}/24"]}  # fmt: skip
            answer = self.net.daemon.api("POST", "/v1/slaves", body)
            assert answer.status == 201, answer
            self.ids[number + 1] = answer.body["id"]

    def make_anew(self) -> None:
        self.net.daemon.api("DELETE", "/v1/ports/eth0")
        self.make()

    def make_docker(self) -> None:
        """What the engine's messages speak of; the examples' own ids."""
        example = OPERATION["/NetworkDriver.CreateNetwork"].body()["network"]["value"]
        made = OPERATION["/NetworkDriver.CreateEndpoint"].body()["again"]["value"]
        for method, body in (("CreateNetwork", {**example, "NetworkID": made["NetworkID"]}), ("CreateEndpoint", made)):
            answer = self.net.daemon.api("POST", f"/NetworkDriver.{method}", body)
            assert (answer.status, "Err" in answer.body) == (200, False), answer

    def send(self, case: Case, headers: dict[str, str] | None = None, uid: int = 0) -> Reply:
        path, query, headers = case.operation.path, {}, dict(headers or {})
        for one in case.operation.parameters:
            value = case.parameter(one)
            if value is None:
                continue
            if one["name"] == "id":
                value = self.ids.get(value, value)
            if one["in"] == "path":
                path = path.replace(f"{{{one['name']}}}", urllib.parse.quote(str(value), safe=""))
            elif one["in"] == "query":
                query[one["name"]] = value
            else:
                headers[one["name"]] = value
        if query:
            path += f"?{urllib.parse.urlencode(query)}"
        method = case.operation.method.upper()
        return exchange(self.socket, method, path, self._body(case), headers, uid)

    def _body(self, case: Case) -> bytes | None:
        body = case.body()
        if case.operation.path != "/v1/trace":
            return body
        fields = json.loads(body)
        return json.dumps(fields | {k: self.ids.get(v, v) for k, v in fields.items() if k == "slave"}).encode()

    def check(self, operation: Operation, reply: Reply, where: str) -> Any:
        """The answer's body, if the document knows such an answer."""
        response = resolve(operation.node["responses"].get(str(reply.status)))
        assert response, f"{where}: {reply} is not documented"
        for name, header in response.get("headers", {}).items():
            validate(reply.headers[name.lower()], header["schema"], f"{where}: {name}")
        if not response.get("content"):
            assert not reply.body, where
            return None
        ((kind, content),) = contents(response)
        assert reply.headers["content-type"].split(";")[0] == kind, where
        value = json.loads(reply.body) if kind.endswith("json") else reply.body.decode()
        validate(value, content["schema"], where)
        self._note(value, content["schema"])
        return value

    def _note(self, value: Any, schema: dict[str, Any]) -> None:
        """Which of the properties of the document's schemas there really are."""
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = resolve(schema)
        for item in value if isinstance(value, list) else ():
            self._note(item, schema.get("items", {}))
        for key, inner in value.items() if isinstance(value, dict) else ():
            self.seen.add(f"{name}.{key}")
            self._note(inner, schema.get("properties", {}).get(key, {}))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.net.close()


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest, world: World) -> Iterator[Case]:
    if request.param.operation.path.startswith("/NetworkDriver."):
        world.make_docker()
    yield request.param
    if request.param.operation.method in CHANGES:
        world.make_anew()


def test_each_example_is_answered_as_documented(world: World, case: Case) -> None:
    if case.name == "idempotency-mismatch":
        exchange(world.socket, "POST", "/v1/slaves", b'{"master": "eth0", "name": "ipvl2"}',
                 {"Idempotency-Key": "used-before"})  # fmt: skip
    reply = world.send(case)
    assert str(reply.status) == case.status, (str(case), reply)
    value = world.check(case.operation, reply, str(case))
    if case.problem:
        wanted = {key: case.problem.get(key) for key in ("status", "code", "field")}
        assert {key: value.get(key) for key in wanted} == wanted, str(case)
    if isinstance(value, dict) and ("Err" in value or "Err" in case.answer):
        # Of a slave, which may have another id by now.
        said = [re.sub(r" \(id \d+\)", "", answer.get("Err", "nothing")) for answer in (value, case.answer)]
        assert said[0] == said[1], str(case)


def some_case(operation: Operation) -> Case | None:
    """One that is accepted."""
    return next((c for c in CASES if c.operation == operation and c.status < "300"), None)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_unknown_parameters_are_refused_as_documented(world: World, operation: Operation) -> None:
    path = re.sub("{id}", str(world.ids[1]), operation.path)
    path = path.replace("{master}", "eth0").replace("{address}", "10.0.0.5")
    reply = exchange(world.socket, operation.method.upper(), f"{path}?colour=red", None)
    value = world.check(operation, reply, operation.path)
    assert (value["code"], value["field"]) == ("unknown-field", "colour")


@pytest.mark.parametrize(
    "operation",
    [o for o in OPERATIONS if o.method != "get" and o.path != "/v1/trace"],
    ids=lambda o: f"{o.method} {o.path}",
)
def test_changes_are_roots_as_documented(world: World, operation: Operation) -> None:
    for path, mode in ((world.net.daemon.folder, 0o755), (world.socket, 0o666)):
        os.chmod(path, mode)
    reply = world.send(some_case(operation), uid=NOBODY)
    assert world.check(operation, reply, operation.path)["code"] == "forbidden"


def test_a_trace_is_for_whoever_may_connect(world: World) -> None:
    for path, mode in ((world.net.daemon.folder, 0o755), (world.socket, 0o666)):
        os.chmod(path, mode)
    (operation,) = (o for o in OPERATIONS if o.path == "/v1/trace")
    assert "403" not in operation.node["responses"]
    assert world.send(some_case(operation), uid=NOBODY).status == 200


def is_strict(operation: Operation) -> bool:
    """Docker's engine may have keys that nobody here knows."""
    schema = resolve(operation.node["requestBody"]["content"]["application/json"]["schema"])
    return not schema["additionalProperties"]


@pytest.mark.parametrize(
    "operation",
    [o for o in OPERATIONS if o.body() and is_strict(o)],
    ids=lambda o: f"{o.method} {o.path}",
)
def test_documented_fields_of_requests_are_the_daemons(world: World, operation: Operation) -> None:
    """The daemon says which fields there are when it is asked for one that is not."""
    schema = operation.node["requestBody"]["content"]["application/json"]["schema"]
    for where, known, body in unknown_in(resolve(schema)):
        path = operation.path.replace("{id}", str(world.ids[1])).replace("{master}", "eth0")
        reply = exchange(world.socket, operation.method.upper(), path, json.dumps(body).encode())
        value = world.check(operation, reply, operation.path)
        assert (value["code"], value["field"]) == ("unknown-field", f"{where}no_such"), value
        listed = value["detail"].partition(": there are ")[2]
        assert set(listed.split(", ") if listed else ()) == known, (operation.path, where)


MINIMAL = {"master": "eth0", "name": "ipvl9", "address": "10.0.0.9/24", "version": 1,
           "direction": "rx", "dst": "10.0.0.5"}


def unknown_in(schema: dict[str, Any]) -> Iterator[tuple[str, set[str], dict[str, Any]]]:
    """For the body and each object in one of its arrays: where, its fields, and a request that is
    right but for a field `no_such` there."""
    properties = schema.get("properties", {})
    right = {key: MINIMAL[key] for key in schema.get("required", [])}
    yield "", set(properties), {**right, "no_such": 1}
    for key, one in properties.items():
        inner = resolve(resolve(one).get("items", {}))
        if inner.get("type") == "object":
            for where, known, body in unknown_in(inner):
                yield f"{key}[0].{where}", known, {**right, key: [body]}


def test_what_is_of_no_route_is_answered_as_documented(world: World) -> None:
    responses = SPEC["components"]["responses"]
    for method, target, name in (
        ("GET", "/v1/slave", "NoSuchRoute"),
        ("PUT", "/v1/slaves", "MethodNotAllowed"),
        ("GET", "/v1/ports/%zz", "NotHttp"),
    ):
        reply = exchange(world.socket, method, target, None)
        response = responses[name]
        operation = Operation(method, target, {"responses": {str(reply.status): response}}, [])
        value = world.check(operation, reply, target)
        (example,) = response["content"][PROBLEM]["examples"].values()
        assert value["code"] == example["value"]["code"]


def test_a_body_that_is_too_large_is_answered_as_documented(world: World) -> None:
    for operation in (o for o in OPERATIONS if o.body()):
        path = operation.path.replace("{id}", str(world.ids[1])).replace("{master}", "eth0")
        reply = exchange(world.socket, operation.method.upper(), path, b" " * ((1 << 20) + 1))
        assert world.check(operation, reply, path)["code"] == "body-too-large"


def test_a_key_that_came_with_another_request_is_answered_as_documented(world: World) -> None:
    keyed = resolve(SPEC["components"]["parameters"]["IdempotencyKey"])
    for operation in (o for o in OPERATIONS if keyed in o.parameters):
        key = {"Idempotency-Key": f"other {operation.path}"}
        exchange(world.socket, "POST", "/v1/apply", b'{"version": 1}', key)
        case = some_case(operation)
        if operation.path == "/v1/apply":
            case = next(c for c in CASES if c.operation == operation and c.name == "document")
        # A slave's own examples of the header do not speak of this.
        body = case.body()
        path = operation.path.replace("{id}", str(world.ids[1])).replace("{master}", "eth0")
        reply = exchange(world.socket, "POST", path, body, key)
        assert world.check(operation, reply, path)["code"] == "idempotency-mismatch", path


def test_a_head_is_refused_like_any_other_method(world: World) -> None:
    assert exchange(world.socket, "HEAD", "/v1/slaves", None).status == 405


def test_the_events_of_all_this_obey_the_document(world: World) -> None:
    (operation,) = (o for o in OPERATIONS if o.path == "/v1/events")
    schema = operation.node["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    last = world.net.daemon.api("GET", "/v1/events?since=999999999").body["detail"]
    first, last = map(int, re.search(r"(\d+) to (\d+) are", last).groups())
    # One in conflict, besides: a tenant takes its sibling's address.
    world.net.netns("ns1").ip("addr add 10.0.0.5/24 dev ipvl1")
    with world.net.daemon.events(since=first - 1) as events:
        events.wait_for("address-conflict")
        assert len(events.seen) >= last - first + 1
    for event in events.seen:
        validate(event, schema, "event")
        world._note(event, schema)


def test_metrics_are_prometheus_text(world: World) -> None:
    reply = exchange(world.socket, "GET", "/metrics", None)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = reply.body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["ipvlanx_slaves"].samples[0].labels == {"master": "eth0", "mode": "l2"}
    packets = families["ipvlanx_slave_receive_packets"]
    assert packets.type == "counter"
    names = {sample.labels["slave"] for sample in packets.samples}
    assert names == {"ipvl0", "ipvl1"}
    durations = families["ipvlanx_api_request_duration_seconds"]
    assert durations.type == "histogram"
    series = [(sample.name, tuple(sorted(sample.labels.items())))
              for family in families.values() for sample in family.samples]  # fmt: skip
    assert len(series) == len(set(series))
    for entries in families["ipvlanx_map_entries"].samples:
        assert entries.value >= 0


def test_each_documented_property_of_an_answer_was_seen(world: World) -> None:
    """The last one: all that went before has been looked at."""
    # Of drop reasons each test of the data path has its own; requests are not answers.
    requests = {"DropReasons", "Nothing", "DockerUsersOptions"}
    for operation in OPERATIONS:
        if operation.body():
            schema = operation.node["requestBody"]["content"]["application/json"]["schema"]
            requests.add(schema["$ref"].rpartition("/")[2])
    missing = {
        f"{name}.{key}"
        for name, schema in SPEC["components"]["schemas"].items()
        if name not in requests - {"Document"}
        for key in schema.get("properties", {})
    } - world.seen
    assert not missing
