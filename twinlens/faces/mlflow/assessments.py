"""Assessments: feedback and expectations on traces and spans. Langfuse's scores are the same rows."""

from __future__ import annotations

import re
from typing import Any

from twinlens.faces.mlflow.assessment_json import assessment_json, changes_from, score_from
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.otel_json import span_hex
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable

rpcs = RpcTable()

_ALL = "/mlflow/traces/{trace_id}/assessments"
_ONE = _ALL + "/{assessment_id}"


@rpcs.rpc("POST", "3.0", _ALL, scope="score")
def create(call: Call) -> Reply:
    """Add an assessment, maybe in the place of another one (``overrides``)."""
    item = call.params.object("assessment")
    if item is None:
        raise invalid("Missing value for required parameter 'assessment'.")
    score = score_from(item)
    if score.span_id:
        score.span_id = _own_span_id(call, call.path["trace_id"], score.span_id)
    made = call.services.assessments.create(call.project_id, call.path["trace_id"], score)
    return {"assessment": assessment_json(made)}


@rpcs.rpc("GET", "3.0", _ONE)
def get(call: Call) -> Reply:
    """One assessment."""
    found = call.services.assessments.get(call.project_id, call.path["trace_id"], call.path["assessment_id"])
    return {"assessment": assessment_json(found)}


@rpcs.rpc("PATCH", "3.0", _ONE, scope="score")
def update(call: Call) -> Reply:
    """Change the fields that the update mask names."""
    item = call.params.object("assessment")
    if item is None:
        raise invalid("Missing value for required parameter 'assessment'.")
    mask = _mask(call.params.raw("update_mask"))
    if not mask:
        raise invalid("Missing value for required parameter 'update_mask'.")
    changed = call.services.assessments.update(
        call.project_id, call.path["trace_id"], call.path["assessment_id"], changes_from(item, mask)
    )
    return {"assessment": assessment_json(changed)}


@rpcs.rpc("DELETE", "3.0", _ONE)
def delete(call: Call) -> Reply:
    """Remove an assessment; what it had replaced is valid again."""
    call.services.assessments.delete(call.project_id, call.path["trace_id"], call.path["assessment_id"])
    return None


def _own_span_id(call: Call, trace_id: str, span_id: str) -> str:
    """The stored id of a span that the client knows by the 16 digits it was shown (ids of other protocols are free texts)."""
    telemetry = call.services.telemetry
    found = call.services.traces.summary(call.project_id, trace_id).trace_id
    if telemetry.span(call.project_id, found, span_id) is not None:
        return span_id
    spans = telemetry.trace_spans(call.project_id, [found], with_io=False, with_attributes=False).get(found, [])
    return next((span.span_id for span in spans if span_hex(span.span_id) == span_id), span_id)


def _mask(value: Any) -> list[str]:
    """A protobuf field mask: one comma-joined text of camel-case paths, or ``{"paths": […]}``."""
    if isinstance(value, dict):
        value = ",".join(str(path) for path in value.get("paths", []))  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, str):
        return []
    snake = re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), value)
    return [path.strip() for path in snake.split(",") if path.strip()]
