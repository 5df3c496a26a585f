"""Domain objects as the native API shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from twinlens.domain.counting import sides, total_tokens
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.faces.native import trace_schemas as ts


def ms(ns: int) -> float:
    """Nanoseconds as milliseconds, exact to the microsecond."""
    return (ns // 1_000) / 1_000


def maybe_ms(ns: int | None) -> float | None:
    """``ms`` that lets None pass."""
    return None if ns is None else ms(ns)


def number(value: float) -> float | str:
    """A float as JSON can hold it: NaN and infinities as text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def tokens(usage: Mapping[str, int], side: str) -> int:
    """Tokens of one side, all classes: keys that begin with ``input`` or ``output``."""
    return sum(count for key, count in usage.items() if key.startswith(side))


def known_cost(cost: Mapping[str, float]) -> float | None:
    """USD in total, or None when nothing is known about it."""
    if not cost:
        return None
    return cost["total"] if "total" in cost else sum(cost.values())


def trace_row(trace: TraceSummary, scores: Iterable[Score] = ()) -> ts.TraceRow:
    """A summary as a list row."""
    usage = trace.usage
    return ts.TraceRow(
        trace_id=trace.trace_id,
        experiment_id=trace.experiment_id,
        name=trace.name,
        start_ms=ms(trace.start_ns),
        latency_ms=maybe_ms(trace.latency_ns),
        status=trace.status,
        level=trace.level,
        user_id=trace.user_id,
        session_id=trace.session_id,
        environment=trace.environment,
        release=trace.release,
        version=trace.version,
        service=trace.service,
        bookmarked=trace.bookmarked,
        tags=trace.tags,
        tag_values=trace.tag_values,
        models=trace.models,
        run_ids=trace.run_ids,
        prompts=trace.prompts,
        input_preview=trace.input_preview,
        output_preview=trace.output_preview,
        span_count=trace.span_count,
        error_count=trace.error_count,
        warning_count=trace.warning_count,
        model_call_count=trace.model_call_count,
        input_tokens=tokens(usage, "input"),
        output_tokens=tokens(usage, "output"),
        total_tokens=trace.total_tokens,
        total_cost=known_cost(trace.cost),
        usage_source=trace.usage_source,
        source=trace.source,
        updated_ms=ms(trace.updated_ns),
        scores=badges(scores),
    )


def badges(scores: Iterable[Score]) -> list[ts.ScoreBadge]:
    """Valid scores by name: numbers averaged, others by their newest value."""
    grouped: dict[str, list[Score]] = {}
    for score in scores:
        if score.valid:
            grouped.setdefault(score.name, []).append(score)
    found: list[ts.ScoreBadge] = []
    for name, group in grouped.items():
        newest = max(group, key=lambda one: one.timestamp_ns)
        values = [one.value for one in group if one.value is not None]
        found.append(
            ts.ScoreBadge(
                name=name,
                value=sum(values) / len(values) if values else None,
                string_value=newest.string_value if newest.string_value is not None else newest.json_value,
                data_type=newest.data_type,
                kind=newest.kind,
                count=len(group),
            )
        )
    return sorted(found, key=lambda badge: badge.name)


def score_row(score: Score) -> ts.ScoreRow:
    """One score."""
    return ts.ScoreRow(
        score_id=score.score_id,
        name=score.name,
        data_type=score.data_type,
        kind=score.kind,
        trace_id=score.trace_id,
        span_id=score.span_id,
        session_id=score.session_id,
        value=score.value,
        string_value=score.string_value,
        json_value=score.json_value,
        source=score.source,
        source_id=score.source_id,
        comment=score.comment,
        metadata=score.metadata,
        timestamp_ms=ms(score.timestamp_ns),
        updated_ms=ms(score.updated_ns),
        valid=score.valid,
    )


#: The fields of a span that ``span_row_of`` takes, in its order.
SPAN_FIELDS = (
    "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "completion_start_ns", "status", "level", "status_message",
    "model", "provider", "tool_name", "agent_name", "prompt_name", "prompt_version", "usage", "cost", "usage_source",
    "cost_source", "counted", "dialect",
)  # fmt: skip
#: Texts that are left out where a trace has many thousand spans: with them, 30,000 spans are 30 MB.
PREVIEW_FIELDS = ("input_preview", "output_preview")
_fields = attrgetter(*SPAN_FIELDS, *PREVIEW_FIELDS)


def span_row(span: Span) -> ts.SpanRow:
    """One span without payloads."""
    return span_row_of(_fields(span))


def span_row_of(fields: tuple[Any, ...]) -> ts.SpanRow:
    """One span without payloads, of its ``SPAN_FIELDS`` and, where they are shown, ``PREVIEW_FIELDS``."""
    (
        span_id, parent_id, name, kind, start_ns, end_ns, first_ns, status, level, status_message, model, provider, tool_name,
        agent_name, prompt_name, prompt_version, usage, cost, usage_source, cost_source, counted, dialect, *previews,
    ) = fields  # fmt: skip
    inputs, outputs = sides(usage)
    given, answer = previews or (None, None)
    return ts.SpanRow(
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        kind=kind,
        start_ms=ms(start_ns),
        end_ms=maybe_ms(end_ns),
        latency_ms=None if end_ns is None else ms(max(0, end_ns - start_ns)),
        ttft_ms=None if first_ns is None else ms(max(0, first_ns - start_ns)),
        status=status,
        level=level,
        status_message=status_message,
        model=model,
        provider=provider,
        tool_name=tool_name,
        agent_name=agent_name,
        prompt_name=prompt_name,
        prompt_version=prompt_version,
        usage=usage,
        input_tokens=inputs,
        output_tokens=outputs,
        total_tokens=total_tokens(usage),
        cost=cost,
        total_cost=known_cost(cost),
        usage_source=usage_source,
        cost_source=cost_source,
        counted=counted,
        input_preview=given,
        output_preview=answer,
        dialect=dialect,
    )


def span_detail(span: Span, scores: Iterable[Score]) -> ts.SpanDetail:
    """One whole span."""
    return ts.SpanDetail(
        span=span_row(span),
        input=span.input,
        output=span.output,
        metadata=span.metadata,
        model_parameters=span.model_parameters,
        attributes=span.attributes,
        events=[ts.SpanEventRow(name=e.name, time_ms=ms(e.time_ns), attributes=e.attributes) for e in span.events],
        links=[ts.SpanLinkRow(trace_id=k.trace_id, span_id=k.span_id, attributes=k.attributes) for k in span.links],
        resource=span.resource,
        scope_name=span.scope.name,
        scope_version=span.scope.version,
        rules=span.rules,
        price_id=span.price_id,
        scores=[score_row(score) for score in scores],
    )
