"""Scores as MLflow assessments, both ways."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.domain.ids import mlflow_trace_id
from twinlens.domain.score import Score
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.otel_json import span_hex
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import present
from twinlens.features.assessments import value_fields, value_of

_JSON_FORMAT = "JSON_FORMAT"
_SOURCES_IN = {"HUMAN": "human", "LLM_JUDGE": "judge", "AI_JUDGE": "judge", "CODE": "code"}
_SOURCES_OUT = {"human": "HUMAN", "annotation": "HUMAN", "judge": "LLM_JUDGE", "eval": "LLM_JUDGE"}
#: Fields that an update mask may name -> our fields; the value comes with ``feedback`` or ``expectation``.
_MASK = {
    "assessment_name": "name", "rationale": "comment", "metadata": "metadata", "source": "source", "span_id": "span_id",
    "valid": "valid",
}  # fmt: skip


def assessment_json(score: Score) -> dict[str, Any]:
    """A score on the wire."""
    value = value_of(score)
    kind: dict[str, Any]
    if score.kind == "issue":
        kind = {"issue": {"issue_name": score.name}}
    elif score.kind == "expectation":
        if isinstance(value, list | dict):
            text = msgspec.json.encode(value).decode()
            kind = {"expectation": {"serialized_value": {"serialization_format": _JSON_FORMAT, "value": text}}}
        else:
            kind = {"expectation": {"value": value}}
    else:
        kind = {
            "feedback": present(value=value, error=score.error)
            if value is None
            else {"value": value} | present(error=score.error)
        }
    return {
        **present(
            assessment_id=score.score_id, assessment_name=score.name,
            trace_id=mlflow_trace_id(score.trace_id) if score.trace_id else None,
            span_id=span_hex(score.span_id) if score.span_id else None,
            source={
                "source_type": _SOURCES_OUT.get(score.source, "CODE"),
                "source_id": score.source_id or score.author_user_id or "default",
            },
            create_time=iso_ms(score.created_ns or score.timestamp_ns),
            last_update_time=iso_ms(score.updated_ns or score.created_ns or score.timestamp_ns),
            rationale=score.comment, overrides=score.overrides,
            metadata={k: _text(v) for k, v in score.metadata.items()} or None,
        ),
        "valid": score.valid,
        **kind,
    }  # fmt: skip


def score_from(item: Params) -> Score:
    """A score from the wire. The trace id is the caller's to fill in."""
    fields = _value(item)
    if fields is None:
        raise invalid("An assessment must have exactly one of feedback, expectation or issue.")
    name = item.text("assessment_name") or (item.text("name") or "")
    if not name and fields.get("kind") != "issue":
        raise invalid("Missing value for required parameter 'assessment_name'.")
    created = time_ns(item.text("create_time"))
    return Score(
        score_id=item.text("assessment_id") or "", name=name or fields.pop("issue_name", ""),
        span_id=item.text("span_id") or None, comment=item.text("rationale"), metadata=_metadata(item),
        overrides=item.text("overrides") or None, created_ns=created or 0, timestamp_ns=created or 0,
        updated_ns=time_ns(item.text("last_update_time")) or 0, **_source(item),
        **{key: value for key, value in fields.items() if key != "issue_name"},
    )  # fmt: skip


def changes_from(item: Params, mask: list[str]) -> dict[str, Any]:
    """The fields of a score that an update names."""
    changes: dict[str, Any] = {}
    for path in mask:
        match path:
            case "feedback" | "expectation" | "issue":
                fields = _value(item)
                if fields is None or fields["kind"] != path:
                    raise invalid(f"The update mask names '{path}', but the assessment holds no {path}.")
                changes.update({key: value for key, value in fields.items() if key != "issue_name"})
            case "source":
                changes.update(_source(item))
            case "metadata":
                changes["metadata"] = _metadata(item)
            case "assessment_name" | "rationale" | "span_id":
                changes[_MASK[path]] = item.text(path) or None
            case "valid":
                changes["valid"] = item.boolean("valid") or False
            case _:
                raise invalid(
                    f"Unsupported field in update_mask: '{path}'. Supported: {sorted([*_MASK, 'feedback', 'expectation'])}"
                )
    return changes


def _value(item: Params) -> dict[str, Any] | None:
    feedback, expectation, issue = item.object("feedback"), item.object("expectation"), item.object("issue")
    if sum(each is not None for each in (feedback, expectation, issue)) > 1:
        raise invalid("An assessment must have exactly one of feedback, expectation or issue.")
    if feedback is not None:
        error = feedback.raw("error") or item.raw("error")
        fields = value_fields(feedback.raw("value"))
        return fields | {"kind": "feedback", "error": error if isinstance(error, dict) else None}
    if expectation is not None:
        value = expectation.raw("value")
        serialized = expectation.object("serialized_value")
        if serialized is not None:
            try:
                value = msgspec.json.decode(serialized.text("value") or "null")
            except msgspec.DecodeError as error:
                raise invalid(f"Invalid serialized_value: {error}") from None
        return value_fields(value) | {"kind": "expectation"}
    if issue is not None:
        return value_fields(True) | {"kind": "issue", "issue_name": issue.text("issue_name") or ""}
    return None


def _source(item: Params) -> dict[str, Any]:
    source = item.object("source")
    if source is None:
        return {"source": "code", "source_id": None}
    kind = source.text("source_type") or "CODE"
    if kind == "SOURCE_TYPE_UNSPECIFIED":
        return {"source": "api", "source_id": source.text("source_id")}
    if kind not in _SOURCES_IN:
        raise invalid(f"Invalid source_type '{kind}'. Valid values are {sorted(_SOURCES_IN)}")
    return {"source": _SOURCES_IN[kind], "source_id": source.text("source_id")}


def _metadata(item: Params) -> dict[str, Any]:
    found = item.raw("metadata")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid("Invalid value for parameter 'metadata': it must be an object of texts.")
    return {str(key): _text(value) for key, value in found.items()}


def time_ns(text: str | None) -> int | None:
    """A protobuf timestamp (RFC 3339) as nanoseconds."""
    if not text:
        return None
    try:
        return parse_iso(text)
    except ValueError:
        raise invalid(f"Invalid time '{text}': RFC 3339 is expected, e.g. {_example()}") from None


def _example() -> str:
    return datetime(2026, 1, 31, 12, 0, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
