"""What the variables of a judge's prompt stand for: parts of the judged span, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from twinlens.domain.evaluator import Mapping
from twinlens.domain.trace import Span
from twinlens.features.assessments import value_of
from twinlens.store.telemetry.interface import TelemetryStore

_EXPERIMENT = "langfuse.experiment.item."
#: Names that mean a source by themselves, for variables without a mapping (those of MLflow's judges among them).
_SELF = {
    "input": "input", "inputs": "input", "query": "input", "output": "output", "outputs": "output",
    "generation": "output", "response": "output", "metadata": "metadata", "tool_calls": "tool_calls",
    "expected_output": "expected_output", "expectations": "expected_output", "ground_truth": "expected_output",
    "experiment_item_metadata": "experiment_item_metadata", "trace": "trace",
}  # fmt: skip
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]|(\[\*\]|\.\*)")


def values_of(
    telemetry: TelemetryStore, project_id: str, span: Span, variables: Sequence[str], mapping: Sequence[Mapping] | None
) -> dict[str, str]:
    """Text by variable. A variable without mapping means the part of the same name. Blocks."""
    mapped = {each.variable: each for each in mapping or ()}
    found: dict[str, str] = {}
    for name in variables:
        where = mapped.get(name)
        source = where.source if where is not None else _SELF.get(name)
        value = _part(telemetry, project_id, span, source)
        if where is not None and where.json_path:
            value = selected(value, where.json_path)
        found[name] = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    return found


def _part(telemetry: TelemetryStore, project_id: str, span: Span, source: str | None) -> Any:
    match source:
        case "input":
            return _decoded(span.input)
        case "output":
            return _decoded(span.output)
        case "metadata":
            return span.metadata
        case "tool_calls":
            return _tool_calls(_decoded(span.output))
        case "experiment_item_metadata":
            return _decoded(span.attributes.get(_EXPERIMENT + "metadata"))
        case "expected_output":
            told = span.attributes.get(_EXPERIMENT + "expected_output")
            return _decoded(told) if told is not None else _expectations(telemetry, project_id, span.trace_id)
        case "trace":
            spans = telemetry.trace_spans(project_id, [span.trace_id], with_attributes=False).get(span.trace_id, [])
            return [
                {"name": s.name, "kind": s.kind, "id": s.span_id, "parent": s.parent_id, "input": _decoded(s.input),
                 "output": _decoded(s.output)}
                for s in spans
            ]  # fmt: skip
        case _:
            return None


def _expectations(telemetry: TelemetryStore, project_id: str, trace_id: str) -> dict[str, Any] | None:
    scores = telemetry.scores_for(project_id, [trace_id]).get(trace_id, [])
    return {s.name: value_of(s) for s in scores if s.kind == "expectation" and s.valid} or None


def _tool_calls(output: Any) -> list[Any]:
    """Tool calls in an OpenAI-like answer, in order."""
    if isinstance(output, list):
        return [call for each in cast("list[Any]", output) for call in _tool_calls(each)]
    if isinstance(output, dict):
        values = cast("dict[str, Any]", output)
        if isinstance(values.get("tool_calls"), list):
            return values["tool_calls"]
        return [call for key in ("choices", "message", "messages") for call in _tool_calls(values.get(key))]
    return []


def selected(value: Any, path: str) -> Any:
    """What a simple JSONPath (names, indexes, ``*``) selects; None when there is nothing, a list after ``*``."""
    found, many = [value], False
    for name, index, single, double, star in _STEP.findall(path):
        following: list[Any] = []
        for each in found:
            if star:
                many = True
                following += list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else []  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]
            elif index:
                if isinstance(each, list) and int(index) < len(each):  # pyright: ignore[reportUnknownArgumentType]
                    following.append(each[int(index)])
            elif isinstance(each, dict) and (name or single or double) in each:
                following.append(each[name or single or double])
        found = following
    return found if many else found[0] if found else None


def _decoded(text: Any) -> Any:
    try:
        return msgspec.json.decode(text) if isinstance(text, str) else text
    except msgspec.DecodeError:
        return text
