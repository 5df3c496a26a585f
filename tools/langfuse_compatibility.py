"""``docs/compatibility/langfuse.md``: Langfuse's endpoints with the test that uses each, and the matrix of SDK generations.

Three sources meet here: the list of Langfuse's endpoints (``langfuse_routes.tsv``), the tables of our own face, and what
tests were seen to ask with success (``langfuse_tests.json``, written by the tests: see ``tests/wire/langfuse/recording.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "compatibility"
PROVEN = FOLDER / "langfuse_tests.json"
#: Answered outside the face's tables.
_ELSEWHERE = ("POST /otel/v1/traces", "POST /otel/v1/metrics", "POST /otel/v1/logs", "GET /api/openapi.yaml")
_MEANS = {"M": "must", "S": "should", "C": "could"}


@dataclass(frozen=True)
class Endpoint:
    """One verb on one path under ``/api/public``."""

    area: str
    priority: str
    verb: str
    path: str

    @property
    def key(self) -> str:
        """Verb and path with nameless parameters."""
        return shape(self.verb, self.path)


def shape(verb: str, path: str) -> str:
    """How routes of different spelling are compared."""
    return f"{verb} {re.sub(r'{[^}]*}', '{}', path)}"


def endpoints() -> list[Endpoint]:
    """All endpoints of Langfuse, in the order of the page."""
    lines = (FOLDER / "langfuse_routes.tsv").read_text("utf-8").splitlines()
    return [Endpoint(*line.split("\t")) for line in lines]


@cache
def served() -> dict[str, str]:
    """Shape of everything we answer -> module that does."""
    from twinlens.faces.langfuse.router import tables

    found = {shape(r.method, r.path): r.handler.__module__.rsplit(".", 1)[-1] for t in tables() for r in t.routes}
    return found | dict.fromkeys(_ELSEWHERE, "")


def route_of(verb: str, path: str) -> str | None:
    """The shape of the route that answers a request's path."""
    from twinlens.domain.errors import NotFound
    from twinlens.faces.langfuse.errors import MethodNotAllowed
    from twinlens.faces.langfuse.router import PREFIX, Dispatcher, tables

    bare = path.partition("?")[0].removeprefix(PREFIX).rstrip("/")
    if f"{verb} {bare}" in _ELSEWHERE:
        return f"{verb} {bare}"
    if not path.startswith(PREFIX):
        return None
    try:
        route, _ = Dispatcher(tables()).find(verb, bare)
    except (NotFound, MethodNotAllowed):
        return None
    return shape(route.method, route.path)


def proven() -> dict[str, str]:
    """Shape of a route -> a test that uses it."""
    return json.loads(PROVEN.read_text("utf-8")) if PROVEN.exists() else {}


_INTRODUCTION = """# Langfuse's API and SDKs

<!-- Written by tools/docs.py: run `make docs`. Sources: langfuse_routes.tsv, the face's tables, langfuse_tests.json. -->

## Every SDK generation at once

`tests/wire/langfuse/test_sdks.py` starts all of these at the same time against one server, unmodified, each in its own environment. Each writes
the same trace (nested spans, a generation with usage and prompt, an event, an image, scores on trace and observation, session, user, tags,
metadata of every JSON type) and runs the same experiment on the same dataset. When all have written, each reads everybody's
trace through every read API it has; all must read the same. Then the test reads all of them over HTTP through v1, v2 and v3.

| Client | Traces go to | Scores go to | Reads everybody's trace through |
|---|---|---|---|
"""
_CLIENTS = {
    "langfuse2": ("`/ingestion`", "`/ingestion`"),
    "langfuse3": ("OTLP, protobuf", "`/ingestion`"),
    "langfuse4": ("OTLP, protobuf", "`/ingestion`"),
    "langfuse5": ("OTLP, protobuf, gzip", "`/scores`, arrays"),
    "langfuse-js3": ("`/ingestion`", "`/ingestion`"),
    "langfuse-js4": ("OTLP, JSON, chunked", "`/ingestion`"),
    "langfuse-js5": ("OTLP, JSON, chunked", "`/ingestion`"),
}
_ENDPOINTS = """
All meet in one dataset run, whose id SDK 5 computes itself and older ones are told.

## Endpoints

The public API of Langfuse 4, under `/api/public` unless the path says otherwise. The same description for machines is served at
`/api/openapi.yaml` and `/api/openapi.json`.

* **tested**: the test that is named uses it with success, through a real SDK or over HTTP, and fails when it no longer does.
* **served**: it is there; no test below `tests/wire/langfuse` uses it.
* **–**: not there; 404 in Langfuse's error shape.

"""


def _matrix() -> Iterator[str]:
    from tests.envs import NODE_REQUIREMENTS, REQUIREMENTS
    from tests.wire.langfuse.test_sdks import MATRIX

    for name, (_, reads) in MATRIX.items():
        package = (REQUIREMENTS | NODE_REQUIREMENTS)[name][0].replace("==", " ")
        if name in NODE_REQUIREMENTS:
            package = "JavaScript " + re.sub(r"^(.+)@([\d.]+)$", r"`\1` \2", package)
        else:
            package = "Python " + re.sub(r"^(\S+) ", r"`\1` ", package)
        traces, scores = _CLIENTS[name]
        yield f"| {package} | {traces} | {scores} | {', '.join(reads)} |"


def page() -> str:
    """``docs/compatibility/langfuse.md``."""
    ours, tests = served(), proven()

    def state(endpoint: Endpoint) -> str:
        return "–" if endpoint.key not in ours else "tested" if endpoint.key in tests else "served"

    known = endpoints()
    areas = list(dict.fromkeys(endpoint.area for endpoint in known))
    lines = ["| Area | Endpoints | tested | served | – |", "|---|---|---|---|---|"]
    for area in (*areas, ""):
        states = [state(endpoint) for endpoint in known if area in ("", endpoint.area)]
        counts = " | ".join(str(states.count(one)) for one in ("tested", "served", "–"))
        lines.append(f"| {area or '**all**'} | {len(states)} | {counts} |")
    for area in areas:
        lines += ["", f"### {area}", "", "| Endpoint | Priority | State | Test |", "|---|---|---|---|"]
        for endpoint in known:
            if endpoint.area == area:
                test = tests.get(endpoint.key, "").removeprefix("tests/wire/langfuse/")
                shown = f"`{test}`" if test and endpoint.key in ours else ""
                call = f"`{endpoint.verb} {endpoint.path}`"
                lines.append(f"| {call} | {_MEANS[endpoint.priority]} | {state(endpoint)} | {shown} |")
    lines += ["", "Tests are below `tests/wire/langfuse/`."]
    return _INTRODUCTION + "\n".join(_matrix()) + "\n" + _ENDPOINTS + "\n".join(lines) + "\n"
