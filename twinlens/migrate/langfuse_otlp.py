"""Traces for a Langfuse server of version 4, which takes them over OTLP only and keeps spans, no traces.

Each span says what is said of its trace, as the SDK 5 does. What such a server has no place for, the trace's own input, output and
metadata among it, travels in the metadata of the first root under ``twinlens.carried.``; ids that are not OpenTelemetry's become
hashes there. A trace without spans, and a run, get a span that only shows them and does not come back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.ids import hex_id
from twinlens.domain.record import CARRIED, TraceRecord
from twinlens.domain.trace import Span, TraceSummary
from twinlens.migrate.plain import attributes

SPAN, TRACE = f"{CARRIED}langfuse.span", f"{CARRIED}langfuse.trace"
#: In what is carried of a trace: this span only shows it, or a run.
ONLY_SHOWN = "only_shown"
_TYPES = frozenset({
    "generation", "span", "event", "agent", "tool", "chain", "retriever", "embedding", "evaluator", "guardrail",
})  # fmt: skip
#: Fields of a span that have a place there.
_SPAN_NATIVE = frozenset({
    "name", "output", "model", "model_parameters", "usage", "metadata", "level", "version", "environment", "created_ns", "updated_ns",
    "input_preview", "output_preview", "partial", "given", "input",
})  # fmt: skip
#: Fields of a trace that come back from what is carried.
_TRACE_FIELDS = (
    "trace_id", "name", "metadata", "environment", "release", "version", "experiment_id", "run_ids", "tag_values", "prompts",
    "client_request_id", "start_ns", "end_ns", "status", "client_fields", "final", "input_preview", "output_preview", "bookmarked",
    "source",
)  # fmt: skip
Otlp = dict[str, Any]


def trace_spans(record: TraceRecord) -> list[Otlp]:
    """The spans of a trace in OTLP's JSON form; the first root, else the first span, carries the trace."""
    trace, spans = record.trace, record.spans
    plain = msgspec.to_builtins(trace)
    carried: dict[str, Any] = {name: plain[name] for name in _TRACE_FIELDS if name in plain}
    if not spans:
        carried |= {"input": trace.input, "output": trace.output, ONLY_SHOWN: True}
        return [_span(_root_for(trace), trace, carried)]
    head = next((s for s in spans if s.span_id == trace.root_span_id), None)
    head = head or next((s for s in spans if s.parent_id is None), spans[0])
    if trace.input != head.input:
        carried["input"] = trace.input
    if trace.output != head.output:
        carried["output"] = trace.output
    return [_span(span, trace, carried if span is head else None) for span in spans]


def more_spans(spans: list[Span]) -> list[Otlp]:
    """Further spans of a trace that is there."""
    return [_span(span, None, None) for span in spans]


def shown(
    trace_id: str, name: str, start_ns: int, end_ns: int | None, metadata: dict[str, Any], tags: list[str]
) -> Otlp:
    """A span that shows something else than a trace."""
    trace = TraceSummary(trace_id=trace_id, name=name, start_ns=start_ns, end_ns=end_ns, tags=tags)
    root = msgspec.structs.replace(_root_for(trace), metadata=metadata)
    return _span(root, trace, {ONLY_SHOWN: True})


def request(spans: list[bytes]) -> bytes:
    """A body of ``/otel/v1/traces`` from encoded spans."""
    scope = b'{"scope":{"name":"langfuse-sdk","version":"5.0.4"},"spans":['
    return b'{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[' + scope + b",".join(spans) + b"]}]}]}"


def _root_for(trace: TraceSummary) -> Span:
    return Span(
        trace_id=trace.trace_id, span_id=f"root of {trace.trace_id}", name=trace.name or "trace", start_ns=trace.start_ns,
        end_ns=trace.end_ns or trace.start_ns, input=trace.input, output=trace.output,
    )  # fmt: skip


def _span(span: Span, trace: TraceSummary | None, carried: dict[str, Any] | None) -> Otlp:
    plain = msgspec.to_builtins(span)
    own = {name: value for name, value in plain.items() if name not in _SPAN_NATIVE}
    if _reads_otherwise(span.input):
        own["input"] = span.input
    if _reads_otherwise(span.output):
        own["output"] = span.output
    metadata = {**span.metadata, SPAN: _json(own)}
    if carried is not None:
        metadata[TRACE] = _json(carried)
    said: dict[str, Any] = {
        "langfuse.observation.type": span.kind if span.kind in _TYPES else "span", "langfuse.observation.level": span.level,
        "langfuse.observation.input": span.input, "langfuse.observation.output": span.output,
        "langfuse.observation.metadata": _json(metadata), "langfuse.observation.status_message": span.status_message or None,
        "langfuse.observation.model.name": span.model,
        "langfuse.observation.model.parameters": _json(span.model_parameters) if span.model_parameters else None,
        "langfuse.observation.usage_details": _json(span.usage) if span.usage else None,
        "langfuse.observation.cost_details": _json(span.cost) if span.cost and span.cost_source == "client" else None,
        "langfuse.observation.prompt.name": span.prompt_name, "langfuse.observation.prompt.version": span.prompt_version,
        "langfuse.observation.completion_start_time": _json(iso_ms(span.completion_start_ns)) if span.completion_start_ns else None,
        "langfuse.version": span.version, "langfuse.release": span.release, "langfuse.environment": span.environment,
        "langfuse.internal.is_app_root": True if span.is_app_root else None,
    }  # fmt: skip
    if trace is not None:
        said |= {
            "langfuse.trace.name": trace.name, "langfuse.trace.tags": trace.tags or None, "user.id": trace.user_id,
            "session.id": trace.session_id, "langfuse.trace.public": trace.public or None,
            "langfuse.release": span.release or trace.release, "langfuse.environment": span.environment or trace.environment,
        }  # fmt: skip
    return {
        "traceId": hex_id(span.trace_id, 32), "spanId": hex_id(span.span_id, 16),
        "parentSpanId": hex_id(span.parent_id, 16) if span.parent_id else "", "name": span.name, "kind": span.otel_kind or 1,
        "startTimeUnixNano": str(span.start_ns), "endTimeUnixNano": str(span.end_ns or 0),
        "attributes": attributes({name: value for name, value in said.items() if value is not None}),
        "status": {"code": {"ok": 1, "error": 2}.get(span.status, 0), "message": span.status_message},
    }  # fmt: skip


def _reads_otherwise(text: str | None) -> bool:
    """Whether a text is read as something else there: input and output are texts, and JSON where they can be."""
    if text is None or not text.startswith('"'):
        return False
    try:
        msgspec.json.decode(msgspec.json.decode(text, type=str))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
