"""Which tool wrote a file or folder."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import bare_name, files_of, lines, opened, sqlite_file, tables, whole
from twinlens.migrate.files.source import FileSource, Reader

#: Name of a format as in ``NAME+PATH``, and what it is in words.
FORMATS: dict[str, str] = {
    "otlp": "OTLP (a collector's files, or Twinlens' jsonl backend)",
    "langfuse-export": "Langfuse's blob export",
    "superoptix": "SuperOptiX traces (JSONL or SQLite)",
    "phoenix": "Phoenix spans (JSONL or Parquet), or phoenix+http://host:6006",
    "tensorboard": "TensorBoard event files",
    "wandb": "W&B offline runs",
    "trackio": "Trackio's folder",
}
_MODULES = {name: name.replace("-", "_") for name in FORMATS}
_LOOK = 2_000  #: files looked at in a folder before giving up


def open_files(system: str, place: str) -> FileSource:
    """A source over a path, or over ``s3://…`` (Langfuse's export) or ``http://…`` (Phoenix).

    Raises:
        MigrationError: there is nothing.
    """
    reader: Any = importlib.import_module(f"twinlens.migrate.files.{_MODULES[system]}")
    if "://" in place:
        return FileSource(partial(reader.read_remote, place))
    path = Path(place).expanduser()
    if not path.exists():
        raise MigrationError(f"{place}: there is no such file or folder")
    fill: Reader = partial(reader.read, path)
    return FileSource(fill)


def detect(path: Path) -> str:
    """The format of a file or folder.

    Raises:
        MigrationError: nothing is there, nothing is recognised, or several formats are.
    """
    if not path.exists():
        raise MigrationError(f"{path}: there is no such file or folder")
    found: dict[str, Path] = {}
    for file in islice(files_of(path), _LOOK):
        name = _format_of(file)
        if name is not None:
            found.setdefault(name, file)
    if len(found) == 1:
        return next(iter(found))
    known = ", ".join(f"{name}+{path}" for name in found or FORMATS)
    if not found:
        raise MigrationError(f"{path}: it is not clear what this is. Say so by a name in front, one of: {known}")
    raise MigrationError(f"{path} holds files of several tools. Say which to carry by a name in front, one of: {known}")


def _format_of(file: Path) -> str | None:
    name = bare_name(file)
    if ".tfevents." in name:
        return "tensorboard"
    if name.endswith(".wandb"):
        return "wandb"
    if name.endswith((".db", ".sqlite", ".sqlite3")):
        return _of_database(file)
    if name.endswith(".parquet"):
        return "phoenix"
    if name.endswith((".pb", ".binpb", ".otlp")):
        return "otlp"
    if name.endswith((".jsonl", ".ndjson", ".json", ".csv")):
        return _quietly(_of_first_object, file)
    return None


def _quietly(look: Callable[[Path], str | None], file: Path) -> str | None:
    try:
        return look(file)
    except MigrationError:
        return None


def _of_database(file: Path) -> str | None:
    try:
        with sqlite_file(file) as db:
            there = tables(db)
    except MigrationError:
        return None
    if {"metrics", "configs"} <= there and "experiments" not in there:
        return "trackio"
    return "superoptix" if {"agent_runs", "cost_tracking"} <= there else None


def _of_first_object(file: Path) -> str | None:
    name = bare_name(file)
    if name.endswith(".csv"):
        with opened(file) as raw:
            head = raw.readline(1 << 16).decode("utf-8", "replace")
        keys = set(next(csv.reader([head]), []))
    else:
        value: Any = None
        try:
            value = next(iter(lines(file, lambda _: None)))[1]
        except (MigrationError, StopIteration):
            if name.endswith(".json") and file.stat().st_size < 64 << 20:
                value = whole(file)
        if isinstance(value, dict) and isinstance(value.get("data"), list):  # pyright: ignore[reportUnknownMemberType]
            value = value["data"]  # pyright: ignore[reportUnknownVariableType] - a page of an API
        if isinstance(value, list):
            value = value[0] if value else None  # pyright: ignore[reportUnknownVariableType]
        keys = set(value) if isinstance(value, dict) else set[str]()  # pyright: ignore[reportUnknownArgumentType]
    if keys & {"resourceSpans", "resource_spans", "resourceLogs", "resource_logs", "resourceMetrics"}:
        return "otlp"
    if {"type", "trace_id"} <= keys and ("start_time_unix_nano" in keys or "score_id" in keys):
        return "otlp"
    if {"event_id", "event_type", "component"} <= keys or {"agent_id", "traces"} <= keys:
        return "superoptix"
    if {"context", "span_kind"} <= keys or "context.span_id" in keys:
        return "phoenix"
    if _langfuse(keys):
        return "langfuse-export"
    return None


def _langfuse(keys: set[str]) -> bool:
    """A row of a trace, an observation or a score, in the export's snake case or the API's camel case."""
    return bool(
        {"id", "trace_id", "start_time", "type"} <= keys
        or {"id", "traceId", "startTime", "type"} <= keys
        or ({"id", "timestamp", "name"} <= keys and keys & {"project_id", "projectId", "session_id", "sessionId", "data_type", "dataType"})
    )  # fmt: skip
