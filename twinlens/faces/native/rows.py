"""Domain objects as the native API shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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


#: The fields of a span that ``span_rows`` takes, in its order.
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
    return span_rows([[value] for value in _fields(span)])[0]


def span_rows(columns: Sequence[list[Any]]) -> list[ts.SpanRow]:
    """Spans without payloads, of the columns of their ``SPAN_FIELDS`` and, where they are shown, ``PREVIEW_FIELDS``. Made column by
    column: 30,000 rows take a third of the time."""
    (
        span_ids, parent_ids, names, kinds, starts, ends, firsts, statuses, levels, messages, models, providers, tools, agents,
        prompts, versions, usages, costs, usage_sources, cost_sources, counted, dialects, *previews,
    ) = columns  # fmt: skip
    nothing: list[Any] = [None] * len(span_ids)
    given, answers = previews or (nothing, nothing)
    amounts = {
        id(usage): (*sides(usage), total_tokens(usage)) for usage in usages
    }  # many spans share one, or have none
    of_usage = [amounts[id(usage)] for usage in usages]
    return list(
        map(
            ts.SpanRow, span_ids, parent_ids, names, kinds, map(ms, starts), map(maybe_ms, ends), map(_since, ends, starts),
            map(_since, firsts, starts), statuses, levels, messages, models, providers, tools, agents, prompts, versions, usages,
            [n for n, _, _ in of_usage], [n for _, n, _ in of_usage], [n for _, _, n in of_usage], costs, map(known_cost, costs),
            usage_sources, cost_sources, counted, given, answers, dialects,
        )
    )  # fmt: skip


def _since(ns: int | None, start_ns: int) -> float | None:
    """Milliseconds from a start; never below zero."""
    return None if ns is None else ms(max(0, ns - start_ns))


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
