"""What must be the same on both sides of a migration, per record: the basis of checksums.

``exact`` compares all there is (Twinlens and its archives). Otherwise only what every system can give back is compared:
times in whole milliseconds, values as JSON, numbers, texts, links; not what a system derives by itself (costs it computed,
previews, its own ids of versions, times of the last change).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from twinlens.domain.counting import total_tokens
from twinlens.domain.record import (
    CARRIED,
    PROGRESS,
    AnyRecord,
    ArtifactRecord,
    CommentRecord,
    DatasetItemRecord,
    DatasetRecord,
    DatasetRunItemRecord,
    DatasetRunRecord,
    ExperimentRecord,
    LoggedModelRecord,
    MediaRecord,
    MetricsRecord,
    PriceRecord,
    PromptRecord,
    RegisteredModelRecord,
    RowRecord,
    RunRecord,
    ScoreConfigRecord,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.domain.trace import Span

_MS = 1_000_000
#: Tags that servers set by themselves, from resources of spans or for their own use.
_DERIVED = (CARRIED, "mlflow.", "service.", "telemetry.", "host.", "process.", "os.", "deployment.")

#: Tags that a server sets on things because of other things.
_SERVERS = frozenset({"mlflow.modelVersions", "_mlflow_experiment_ids"})


class Sum(msgspec.Struct, frozen=True):
    """One thing to compare: its kind and key, a checksum of its content, and what it adds to the totals."""

    kind: str
    key: str
    digest: int
    tokens: int = 0
    cost: float = 0.0
    bytes: int = 0


def sums(record: AnyRecord, *, exact: bool) -> Iterator[Sum]:
    """The comparable things in a record. Spans and points are things of their own; equal keys are added up."""
    match record:
        case TraceRecord():
            yield Sum("trace", record.key, _digest(_trace(record, exact)))
            for span in record.spans:
                yield _span(span, exact)
        case SpansRecord():
            for span in record.spans:
                yield _span(span, exact)
        case MetricsRecord():
            for p in record.points:
                value = p.number
                said = ["NaN" if math.isnan(value) else value, p.timestamp_ms, p.step]
                yield Sum("metric", f"{record.run_id}/{record.name}", _digest(repr(said)))
        case ArtifactRecord():
            yield Sum("artifact", record.key, _digest(record.sha256), bytes=record.size)
        case DatasetItemRecord() if record.valid_to_ns is not None and not exact:
            return  # not every system tells of the past states of an item
        case RowRecord():
            said = {k: v for k, v in record.values.items() if k not in PROGRESS.get(record.table, ())}
            if record.table == "evaluation_rules":
                said["body"] = {k: v for k, v in _json(said.get("body") or "{}").items() if k != "experiment_id"}
            if "experiment_id" in said:  # an experiment may have another number here
                del said["experiment_id"]
                yield Sum("row", f"{record.table}/{_digest(said)}", _digest(said))
            else:
                yield Sum("row", record.key, _digest(said))
        case _:
            kind: str = str(record.__struct_config__.tag)
            yield Sum(kind, key_of(record), _digest(_plain(record, exact)))


def key_of(record: AnyRecord) -> str:
    """What identifies a thing in every system: by name where ids or times are the system's own."""
    match record:
        case ExperimentRecord(experiment=e):
            return e.name
        case PriceRecord(price=p):
            return f"{p.model_name} {p.match_pattern} {(p.start_ns or 0) // _MS}"
        case ScoreConfigRecord(config=c):
            return c.name
        case DatasetRecord(dataset=d):
            return d.name
        case DatasetItemRecord(item=i) if record.valid_to_ns is None:
            return i.item_id
        case DatasetRunRecord(run=r):
            return f"{r.dataset_name}/{r.name}"
        case DatasetRunItemRecord(item=i):
            return f"{i.run_name}/{i.item_id}/{i.trace_id}"
        case CommentRecord(comment=c):
            return f"{c.object_type} {c.object_id} {_digest(c.content)}"
        case _:
            return record.key


def _digest(content: Any) -> int:
    """63 bits, so that sums fit into SQLite's integers after ``& MASK``."""
    text = content.encode() if isinstance(content, str) else msgspec.json.encode(content, order="deterministic")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def _span(span: Span, exact: bool) -> Sum:
    tokens = total_tokens(span.usage) if span.usage else 0
    cost = round(span.total_cost, 9)
    if exact:
        said: Any = msgspec.structs.replace(span, created_ns=0, updated_ns=0, input_preview=None, output_preview=None)
    else:
        cost = cost if span.cost_source == "client" else 0.0
        tokens = tokens if span.usage_source == "client" else 0
        said = [
            span.trace_id, span.span_id, span.parent_id, span.name, span.start_ns // _MS,
            None if span.end_ns is None else span.end_ns // _MS, span.status == "error", _json(span.input),
            _json(span.output), span.model, tokens,
        ]  # fmt: skip
    return Sum("span", span.trace_id, _digest(said), tokens, cost)


def _trace(record: TraceRecord, exact: bool) -> Any:
    trace = record.trace
    if exact:
        # an experiment may have another number here
        return msgspec.structs.replace(trace, created_ns=0, updated_ns=0, experiment_id="")
    return [
        trace.trace_id, trace.user_id, trace.session_id, sorted(trace.tags), sorted(trace.run_ids),
        {k: v for k, v in sorted(trace.tag_values.items()) if not k.startswith(_DERIVED)},
    ]  # fmt: skip


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _own(tags: dict[str, Any] | None) -> dict[str, Any]:
    """Without what a migration has added."""
    return {k: v for k, v in sorted((tags or {}).items()) if not k.startswith(CARRIED) and k not in _SERVERS}


def _plain(record: AnyRecord, exact: bool) -> Any:
    match record:
        case ExperimentRecord(experiment=e):
            return [e.name, e.lifecycle, _own(e.tags)]
        case RunRecord(run=r):
            inputs = sorted(
                msgspec.json.encode([i.dataset, sorted(i.tags.items())]).decode() for i in r.dataset_inputs
            )  # fmt: skip
            return [
                r.run_id, r.name, r.status, r.lifecycle, r.start_ms, r.end_ms, r.params, _own(r.tags), inputs,
                sorted(r.model_inputs), sorted(m.model_id for m in r.model_outputs),
            ]  # fmt: skip
        case LoggedModelRecord(model=m):
            return [m.model_id, m.name, m.model_type, m.source_run_id, m.status, m.params, _own(m.tags)]
        case RegisteredModelRecord(model=m):
            versions = [[v.version, v.description, v.stage, v.run_id, _own(v.tags)] for v in record.versions]
            return [m.name, m.description, _own(m.tags), m.aliases, versions]
        case PromptRecord(prompt=p):
            versions = [
                [v.version, v.template, v.config or {}, v.commit_message or "", _own(v.version_tags)]
                for v in record.versions
            ]
            labels = {k: v for k, v in p.labels.items() if k != "latest"}
            return [p.name, p.type, sorted(p.tags), labels, p.description, _own(p.properties), versions]
        case DatasetRecord(dataset=d):
            return [d.name, d.description or "", d.metadata or None, d.input_schema, d.expected_output_schema]
        case DatasetItemRecord(item=i):
            return [i.item_id, i.dataset_name, i.input, i.expected_output, i.metadata, i.status, i.source_trace_id]
        case DatasetRunRecord(run=r):
            return [r.dataset_name, r.name, r.description, r.metadata]
        case DatasetRunItemRecord(item=i):
            return [i.run_name, i.item_id, i.trace_id, i.observation_id]
        case ScoreRecord(score=s):
            if exact:
                return msgspec.structs.replace(s, created_ns=0, updated_ns=0)
            return [
                s.name, s.trace_id, s.span_id, s.session_id, bool(s.dataset_run_id), s.value, s.string_value, _json(s.json_value),
                s.comment, s.timestamp_ns // _MS,
            ]  # fmt: skip
        case ScoreConfigRecord(config=c):
            return [c.name, c.data_type, c.min_value, c.max_value, c.categories, c.description, c.archived]
        case CommentRecord(comment=c):
            return [c.object_type, c.object_id, c.content]
        case PriceRecord(price=p):
            return p if exact else [p.model_name, p.match_pattern, p.unit, p.tokenizer]
        case MediaRecord(media=m):
            links = sorted(map(repr, record.links)) if exact else []
            return [m.sha256, m.content_type, m.content_length, links]
        case _:
            return record
