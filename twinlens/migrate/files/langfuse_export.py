"""Langfuse's scheduled blob export (folders ``traces``, ``observations``, ``observations_v2`` and ``scores`` of JSON, JSON Lines, CSV
or Parquet files, gzip or not) and the exports of its pages. Field names are those of its export field reference
(langfuse.com/docs, "Blob storage export field reference"), snake case; the API's camel case is read too."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from twinlens.domain.errors import TwinlensError
from twinlens.domain.record import ScoreRecord
from twinlens.domain.trace import TracePatch
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import bare_name, files_of, parquet, parse, records, text, time_ns
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.langfuse_source import score_of, span_of

T = TypeVar("T")
_TABLES = ("traces", "observations_v2", "observations", "scores")
_SNAKE = re.compile(r"_([a-z0-9])")
#: Columns with another name than in the API.
_NAMES = {
    "providedModelName": "model", "modelName": "model", "providedUsageDetails": "usageDetails",
    "providedCostDetails": "costDetails", "longStringValue": "stringValue", "isPublic": "public",
}  # fmt: skip
_BATCH = 500


def read(root: Path, spool: Spool) -> None:
    """Everything below a folder, or one file."""
    found = False
    for path in files_of(root):
        if bare_name(path).endswith((".jsonl", ".ndjson", ".json", ".csv", ".parquet")):
            found = _file(path, spool) or found
    if not found:
        raise MigrationError(f"{root} holds no traces, observations or scores of Langfuse")


def read_remote(url: str, spool: Spool) -> None:
    """A bucket (``s3://bucket/prefix``, ``gs://``, ``az://``): fetched into a temporary folder first."""
    from twinlens.migrate.files.bucket import fetch

    with tempfile.TemporaryDirectory(prefix="twinlens-") as folder:
        fetch(url, Path(folder))
        read(Path(folder), spool)


def _rows(path: Path, spool: Spool) -> Iterator[dict[str, Any]]:
    return parquet(path) if bare_name(path).endswith(".parquet") else records(path, spool.note)


def _file(path: Path, spool: Spool) -> bool:
    table = next((name for name in _TABLES if name in (*path.parts, bare_name(path).split(".")[0])), None)
    if table is None and bare_name(path).endswith(".json") and "manifest" in bare_name(path):
        return False
    spans: list[Any] = []
    patches: dict[str, TracePatch] = {}
    for number, row in enumerate(_rows(path, spool), 1):
        said = {_camel(key): _value(key, value) for key, value in row.items() if value is not None}
        kind = table or _table_of(said)
        try:
            match kind:
                case "traces":
                    patch = _trace(said)
                    patches[patch.trace_id] = _checked(patch)
                case "scores":
                    said.setdefault("dataType", "CATEGORICAL" if said.get("stringValue") else "NUMERIC")
                    if isinstance(said.get("value"), str):
                        said["value"] = float(said["value"])  # CSV
                    spool.put(ScoreRecord(score=_checked(score_of(said))))
                case "observations" | "observations_v2":
                    spans.append(_checked(span_of(said, str(said["traceId"]))))
                    context = _context(said)
                    if context is not None:
                        patches.setdefault(context.trace_id, context)
                case _:
                    raise MigrationError("neither a trace, an observation nor a score")
        except (KeyError, TypeError, ValueError, AttributeError, TwinlensError) as error:
            missing = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise MigrationError(f"{path}, record {number}: {missing}") from error
        if len(spans) + len(patches) >= _BATCH:
            spool.spans(spans)
            spool.patches(patches.values())
            spans, patches = [], {}
    spool.spans(spans)
    spool.patches(patches.values())
    return True


def _checked(thing: T) -> T:
    """The same with all values of their types; CSV has numbers as text."""
    return msgspec.convert(msgspec.to_builtins(thing), type(thing), strict=False)


def _table_of(said: dict[str, Any]) -> str | None:
    if "traceId" in said and "startTime" in said:
        return "observations"
    if "dataType" in said or ("value" in said and "name" in said):
        return "scores"
    return "traces" if "timestamp" in said and "id" in said else None


def _camel(key: str) -> str:
    camel = _SNAKE.sub(lambda match: match[1].upper(), key)
    return _NAMES.get(camel, camel)


def _value(key: str, value: Any) -> Any:
    """Columns that hold JSON may come as its text."""
    if isinstance(value, str) and key in (
        "input", "output", "metadata", "usage_details", "cost_details", "usageDetails", "costDetails", "model_parameters",
        "modelParameters", "tags", "provided_usage_details", "provided_cost_details",
    ):  # fmt: skip
        try:
            return parse(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return value
    return value


def _trace(said: dict[str, Any]) -> TracePatch:
    at = time_ns(said["timestamp"])
    metadata = said.get("metadata")
    return TracePatch(
        trace_id=str(said["id"]), name=said.get("name"), start_ns=at, user_id=said.get("userId"),
        session_id=said.get("sessionId"), input=text(said.get("input")), output=text(said.get("output")),
        release=said.get("release"), version=said.get("version"), environment=said.get("environment"),
        public=_flag(said.get("public")), bookmarked=_flag(said.get("bookmarked")), tags=said.get("tags") or None,
        metadata=metadata if isinstance(metadata, dict) else {"metadata": metadata} if metadata else None,
        authority="client", said_ns=1,
    )  # fmt: skip


def _context(said: dict[str, Any]) -> TracePatch | None:
    """What an enriched observation says about its trace."""
    values: dict[str, Any] = {
        "name": said.get("traceName"), "user_id": said.get("userId"), "session_id": said.get("sessionId"),
        "release": said.get("release"), "tags": said.get("tags") or said.get("traceTags") or None, "public": _flag(said.get("public")),
    }  # fmt: skip
    if not any(value for value in values.values()):
        return None
    return TracePatch(trace_id=str(said["traceId"]), authority="client", said_ns=1, **values)


def _flag(value: Any) -> bool | None:
    return None if value is None else value is True or str(value).lower() in ("true", "1")
