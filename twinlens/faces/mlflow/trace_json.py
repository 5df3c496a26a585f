"""Trace summaries as MLflow's TraceInfo (V3 and V2), both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.ids import canonical_trace_id, check_id, mlflow_trace_id
from twinlens.domain.score import Score
from twinlens.domain.trace import TracePatch, TraceSummary
from twinlens.faces.mlflow.assessment_json import assessment_json, time_ns
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.otel_json import costs, token_usage
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import present
from twinlens.ingest.usage import cost_from_mapping, from_mapping
from twinlens.query.mlflow_trace_filter import WORD_TAG

NAME_TAG = "mlflow.traceName"
ARTIFACT_TAG = "mlflow.artifactLocation"
SPANS_TAG = "mlflow.trace.spansLocation"
PROMPTS_TAG = "mlflow.linkedPrompts"
#: Tags that only the server sets; clients' values are dropped.
SERVER_TAGS = frozenset({ARTIFACT_TAG, SPANS_TAG, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"})
#: Tells clients that spans are here, so that they do not upload them once more as a file.
SPANS_HERE = "TRACKING_STORE"

_SESSION, _USER, _RUN = "mlflow.trace.session", "mlflow.trace.user", "mlflow.sourceRun"
_USAGE, _COST, _SIZES = "mlflow.trace.tokenUsage", "mlflow.trace.cost", "mlflow.trace.sizeStats"
_SCHEMA = "mlflow.trace_schema.version"
_PROMOTED = frozenset({_SESSION, _USER, _USAGE, _COST, _RUN})
_STATES = {"OK": "ok", "ERROR": "error", "IN_PROGRESS": "unset", "STATE_UNSPECIFIED": "unset", "TRACE_STATUS_UNSPECIFIED": "unset"}  # fmt: skip
_STATE_NUMBERS = ("STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")
_DURATION = re.compile(r"(\d+)(?:\.(\d{1,9}))?s\Z")
MAX_TAG_KEY, MAX_TAG_VALUE, MAX_PREVIEW = 250, 8_000, 1_000


# --- out -------------------------------------------------------------------------------------------------------------


def state_of(summary: TraceSummary) -> str:
    """MLflow's state. Exporters of other dialects rarely set a status; what has ended without an error is OK."""
    if summary.status == "error":
        return "ERROR"
    return "OK" if summary.status == "ok" or summary.end_ns is not None else "IN_PROGRESS"


def trace_tags(summary: TraceSummary, location: str) -> dict[str, str]:
    """Key-value tags, plain words as ``word: true``, and the tags the server sets."""
    found = dict.fromkeys(summary.tags, WORD_TAG) | summary.tag_values
    if summary.name:
        found[NAME_TAG] = summary.name
    if summary.prompts and PROMPTS_TAG not in found:
        linked = [dict(zip(("name", "version"), each.rsplit("/", 1), strict=False)) for each in summary.prompts]
        found[PROMPTS_TAG] = msgspec.json.encode(linked).decode()
    found[ARTIFACT_TAG] = f"{location.rstrip('/')}/traces/{mlflow_trace_id(summary.trace_id)}/artifacts"
    found[SPANS_TAG] = SPANS_HERE
    return found


def trace_metadata(summary: TraceSummary) -> dict[str, str]:
    """Metadata as texts, with what MLflow keeps there and we have in fields."""
    found = {key: _text(value) for key, value in summary.metadata.items()}
    found.setdefault(_SCHEMA, "3")
    if summary.session_id:
        found[_SESSION] = summary.session_id
    if summary.user_id:
        found[_USER] = summary.user_id
    if summary.run_ids and _RUN not in found:
        found[_RUN] = summary.run_ids[0]
    if summary.usage:
        found[_USAGE] = json.dumps(token_usage(summary.usage))
    if summary.cost:
        found[_COST] = json.dumps(costs(summary.cost))
    if summary.span_count:
        found.setdefault(_SIZES, msgspec.json.encode({"num_spans": summary.span_count}).decode())
    if summary.environment != "default":
        found.setdefault("deployment.environment.name", summary.environment)
    if summary.release or summary.version:
        found.setdefault("service.version", summary.release or summary.version or "")
    return found


def info_json(summary: TraceSummary, scores: Iterable[Score], location: str) -> dict[str, Any]:
    """TraceInfo V3. ``location`` is the experiment's artifact location."""
    latency = summary.latency_ns
    return present(
        trace_id=mlflow_trace_id(summary.trace_id),
        client_request_id=summary.client_request_id,
        trace_location={
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": summary.experiment_id},
        },
        request_preview=_preview(summary.input_preview),
        response_preview=_preview(summary.output_preview),
        request_time=iso_ms(summary.start_ns).replace(".000Z", "Z"),
        execution_duration=None if latency is None else _duration(latency // 1_000_000),
        state=state_of(summary),
        trace_metadata=trace_metadata(summary),
        tags=trace_tags(summary, location),
        assessments=[assessment_json(score) for score in scores] or None,
    )


def info_v2_json(summary: TraceSummary, location: str) -> dict[str, Any]:
    """TraceInfo V2, for clients before MLflow 3."""
    latency = summary.latency_ns
    metadata = trace_metadata(summary)
    metadata[_SCHEMA] = "2"
    for key, value in (("mlflow.traceInputs", summary.input_preview), ("mlflow.traceOutputs", summary.output_preview)):
        if value:
            metadata.setdefault(key, value[:250])
    state = state_of(summary)
    return present(
        request_id=mlflow_trace_id(summary.trace_id), experiment_id=summary.experiment_id,
        timestamp_ms=summary.start_ns // 1_000_000, execution_time_ms=None if latency is None else latency // 1_000_000,
        status=state, request_metadata=pairs(metadata), tags=pairs(trace_tags(summary, location)),
    )  # fmt: skip


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    """``[{"key", "value"}]``."""
    return [{"key": key, "value": value} for key, value in values.items()]


# --- in --------------------------------------------------------------------------------------------------------------


def patch_from(info: Params) -> TracePatch:
    """What a TraceInfo (V3) says about its trace."""
    trace_id = canonical_trace_id(check_id(info.required("trace_id"), "trace_id"))
    start = time_ns(info.text("request_time"))
    duration = _duration_ns(info.raw("execution_duration"))
    state = _state(info.raw("state"))
    patch = TracePatch(
        trace_id=trace_id, experiment_id=experiment_of(info.object("trace_location")), start_ns=start,
        end_ns=None if start is None or duration is None or state == "IN_PROGRESS" else start + duration,
        client_request_id=info.text("client_request_id") or None,
        input_preview=info.text("request_preview") or info.text("request"),
        output_preview=info.text("response_preview") or info.text("response"),
        status=None if state is None else _STATES[state], authority="final",
    )  # fmt: skip
    say_metadata(patch, text_map(info, "trace_metadata"))
    say_tags(patch, text_map(info, "tags"))
    return patch


def experiment_of(location: Params | None) -> str:
    """The experiment that a trace location names; only experiments are locations here."""
    experiment = location.object("mlflow_experiment") if location else None
    if experiment is None:
        raise invalid("Missing value for required parameter 'trace_location.mlflow_experiment.experiment_id'.")
    return experiment.required("experiment_id")


def say_metadata(patch: TracePatch, metadata: dict[str, str]) -> None:
    """Bring metadata into a patch: reserved keys into their fields, the rest as it is."""
    patch.session_id = metadata.get(_SESSION) or patch.session_id
    patch.user_id = metadata.get(_USER) or patch.user_id
    if metadata.get(_RUN):
        patch.run_ids = [metadata[_RUN]]
    usage, cost = _object(metadata.get(_USAGE)), _object(metadata.get(_COST))
    if usage:
        patch.usage = from_mapping(usage) or None
    if cost:
        patch.cost = cost_from_mapping(cost) or None
    rest = {key: value for key, value in metadata.items() if key not in _PROMOTED or key == _RUN}
    if rest:
        patch.metadata = {**(patch.metadata or {}), **rest}


def say_tags(patch: TracePatch, tags: dict[str, str]) -> None:
    """Bring tags into a patch; those of the server are dropped."""
    name = tags.get(NAME_TAG)
    if name:
        patch.name = name
    values = {
        check_tag_key(key): value[:MAX_TAG_VALUE] for key, value in tags.items() if key not in SERVER_TAGS | {NAME_TAG}
    }
    if values:
        patch.tag_values = {**(patch.tag_values or {}), **values}
    linked = tags.get(PROMPTS_TAG)
    if linked:
        patch.prompts = _linked_prompts(linked) or None


def check_tag_key(key: str) -> str:
    """Return the key of a trace tag, or refuse it."""
    if not key or len(key) > MAX_TAG_KEY or "\x00" in key:
        raise invalid(f"Invalid tag key '{key[:50]}': 1 to {MAX_TAG_KEY} characters are allowed.")
    return key


def text_map(item: Params, name: str) -> dict[str, str]:
    """A ``map<string, string>`` field; other scalars become texts."""
    found = item.raw(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid(f"Invalid value for parameter '{name}' supplied: it must be an object of texts.")
    return {str(key): _text(value) for key, value in found.items() if value is not None}


def expected_spans(summary: TraceSummary) -> int | None:
    """How many spans the exporter says the trace has; None when it has not said."""
    stats = _object(summary.metadata.get(_SIZES))
    number = stats.get("num_spans") if stats else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _state(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and 0 <= value < len(_STATE_NUMBERS):
        return _STATE_NUMBERS[value]
    if value not in _STATES:
        raise invalid(f"Invalid value '{value}' for parameter 'state' supplied.")
    return str(value)


def _duration(milliseconds: int) -> str:
    """A protobuf duration: ``"2s"``, ``"0.250s"``."""
    return f"{milliseconds / 1000:.3f}s" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def _duration_ns(value: Any) -> int | None:
    """A protobuf duration (``"1.5s"``) as nanoseconds."""
    if value is None:
        return None
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise invalid(f"Invalid value '{value}' for parameter 'execution_duration' supplied: expected e.g. '1.5s'.")
    return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0") or 0)


def _linked_prompts(text: str) -> list[str]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return []
    return [
        f"{each['name']}/{each['version']}"
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict) and "name" in each and "version" in each
    ]


def _object(text: Any) -> dict[str, Any] | None:
    if isinstance(text, dict):
        return text  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(text, str):
        return None
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _preview(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_PREVIEW else text[: MAX_PREVIEW - 3] + "..."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
