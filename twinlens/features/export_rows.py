"""Traces, observations and scores as rows of export files. Columns are named as in Langfuse's exports (server v4.16)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.counting import sides, total_tokens
from twinlens.domain.price import row_and_tier
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.query.langfuse_filter import TYPE_OF

_encode = msgspec.json.Encoder().encode
_SECOND = 1_000_000_000
_SOURCES = {"annotation": "ANNOTATION", "human": "ANNOTATION", "judge": "EVAL", "code": "EVAL"}


def _time(ns: int | None) -> str | None:
    return None if ns is None else iso_ms(ns)


def _json(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


def trace_row(trace: TraceSummary, project_id: str) -> dict[str, Any]:
    """A row of ``traces``."""
    return {
        "id": trace.trace_id, "timestamp": _time(trace.start_ns), "name": trace.name,
        "environment": trace.environment, "project_id": project_id,
        "metadata": {**trace.tag_values, **trace.metadata}, "user_id": trace.user_id, "session_id": trace.session_id,
        "release": trace.release, "version": trace.version, "public": trace.public, "bookmarked": trace.bookmarked,
        "tags": trace.tags, "input": _json(trace.input), "output": _json(trace.output),
        "total_cost": trace.total_cost, "created_at": _time(trace.created_ns), "updated_at": _time(trace.updated_ns),
    }  # fmt: skip


def observation_row(
    span: Span, project_id: str, owner: TraceSummary | None, groups: frozenset[str], *, enriched: bool
) -> dict[str, Any]:  # fmt: skip
    """A row of ``observations``, or with ``enriched`` of ``observations_v2``, which also knows its trace.

    Args:
        groups: field groups to keep; empty for all.
    """
    first = span.completion_start_ns
    input_tokens, output_tokens = sides(span.usage)
    parts: dict[str, dict[str, Any]] = {
        "core": {
            "id": span.span_id, "trace_id": span.trace_id, "project_id": project_id,
            "parent_observation_id": span.parent_id, "type": TYPE_OF.get(span.kind, "SPAN"),
            "start_time": _time(span.start_ns), "end_time": _time(span.end_ns),
        },
        "basic": {
            "name": span.name or None, "level": span.level, "status_message": span.status_message or None,
            "version": span.version, "environment": span.environment or "default",
        },
        "time": {
            "completion_start_time": _time(first), "created_at": _time(span.created_ns),
            "updated_at": _time(span.updated_ns),
        },
        "io": {"input": _json(span.input), "output": _json(span.output)},
        "metadata": {"metadata": span.metadata},
        "model": {
            "provided_model_name": span.model, "internal_model_id": row_and_tier(span.price_id)[0],
            "model_parameters": span.model_parameters,
        },
        "usage": {
            "usage_details": span.usage, "cost_details": span.cost,
            "total_cost": span.total_cost if span.cost else None, "input_usage": input_tokens,
            "output_usage": output_tokens, "total_usage": total_tokens(span.usage) if span.usage else 0,
        },
        "prompt": {"prompt_name": span.prompt_name, "prompt_version": span.prompt_version},
        "metrics": {
            "latency": None if span.latency_ns is None else span.latency_ns / _SECOND,
            "time_to_first_token": None if first is None else max(0, first - span.start_ns) / _SECOND,
        },
        "tools": {"tool_name": span.tool_name},
    }  # fmt: skip
    if enriched:
        parts["basic"] |= {
            "user_id": span.user_id or (owner and owner.user_id),
            "session_id": span.session_id or (owner and owner.session_id),
        }
        parts["trace_context"] = {
            "trace_name": owner and owner.name, "tags": owner.tags if owner else [],
            "release": span.release or (owner and owner.release), "public": bool(owner and owner.public),
        }  # fmt: skip
    return {
        name: value for group, part in parts.items() if not groups or group in groups for name, value in part.items()
    }


def score_row(score: Score, project_id: str) -> dict[str, Any]:
    """A row of ``scores``."""
    return {
        "id": score.score_id, "timestamp": _time(score.timestamp_ns), "project_id": project_id,
        "environment": score.environment, "trace_id": score.trace_id, "observation_id": score.span_id,
        "session_id": score.session_id, "dataset_run_id": score.dataset_run_id, "name": score.name,
        "value": score.value, "string_value": score.string_value or score.json_value, "data_type": score.data_type,
        "source": _SOURCES.get(score.source, "API"), "comment": score.comment, "metadata": score.metadata,
        "config_id": score.config_id, "queue_id": score.queue_id, "author_user_id": score.author_user_id,
        "created_at": _time(score.created_ns), "updated_at": _time(score.updated_ns),
    }  # fmt: skip


class Form:
    """Rows as the bytes of one file: ``JSONL``, ``JSON`` (one array) or ``CSV`` (nested values as JSON). Call in order."""

    def __init__(self, file_type: str) -> None:
        self._type = file_type
        self._first = True

    def rows(self, rows: Iterable[dict[str, Any]]) -> bytes:
        """The next rows."""
        if self._type == "CSV":
            return self._csv(rows)
        if self._type == "JSONL":
            return b"".join(_encode(row) + b"\n" for row in rows)
        parts: list[bytes] = []
        for row in rows:
            parts.append((b"[\n" if self._first else b",\n") + _encode(row))
            self._first = False
        return b"".join(parts)

    def end(self) -> bytes:
        """What follows the last row."""
        return b"\n]\n" if self._type == "JSON" else b""

    def _csv(self, rows: Iterable[dict[str, Any]]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for row in rows:
            if self._first:
                writer.writerow(row)
                self._first = False
            writer.writerow([_cell(value) for value in row.values()])
        return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else _encode(value).decode()
