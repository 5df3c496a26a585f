"""Trace summaries to columns and rows to summaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.counting import sides
from twinlens.domain.trace import SummaryState, TraceSummary

_encode = msgspec.json.encode
_decode = msgspec.json.decode
_usage = msgspec.json.Decoder(dict[str, int]).decode
_cost = msgspec.json.Decoder(dict[str, float]).decode
_tags = msgspec.json.Decoder(dict[str, str]).decode


class State(msgspec.Struct, omit_defaults=True):
    """What only merging needs, as one cell."""

    client_usage: bool = False
    final: bool = False
    client_fields: frozenset[str] = frozenset()
    state: SummaryState = msgspec.field(default_factory=SummaryState)


_state = msgspec.json.Decoder(State).decode

_COPIED = (
    "trace_id", "experiment_id", "name", "root_span_id", "start_ns", "end_ns", "status", "level", "input_preview",
    "output_preview", "user_id", "session_id", "environment", "release", "version", "service", "public", "bookmarked",
    "client_request_id", "tags", "models", "run_ids", "prompts", "span_count", "error_count", "warning_count",
    "model_call_count", "usage_source", "source", "created_ns", "updated_ns",
)  # fmt: skip

ROW = (
    "trace_id", "experiment_id", "name", "root_span_id", "start_ns", "end_ns", "status", "level", "input_preview",
    "output_preview", "user_id", "session_id", "environment", "release", "version", "service", "public", "bookmarked",
    "client_request_id", "tags", "models", "run_ids", "prompts", "tag_values", "metadata", "span_count", "error_count",
    "warning_count", "model_call_count", "usage", "cost", "usage_source", "source", "created_ns", "updated_ns", "state",
)  # fmt: skip


def summary_columns(summaries: Sequence[TraceSummary]) -> dict[str, list[Any]]:
    """Columns of everything that comes from the summary itself."""
    columns: dict[str, list[Any]] = {name: [getattr(s, name) for s in summaries] for name in _COPIED}
    columns["tag_values"] = [_encode(s.tag_values).decode() if s.tag_values else None for s in summaries]
    columns["metadata"] = [_encode(s.metadata).decode() if s.metadata else None for s in summaries]
    columns["usage"] = [_encode(s.usage).decode() if s.usage else None for s in summaries]
    columns["cost"] = [_encode(s.cost).decode() if s.cost else None for s in summaries]
    tokens = [sides(s.usage) for s in summaries]
    columns["input_tokens"] = [n for n, _ in tokens]
    columns["output_tokens"] = [n for _, n in tokens]
    columns["total_tokens"] = [s.total_tokens for s in summaries]
    costs = [sides(s.cost) for s in summaries]
    columns["input_cost"] = [usd for usd, _ in costs]
    columns["output_cost"] = [usd for _, usd in costs]
    columns["total_cost"] = [s.total_cost for s in summaries]
    columns["state"] = [
        _encode(State(s.client_usage, s.final, s.client_fields, s.state)).decode() for s in summaries
    ]  # fmt: skip
    return columns


def decode_summary(row: Sequence[Any]) -> TraceSummary:
    """Summary from the columns of ``ROW``, without ``input`` and ``output``."""
    (
        trace_id, experiment_id, name, root_span_id, start_ns, end_ns, status, level, input_preview, output_preview,
        user_id, session_id, environment, release, version, service, public, bookmarked, client_request_id, tags,
        models, run_ids, prompts, tag_values, metadata, span_count, error_count, warning_count, model_call_count,
        usage, cost, usage_source, source, created_ns, updated_ns, state_text,
    ) = row[: len(ROW)]  # fmt: skip
    kept = _state(state_text)
    return TraceSummary(
        trace_id=trace_id, experiment_id=experiment_id, name=name, root_span_id=root_span_id, start_ns=start_ns,
        end_ns=end_ns, status=status, level=level, input_preview=input_preview, output_preview=output_preview,
        user_id=user_id, session_id=session_id, environment=environment, release=release, version=version,
        service=service, public=public, bookmarked=bookmarked, client_request_id=client_request_id, tags=tags,
        models=models, run_ids=run_ids, prompts=prompts, tag_values=_tags(tag_values) if tag_values else {},
        metadata=_decode(metadata) if metadata else {}, span_count=span_count, error_count=error_count,
        warning_count=warning_count, model_call_count=model_call_count, usage=_usage(usage) if usage else {},
        cost=_cost(cost) if cost else {}, usage_source=usage_source, source=source, created_ns=created_ns,
        updated_ns=updated_ns, client_usage=kept.client_usage, final=kept.final, client_fields=kept.client_fields,
        state=kept.state,
    )  # fmt: skip
