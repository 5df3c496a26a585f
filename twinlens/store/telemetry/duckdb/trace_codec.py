"""Trace summaries to columns and rows to summaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

#: Columns that are a field of the same name, copied as they are.
PLAIN = (
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


def _json(value: Any) -> str | None:
    return _encode(value).decode() if value else None


#: Columns that are made of more than one field, or written in another form.
_MADE: dict[str, Callable[[TraceSummary], Any]] = {
    "tag_values": lambda s: _json(s.tag_values),
    "metadata": lambda s: _json(s.metadata),
    "usage": lambda s: _json(s.usage),
    "cost": lambda s: _json(s.cost),
    "input_tokens": lambda s: sides(s.usage)[0],
    "output_tokens": lambda s: sides(s.usage)[1],
    "total_tokens": lambda s: s.total_tokens,
    "input_cost": lambda s: sides(s.cost)[0],
    "output_cost": lambda s: sides(s.cost)[1],
    "total_cost": lambda s: s.total_cost,
}


def column(name: str, summaries: Sequence[TraceSummary]) -> list[Any] | None:
    """One of the columns that come from the summary itself; None for others."""
    if name in PLAIN:
        return [getattr(s, name) for s in summaries]
    made = _MADE.get(name)
    return None if made is None else [made(s) for s in summaries]


def summary_columns(summaries: Sequence[TraceSummary]) -> dict[str, list[Any]]:
    """Columns of everything that comes from the summary itself."""
    columns: dict[str, list[Any]] = {name: [getattr(s, name) for s in summaries] for name in PLAIN}
    columns |= {name: [made(s) for s in summaries] for name, made in _MADE.items()}
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
