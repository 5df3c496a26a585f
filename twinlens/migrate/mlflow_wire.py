"""MLflow's JSON to records and back. Shapes: MLflow 3.17's REST API as its own client speaks it."""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.domain.counting import sides, total_tokens
from twinlens.domain.ids import canonical_trace_id, hex_id
from twinlens.domain.otlp import RawSpan
from twinlens.domain.patch import apply_patch
from twinlens.domain.record import CARRIED
from twinlens.domain.run import Dataset, DatasetInput, Experiment, ModelOutput, Run
from twinlens.domain.score import Score
from twinlens.domain.summary import add_spans, new_summary, note_reporters
from twinlens.domain.trace import Scope, Span, SpanEvent, TracePatch, TraceSummary
from twinlens.ingest.normalise import normalise
from twinlens.ingest.otlp_json import decode_spans
from twinlens.migrate.files.reading import json_of
from twinlens.migrate.plain import attributes as listed
from twinlens.migrate.restore import restore_span, restore_trace

TRACE, SPAN, SCORE = (f"{CARRIED}mlflow.{name}" for name in ("trace", "span", "score"))
_USER, _SESSION, _RUN = "mlflow.trace.user", "mlflow.trace.session", "mlflow.sourceRun"
_USAGE, _NAME = "mlflow.trace.tokenUsage", "mlflow.traceName"
#: What an MLflow server says about itself; it says so again at the target.
_SERVER_TAGS = frozenset({"mlflow.artifactLocation", "mlflow.trace.spansLocation", _NAME})
_TYPES = {
    "generation": "LLM", "chain": "CHAIN", "agent": "AGENT", "tool": "TOOL", "retriever": "RETRIEVER",
    "parser": "PARSER", "embedding": "EMBEDDING", "reranker": "RERANKER", "memory": "MEMORY", "workflow": "WORKFLOW",
    "task": "TASK", "guardrail": "GUARDRAIL", "evaluator": "EVALUATOR",
}  # fmt: skip
_STATES = {"OK": "ok", "ERROR": "error"}
_SOURCES = {"HUMAN": "human", "LLM_JUDGE": "judge", "AI_JUDGE": "judge", "CODE": "code"}
#: Fields of a span that MLflow has no place for.
_SPAN_FIELDS = (
    "kind", "level", "completion_start_ns", "is_app_root", "provider", "model_parameters", "usage", "cost", "usage_source",
    "cost_source", "price_id", "counted", "metadata", "prompt_name", "prompt_version", "tool_name", "agent_name", "user_id",
    "session_id", "environment", "release", "version", "service", "status", "status_message", "trace_id", "span_id", "parent_id",
    "end_ns", "input", "output", "model", "attributes", "events", "links", "resource", "scope", "otel_kind", "trace_state",
    "dialect", "rules", "source",
)  # fmt: skip
#: What MLflow's spans have no place for, of a span that its own SDK has made.
_OWN_SPAN_FIELDS = ("resource", "scope", "trace_state")
_TRACE_FIELDS = (
    "name", "input", "output", "environment", "release", "version", "public", "bookmarked", "tags", "metadata", "prompts",
    "usage", "cost", "client_fields", "final", "source", "start_ns", "end_ns", "status", "run_ids",
)  # fmt: skip
#: What MLflow's databases keep for an infinite value.
_LARGEST = 1.7976931348623157e308


def value_of(said: Any) -> float:
    """The value of a metric; MLflow's databases keep an infinite one as the largest number."""
    value = float(said)
    return math.copysign(math.inf, value) if abs(value) == _LARGEST else value


def tags_of(pairs: Any) -> dict[str, str]:
    """``[{key, value}]`` as a dict in key order."""
    return {p["key"]: p.get("value", "") for p in sorted(pairs or [], key=lambda p: p["key"])}


def pairs_of(tags: dict[str, str]) -> list[dict[str, str]]:
    """A dict as ``[{key, value}]``."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def experiment_of(said: dict[str, Any]) -> Experiment:
    """An experiment."""
    return Experiment(
        experiment_id=said["experiment_id"], name=said["name"], artifact_location=said.get("artifact_location", ""),
        lifecycle=said.get("lifecycle_stage", "active"), created_ms=int(said.get("creation_time") or 0),
        updated_ms=int(said.get("last_update_time") or 0), tags=tags_of(said.get("tags")),
    )  # fmt: skip


def run_of(said: dict[str, Any]) -> Run:
    """A run without metrics."""
    info, data = said["info"], said.get("data", {})
    inputs, outputs = said.get("inputs") or {}, said.get("outputs") or {}
    tags = tags_of(data.get("tags"))
    return Run(
        run_id=info["run_id"], experiment_id=info["experiment_id"], name=info.get("run_name") or tags.get("mlflow.runName", ""),
        status=info.get("status", "RUNNING"), lifecycle=info.get("lifecycle_stage", "active"),
        start_ms=int(info.get("start_time") or 0), end_ms=int(info["end_time"]) if info.get("end_time") else None,
        user_id=info.get("user_id", ""), artifact_uri=info.get("artifact_uri", ""), params=tags_of(data.get("params")), tags=tags,
        dataset_inputs=[_input(item) for item in inputs.get("dataset_inputs", [])],
        model_inputs=[m["model_id"] for m in inputs.get("model_inputs", [])],
        model_outputs=[ModelOutput(m["model_id"], int(m.get("step") or 0)) for m in outputs.get("model_outputs", [])],
    )  # fmt: skip


def _input(said: dict[str, Any]) -> DatasetInput:
    d = said["dataset"]
    data = Dataset(
        name=d["name"], digest=d["digest"], source_type=d.get("source_type", ""), source=d.get("source", ""),
        schema=d.get("schema"), profile=d.get("profile"),
    )  # fmt: skip
    return DatasetInput(dataset=data, tags=tags_of(said.get("tags")))


# --- traces ------------------------------------------------------------------------------------------------------------
def trace_of(info: dict[str, Any], raw_spans: list[dict[str, Any]]) -> tuple[TraceSummary, list[Span]]:
    """A trace with its spans, from ``TraceInfo`` (V3) and spans in protobuf's JSON form."""
    trace_id = canonical_trace_id(info["trace_id"])
    spans, patches = normalise([_raw_span(trace_id, said) for said in raw_spans])
    carried: dict[str, Any] = {}
    whole: list[Span] = []
    for span in spans:
        of_trace, of_span = span.attributes.pop(TRACE, None), span.attributes.pop(SPAN, None)
        span.source = "mlflow"
        span.attributes = {key: _decoded(value) for key, value in span.attributes.items()}
        if of_trace is not None:
            carried = _twice(of_trace)
        if of_span is not None:
            found = _twice(of_span)
            span = restore_span(span, found, _SPAN_FIELDS if "trace_id" in found else ())
        whole.append(span)
    spans = whole
    if spans:
        trace_id = spans[0].trace_id
    for patch in patches:
        patch.trace_id = trace_id
    trace = new_summary(trace_id, 0)
    metadata: dict[str, str] = dict(info.get("trace_metadata") or {})
    tags: dict[str, str] = dict(info.get("tags") or {})
    start = time_ns(info.get("request_time"))
    patch = TracePatch(
        trace_id=trace_id, experiment_id=info["trace_location"]["mlflow_experiment"]["experiment_id"], name=tags.get(_NAME),
        start_ns=start, end_ns=_end(start, info.get("execution_duration")), status=_STATES.get(str(info.get("state"))),
        client_request_id=info.get("client_request_id") or None, input_preview=info.get("request_preview"),
        output_preview=info.get("response_preview"), user_id=metadata.get(_USER), session_id=metadata.get(_SESSION),
        run_ids=[metadata[_RUN]] if metadata.get(_RUN) else None,
        tag_values={k: v for k, v in tags.items() if k not in _SERVER_TAGS},
        metadata={k: v for k, v in metadata.items() if k not in (_USER, _SESSION)} or None, authority="final", said_ns=1,
    )  # fmt: skip
    for each in (*patches, patch):
        apply_patch(trace, each, 1)
    note_reporters(trace, [(None, span) for span in spans])
    add_spans(trace, [(None, span) for span in spans])
    if carried:
        for tag in carried.get("shown_tags", ()):
            trace.tag_values.pop(tag, None)
        restore_trace(trace, carried, _TRACE_FIELDS)
    return trace, spans


def _decoded(text: Any) -> Any:
    """The value of an attribute, which MLflow's SDK sends as JSON text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError, RecursionError):
        return text


def _raw_span(trace_id: str, said: dict[str, Any]) -> RawSpan:
    """A span of a server (protobuf's JSON form), a database or a file; attribute values are JSON text, as the SDK sends them."""
    body = _new_form(said) if "context" in said else dict(said)
    body["trace_id"] = trace_id if re.fullmatch("[0-9a-f]{32}", trace_id) else hex_id(trace_id, 32)
    for name in ("span_id", "parent_span_id"):
        if body.get(name):
            body[name] = _hex(body[name])
    for link in body.get("links") or []:
        for name in ("trace_id", "span_id"):
            link[name] = _hex(link[name].removeprefix("tr-"))
        link["attributes"] = _listed(link.get("attributes"))
    body["events"] = [event | {"attributes": _listed(event.get("attributes"))} for event in body.get("events") or []]
    texts: Any = body.get("attributes")
    if isinstance(texts, dict):
        del body["attributes"]
    request = {"resource_spans": [{"scope_spans": [{"scope": {"name": "mlflow"}, "spans": [body]}]}]}
    [span] = decode_spans(msgspec.json.encode(request))
    values: dict[str, Any] = texts if isinstance(texts, dict) else span.attributes
    kept = isinstance(texts, dict)
    span.attributes = {k: v if kept and isinstance(v, str) else _json(v) for k, v in values.items()}
    return span


def _new_form(said: dict[str, Any]) -> dict[str, Any]:
    """A span as MLflow 2 kept it in the form of MLflow 3."""
    return {
        "span_id": said["context"]["span_id"], "parent_span_id": said.get("parent_id"), "name": said.get("name", ""),
        "start_time_unix_nano": said["start_time"], "end_time_unix_nano": said.get("end_time") or 0,
        "status": {"code": f"STATUS_CODE_{said.get('status_code') or 'UNSET'}", "message": said.get("status_message") or ""},
        "attributes": said.get("attributes") or {},
        "events": [
            {"name": e["name"], "time_unix_nano": e.get("timestamp", 0), "attributes": e.get("attributes")}
            for e in said.get("events") or []
        ],
    }  # fmt: skip


def _hex(text: str) -> str:
    """An id as hex digits: MLflow has them so (2), or in Base64 (3)."""
    if re.fullmatch("0x[0-9a-f]+", text):
        return text[2:].rjust(16, "0")
    return text if re.fullmatch("([0-9a-f]{16}){1,2}", text) else base64.b64decode(text).hex()


def _listed(values: Any) -> Any:
    return listed(values) if isinstance(values, dict) else values or []


def _twice(text: Any) -> dict[str, Any]:
    """Our JSON text inside MLflow's JSON text."""
    found = msgspec.json.decode(text) if isinstance(text, str) else text
    return msgspec.json.decode(found) if isinstance(found, str) else found


def span_out(span: Span, trace_id: str) -> dict[str, Any]:
    """A span as OTLP JSON the way MLflow's SDK sends it, with what MLflow cannot hold beside."""
    plain: dict[str, Any] = msgspec.to_builtins(span)
    if span.dialect == "mlflow":
        attributes = {key: _json(value) for key, value in span.attributes.items()}
        if span.resource:
            attributes[SPAN] = _json(_json({name: plain[name] for name in _OWN_SPAN_FIELDS if name in plain}))
    else:
        attributes = {
            "mlflow.traceRequestId": _json(f"tr-{trace_id}"),
            "mlflow.spanType": _json(_TYPES.get(span.kind, "UNKNOWN")),
        }
        if span.input is not None:
            attributes["mlflow.spanInputs"] = span.input
        if span.output is not None:
            attributes["mlflow.spanOutputs"] = span.output
        if span.model:
            attributes["mlflow.llm.model"] = _json(span.model)
        if span.usage:
            asked, answered = sides(span.usage)
            counts = {"input_tokens": asked, "output_tokens": answered, "total_tokens": total_tokens(span.usage)}
            attributes["mlflow.chat.tokenUsage"] = _json(counts)
        if span.cost:
            paid, earned = sides(span.cost)
            costs = {"input_cost": paid, "output_cost": earned, "total_cost": span.total_cost}
            attributes["mlflow.llm.cost"] = _json(costs)
        attributes[SPAN] = _json(_json({name: plain[name] for name in _SPAN_FIELDS if name in plain}))
    return {
        "traceId": trace_id, "spanId": hex_id(span.span_id, 16),
        "parentSpanId": hex_id(span.parent_id, 16) if span.parent_id else "", "name": span.name, "kind": span.otel_kind,
        "startTimeUnixNano": str(span.start_ns), "endTimeUnixNano": str(span.end_ns or 0),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        "status": {"code": {"ok": 1, "error": 2}.get(span.status, 0), "message": span.status_message},
        "events": [_event(event) for event in span.events],
        "links": [
            {"traceId": hex_id(link.trace_id, 32), "spanId": hex_id(link.span_id, 16), "attributes": _pairs(link.attributes)}
            for link in span.links
        ],
    }  # fmt: skip


def _event(event: SpanEvent) -> dict[str, Any]:
    return {"name": event.name, "timeUnixNano": str(event.time_ns), "attributes": _pairs(event.attributes)}


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": k, "value": {"stringValue": v if isinstance(v, str) else _json(v)}} for k, v in attributes.items()]


def root_for(trace: TraceSummary) -> Span:
    """The span that a trace without spans gets in MLflow, where traces are made of them. It does not come back."""
    return Span(
        trace_id=trace.trace_id, span_id=hex_id("root of " + trace.trace_id, 16), name=trace.name or "trace",
        start_ns=trace.start_ns, end_ns=trace.end_ns or trace.start_ns, input=trace.input, output=trace.output, scope=Scope(),
    )  # fmt: skip


def carried_trace(trace: TraceSummary) -> str:
    """What MLflow's TraceInfo has no place for, for an attribute of the root span."""
    plain = msgspec.to_builtins(trace)
    found = {name: plain[name] for name in _TRACE_FIELDS if name in plain}
    found["trace_id"] = trace.trace_id
    found["shown_tags"] = [tag for tag in trace.tags if tag not in trace.tag_values]
    return _json(_json(found))


def info_out(trace: TraceSummary, trace_id: str, experiment_id: str, runs: dict[str, str]) -> dict[str, Any]:
    """A ``TraceInfo`` (V3). ``runs``: run ids at the target."""
    metadata = {k: v if isinstance(v, str) else _json(v) for k, v in trace.metadata.items()}
    if trace.user_id:
        metadata[_USER] = trace.user_id
    if trace.session_id:
        metadata[_SESSION] = trace.session_id
    if trace.run_ids:
        metadata[_RUN] = runs.get(trace.run_ids[0], trace.run_ids[0])
    metadata.setdefault("mlflow.trace_schema.version", "3")
    tags = {
        **trace.tag_values,
        **({_NAME: trace.name} if trace.name else {}),
        **{t: "true" for t in trace.tags if t not in trace.tag_values},
    }
    end = trace.end_ns or trace.start_ns
    found: dict[str, Any] = {
        "trace_id": f"tr-{trace_id}", "request_time": iso_ms(trace.start_ns),
        "execution_duration": f"{(end // 1_000_000 - trace.start_ns // 1_000_000) / 1000:.3f}s",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}},
        "state": {"ok": "OK", "error": "ERROR"}.get(trace.status, "STATE_UNSPECIFIED"), "tags": tags, "trace_metadata": metadata,
    }  # fmt: skip
    for name, value in (
        ("request_preview", trace.input_preview), ("response_preview", trace.output_preview),
        ("client_request_id", trace.client_request_id),
    ):  # fmt: skip
        if value is not None:
            found[name] = value
    return found


# --- assessments ---------------------------------------------------------------------------------------------------------
def score_of(said: dict[str, Any], trace_id: str) -> Score:
    """An assessment as a score; one that we had carried there exactly as it was."""
    metadata: dict[str, Any] = dict(said.get("metadata") or {})
    carried = metadata.pop(SCORE, None)
    if carried:
        return msgspec.json.decode(carried, type=Score)
    created = time_ns(said.get("create_time")) or 0
    source = said.get("source") or {}
    kind = next((k for k in ("feedback", "expectation", "issue") if k in said), "feedback")
    inner: dict[str, Any] = said.get(kind) or {}
    value = inner.get("value")
    if kind == "expectation" and "serialized_value" in inner:
        value = json_of(inner["serialized_value"]["value"])
    score = Score(
        score_id=said["assessment_id"], name=said.get("assessment_name", ""), kind=kind, trace_id=trace_id,
        span_id=said.get("span_id") or None, source=_SOURCES.get(source.get("source_type", ""), "code"),
        source_id=source.get("source_id"), comment=said.get("rationale"), error=inner.get("error"), metadata=metadata,
        timestamp_ns=created, created_ns=created, updated_ns=time_ns(said.get("last_update_time")) or created,
        overrides=said.get("overrides"), valid=said.get("valid", True),
    )  # fmt: skip
    match value:
        case bool():
            score.data_type, score.value, score.string_value = "BOOLEAN", float(value), str(value)
        case int() | float():
            score.data_type, score.value = "NUMERIC", float(value)
        case str():
            score.data_type, score.string_value = "CATEGORICAL", value
        case None:
            score.data_type = "JSON"
        case _:
            score.data_type, score.json_value = "JSON", _json(value)
    return score


def score_out(score: Score, trace_id: str) -> dict[str, Any]:
    """A score as an assessment, which carries the whole score along: ids are the server's own there."""
    value: Any = score.value
    if score.data_type == "BOOLEAN":
        value = bool(score.value)
    elif score.json_value is not None:
        value = msgspec.json.decode(score.json_value)
    elif score.string_value is not None:
        value = score.string_value
    kind = score.kind if score.kind in ("feedback", "expectation") else "feedback"
    inner: dict[str, Any] = {"value": value}
    if kind == "expectation" and not isinstance(value, bool | int | float | str):
        inner = {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": _json(value)}}
    if score.error:
        inner["error"] = score.error
    metadata = {k: v if isinstance(v, str) else _json(v) for k, v in score.metadata.items()}
    metadata[SCORE] = msgspec.json.encode(score).decode()
    sources = {"human": "HUMAN", "annotation": "HUMAN", "judge": "LLM_JUDGE"}
    found: dict[str, Any] = {
        "assessment_name": score.name, "trace_id": f"tr-{trace_id}", kind: inner, "metadata": metadata, "valid": score.valid,
        "source": {"source_type": sources.get(score.source, "CODE"), "source_id": score.source_id or "default"},
        "create_time": iso_ms(score.created_ns or score.timestamp_ns),
        "last_update_time": iso_ms(score.updated_ns or score.timestamp_ns),
    }  # fmt: skip
    if score.comment is not None:
        found["rationale"] = score.comment
    if score.span_id:
        found["span_id"] = hex_id(score.span_id, 16)
    return found


def time_ns(text: Any) -> int | None:
    """A protobuf timestamp (text) or milliseconds."""
    if text in (None, ""):
        return None
    if isinstance(text, int):
        return text * 1_000_000
    return parse_iso(str(text).replace("Z", "+00:00"))


def _end(start: int | None, duration: Any) -> int | None:
    if start is None or duration in (None, ""):
        return None
    return start + round(float(str(duration).removesuffix("s")) * 1e9)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def proxied(uri: str) -> str | None:
    """The path below the server's artifact root."""
    if not uri.startswith("mlflow-artifacts:"):
        return None
    rest = uri.removeprefix("mlflow-artifacts:")
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    return rest.strip("/")
