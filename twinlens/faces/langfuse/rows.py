"""Traces, observations (v1 and v2) and scores (v1, v2, v3) as Langfuse's API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from twinlens.domain.counting import sides, total_tokens
from twinlens.domain.price import DEFAULT_TIER, row_and_tier
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.faces.http import json_array
from twinlens.faces.langfuse import otel_metadata
from twinlens.faces.langfuse.wire import iso, raw_json
from twinlens.query.langfuse_filter import TYPE_OF

_SECOND = 1_000_000_000
#: Cut of metadata values in v2 lists unless the key is named in ``expandMetadata``.
CUT = 200


def seconds(ns: int | None) -> float | None:
    """Nanoseconds as seconds with millisecond precision, as Langfuse reports latencies."""
    return None if ns is None else round(ns / _SECOND, 3)


# --- traces ----------------------------------------------------------------------------------------------------
def trace(row: TraceSummary, project_id: str, *, with_io: bool = True) -> dict[str, Any]:
    """The fields every form of a trace has. Without ``with_io`` input, output and metadata are null."""
    return {
        "id": row.trace_id,
        "projectId": project_id,
        "name": row.name,
        "timestamp": iso(row.start_ns),
        "environment": row.environment,
        "tags": row.tags,
        "bookmarked": row.bookmarked,
        "release": row.release,
        "version": row.version,
        "userId": row.user_id,
        "sessionId": row.session_id,
        "public": row.public,
        "input": raw_json(row.input) if with_io else None,
        "output": raw_json(row.output) if with_io else None,
        "metadata": metadata_of(row) if with_io else {},
        "createdAt": iso(row.created_ns),
        "updatedAt": iso(row.updated_ns),
        "externalId": None,
    }


#: Key-value tags that describe the sender (MLflow shows resource attributes as tags), not the trace.
_SENDER = (
    "service.", "telemetry.", "host.", "process.", "os.", "container.", "k8s.", "cloud.", "deployment.", "langfuse.",
)  # fmt: skip


def metadata_of(row: TraceSummary) -> dict[str, Any]:
    """Metadata of a trace; MLflow's key-value tags, which Langfuse has no place for, are shown among it."""
    return {**{k: v for k, v in row.tag_values.items() if not k.startswith(_SENDER)}, **row.metadata}


def trace_path(project_id: str, trace_id: str) -> str:
    """``htmlPath``: where the page of a trace is on this server."""
    return f"/project/{project_id}/traces/{trace_id}"


# --- observations ----------------------------------------------------------------------------------------------
SIDES = ("input", "output", "total")


def unit_price(span: Span, key: str) -> float | None:
    """USD for one unit of a usage key, as the span was priced; None where the cost is the client's own or there is none."""
    if span.cost_source != "computed" or not span.usage.get(key) or (key == "total" and len(span.cost) > 1):
        return None
    usd = span.cost.get(key)
    return None if usd is None else float(f"{usd / span.usage[key]:.12g}")


#: (name, version) -> id of the prompt versions that spans name, where such a version exists.
PromptIds = Mapping[tuple[str, int], str]


def prompt_links(spans: Iterable[Span]) -> set[tuple[str, int]]:
    """The prompt versions that spans name."""
    return {(s.prompt_name, s.prompt_version) for s in spans if s.prompt_name and s.prompt_version is not None}


def _prompt(span: Span, prompt_ids: PromptIds) -> dict[str, Any]:
    name, version = span.prompt_name, span.prompt_version
    found = None if name is None or version is None else prompt_ids.get((name, version))
    return {"promptId": found, "promptName": name, "promptVersion": version}


def observation_v1(span: Span, project_id: str, prompt_ids: PromptIds) -> dict[str, Any]:
    """A row of ``GET /observations`` and of a trace's ``observations``."""
    usage, cost = span.usage, span.cost
    inputs, outputs = sides(usage)
    total = total_tokens(usage)
    input_cost, output_cost = sides(cost) if cost else (None, None)
    total_cost = span.total_cost if cost else None
    first_token = span.completion_start_ns
    return {
        "id": span.span_id,
        "projectId": project_id,
        "traceId": span.trace_id,
        "parentObservationId": span.parent_id,
        "type": TYPE_OF.get(span.kind, "SPAN"),
        "name": span.name or None,
        "startTime": iso(span.start_ns),
        "endTime": iso(span.end_ns),
        "completionStartTime": iso(first_token),
        "environment": span.environment or "default",
        "level": span.level,
        "statusMessage": span.status_message or None,
        "version": span.version,
        "input": raw_json(span.input),
        "output": raw_json(span.output),
        "metadata": otel_metadata.metadata_of(span),
        "model": span.model,
        "modelParameters": span.model_parameters,
        "modelId": row_and_tier(span.price_id)[0],
        **_prompt(span, prompt_ids),
        "usage": {
            "input": inputs,
            "output": outputs,
            "total": total,
            "unit": "TOKENS",
            "inputCost": input_cost,
            "outputCost": output_cost,
            "totalCost": total_cost,
        },
        "usageDetails": usage,
        "costDetails": cost,
        "inputPrice": unit_price(span, "input"),
        "outputPrice": unit_price(span, "output"),
        "totalPrice": unit_price(span, "total"),
        "calculatedInputCost": input_cost,
        "calculatedOutputCost": output_cost,
        "calculatedTotalCost": total_cost,
        "latency": seconds(span.latency_ns),
        "timeToFirstToken": seconds(None if first_token is None else max(0, first_token - span.start_ns)),
        "createdAt": iso(span.created_ns),
        "updatedAt": iso(span.updated_ns),
        # flat counts of the oldest clients
        "promptTokens": inputs,
        "completionTokens": outputs,
        "totalTokens": total,
        "unit": "TOKENS",
    }


def _core(span: Span, project_id: str) -> dict[str, Any]:
    return {
        "id": span.span_id, "traceId": span.trace_id, "startTime": iso(span.start_ns), "endTime": iso(span.end_ns),
        "projectId": project_id, "parentObservationId": span.parent_id, "type": TYPE_OF.get(span.kind, "SPAN"),
        "isRootObservation": span.parent_id is None or span.is_app_root,
    }  # fmt: skip


def _basic(span: Span) -> dict[str, Any]:
    return {
        "name": span.name or None, "level": span.level, "statusMessage": span.status_message or None,
        "version": span.version, "environment": span.environment or "default", "bookmarked": False,
        "userId": span.user_id, "sessionId": span.session_id,
    }  # fmt: skip


def _time(span: Span) -> dict[str, Any]:
    return {
        "completionStartTime": iso(span.completion_start_ns), "createdAt": iso(span.created_ns),
        "updatedAt": iso(span.updated_ns),
    }  # fmt: skip


def text(json_text: str | None) -> str | None:
    """``input``/``output`` in v2 are text: a JSON string without its quotes, anything else as JSON."""
    if json_text is not None and json_text.startswith('"'):
        try:
            return msgspec.json.decode(json_text, type=str)
        except msgspec.DecodeError:
            return json_text
    return json_text


def _io(span: Span) -> dict[str, Any]:
    return {"input": text(span.input), "output": text(span.output)}


def _model(span: Span) -> dict[str, Any]:
    # the server renamed providedModelName in 4.42; clients up to 4.14 read the old name, from 4.18 the new one
    return {
        "model": span.model, "providedModelName": span.model, "internalModelId": row_and_tier(span.price_id)[0],
        "modelParameters": span.model_parameters,
    }  # fmt: skip


def _tier(span: Span) -> str | None:
    """The price tier by name, where a price row computed the cost."""
    return (row_and_tier(span.price_id)[1] or DEFAULT_TIER) if span.cost_source == "computed" else None


def _usage(span: Span) -> dict[str, Any]:
    inputs, outputs = sides(span.usage)
    input_cost, output_cost = sides(span.cost)
    return {
        "usageDetails": span.usage, "costDetails": span.cost, "totalCost": span.total_cost if span.cost else None,
        "usagePricingTierName": _tier(span), "inputUsage": inputs, "outputUsage": outputs,
        "totalUsage": total_tokens(span.usage), "inputCost": input_cost, "outputCost": output_cost,
    }  # fmt: skip


def _metrics(span: Span) -> dict[str, Any]:
    first = span.completion_start_ns
    return {
        "latency": seconds(span.latency_ns),
        "timeToFirstToken": seconds(None if first is None else max(0, first - span.start_ns)),
    }


#: Field groups of ``GET /v2/observations`` that need only the span.
GROUPS = {
    "basic": _basic, "time": _time, "io": _io, "model": _model, "usage": _usage, "metrics": _metrics,
}  # fmt: skip


class Owner(NamedTuple):
    """What an observation's row shows of its trace, in the order of ``OWNER``."""

    user_id: str | None
    session_id: str | None
    name: str | None
    tags: list[str]
    release: str | None
    public: bool


OWNER = Owner._fields


def observation_v2(
    span: Span, project_id: str, groups: frozenset[str], expand: frozenset[str], owner: Owner | None,
    prompt_ids: PromptIds,
) -> dict[str, Any]:  # fmt: skip
    """A row of ``GET /v2/observations`` with the groups asked for."""
    row = _core(span, project_id)
    for name, fill in GROUPS.items():
        if name in groups:
            row |= fill(span)
    if "prompt" in groups:
        row |= _prompt(span, prompt_ids)
    if "basic" in groups and owner is not None:
        row["userId"] = span.user_id or owner.user_id
        row["sessionId"] = span.session_id or owner.session_id
    if "metadata" in groups:
        metadata = otel_metadata.metadata_of(span)
        row["metadata"] = {key: value if key in expand else _cut(value) for key, value in metadata.items()}
    if "trace_context" in groups:
        row |= {
            "traceName": owner.name if owner else None,
            "tags": owner.tags if owner else [],
            "release": span.release or (owner.release if owner else None),
            "public": bool(owner and owner.public),
        }
    prices = {side: unit_price(span, side) for side in SIDES} if "model" in groups else {}
    return row | {
        "modelId": row_and_tier(span.price_id)[0],
        **{f"{side}Price": _decimal(prices.get(side)) for side in SIDES},
    }


def _decimal(price: float | None) -> str | None:
    """Prices in v2 are decimal text."""
    return None if price is None else f"{Decimal(repr(price)):f}"


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:CUT]
    if isinstance(value, dict | list):
        encoded = msgspec.json.encode(value).decode()
        return value if len(encoded) <= CUT else encoded[:CUT]
    return value


# --- scores ----------------------------------------------------------------------------------------------------
_SOURCES = {"annotation": "ANNOTATION", "human": "ANNOTATION", "judge": "EVAL", "code": "EVAL"}


def _type(score: Score) -> str:
    return "TEXT" if score.data_type == "JSON" else score.data_type


def _text_value(score: Score) -> str:
    return score.string_value if score.string_value is not None else score.json_value or ""


def score_source(source: str) -> str:
    """API, ANNOTATION or EVAL."""
    return _SOURCES.get(source, "API")


def score_v1(score: Score, project_id: str) -> dict[str, Any]:
    """A score as v1 and v2 show it: ``value`` is a number, text is in ``stringValue``."""
    data_type = _type(score)
    row: dict[str, Any] = {
        "id": score.score_id,
        "projectId": project_id,
        "traceId": score.trace_id,
        "observationId": score.span_id,
        "sessionId": score.session_id,
        "datasetRunId": score.dataset_run_id,
        "name": score.name,
        "source": score_source(score.source),
        "dataType": data_type,
        "timestamp": iso(score.timestamp_ns),
        "createdAt": iso(score.created_ns),
        "updatedAt": iso(score.updated_ns),
        "authorUserId": score.author_user_id,
        "comment": score.comment,
        "metadata": score.metadata,
        "configId": score.config_id,
        "queueId": score.queue_id,
        "environment": score.environment,
        "value": score.value if score.value is not None else 0,
    }
    if data_type != "NUMERIC":
        row["stringValue"] = _text_value(score)
    return row


def score_v3(score: Score, project_id: str, groups: frozenset[str]) -> dict[str, Any]:
    """A score as v3 shows it: ``value`` by its type, details only on demand."""
    data_type = _type(score)
    value: float | bool | str | None = score.value
    if data_type == "BOOLEAN":
        value = bool(score.value)
    elif data_type != "NUMERIC":
        value = _text_value(score)
    row: dict[str, Any] = {
        "id": score.score_id, "projectId": project_id, "name": score.name, "value": value, "dataType": data_type,
        "source": score_source(score.source), "timestamp": iso(score.timestamp_ns),
        "environment": score.environment, "createdAt": iso(score.created_ns), "updatedAt": iso(score.updated_ns),
    }  # fmt: skip
    if "details" in groups:
        row |= {"comment": score.comment, "configId": score.config_id, "metadata": score.metadata}
    if "subject" in groups:
        row["subject"] = _subject(score)
    if "annotation" in groups:
        row |= {"authorUserId": score.author_user_id, "queueId": score.queue_id}
    return row


def _subject(score: Score) -> dict[str, Any]:
    if score.span_id is not None:
        return {"kind": "observation", "id": score.span_id, "traceId": score.trace_id}
    if score.session_id is not None:
        return {"kind": "session", "id": score.session_id}
    if score.dataset_run_id is not None:
        return {"kind": "experiment", "id": score.dataset_run_id}
    return {"kind": "trace", "id": score.trace_id}


def trace_details(
    row: TraceSummary, project_id: str, spans: Sequence[Span], scores: Sequence[Score], prompt_ids: PromptIds
) -> dict[str, Any]:
    """``GET /traces/{id}``: the trace with whole observations and scores."""
    return trace(row, project_id) | {
        "htmlPath": trace_path(project_id, row.trace_id),
        "latency": seconds(row.latency_ns),
        "totalCost": row.total_cost,
        "observations": json_array(observation_v1(span, project_id, prompt_ids) for span in spans),
        "scores": [score_v1(score, project_id) for score in scores if score.valid],
    }
