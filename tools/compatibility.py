"""Which of MLflow's routes this server has, and which test of the unmodified client proves it.

Three sources meet here: the list of MLflow's routes (``mlflow_routes.tsv``, written by ``tools/mlflow_routes.py``), the tables
of our own face, and what tests saw the real client ask with success (``mlflow_tests.json``, written by the tests: see
``tests/wire/mlflow/recording.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "compatibility"
PROVEN = FOLDER / "mlflow_tests.json"


@dataclass(frozen=True)
class Route:
    """One verb on one path. ``version`` is empty at the root; ``ajax`` paths exist for browsers only."""

    area: str
    call: str
    verb: str
    version: str
    path: str
    ajax: bool

    @property
    def key(self) -> str:
        """How tests name it."""
        return " ".join(part for part in (self.verb, self.version, self.path) if part)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the path of a request."""
        last = ".+" if self.path.startswith(("/mlflow-artifacts", "/gateway/proxy")) else "[^/]+"
        prefix = rf"/(?:ajax-)?api/{re.escape(self.version)}" if self.version else ""
        return re.compile(prefix + re.sub(r"\\\{\w+\\\}", last, re.escape(self.path.rstrip("/"))) + "/?")


def routes() -> list[Route]:
    """All routes of MLflow's server, in the order of the page."""
    found: list[Route] = []
    for line in (FOLDER / "mlflow_routes.tsv").read_text("utf-8").splitlines():
        area, call, verb, version, path = line.split("\t")
        found.append(Route(area, call, verb, version.removeprefix("ajax "), path, version.startswith("ajax ")))
    return found


def find(known: list[Route], verb: str, path: str) -> Route | None:
    """The route that a request belongs to: paths without parameters win."""
    fitting = [route for route in known if route.verb == verb and route.pattern.fullmatch(path)]
    return min(fitting, key=lambda route: route.path.count("{"), default=None)


def proven() -> dict[str, str]:
    """Key of a route -> the test in which the real client used it."""
    return json.loads(PROVEN.read_text("utf-8"))


def served() -> set[str]:
    """Verb and path shape of everything that our face answers, and OTLP."""
    from twinlens.faces.mlflow.router import tables

    rpcs = [(rpc.verb, rpc.version, rpc.path) for table in tables() for rpc in table.rpcs]
    return {_shape(*rpc) for rpc in (*rpcs, ("POST", "", "/v1/traces"))}


def _shape(verb: str, version: str, path: str) -> str:
    return " ".join((verb, version, re.sub(r"\{\w+(:path)?\}", "{}", "/" + path.strip("/"))))


def is_served(route: Route, ours: set[str]) -> bool:
    """Whether our face has the route."""
    return _shape(route.verb, route.version, route.path) in ours


_INTRODUCTION = """# MLflow's protocol, route by route

<!-- Written by tools/docs.py: run `make docs`. Sources: mlflow_routes.tsv, the face's tables, mlflow_tests.json. -->

All routes of MLflow's server (3.18.0), each under `/api/` and `/ajax-api/` unless it stands at the root, and what Twinlens makes of them:

* **works**: the unmodified MLflow client, MLflow's own browser page or, of the gateway's model calls, the model provider's own client uses it with
  success in the test that is named; that test fails when it no longer does.
* **answers**: it is there and tested over HTTP or against a real MLflow server, but no test drives it through a client.
* **–**: not there. Such a path answers 404 without JSON, which MLflow's client takes as "this server is older" and, where it can, falls back.
  Only MLflow's page asks for them; no function of the client does. `mlflow.genai.optimize_prompts` and `mlflow demo --tracking-uri` need none of them and
  work (`examples/mlflow_genai`).

Tests are below `tests/`. Routes of Databricks' own backend are not listed.

"""
#: RPCs that only Databricks' backend has: MLflow's own server refuses them too.
_FOREIGN = ("/mlflow/unified-traces", "/mlflow/get-online-trace-details")


def _rows(known: list[Route], ours: set[str], tests: dict[str, str]) -> Iterator[tuple[Route, str, str]]:
    for route in known:
        if route.path in _FOREIGN:
            continue
        test = tests.get(route.key, "")
        if not is_served(route, ours):
            yield route, "–", ""
        elif test:
            yield route, "works", f"`{test.removeprefix('tests/')}`"
        else:
            yield route, "answers", ""


def page() -> str:
    """``docs/compatibility/mlflow.md``."""
    rows = list(_rows(routes(), served(), proven()))
    areas = list(dict.fromkeys(route.area for route, _, _ in rows))
    lines = ["| Area | Routes | works | answers | – |", "|---|---|---|---|---|"]
    for area in (*areas, ""):
        states = [state for route, state, _ in rows if area in ("", route.area)]
        counts = " | ".join(str(states.count(state)) for state in ("works", "answers", "–"))
        lines.append(f"| {area or '**all**'} | {len(states)} | {counts} |")
    for area in areas:
        lines += ["", f"## {area}", "", "| Call | Route | State | Proven by |", "|---|---|---|---|"]
        for route, state, test in rows:
            if route.area == area:
                where = f"`{route.key}`" + (" (browsers)" if route.ajax else "")
                lines.append(f"| {route.call} | {where} | {state} | {test} |")
    return _INTRODUCTION + "\n".join(lines) + "\n"
