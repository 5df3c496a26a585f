"""Lineage in both directions: data set → run → model version → deployment → traces → scores.

A node is named ``type:key``. One step asks one node for its neighbours on one side, a page at a time; ``graph`` walks several
steps breadth first. Traces and scores are too many to be nodes of their own: a node stands for all traces of one version in
one place, or of one run or prompt version, and says by which filter they are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from twinlens.domain.deployment import Deployment
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.features.deployments import Deployments
from twinlens.features.traces import Traces
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.lineage import LineageTable, Neighbour
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Dimension, Expr, Measure, Or, Order, all_of

NodeType = Literal[
    "dataset", "run", "logged_model", "model", "prompt", "agent", "deployment", "traces", "trace", "scores"
]
Direction = Literal["up", "down"]
MAX_DEPTH = 8
MAX_NODES = 500


class Node(msgspec.Struct, kw_only=True):
    """One thing. ``details`` holds what a page shows, by name."""

    id: str
    type: NodeType
    label: str
    details: dict[str, Any] = {}


class Edge(msgspec.Struct, kw_only=True, frozen=True):
    """``source`` came before ``target``: it was read by, made, serves in, was called in, was judged by."""

    source: str
    target: str
    type: str


class More(msgspec.Struct, kw_only=True, frozen=True):
    """A node has further neighbours on one side; ask it with ``cursor``."""

    node: str
    direction: Direction
    cursor: str


class Graph(msgspec.Struct, kw_only=True):
    """Nodes in the order in which they were found, the root first."""

    root: str
    nodes: list[Node]
    edges: list[Edge]
    more: list[More]


Step = Callable[[str | None], tuple[list[Node], str | None]]


class Lineage:
    """See the module's text. Blocking, reads only."""

    def __init__(self, catalog: Catalog, telemetry: TelemetryStore, traces: Traces, deployments: Deployments) -> None:
        self._catalog = catalog
        self._telemetry = telemetry
        self._traces = traces
        self._deployments = deployments

    def graph(
        self, project_id: str, root: str, *, directions: tuple[Direction, ...] = ("up", "down"), depth: int = 6,
        limit: int = 20, cursor: str | None = None,
    ) -> Graph:  # fmt: skip
        """What ``root`` came from and what came from it.

        Args:
            root: ``run:ID``, ``dataset:NAME@DIGEST``, ``model:NAME/VERSION``, ``logged_model:ID``, ``prompt:NAME/VERSION``,
                ``deployment:ID``, ``trace:ID``.
            depth: steps to either side.
            limit: neighbours per node, side and kind; where there are more, ``more`` has the cursor.
            cursor: continue the root's own neighbours; takes one direction.

        Raises:
            NotFound: no such thing.
            InvalidArgument: no such type of node, or a cursor of another list.
        """
        if cursor and len(directions) != 1:
            raise InvalidArgument("a cursor continues one direction: say direction=up or direction=down")
        first = self._node(project_id, root)
        graph = Graph(root=first.id, nodes=[first], edges=[], more=[])
        for direction in directions:
            self._walk(project_id, graph, first, direction, max(1, min(depth, MAX_DEPTH)), limit, cursor)
        return graph

    def _walk(
        self, project_id: str, graph: Graph, root: Node, direction: Direction, depth: int, limit: int,
        cursor: str | None,
    ) -> None:  # fmt: skip
        known = {node.id for node in graph.nodes}
        edges = set(graph.edges)
        layer = [root]
        for _ in range(1 if cursor else depth):
            following: list[Node] = []
            for node in layer:
                for kind, found, token in self._steps(project_id, node, direction, limit, cursor):
                    if token:
                        graph.more.append(More(node=node.id, direction=direction, cursor=token))
                    for other in found:
                        ends = (other.id, node.id) if direction == "up" else (node.id, other.id)
                        edge = Edge(source=ends[0], target=ends[1], type=kind)
                        if other.id not in known:
                            if len(graph.nodes) >= MAX_NODES:
                                return
                            known.add(other.id)
                            graph.nodes.append(other)
                            following.append(other)
                        if edge not in edges:
                            edges.add(edge)
                            graph.edges.append(edge)
            layer = following

    # --- one step ----------------------------------------------------------------------------------------------
    def _steps(
        self, project_id: str, node: Node, direction: Direction, limit: int, cursor: str | None
    ) -> Iterator[tuple[str, list[Node], str | None]]:
        """The kinds of neighbours a node has on one side. A cursor names its kind before a colon."""
        wanted, _, inner = (cursor or "").partition(":")
        with self._catalog.read() as connection:
            table = LineageTable(connection, project_id, limit)
            for kind, step in self._kinds(project_id, table, node, direction):
                if cursor and kind != wanted:
                    continue
                found, token = step(inner or None)
                yield kind, found, f"{kind}:{token}" if token else None

    def _kinds(
        self, project_id: str, table: LineageTable, node: Node, direction: Direction
    ) -> Iterator[tuple[str, Step]]:
        key = node.id.partition(":")[2]
        d = node.details
        match (node.type, direction):
            case ("dataset", "down"):
                yield "read by", _with(_run, lambda c: table.runs_of_dataset(d["name"], d["digest"], c))
            case ("run", "up"):
                yield "read by", _with(_dataset, lambda c: table.datasets_of_run(key, c))
                yield "input", _with(_logged, lambda c: table.models_of_run(key, "input", c))
            case ("run", "down"):
                yield "made", _with(_logged, lambda c: table.models_of_run(key, "output", c))
                yield "registered as", _with(_version, lambda c: table.versions_of_run(key, c))
                yield "serves in", _with(_place, lambda c: table.deployments_of_run(key, c))
                yield "called in", self._calls(project_id, node)
            case ("logged_model", "up"):
                yield "made", _one(_run, table.run, d.get("source_run_id"))
            case ("logged_model", "down"):
                yield "registered as", _with(_version, lambda c: table.versions_of_model(key, c))
                yield "input", _with(_run, lambda c: table.runs_reading_model(key, c))
                yield "serves in", _with(_place, lambda c: table.deployments_of("model", d["name"], key, c))
                yield "called in", self._calls(project_id, node)
            case ("model", "up"):
                yield "registered as", _one(_logged, table.model, d.get("model_id"))
                yield "registered as", _one(_run, table.run, None if d.get("model_id") else d.get("run_id"))
            case ("model" | "prompt" | "agent", "down"):
                name, version = _split(key)
                yield "serves in", _with(_place, lambda c: table.deployments_of(node.type, name, version, c))
                if node.type != "agent":  # agents' traces are those of the places where they serve
                    yield "called in", self._calls(project_id, node)
            case ("deployment", "up"):
                yield "serves in", _with(_served(table), lambda c: table.versions_of_deployment(key, c))
            case ("deployment", "down"):
                yield "called in", self._calls(project_id, node)
            case ("traces" | "trace", "down"):
                yield "judged by", self._judged(project_id, node)
            case ("trace", "up"):
                yield "called in", lambda _: (self._of_trace(project_id, table, key), None)
            case _:
                return

    # --- telemetry ---------------------------------------------------------------------------------------------
    def _calls(self, project_id: str, node: Node) -> Step:
        """The traces of a node, as one node; none when there are none."""

        def step(_: str | None) -> tuple[list[Node], str | None]:
            where, text = self._traces_of(project_id, node)
            rows = self._telemetry.aggregate(
                Aggregate(
                    project_id=project_id, view="traces", where=where, dimensions=(Dimension("status", "status"),),
                    measures=(
                        Measure("count", "count"), Measure("cost", "sum", "total_cost"),
                        Measure("first", "min", "start_ns"), Measure("last", "max", "start_ns"),
                    ),
                )
            )  # fmt: skip
            count = sum(row["count"] for row in rows)
            if not count:
                return [], None
            details = {
                "filter": text, "count": count, "errors": sum(r["count"] for r in rows if r["status"] == "error"),
                "cost": sum(row["cost"] for row in rows), "first_ms": min(row["first"] for row in rows) / 1e6,
                "last_ms": max(row["last"] for row in rows) / 1e6, "of": node.id,
            }  # fmt: skip
            label = f"{count:,} trace{'' if count == 1 else 's'}"
            return [Node(id=f"traces:{node.id}", type="traces", label=label, details=details)], None

        return step

    def _traces_of(self, project_id: str, node: Node) -> tuple[Expr, str]:
        """The traces of a node as an expression and as the filter that a person would type."""
        key = node.id.partition(":")[2]
        if node.type == "run":
            return Cmp("run_ids", "any of", [key]), f"run:{_quoted(key)}"
        if node.type == "prompt":
            return Cmp("prompts", "any of", [key]), f"prompt:{_quoted(key)}"
        if node.type in ("model", "logged_model"):
            model_id = key if node.type == "logged_model" else node.details.get("model_id") or ""
            return Cmp("metadata", "=", model_id, _MODEL_ID), f"metadata.{_MODEL_ID}:{_quoted(model_id)}"
        found = self._deployments.get(project_id, key)
        return _traces_of_deployment(found, self._model_id(project_id, found))

    def _model_id(self, project_id: str, deployment: Deployment) -> str | None:
        """The logged model that serves in a place, which its traces may name instead of service and version."""
        version = deployment.release.version
        if deployment.kind != "model" or not version.isdigit():
            return version if deployment.kind == "model" and version.startswith("m-") else None
        with self._catalog.read() as connection:
            found = LineageTable(connection, project_id, 1).version(deployment.subject, int(version))
        return found.details.get("model_id") if found is not None else None

    def _judged(self, project_id: str, node: Node) -> Step:
        """Scores of the node's traces, one node per name."""

        def step(_: str | None) -> tuple[list[Node], str | None]:
            if node.type == "trace":
                ids = [node.id.partition(":")[2]]
            else:
                where, _text = self._traces_of(project_id, self._node(project_id, node.details["of"]))
                found = self._telemetry.aggregate(
                    Aggregate(
                        project_id=project_id, view="traces", where=all_of(where), measures=(Measure("n", "count"),),
                        dimensions=(Dimension("id", "trace_id"), Dimension("start", "start_ns")),
                        order=(Order("start"),), limit=_JUDGED,
                    )
                )  # fmt: skip
                ids = [row["id"] for row in found]
            rows = self._telemetry.aggregate(
                Aggregate(
                    project_id=project_id, view="scores", where=all_of(Cmp("trace_id", "in", ids), Cmp("valid", "=", True)),
                    dimensions=(Dimension("name", "name"),),
                    measures=(Measure("count", "count"), Measure("average", "avg", "value")), limit=50,
                )
            )  # fmt: skip
            return [
                Node(
                    id=f"scores:{node.id}:{row['name']}", type="scores", label=row["name"],
                    details={"count": row["count"], "average": row["average"], "newest_traces": len(ids)},
                )
                for row in rows
            ], None  # fmt: skip

        return step

    def _of_trace(self, project_id: str, table: LineageTable, trace_id: str) -> list[Node]:
        """Runs, prompts and deployments behind one trace."""
        summary = self._traces.summary(project_id, trace_id)
        found = [_run(run) for run_id in summary.run_ids if (run := table.run(run_id)) is not None]
        found += [_named("prompt", *_split(prompt)) for prompt in summary.prompts]
        served = [("prompt", *_split(prompt)) for prompt in summary.prompts]
        model_id = summary.metadata.get(_MODEL_ID)
        if isinstance(model_id, str) and (model := table.model(model_id)) is not None:
            found.append(_logged(model))
            served.append(("model", model.details["name"], model_id))
            served += [("model", *map(str, row.key)) for row in table.versions_of_model(model_id, None)[0]]
        # Who names a model or prompt version needs no service and no release to tell where it was called.
        places = [row for kind, name, at in served for row in table.deployments_of(kind, name, at, None)[0]]
        found += [_place(row) for row in places if row.details["environment"] == summary.environment]
        version = summary.version or summary.release
        for name in {summary.service, summary.name} if version else ():
            page = self._deployments.list(
                project_id, environment=summary.environment, kind="agent", subject=name, retired=True, limit=10
            )
            found += [_place_of(deployment) for deployment in page.deployments if name]
        return list({node.id: node for node in found}.values())

    # --- the first node ----------------------------------------------------------------------------------------
    def _node(self, project_id: str, text: str) -> Node:
        type_, _, key = text.partition(":")
        with self._catalog.read() as connection:
            table = LineageTable(connection, project_id, 1)
            found: Node | None = None
            if type_ == "run":
                found = _maybe(_run, table.run(key))
            elif type_ == "logged_model":
                found = _maybe(_logged, table.model(key))
            elif type_ == "dataset":
                name, _, digest = key.rpartition("@")
                found = Node(id=text, type="dataset", label=name, details={"name": name, "digest": digest})
            elif type_ in ("model", "prompt", "agent"):
                name, version = _split(key)
                if type_ != "model":
                    found = _named(type_, name, version)
                elif version.isdigit():
                    found = _maybe(_version, table.version(name, int(version)))
            elif type_ == "trace":
                summary = self._traces.summary(project_id, key)
                found = Node(id=f"trace:{summary.trace_id}", type="trace", label=summary.name or summary.trace_id)
            elif type_ != "deployment":
                raise InvalidArgument(
                    f"node {text[:80]!r}: name it as run:ID, dataset:NAME@DIGEST, model:NAME/VERSION, logged_model:ID, "
                    "prompt:NAME/VERSION, deployment:ID or trace:ID"
                )
        if type_ == "deployment":
            found = _place_of(self._deployments.get(project_id, key))
        if found is None:
            raise NotFound(f"{type_.replace('_', ' ')} '{key}' not found")
        return found


_MODEL_ID = "mlflow.modelId"  #: trace metadata in which MLflow's client names the logged model that was called
_JUDGED = 2_000  #: scores are summed over so many of the newest traces


def _traces_of_deployment(deployment: Deployment, model_id: str | None) -> tuple[Expr, str]:
    """The traces of the version that serves now: by service (or name) and version, or by the logged model that they name."""
    version = deployment.release.version
    place = Cmp("environment", "=", deployment.environment)
    env = f"env:{_quoted(deployment.environment)}"
    if deployment.kind == "prompt":
        key = f"{deployment.subject}/{version}"
        return all_of(place, Cmp("prompts", "any of", [key])), f"{env} prompt:{_quoted(key)}"
    of_version = Or((Cmp("version", "=", version), Cmp("release", "=", version)))
    names = {deployment.subject, deployment.name}
    of_name = Or(tuple(Cmp(field, "=", name) for field in ("service", "name") for name in sorted(names)))
    said = f"version:{_quoted(version)} OR release:{_quoted(version)}"
    by_name = all_of(of_version, of_name)
    if model_id is None:
        return all_of(place, by_name), f"{env} ({said})"
    of_model = Or((by_name, Cmp("metadata", "=", model_id, _MODEL_ID)))
    return all_of(place, of_model), f"{env} ({said} OR metadata.{_MODEL_ID}:{_quoted(model_id)})"


def _with(make: Callable[[Neighbour], Node], ask: Callable[[str | None], tuple[list[Neighbour], str | None]]) -> Step:
    def step(cursor: str | None) -> tuple[list[Node], str | None]:
        found, token = ask(cursor)
        return [make(row) for row in found], token

    return step


def _one(make: Callable[[Neighbour], Node], ask: Callable[[str], Neighbour | None], key: str | None) -> Step:
    found = ask(key) if key else None
    return lambda _: ([] if found is None else [make(found)], None)


def _maybe(make: Callable[[Neighbour], Node], found: Neighbour | None) -> Node | None:
    return None if found is None else make(found)


def _run(row: Neighbour) -> Node:
    details = row.details | {"experiment_id": str(row.details["experiment_id"])}
    return Node(id=f"run:{row.key[0]}", type="run", label=row.details["name"], details=details)


def _dataset(row: Neighbour) -> Node:
    details = row.details | {"experiment_id": str(row.details["experiment_id"])}
    return Node(id=f"dataset:{row.key[0]}@{row.key[1]}", type="dataset", label=str(row.key[0]), details=details)


def _logged(row: Neighbour) -> Node:
    details = row.details | {"experiment_id": str(row.details["experiment_id"])}
    return Node(id=f"logged_model:{row.key[0]}", type="logged_model", label=row.details["name"], details=details)


def _version(row: Neighbour) -> Node:
    name, version = row.key
    return Node(id=f"model:{name}/{version}", type="model", label=f"{name} v{version}", details=row.details)


def _named(type_: str, name: str, version: str) -> Node:
    kind: NodeType = "prompt" if type_ == "prompt" else "agent" if type_ == "agent" else "model"
    details = {"name": name, "version": version}
    return Node(id=f"{kind}:{name}/{version}", type=kind, label=f"{name} v{version.removeprefix('v')}", details=details)


def _place(row: Neighbour) -> Node:
    d = row.details
    return Node(
        id=f"deployment:{row.key[0]}", type="deployment", label=f"{d['name']} in {d['environment']}", details=d
    )  # fmt: skip


def _place_of(deployment: Deployment) -> Node:
    details = {
        name: getattr(deployment, name) for name in ("name", "environment", "kind", "subject", "health", "retired")
    }
    label = f"{deployment.name} in {deployment.environment}"
    return Node(id=f"deployment:{deployment.deployment_id}", type="deployment", label=label, details=details)


def _served(table: LineageTable) -> Callable[[Neighbour], Node]:
    """What a release deployed: a model version, a prompt version, or what a run made."""

    def make(row: Neighbour) -> Node:
        d = row.details
        if d["kind"] == "model" and d["version"].isdigit():
            found = table.version(d["subject"], int(d["version"]))
            if found is not None:
                return _version(found)
        if d["kind"] == "model" and (logged := table.model(d["version"])) is not None:
            return _logged(logged)
        if d["run_id"] and (run := table.run(d["run_id"])) is not None:
            return _run(run)
        return _named(d["kind"], d["subject"], d["version"])

    return make


def _split(key: str) -> tuple[str, str]:
    name, _, version = key.rpartition("/")
    return name, version


def _quoted(text: str) -> str:
    return text if text.replace("-", "").replace("_", "").replace(".", "").replace("/", "").isalnum() else f'"{text}"'
