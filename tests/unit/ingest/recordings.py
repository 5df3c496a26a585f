"""Recorded and hand-written OTLP requests (``tests/fixtures/otlp``), decoded and normalised."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from twinlens.domain.otlp import RawLog, RawSpan
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TracePatch
from twinlens.ingest import otlp_json
from twinlens.ingest.logs import apply_logs, evaluation_scores
from twinlens.ingest.normalise import normalise

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "otlp"
NAMES = sorted(p.stem for p in FOLDER.glob("*.json") if not p.stem.endswith(".normalised"))


def requests(name: str, signal: str) -> list[bytes]:
    """The bodies of one recording."""
    return [
        json.dumps(r["body"]).encode()
        for r in json.loads((FOLDER / f"{name}.json").read_text())
        if r["signal"] == signal
    ]


def as_protobuf(body: bytes) -> bytes:
    """A trace request in the other encoding."""

    def base64_ids(value: Any) -> Any:
        if isinstance(value, list):
            return [base64_ids(x) for x in value]
        if isinstance(value, dict):
            ids = ("traceId", "spanId", "parentSpanId")
            return {k: b64encode(bytes.fromhex(v)).decode() if k in ids else base64_ids(v) for k, v in value.items()}
        return value

    return ParseDict(
        base64_ids(json.loads(body)), ExportTraceServiceRequest(), ignore_unknown_fields=True
    ).SerializeToString()


def raw_spans(name: str) -> list[RawSpan]:
    return [span for body in requests(name, "traces") for span in otlp_json.decode_spans(body)]


def raw_logs(name: str) -> list[RawLog]:
    return [log for body in requests(name, "logs") for log in otlp_json.decode_logs(body)]


def normalised(name: str) -> tuple[list[Span], list[TracePatch], list[Score]]:
    """Everything one recording amounts to, log content joined."""
    spans, patches = normalise(raw_spans(name))
    logs = raw_logs(name)
    return [apply_logs(span, logs) for span in spans], patches, evaluation_scores(logs)


def spans_by_name(name: str) -> dict[str, Span]:
    return {span.name: span for span in normalised(name)[0]}


def readable(name: str) -> dict[str, Any]:
    """The snapshot: whole output, input and output as values, without what is copied from the request unchanged."""
    spans, patches, scores = normalised(name)
    found: dict[str, Any] = {"spans": [], "patches": [], "scores": msgspec.to_builtins(scores)}
    for span in spans:
        row = msgspec.to_builtins(span)
        for key in ("attributes", "resource", "scope", "events", "links"):
            row.pop(key, None)
        found["spans"].append(_with_values(row))
    for patch in patches:
        found["patches"].append(
            _with_values({k: v for k, v in msgspec.to_builtins(patch).items() if v not in (None, "", False)})
        )
    return found


def _with_values(row: dict[str, Any]) -> dict[str, Any]:
    for key in ("input", "output"):
        if key in row:
            row[key] = json.loads(row[key])
    return row
