"""SuperOptiX (0.1 to 0.3): event files ``.superoptix/traces/<agent>.jsonl`` (also its JSON export) and the SQLite file
``.superoptix/observability.db``.

An operation is two events, ``<uuid>`` and ``<uuid>_end`` or ``<uuid>_error``; it becomes one span. What has no parent is a trace; each agent
is an experiment of the name SuperOptiX itself uses with MLflow. Rows of the database become runs with params and metrics.
"""

from __future__ import annotations

import math
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlens.domain.record import ArtifactRecord, RunRecord
from twinlens.domain.run import Run
from twinlens.domain.trace import Scope, Span, TracePatch
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import (
    an_object,
    bare_name,
    files_of,
    lines,
    parse,
    sqlite_file,
    stable_id,
    tables,
    text,
    time_ns,
    whole,
)
from twinlens.migrate.files.spool import Spool

_ENDS = ("_end", "_error")
_KINDS = {
    "agent": "agent",
    "tool": "tool",
    "model": "generation",
    "llm": "generation",
    "retriever": "retriever",
    "rag": "retriever",
}


def read(root: Path, spool: Spool) -> None:
    """All event files and databases below a folder, or one file."""
    for path in files_of(root):
        name = bare_name(path)
        if name.endswith((".jsonl", ".ndjson")):
            events = [an_object(value, f"{path}, line {number}") for number, value in lines(path, spool.note)]
            _events(path.name.partition(".jsonl")[0], events, path, spool)
        elif name.endswith(".json"):
            found = whole(path)
            if isinstance(found, dict) and "traces" in found:
                _events(str(found.get("agent_id") or path.stem), found["traces"], path, spool)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        elif name.endswith((".db", ".sqlite", ".sqlite3")):
            with sqlite_file(path) as db:
                _database(db, spool)


# --- events ------------------------------------------------------------------------------------------------------------
def _events(agent: str, events: list[Any], path: Path, spool: Spool) -> None:
    begun: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    for event in events:
        event_id = event.get("event_id")
        if not event_id or "event_type" not in event:
            raise MigrationError(f"{path} is not a file of SuperOptiX events")
        base = next((event_id[: -len(end)] for end in _ENDS if event_id.endswith(end)), None)
        if base is None:
            begun[event_id] = event
        else:
            ended[base] = event
    parents = {key: _base((begun.get(key) or ended[key]).get("parent_id")) for key in begun | ended}
    experiment = spool.experiment(f"SuperOptiX-{agent}")
    for key in begun | ended:
        root = _root(key, parents)
        trace_id = stable_id("superoptix", agent, root)
        span = _span(agent, key, begun.get(key), ended.get(key), trace_id)
        if key != root:
            span.parent_id = stable_id("superoptix", agent, parents[key], digits=16)
        spool.spans([span])
        if key == root:
            tags = {"superoptix.agent": agent}
            spool.patches(
                [
                    TracePatch(
                        trace_id=trace_id,
                        experiment_id=experiment,
                        tag_values=dict(tags),
                        authority="client",
                        said_ns=1,
                    )
                ]
            )


def _base(event_id: Any) -> str | None:
    if not event_id:
        return None
    return next((event_id[: -len(end)] for end in _ENDS if str(event_id).endswith(end)), str(event_id))


def _root(key: str, parents: dict[str, str | None]) -> str:
    """The operation at the top; one whose parent is not in the file is a top itself."""
    seen: set[str] = set()
    while (parent := parents[key]) is not None and parent in parents and key not in seen:
        seen.add(key)
        key = parent
    return key


def _span(agent: str, key: str, start: dict[str, Any] | None, end: dict[str, Any] | None, trace_id: str) -> Span:
    first, last = start or end or {}, end or start or {}
    start_ns, end_ns = _local(first.get("timestamp")), _local(last.get("timestamp")) if end else None
    if start_ns is None:
        raise MigrationError(f"event {key} of {agent} has no time")
    if start is None and end is not None and end.get("duration_ms"):
        start_ns -= int(float(end["duration_ms"]) * 1e6)
    if start is not None and end is None:
        end_ns = start_ns + int(float(start.get("duration_ms") or 0) * 1e6)  # a single event
    component = str(first.get("component") or "")
    name = str(first.get("event_type") or "")
    for ending in ("_start", "_end", "_error"):
        name = name.removesuffix(ending)
    failed = last.get("status") == "error" or str(last.get("event_type")).endswith("_error")
    data, result = first.get("data") or {}, (last.get("data") or {}) if end else {}
    metadata = {**(first.get("metadata") or {}), **(last.get("metadata") or {}), "component": component}
    usage, cost = _usage({**data, **result, **metadata})
    return Span(
        trace_id=trace_id, span_id=stable_id("superoptix", agent, key, digits=16), name=name or component or "event",
        kind=_KINDS.get(component.partition(".")[0].lower(), "span"), start_ns=start_ns, end_ns=end_ns,
        status="error" if failed else "ok", status_message=str(result.get("error") or "") if failed else "",
        level="ERROR" if failed else "WARNING" if last.get("status") == "warning" else "DEFAULT",
        input=text(data or None), output=text(result or None), metadata=metadata, attributes={"superoptix.event_id": key},
        usage=usage, usage_source="client" if usage else "none", cost=cost, cost_source="client" if cost else "none",
        agent_name=agent, scope=Scope(name="superoptix.observability"), service="superoptix",
    )  # fmt: skip


def _local(value: Any) -> int | None:
    """Events say the time of the machine's own zone, without naming it; it is taken to be this machine's."""
    try:
        return time_ns(datetime.fromisoformat(value).astimezone().isoformat())
    except (TypeError, ValueError):
        return time_ns(value)


def _usage(said: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
    usage = {
        name: int(said[key])
        for key, name in (("tokens_input", "input"), ("tokens_output", "output"), ("tokens_total", "total"), ("tokens_used", "total"))
        if _is_number(said.get(key))
    }  # fmt: skip
    cost = {"total": float(said["cost_usd"])} if _is_number(said.get("cost_usd")) else {}
    return usage, cost


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# --- database ----------------------------------------------------------------------------------------------------------
#: Table: name of the run, columns that are params, metrics, and files (name of the artifact).
_TABLES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, str]]] = {
    "agent_runs": (
        "{agent_name}_run", ("framework",), ("accuracy", "cost_usd", "tokens_used", "latency_ms", "success_rate"),
        {"extra_data": "extra_data.json"},
    ),
    "optimization_runs": (
        "{agent_name}_{optimizer}", ("optimizer", "population_size", "generations", "iterations"),
        ("initial_score", "final_score", "improvement", "duration_seconds"),
        {"best_prompt": "best_prompt.txt", "evolution_history": "evolution_history.json"},
    ),
    "protocol_usage": (
        "{agent_name}_protocol", ("protocol_type", "server_uri"),
        ("tools_discovered", "tool_success_rate", "avg_latency_ms", "total_calls"), {"tools_used": "tools_used.json"},
    ),
    "cost_tracking": (
        "{agent_name}_cost", ("provider", "model"), ("tokens_input", "tokens_output", "tokens_total", "cost_usd"), {},
    ),
    "framework_comparisons": (
        "{agent_name}_comparison", ("best_framework",), ("best_accuracy",), {"frameworks_data": "frameworks.json"},
    ),
}  # fmt: skip


def _database(db: sqlite3.Connection, spool: Spool) -> None:
    for table in tables(db) & _TABLES.keys():
        for row in db.execute(f"SELECT * FROM {table} ORDER BY id"):
            _run(table, {key: row[key] for key in row.keys()}, spool)  # noqa: SIM118 - a sqlite3.Row


def _run(table: str, row: dict[str, Any], spool: Spool) -> None:
    title, params, metrics, files = _TABLES[table]
    agent = str(row["agent_name"])
    at = (time_ns(row["timestamp"]) or 0) // 1_000_000
    run_id = stable_id("superoptix", table, row["id"], agent, row["timestamp"])
    duration = float(row.get("latency_ms") or (row.get("duration_seconds") or 0) * 1_000)
    run = Run(
        run_id=run_id, experiment_id=spool.experiment(f"SuperOptiX-{agent}"), name=title.format(**row),
        status="FAILED" if row.get("status") in ("error", "failed") else "FINISHED", start_ms=at, end_ms=at + int(duration),
        params={"agent_name": agent} | {key: str(row[key]) for key in params if row.get(key) is not None},
        tags={"superoptix.table": table, "superoptix.id": str(row["id"])},
    )  # fmt: skip
    spool.put(RunRecord(run=run))
    numbers = {key: row[key] for key in metrics if _is_number(row.get(key))}
    if table == "framework_comparisons":
        numbers |= _compared(row.get("frameworks_data"))
    for key, value in numbers.items():
        spool.points(run_id, key, [(value, at, 0)])
    for column, name in files.items():
        if row.get(column):
            spool.file(ArtifactRecord(owner="run", owner_id=run_id, path=name), str(row[column]).encode())


def _compared(text_: Any) -> dict[str, float]:
    """``<framework>_<metric>``, as SuperOptiX reports them to MLflow."""
    try:
        found = parse(str(text_).encode())
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        f"{framework}_{metric}": float(value)
        for framework, values in found.items()  # pyright: ignore[reportUnknownVariableType]
        if isinstance(values, dict)
        for metric, value in values.items()  # pyright: ignore[reportUnknownVariableType]
        if _is_number(value)
    }
