"""Traces as plain files that any tool reads: OTLP JSON lines, or CSV with a row per trace.

What OTLP has no place for (Langfuse's free ids, where tokens and cost come from, what a client said about a trace) travels in two attributes
that other receivers keep or ignore, and comes back through ``restored``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.ids import hex_id
from twinlens.domain.record import CARRIED, AnyRecord, SpansRecord, TraceRecord, point_value
from twinlens.domain.trace import Span, TracePatch, TraceSummary
from twinlens.features.record_writer import patch_of
from twinlens.migrate.system import Source

_COLUMNS = (
    "trace_id", "experiment_id", "name", "start", "end", "latency_ms", "status", "user_id", "session_id", "environment",
    "release", "version", "tags", "models", "spans", "errors", "total_tokens", "total_cost_usd", "input", "output", "metadata",
)  # fmt: skip


SPAN, TRACE = f"{CARRIED}span", f"{CARRIED}trace"
#: Fields of a span that its OTLP form says, so that they are not carried apart.
_IN_OTLP = frozenset({
    "input", "output", "attributes", "events", "resource", "scope", "created_ns", "updated_ns", "input_preview", "output_preview",
})  # fmt: skip


def records(sources: Iterable[Source]) -> Iterator[AnyRecord]:
    """All trace records of some sources."""
    for source in sources:
        for page in source.read("trace"):
            yield from page.records


def write_otlp(path: Path, sources: Sequence[Source]) -> int:
    """One ``ExportTraceServiceRequest`` per trace (or part of a long one) and line; number of traces. Those without spans have no
    OTLP and are left out."""
    count = 0
    with path.open("x", encoding="utf-8") as out:
        for record in records(sources):
            if isinstance(record, TraceRecord | SpansRecord) and record.spans:
                trace = record.trace if isinstance(record, TraceRecord) else None
                count += trace is not None
                out.write(msgspec.json.encode(otlp(record.spans, trace)).decode() + "\n")
    return count


def otlp(spans: Sequence[Span], trace: TraceSummary | None = None) -> dict[str, Any]:
    """OTLP JSON of some spans with their raw attributes; what those do not say is added (see the module's text)."""
    said = {spans[0].span_id: trace} if trace is not None else {}
    groups: list[dict[str, Any]] = []

    def origin(span: Span) -> str:
        return msgspec.json.encode([span.resource, span.scope], order="sorted").decode()

    for _, group in groupby(spans, origin):
        members = list(group)
        first = members[0]
        scope = {
            "name": first.scope.name,
            "version": first.scope.version,
            "attributes": attributes(first.scope.attributes),
        }
        groups.append({
            "resource": {"attributes": attributes(first.resource)},
            "scopeSpans": [{"scope": scope, "spans": [_span(span, said.get(span.span_id)) for span in members]}],
        })  # fmt: skip
    return {"resourceSpans": groups}


def _span(span: Span, trace: TraceSummary | None) -> dict[str, Any]:
    said = dict(span.attributes)
    for key, value in canonical(span).items():
        said.setdefault(key, value)
    added = [key for key in said if key not in span.attributes]
    own = {name: value for name, value in msgspec.to_builtins(span).items() if name not in _IN_OTLP}
    said[SPAN] = msgspec.json.encode({"added": added, "span": own}).decode()
    if trace is not None:
        patch = msgspec.structs.replace(patch_of(trace), experiment_id=None)  # its number means nothing elsewhere
        said[TRACE] = msgspec.json.encode(patch).decode()
    return {
        "traceId": hex_id(span.trace_id, 32), "spanId": hex_id(span.span_id, 16),
        "parentSpanId": hex_id(span.parent_id, 16) if span.parent_id else "", "name": span.name, "kind": span.otel_kind,
        "startTimeUnixNano": str(span.start_ns), "endTimeUnixNano": str(span.end_ns or 0), "traceState": span.trace_state,
        "attributes": attributes(said),
        "status": {"code": {"ok": 1, "error": 2}.get(span.status, 0), "message": span.status_message},
        "events": [
            {"name": e.name, "timeUnixNano": str(e.time_ns), "attributes": attributes(e.attributes)} for e in span.events
        ],
        "links": [
            {"traceId": hex_id(k.trace_id, 32), "spanId": hex_id(k.span_id, 16), "attributes": attributes(k.attributes)}
            for k in span.links
        ],
    }  # fmt: skip


def restored(span: Span) -> tuple[Span, TracePatch | None]:
    """A span as it was exported, and what was said about its trace. Spans of others come back as they are.

    Raises:
        ValueError: the attributes were tampered with.
    """
    own, said = span.attributes.pop(SPAN, None), span.attributes.pop(TRACE, None)
    if not isinstance(own, str):
        return span, None
    carried: dict[str, Any] = msgspec.json.decode(own, type=dict[str, Any])
    for key in carried.get("added", ()):
        span.attributes.pop(key, None)
    now = msgspec.to_builtins(span)
    kept = {name: now[name] for name in _IN_OTLP if name in now}
    back = msgspec.convert(kept | carried.get("span", {}), Span)
    patch = msgspec.json.decode(said, type=TracePatch) if isinstance(said, str) else None
    return back, patch


def canonical(span: Span) -> dict[str, Any]:
    """What Twinlens knows of a span as attributes of Langfuse's dialect, which has a place for all of it."""
    found: dict[str, Any] = {"langfuse.observation.type": span.kind}
    if span.input is not None:
        found["langfuse.observation.input"] = span.input
    if span.output is not None:
        found["langfuse.observation.output"] = span.output
    if span.model:
        found["langfuse.observation.model.name"] = span.model
    if span.usage:
        found["langfuse.observation.usage_details"] = msgspec.json.encode(span.usage).decode()
    if span.cost:
        found["langfuse.observation.cost_details"] = msgspec.json.encode(span.cost).decode()
    if span.user_id:
        found["user.id"] = span.user_id
    if span.session_id:
        found["session.id"] = span.session_id
    return found


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """A dict as OTLP JSON's list of typed values."""
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int() if -(1 << 63) <= value < 1 << 63:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": point_value(value)}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": attributes(value)}}
        case _:
            return {"stringValue": msgspec.json.encode(value).decode()} if value is not None else {}


def write_csv(path: Path, sources: Sequence[Source]) -> int:
    """One row per trace; number of rows. Cells that a spreadsheet would run as formulas get an apostrophe in front."""
    count = 0
    with path.open("x", encoding="utf-8", newline="") as out:
        table = _table(out)
        for record in records(sources):
            if isinstance(record, TraceRecord):
                table.writerow([_cell(value) for value in _row(record)])
                count += 1
    return count


def _table(out: TextIO) -> Any:
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    return table


def _row(record: TraceRecord) -> list[Any]:
    t = record.trace
    latency = t.latency_ns
    return [
        t.trace_id, t.experiment_id, t.name, iso_ms(t.start_ns), None if t.end_ns is None else iso_ms(t.end_ns),
        None if latency is None else latency / 1e6, t.status, t.user_id, t.session_id, t.environment, t.release, t.version,
        ", ".join(t.tags), ", ".join(t.models), t.span_count, t.error_count, t.total_tokens, t.total_cost, t.input, t.output,
        msgspec.json.encode(t.metadata).decode(),
    ]  # fmt: skip


def _cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
