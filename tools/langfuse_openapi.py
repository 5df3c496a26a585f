"""Describes the Langfuse face as OpenAPI 3.1, read from its route tables and the code of their handlers.

A handler takes its query with ``call.query(Struct)`` and its body with ``call.json(Struct)``, and answers with
``Reply(…, 201)`` where the status is not 200. Those calls are found in its source (and in helpers of its module that it
hands the call to), so the description cannot drift from what is served. ``make docs`` writes
``twinlens/faces/langfuse/openapi.json``; a test compares.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from twinlens.faces.langfuse.router import PREFIX, tables
from twinlens.faces.langfuse.wire import Route

TARGET = Path(__file__).resolve().parent.parent / "twinlens" / "faces" / "langfuse" / "openapi.json"
_REF = "#/components/schemas/{name}"
_AREAS = {
    "scim": "SCIM", "single_writes": "Single writes", "llm_connections": "LLM connections",
}  # fmt: skip
_SAYS = {
    200: "Done",
    201: "Created",
    202: "Accepted",
    204: "Done",
    206: "A part",
    207: "Per entry: kept, or what is wrong",
    304: "Not modified since the answer that `If-None-Match` names",
}
#: Answered by the OTLP face (protobuf or JSON as OpenTelemetry defines them).
_OTLP = {
    "/otel/v1/traces": "Receive spans",
    "/otel/v1/metrics": "Receive metrics; they are accepted and not kept",
    "/otel/v1/logs": "Receive logs: events of spans, such as prompts and completions",
}


@dataclass
class Found:
    """What a handler's source says."""

    query: list[type[msgspec.Struct]] = field(default_factory=list[type[msgspec.Struct]])
    body: Any = None
    raw_body: bool = False
    statuses: set[int] = field(default_factory=set[int])  #: below 400
    empty: bool = False


@cache
def _tree(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """The names a function sees: its module's, and those of the function around it."""
    return {**function.__globals__, **inspect.getclosurevars(function).nonlocals}


def read(function: Callable[..., Any], found: Found, seen: set[Any]) -> Found:
    """Add what one function says."""
    seen.add(function)
    names = _names(function)
    for node in ast.walk(_tree(function)):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
            found.statuses.add(200)
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr in ("query", "json") and len(node.args) == 1:
            wanted = _value(node.args[0], names)
            if called.attr == "query" and isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
                found.query.append(wanted)
            elif called.attr == "json" and wanted is not None:
                found.body = wanted
        elif isinstance(called, ast.Attribute) and called.attr in ("body", "chunks") and not node.args:
            found.raw_body = True
        elif isinstance(called, ast.Name) and called.id == "Reply":
            _reply(node, found)
        elif isinstance(called, ast.Name):
            helper = names.get(called.id)
            hands_on = any(isinstance(argument, ast.Name) and argument.id == "call" for argument in node.args)
            if hands_on and inspect.isfunction(helper) and helper not in seen:
                read(helper, found, seen)
    return found


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    try:
        return eval(compile(ast.Expression(node), "<handler>", "eval"), names)  # noqa: S307 - our own source
    except NameError:
        return None


def _reply(node: ast.Call, found: Found) -> None:
    values = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "status")]
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value < 400:
            found.statuses.add(value.value)
            found.empty = found.empty or (not node.args and value.value != 304)
    if not values:
        found.statuses.add(200)


def _parameters(route: Route, found: Found, schemas: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\*?\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    seen = set(re.findall(r"\{(\w+)\*?\}", route.path))
    for struct in found.query:
        for each in msgspec.structs.fields(struct):
            if each.encode_name in seen:
                continue
            seen.add(each.encode_name)
            schema = schemas(each.type)
            if isinstance(each.default, str | int | float | bool) and "$ref" not in schema:
                schema = {**schema, "default": each.default}
            parameter: dict[str, Any] = {
                "name": each.encode_name,
                "in": "query",
                "required": each.required,
                "schema": schema,
            }
            if "list" in str(each.type):
                parameter |= {"style": "form", "explode": True}
            yield parameter


def _operation(route: Route, schemas: Callable[[Any], Any]) -> dict[str, Any]:
    handler = route.handler
    found = read(handler, Found(), set())
    module = handler.__module__.rsplit(".", 1)[-1]
    words = re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_")
    text = inspect.getdoc(handler) or ""
    operation: dict[str, Any] = {
        "operationId": words,
        "tags": [_AREAS.get(module, module.replace("_", " ").capitalize())],
        "summary": text.split("\n\n")[0].replace("\n", " ").rstrip(".") or f"{route.method} {route.path}",
        "parameters": list(_parameters(route, found, schemas)),
    }
    if found.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas(found.body)}}}
    elif found.raw_body and route.method != "GET":
        kind = "application/octet-stream" if route.path.endswith("/content") else "application/json"
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": {}}}}
    content = {} if found.empty else {"content": {"application/json": {"schema": {"type": "object"}}}}
    operation["responses"] = {
        **{
            str(status): {"description": _SAYS[status], **({} if status == 304 else content)}
            for status in sorted(found.statuses or {200})
        },
        "4XX": {"$ref": "#/components/responses/Problem"},
    }
    if route.public:
        operation["security"] = []
    elif route.scope == "score":
        operation["security"] = [{"keys": []}, {"publicKey": []}]
    return operation


def document() -> dict[str, Any]:
    """The whole description."""
    components: dict[str, Any] = {}

    def schemas(type: Any) -> Any:
        [schema], more = msgspec.json.schema_components([type], ref_template=_REF)
        components.update(more)
        return schema

    paths: dict[str, dict[str, Any]] = {}
    for route in sorted((r for table in tables() for r in table.routes), key=lambda r: (r.path, r.method)):
        path = PREFIX + re.sub(r"\*\}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    for path, summary in _OTLP.items():
        paths[PREFIX + path] = {"post": _otlp(path, summary)}
    components["Problem"] = {
        "type": "object",
        "required": ["message"],
        "properties": {
            "message": {"type": "string"},
            "error": {"description": "A class-like name, or the list of what is invalid."},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Langfuse's public API, served by Twinlens",
            "version": "4",
            "description": "All generations of the API side by side: v1, v2 and v3 forms of the same data.",
        },
        "security": [{"keys": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "keys": {"type": "http", "scheme": "basic", "description": "Public key and secret key."},
                "publicKey": {
                    "type": "http", "scheme": "bearer", "description": "A public key alone, for scores from browsers.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "What is wrong with the request",
                    "content": {"application/json": {"schema": {"$ref": _REF.format(name="Problem")}}},
                }
            },
            "schemas": dict(sorted(components.items())),
        },
    }  # fmt: skip


def _otlp(path: str, summary: str) -> dict[str, Any]:
    schema = {"type": "object"}
    return {
        "operationId": re.sub(r"\W+", "_", f"post{path}").strip("_"),
        "tags": ["OpenTelemetry"],
        "summary": summary,
        "parameters": [],
        "requestBody": {
            "required": True,
            "content": {"application/x-protobuf": {"schema": {}}, "application/json": {"schema": schema}},
        },
        "responses": {
            "200": {"description": "Kept", "content": {"application/json": {"schema": schema}}},
            "4XX": {"$ref": "#/components/responses/Problem"},
        },
    }


def text() -> str:
    """What ``openapi.json`` holds."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
