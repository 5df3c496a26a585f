"""OTLP in files: the collector's file exporter and any exporter that writes requests (JSON, one per line or one per file, or
protobuf), our own ``jsonl`` backend, and OTLP JSON that Twinlens exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.errors import TwinlensError
from twinlens.domain.otlp import RawSpan
from twinlens.domain.record import ScoreRecord
from twinlens.domain.score import Score
from twinlens.domain.trace import Scope, SpanEvent, TracePatch
from twinlens.ingest import logs as genai_logs
from twinlens.ingest import otlp as otlp_protobuf
from twinlens.ingest.logs import apply_logs
from twinlens.ingest.normalise import normalise
from twinlens.ingest.otlp import Limits
from twinlens.ingest.otlp_json import decode_logs, decode_spans
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.files.reading import MAX_RECORD, an_object, bare_name, files_of, lines, opened, whole
from twinlens.migrate.files.spool import Spool
from twinlens.migrate.plain import SPAN, restored

ENDINGS = (".jsonl", ".ndjson", ".json", ".pb", ".binpb", ".otlp")
#: More than a server accepts over the network: the file is there already.
_LIMITS = Limits(nesting=100, attributes=20_000)
_STATUS = {"UNSET": "unset", "OK": "ok", "ERROR": "error"}


def read(root: Path, spool: Spool) -> None:
    """Everything in the files below a folder, or in one file."""
    logs: dict[tuple[str, str], list[Any]] = {}
    for path in files_of(root):
        name = bare_name(path)
        if name.endswith((".pb", ".binpb", ".otlp")):
            _protobuf(path, spool)
        elif name.endswith(ENDINGS):
            for where, value in _values(path, spool):
                take(an_object(value, where), where, spool, logs)
    _join(spool, logs)


def _values(path: Path, spool: Spool) -> Iterator[tuple[str, Any]]:
    if bare_name(path).endswith(".json"):
        found = whole(path) if not _is_lines(path) else None
        if found is not None:
            for item in found if isinstance(found, list) else [found]:  # pyright: ignore[reportUnknownVariableType]
                yield str(path), item
            return
    for number, value in lines(path, spool.note):
        yield f"{path}, line {number}", value


def _is_lines(path: Path) -> bool:
    """Whether a ``.json`` holds one value per line, as the collector's file exporter writes it."""
    with opened(path) as file:
        first = file.readline(MAX_RECORD)
        try:
            msgspec.json.decode(first)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return bool(file.read(1))


def take(value: dict[str, Any], where: str, spool: Spool, logs: dict[tuple[str, str], list[Any]]) -> None:
    """One object: a request for traces or logs, or a line of our ``jsonl`` backend.

    Raises:
        MigrationError: it is none of these.
    """
    try:
        if "resourceSpans" in value or "resource_spans" in value:
            keep(decode_spans(msgspec.json.encode(value), _LIMITS), spool)
        elif "resourceLogs" in value or "resource_logs" in value:
            records = decode_logs(msgspec.json.encode(value))
            spool.put(*(ScoreRecord(score=score) for score in genai_logs.evaluation_scores(records)))
            for record in records:
                if record.trace_id and record.span_id and record.event_name != genai_logs.EVALUATION:
                    logs.setdefault((record.trace_id, record.span_id), []).append(record)
        elif value.get("type") == "span":
            keep([_own_span(value)], spool)
        elif value.get("type") == "score":
            spool.put(ScoreRecord(score=_own_score(value)))
        elif "resourceMetrics" in value or "resource_metrics" in value:
            spool.note("OTLP metrics are not carried")
        else:
            raise MigrationError(f"{where}: neither OTLP nor a line of Twinlens' jsonl backend")
    except (TwinlensError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, MigrationError):
            raise
        raise MigrationError(f"{where}: {error}") from error


def keep(raw: list[RawSpan], spool: Spool) -> None:
    """Put decoded spans and what they say about their traces into the spool."""
    spans, patches = normalise(raw)
    ours: set[str] = set()
    said: list[TracePatch] = []
    for index, span in enumerate(spans):
        if SPAN in span.attributes:  # from ``twinlens export``
            ours.add(span.trace_id)
            spans[index], patch = restored(span)
            said += [patch] if patch else []
    patches = [patch for patch in patches if patch.trace_id not in ours] + said
    spool.spans(spans)
    spool.patches(patches)


def _join(spool: Spool, logs: dict[tuple[str, str], list[Any]]) -> None:
    """Message content from log records to its spans."""
    for (trace_id, span_id), records in logs.items():
        span = spool.span(trace_id, span_id)
        if span is None:
            spool.note("message content of spans that are not in the files was left out")
        else:
            spool.spans([apply_logs(span, records)])


def _own_span(said: dict[str, Any]) -> RawSpan:
    return RawSpan(
        trace_id=said["trace_id"], span_id=said["span_id"], parent_id=said.get("parent_span_id") or None,
        name=said.get("name") or "", otel_kind=int(said.get("kind") or 0), start_ns=int(said["start_time_unix_nano"]),
        end_ns=int(said.get("end_time_unix_nano") or 0) or None, attributes=said.get("attributes") or {},
        events=[
            SpanEvent(name=e["name"], time_ns=int(e["time_unix_nano"]), attributes=e.get("attributes") or {})
            for e in said.get("events") or ()
        ],
        links=[], status=_STATUS.get(str(said.get("status")), "unset"), status_message=said.get("status_message") or "",
        trace_state="", resource=said.get("resource") or {}, scope=msgspec.convert(said.get("scope") or {"name": ""}, Scope),
    )  # fmt: skip


def _own_score(said: dict[str, Any]) -> Score:
    kind = str(said.get("data_type") or "NUMERIC")
    value = said.get("value")
    number = float(value) if isinstance(value, int | float) else None
    at = int(said.get("timestamp_ns") or 0)
    return Score(
        score_id=said["score_id"], name=said["name"], data_type=kind, trace_id=said.get("trace_id"),
        span_id=said.get("span_id"), value=number,
        string_value=str(value) if kind in ("BOOLEAN", "CATEGORICAL", "TEXT") else None,
        source={"HUMAN": "human", "CODE": "code"}.get(str(said.get("source")), "api"), source_id=said.get("author"),
        comment=said.get("comment"), metadata=said.get("metadata") or {}, timestamp_ns=at, created_ns=at, updated_ns=at,
    )  # fmt: skip


def _protobuf(path: Path, spool: Spool) -> None:
    """One request, or several with their lengths before them (the collector's ``proto`` format: 4 bytes, big-endian)."""
    with opened(path) as file:
        body = file.read(MAX_RECORD + 1)
        if len(body) > MAX_RECORD:
            raise MigrationError(f"{path} is longer than {MAX_RECORD >> 20} MiB; use the collector's JSON format")
    parts: list[bytes] = []
    at = 0
    while at + 4 <= len(body) and 0 < (size := int.from_bytes(body[at : at + 4], "big")) <= len(body) - at - 4:
        parts.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    for part in parts if at == len(body) else [body]:
        try:
            keep(otlp_protobuf.decode_spans(part), spool)
        except TwinlensError as error:
            raise MigrationError(f"{path} is not OTLP protobuf: {error}") from error
