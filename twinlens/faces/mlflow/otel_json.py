"""Spans as MLflow's trace replies carry them: OTLP spans in protobuf's JSON form, ids and bytes in base64.

Attribute values are structured (not JSON text) on this wire; the client encodes each as JSON itself. What MLflow's UI and
client look for (``mlflow.spanType``, ``mlflow.spanInputs`` …) is made from the canonical fields, so that a span of any
dialect looks right; its raw attributes are kept beside it.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain.ids import mlflow_trace_id
from twinlens.domain.trace import Span

_SPAN_TYPES = {
    "generation": "LLM", "chain": "CHAIN", "agent": "AGENT", "tool": "TOOL", "retriever": "RETRIEVER",
    "parser": "PARSER", "embedding": "EMBEDDING", "reranker": "RERANKER", "memory": "MEMORY", "workflow": "WORKFLOW",
    "task": "TASK", "guardrail": "GUARDRAIL", "evaluator": "EVALUATOR",
}  # fmt: skip
_STATUS = {"ok": "STATUS_CODE_OK", "error": "STATUS_CODE_ERROR"}
_HEX32 = re.compile(r"[0-9a-f]{32}\Z")
_HEX16 = re.compile(r"[0-9a-f]{16}\Z")
#: Protobuf's JSON parsers stop at 100 messages inside one another; a level of a value takes three.
MAX_DEPTH = 25
#: Attributes that repeat canonical fields under MLflow's names; ours replace them.
_OURS = frozenset({"mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.traceRequestId"})


def trace_hex(trace_id: str) -> str:
    """32 hex digits for any canonical trace id: itself when it is an OTel id, else a stable hash."""
    return trace_id if _HEX32.match(trace_id) else hashlib.blake2b(trace_id.encode(), digest_size=16).hexdigest()


def span_hex(span_id: str) -> str:
    """16 hex digits for any span id: itself when it is an OTel id, else a stable hash."""
    return span_id if _HEX16.match(span_id) else hashlib.blake2b(span_id.encode(), digest_size=8).hexdigest()


def span_json(span: Span) -> dict[str, Any]:
    """A span on the wire."""
    found: dict[str, Any] = {
        "trace_id": _bytes(trace_hex(span.trace_id)),
        "span_id": _bytes(span_hex(span.span_id)),
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "attributes": [{"key": key, "value": any_value(value)} for key, value in span_attributes(span).items()],
    }
    if span.parent_id:
        found["parent_span_id"] = _bytes(span_hex(span.parent_id))
    if span.end_ns is not None:
        found["end_time_unix_nano"] = span.end_ns
    status: dict[str, Any] = {"code": _STATUS.get(span.status, "STATUS_CODE_UNSET")}
    if span.status_message:
        status["message"] = span.status_message
    found["status"] = status
    if span.events:
        found["events"] = [
            {
                "name": event.name,
                "time_unix_nano": event.time_ns,
                "attributes": [{"key": k, "value": any_value(v)} for k, v in event.attributes.items()],
            }
            for event in span.events
        ]
    if span.links:
        found["links"] = [
            {
                "trace_id": _bytes(trace_hex(link.trace_id)),
                "span_id": _bytes(span_hex(link.span_id)),
                "attributes": [{"key": k, "value": any_value(v)} for k, v in link.attributes.items()],
            }
            for link in span.links
        ]
    return found


def span_file_json(span: Span) -> dict[str, Any]:
    """A span as ``traces.json`` files and MLflow's browser UI hold it: attributes by key, each value as JSON text."""
    return {
        "trace_id": _bytes(trace_hex(span.trace_id)),
        "span_id": _bytes(span_hex(span.span_id)),
        "parent_span_id": _bytes(span_hex(span.parent_id)) if span.parent_id else None,
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "end_time_unix_nano": span.end_ns,
        "events": [
            {"name": event.name, "time_unix_nano": event.time_ns, "attributes": event.attributes}
            for event in span.events
        ],
        "status": {"code": _STATUS.get(span.status, "STATUS_CODE_UNSET"), "message": span.status_message},
        "attributes": {key: msgspec.json.encode(value).decode() for key, value in span_attributes(span).items()},
        "links": [
            {
                "trace_id": mlflow_trace_id(trace_hex(link.trace_id)),
                "span_id": span_hex(link.span_id),
                "attributes": link.attributes,
            }
            for link in span.links
        ],
    }


def trace_v2_json(spans: Sequence[Span]) -> dict[str, Any]:
    """The file ``traces.json`` as clients before MLflow 3 expect it."""
    root = next((span for span in spans if not span.parent_id), None)
    return {
        "spans": [_span_v2_json(span) for span in spans],
        "request": root.input if root else None,
        "response": root.output if root else None,
    }


def _span_v2_json(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "context": {"span_id": span_hex(span.span_id), "trace_id": trace_hex(span.trace_id)},
        "parent_id": span_hex(span.parent_id) if span.parent_id else None,
        "start_time": span.start_ns,
        "end_time": span.end_ns,
        "status_code": span.status.upper() if span.status in _STATUS else "UNSET",
        "status_message": span.status_message,
        "attributes": {key: msgspec.json.encode(value).decode() for key, value in span_attributes(span).items()},
        "events": [
            {"name": event.name, "timestamp": event.time_ns // 1_000, "attributes": event.attributes}
            for event in span.events
        ],
    }


def span_attributes(span: Span) -> dict[str, Any]:
    """A span's attributes with MLflow's own among them, as values."""
    encoded = _writes_json(span)
    found = {key: _decoded(value) if encoded else value for key, value in span.attributes.items() if key not in _OURS}
    found["mlflow.traceRequestId"] = mlflow_trace_id(span.trace_id)
    found["mlflow.spanType"] = _span_type(span)
    if span.input is not None:
        found["mlflow.spanInputs"] = _json(span.input)
    if span.output is not None:
        found["mlflow.spanOutputs"] = _json(span.output)
    if span.model:
        found["mlflow.llm.model"] = span.model
    if span.provider:
        found["mlflow.llm.provider"] = span.provider
    if span.usage:
        found["mlflow.chat.tokenUsage"] = token_usage(span.usage)
    if span.cost:
        found["mlflow.llm.cost"] = costs(span.cost)
    if span.prompt_name and "mlflow.linkedPrompts" not in found:
        version = "" if span.prompt_version is None else str(span.prompt_version)
        found["mlflow.linkedPrompts"] = msgspec.json.encode([{"name": span.prompt_name, "version": version}]).decode()
    for key, value in span.metadata.items():
        found.setdefault(key, value)
    return found


def token_usage(usage: dict[str, int]) -> dict[str, int]:
    """Disjoint counts in MLflow's keys: ``input_tokens`` and ``output_tokens`` hold every class of their side."""
    found = {
        "input_tokens": round(_side(usage, "input")),
        "output_tokens": round(_side(usage, "output")),
        "total_tokens": usage["total"] if "total" in usage else sum(usage.values()),
    }
    created = sum(count for key, count in usage.items() if key.startswith("input_cache_creation"))
    for key, count in (
        ("cache_read_input_tokens", usage.get("input_cached_tokens", 0)),
        ("cache_creation_input_tokens", created),
        ("cache_creation_input_tokens_above_1hr", usage.get("input_cache_creation_1h", 0)),
    ):
        if count:
            found[key] = count
    return found


def costs(cost: dict[str, float]) -> dict[str, float]:
    """USD in MLflow's keys."""
    return {
        "input_cost": _side(cost, "input"),
        "output_cost": _side(cost, "output"),
        "total_cost": cost["total"] if "total" in cost else sum(cost.values()),
    }


def _side(amounts: Mapping[str, float], side: str) -> float:
    """All classes of one side together: cached, audio, reasoning … included."""
    return sum(amount for key, amount in amounts.items() if key.startswith(side))


def any_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """A Python value as ``opentelemetry.proto.common.v1.AnyValue`` in JSON; None is the empty value.

    What is nested deeper than clients' protobuf parsers go becomes JSON text.
    """
    if value.__class__ is str:  # nearly all of them
        return {"string_value": value}
    if depth > MAX_DEPTH and isinstance(value, list | tuple | dict):
        return {"string_value": msgspec.json.encode(value).decode()}
    match value:
        case None:
            return {}
        case bool():
            return {"bool_value": value}
        case str():
            return {"string_value": value}
        case int():
            return {"int_value": value} if -(1 << 63) <= value < 1 << 63 else {"double_value": float(value)}
        case float():
            if math.isfinite(value):
                return {"double_value": value}
            return {"double_value": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        case bytes():
            return {"bytes_value": base64.b64encode(value).decode()}
        case list() | tuple():
            return {"array_value": {"values": [any_value(item, depth + 1) for item in value]}}  # pyright: ignore[reportUnknownVariableType]
        case dict():
            items = [{"key": str(k), "value": any_value(v, depth + 1)} for k, v in value.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return {"kvlist_value": {"values": items}}
        case _:
            return {"string_value": str(value)}


def _span_type(span: Span) -> str:
    """MLflow's type; a type of the user's own that MLflow's SDK sent is kept as sent."""
    sent = _decoded(span.attributes.get("mlflow.spanType"))
    if isinstance(sent, str) and sent:
        return sent
    return _SPAN_TYPES.get(span.kind, "UNKNOWN")


def _writes_json(span: Span) -> bool:
    """Whether the span's attribute values are JSON text, as MLflow's SDK writes them over plain OTLP."""
    for key in ("mlflow.traceRequestId", "mlflow.spanType"):
        sent = span.attributes.get(key)
        if isinstance(sent, str):
            return len(sent) > 1 and sent[0] == sent[-1] == '"'
    return False


def _decoded(value: Any) -> Any:
    return _json(value) if isinstance(value, str) else value


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _bytes(hex_digits: str) -> str:
    return base64.b64encode(bytes.fromhex(hex_digits)).decode()
