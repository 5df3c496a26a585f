"""``/api/openapi.yaml`` says what is served: every route, each parameter, and a request made from it is understood."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import yaml

from tests.servers import LiveServer
from twinlens.faces.langfuse.router import PREFIX, tables


@pytest.fixture(scope="module")
def document(live_server: LiveServer) -> dict[str, Any]:
    """The description as served."""
    answer = httpx.get(live_server.url + "/api/openapi.yaml")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/yaml")
    found = yaml.safe_load(answer.text)
    assert httpx.get(live_server.url + "/api/openapi.json").json() == found
    return found


def test_every_served_route_is_described(document: dict[str, Any]) -> None:
    served = {
        (PREFIX + route.path.replace("*}", "}"), route.method.lower()) for table in tables() for route in table.routes
    }
    served |= {(f"{PREFIX}/otel/v1/{signal}", "post") for signal in ("traces", "metrics", "logs")}
    assert {(path, verb) for path, verbs in document["paths"].items() for verb in verbs} == served


def test_references_and_names_hold(document: dict[str, Any]) -> None:
    for name in re.findall(r"#/components/(?:schemas|responses)/(\w+)", str(document)):
        assert name in document["components"]["schemas"] or name in document["components"]["responses"]
    operations = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert not [op["operationId"] for op in operations if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", op["summary"])]


def test_required_parameters_and_bodies_are_demanded(document: dict[str, Any], http: httpx.Client) -> None:
    """Leaving out what the description requires is a 400 in Langfuse's shape, or in SCIM's."""
    tried = 0
    for path, verbs in document["paths"].items():
        if "/otel/" in path or "/media/" in path:
            continue
        for verb, operation in verbs.items():
            required = [p for p in operation["parameters"] if p["required"] and p["in"] == "query"]
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if "$ref" in (schema or {}):
                schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
            if not required and not (schema or {}).get("required"):
                continue
            url = re.sub(r"\{\w+\}", "absent", path.removeprefix(PREFIX))
            answer = http.request(verb, url, json={} if schema is not None else None)
            assert answer.status_code in (400, 404), f"{verb} {path}: {answer.status_code} {answer.text}"
            assert answer.json()["detail" if "/scim/" in path else "message"]
            tried += 1
    assert tried > 8


def test_query_parameters_are_those_that_are_read(document: dict[str, Any], http: httpx.Client) -> None:
    """A number that is none is refused wherever the description says number."""
    for path, verbs in document["paths"].items():
        get = verbs.get("get")
        if get is None or "{" in path or path.endswith(("/health", "/ready")):
            continue
        for parameter in get["parameters"]:
            kinds = parameter["schema"].get("type") or [x.get("type") for x in parameter["schema"].get("anyOf", [])]
            if "integer" in kinds:
                answer = http.get(path.removeprefix(PREFIX), params={parameter["name"]: "many"})
                assert answer.status_code == 400, f"{path} {parameter['name']}"
