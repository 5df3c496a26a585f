"""Trackio's folder: one SQLite file per project and the media beside them.

A project is an experiment. Config becomes params, numbers become metrics, media artifacts; what is neither is kept in
``trackio-log.jsonl``. Logged traces become traces that are linked to their run.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

from twinlens.domain.record import ArtifactRecord, RunRecord
from twinlens.domain.run import Run
from twinlens.domain.trace import Scope, Span, TracePatch
from twinlens.ingest.usage import from_mapping
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import (
    bare_name,
    files_of,
    is_inside,
    parse,
    sqlite_file,
    stable_id,
    tables,
    text,
    time_ns,
)
from twinlens.migrate.files.runs import json_lines, key, number, params
from twinlens.migrate.files.spool import Spool


def read(root: Path, spool: Spool) -> None:
    """All projects of a folder, or one project's file."""
    for path in files_of(root):
        if bare_name(path).endswith(".db"):
            with sqlite_file(path) as db:
                if "metrics" in tables(db):
                    _project(db, path, spool)


class _Run:
    def __init__(self, run_id: str, name: str) -> None:
        self.id, self.name = run_id, name
        self.config: dict[str, Any] = {}
        self.first: int | None = None
        self.last = 0
        self.other: list[dict[str, Any]] = []
        self.files: dict[str, Path] = {}

    def at(self, ns: int | None) -> int:
        """Note a time; in milliseconds."""
        ms = (ns or 0) // 1_000_000
        if ms:
            self.first, self.last = min(self.first or ms, ms), max(self.last, ms)
        return ms


def _project(db: sqlite3.Connection, path: Path, spool: Spool) -> None:
    project, there = path.stem, tables(db)
    media = path.parent / "media"
    runs: dict[str, _Run] = {}
    for row in _rows(db, "configs", there):
        run = _run(runs, project, row)
        run.config = _object(row["config"])
        run.at(time_ns(run.config.get("_Created")) or time_ns(row["created_at"]))
    for row in _rows(db, "metrics", there):
        _metrics(_run(runs, project, row), row, media, spool)
    for row in _rows(db, "system_metrics", there):
        run = _run(runs, project, row)
        at = run.at(time_ns(row["timestamp"]))
        for name, value in _object(row["metrics"]).items():
            found = number(value)
            if found is not None:
                spool.points(run.id, "system/" + key(name), [(found, at, max(0, at - (run.first or at)) // 1_000)])
    experiment = spool.experiment(project, created_ms=min((run.first or 0 for run in runs.values()), default=0))
    for row in _rows(db, "traces", there):
        _trace(_run(runs, project, row), row, experiment, spool)
    if any(True for _ in _rows(db, "artifacts", there)):
        spool.note(f"{path}: versioned artifacts of Trackio's registry are not carried")
    for run in runs.values():
        _keep(run, experiment, spool)


def _rows(db: sqlite3.Connection, table: str, there: set[str]) -> Any:
    return db.execute(f"SELECT * FROM {table} ORDER BY rowid") if table in there else ()


def _run(runs: dict[str, _Run], project: str, row: sqlite3.Row) -> _Run:
    name = str(row["run_name"])
    given = row["run_id"] if "run_id" in row.keys() else None  # noqa: SIM118 - a sqlite3.Row; older versions know names only
    run_id = str(given) if given and str(given) != name else stable_id("trackio", project, name)
    return runs.setdefault(run_id, _Run(run_id, name))


def _json(cell: Any) -> Any:
    """A JSON cell: bytes, or text in older versions."""
    try:
        return parse(cell if isinstance(cell, bytes) else str(cell).encode())
    except ValueError as error:
        raise MigrationError(f"a row of Trackio is not JSON: {error}") from error


def _object(cell: Any) -> dict[str, Any]:
    found: Any = _json(cell)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _metrics(run: _Run, row: sqlite3.Row, media: Path, spool: Spool) -> None:
    at, step = run.at(time_ns(row["timestamp"])), int(row["step"])
    other: dict[str, Any] = {}
    for name, value in _object(row["metrics"]).items():
        found = number(value)
        if found is not None:
            spool.points(run.id, key(name), [(found, at, step)])
            continue
        if value is not None:
            other[name] = value
        file = value.get("file_path") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if isinstance(file, str):
            place = media / file
            if is_inside(place, media) and place.is_file():
                run.files[f"media/{key(name)}/{step}/{place.name}"] = place
            else:
                spool.note(f"media file {file} is not in Trackio's folder and was left out")
    if other:
        run.other.append({"step": step, "timestamp": row["timestamp"], **other})


def _trace(run: _Run, row: sqlite3.Row, experiment: str, spool: Spool) -> None:
    start = time_ns(row["timestamp"]) or 0
    run.at(start)
    messages: Any = _json(row["messages"])
    metadata = _object(row["metadata"])
    trace_id = stable_id("trackio", run.id, row["id"])
    said: list[Any] = cast("list[Any]", messages) if isinstance(messages, list) else [messages]
    answered = bool(said) and isinstance(said[-1], dict) and cast("dict[str, Any]", said[-1]).get("role") == "assistant"
    root = Span(
        trace_id=trace_id, span_id=trace_id[:16], name=str(row["key"]), kind="chain", start_ns=start, end_ns=start, status="ok",
        input=text(said[:-1] if answered else said), output=text(said[-1]) if answered else None, metadata=metadata,
        scope=Scope(name="trackio"),
    )  # fmt: skip
    spool.spans([root, *(_span(trace_id, start, one) for one in _spans(row))])
    spool.patches([
        TracePatch(trace_id=trace_id, experiment_id=experiment, run_ids=[run.id], authority="client", said_ns=1)
    ])  # fmt: skip


def _spans(row: sqlite3.Row) -> list[dict[str, Any]]:
    """Of newer versions only."""
    found: Any = _json(row["spans"]) if "spans" in row.keys() else []  # noqa: SIM118 - a sqlite3.Row
    return [cast("dict[str, Any]", one) for one in cast("list[Any]", found) if isinstance(one, dict)]


def _span(trace_id: str, at: int, said: dict[str, Any]) -> Span:
    start = time_ns(said.get("start_time")) or at
    duration = float(said.get("duration_ms") or 0)
    parent = said.get("parent_id")
    usage = from_mapping(said.get("usage") or {})
    cost = {"total": float(said["cost_usd"])} if isinstance(said.get("cost_usd"), int | float) else {}
    failed = bool(said.get("error")) or said.get("status") in ("error", "failed")
    return Span(
        trace_id=trace_id, span_id=stable_id(trace_id, said.get("id"), digits=16),
        parent_id=stable_id(trace_id, parent, digits=16) if parent else trace_id[:16], name=str(said.get("name") or "span"),
        kind=str(said.get("kind") or "span"), start_ns=start, end_ns=time_ns(said.get("end_time")) or start + int(duration * 1e6),
        status="error" if failed else "ok", status_message=str(said.get("error") or ""), level="ERROR" if failed else "DEFAULT",
        input=text(said.get("input")), output=text(said.get("output")), model=said.get("model"),
        metadata=said.get("metadata") or {}, usage=usage, usage_source="client" if usage else "none", cost=cost,
        cost_source="client" if cost else "none", scope=Scope(name="trackio"),
    )  # fmt: skip


def _keep(run: _Run, experiment: str, spool: Spool) -> None:
    tags = {
        f"trackio.{name.strip('_').lower()}": str(value)
        for name, value in run.config.items()
        if name in ("_Username", "_Group") and value
    }
    made = Run(
        run_id=run.id, experiment_id=experiment, name=run.name, status="FINISHED", start_ms=run.first, end_ms=run.last or None,
        params=params(run.config), tags=tags | {"trackio.run": run.name},
    )  # fmt: skip
    spool.put(RunRecord(run=made))
    contents: dict[str, bytes | Path] = dict(run.files)
    if run.other:
        contents["trackio-log.jsonl"] = json_lines(run.other)
    for path, content in contents.items():
        spool.file(ArtifactRecord(owner="run", owner_id=run.id, path=path), content)
