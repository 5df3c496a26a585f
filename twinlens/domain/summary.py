"""The trace summary, kept up to date span by span. Pure: the writer loads, this decides, the store keeps.

The result never depends on the order, batching or repetition in which spans arrive: sums are exact (money on a grid of
1e-12 USD), times are extremes, sets are sorted unions, and every field that only one span can fill remembers how old the
statement is (``SummaryState.origins``). Where an update takes something back that an extreme or a union cannot forget
(a span that moves, a model that changes), ``add_spans`` says so and the caller rebuilds from all spans of the trace.

Sources of the rules: Langfuse's trace row (``langfuse.md`` 2.4), MLflow's two writers (``mlflow.md`` 2.10).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from twinlens.domain.counting import reports, scope_of
from twinlens.domain.preview import preview
from twinlens.domain.trace import MODEL_KINDS, Span, SummaryState, TraceSummary

#: A change of one span: the stored one (None: it is new) and the one that takes its place.
Change = tuple[Span | None, Span]

_LEVELS = {"DEBUG": 0, "DEFAULT": 1, "WARNING": 2, "ERROR": 3}
#: Weakness of a usage source; the trace shows the weakest among its counted spans.
_WEAK = {"none": 0, "client": 1, "estimated": 2, "masked": 3}
_WEAK_NAMES = ("none", "client", "estimated", "masked")
_LAST = ("user_id", "session_id", "release", "version")  # the latest span that says something wins
_FIRST = ("environment", "service")  # the earliest span that says something wins
_NEVER = 1 << 62


def new_summary(trace_id: str, now_ns: int) -> TraceSummary:
    """The summary of a trace nobody has said anything about."""
    return TraceSummary(
        trace_id=trace_id, created_ns=now_ns, updated_ns=now_ns, state=SummaryState(), tags=[], tag_values={}, metadata={},
        run_ids=[], prompts=[], models=[], usage={}, cost={},
    )  # fmt: skip


def copy_summary(summary: TraceSummary) -> TraceSummary:
    """A copy whose containers may be changed without touching the original."""
    state = summary.state
    return msgspec.structs.replace(
        summary, usage=dict(summary.usage), cost=dict(summary.cost),
        state=msgspec.structs.replace(state, origins=dict(state.origins), scopes=list(state.scopes)),
    )  # fmt: skip


def needs_walk(summary: TraceSummary) -> bool:
    """Whether usage in this trace may be reported twice, so that ``counting.uncounted`` has to look at all its spans.

    Estimates count as another reporter than the scope that said nothing.
    """
    state = summary.state
    return state.reporters > 1 and (state.wrappers > 0 or len(state.scopes) > 1)


def note_reporters(summary: TraceSummary, changes: Iterable[Change]) -> None:
    """Keep the counters behind ``needs_walk``. Call before ``add_spans`` decides what counts."""
    state = summary.state
    for old, new in changes:
        if old is not None and reports(old):
            state.reporters -= 1
            state.wrappers -= old.kind not in MODEL_KINDS
        if reports(new):
            state.reporters += 1
            if new.kind not in MODEL_KINDS:
                state.wrappers += 1
            elif (scope := scope_of(new) + "~" * (new.usage_source == "estimated")) not in state.scopes:
                state.scopes = sorted([*state.scopes, scope])


def add_spans(summary: TraceSummary, changes: Sequence[Change]) -> bool:
    """Bring changed spans into ``summary`` (in place). False: it cannot tell; rebuild from all spans of the trace."""
    for old, new in changes:
        if old is not None:
            if not _may_replace(summary, old, new):
                return False
            _count(summary, old, -1)
            _forget_statements(summary, old, new)
        _count(summary, new, 1)
        _extremes(summary, new)
        if new.user_id or new.session_id or new.environment or new.service or new.release or new.version:
            _statements(summary, new)
        _root(summary, new)
    return True


def rebuild(summary: TraceSummary, spans: Iterable[Span]) -> None:
    """Derive everything that comes from spans anew (in place); what clients said about the trace stays."""
    state = summary.state
    fixed = summary.client_fields
    summary.span_count = summary.error_count = summary.warning_count = summary.model_call_count = 0
    summary.level = "DEFAULT"
    summary.models = []
    summary.root_span_id = None
    if "usage" not in fixed:
        summary.usage = {}
    if "cost" not in fixed:
        summary.cost = {}
    if not summary.client_usage:
        summary.usage_source = "none"
    if "start_ns" not in fixed:
        summary.start_ns = 0
    if "end_ns" not in fixed:
        summary.end_ns = None
    state.root_rank, state.root_start_ns, state.weakest = 3, 0, 0
    state.reporters = state.wrappers = 0
    state.scopes = []
    changes: list[Change] = [(None, span) for span in spans]
    note_reporters(summary, changes)
    add_spans(summary, changes)


def _may_replace(summary: TraceSummary, old: Span, new: Span) -> bool:
    """Whether the change can be applied without looking at the other spans."""
    if old.start_ns and new.start_ns > old.start_ns and old.start_ns <= summary.start_ns:
        return False
    if old.end_ns is not None and old.end_ns == summary.end_ns and (new.end_ns is None or new.end_ns < old.end_ns):
        return False
    if old.model and old.model != new.model:
        return False
    if _level(new) < _level(old) and _LEVELS[summary.level] == _level(old):
        return False
    if old.counted and reports(old) and _WEAK.get(old.usage_source, 0) == summary.state.weakest > 0 and (
        not new.counted or new.usage_source != old.usage_source
    ):  # fmt: skip
        return False
    is_root = summary.root_span_id == old.span_id
    return not (is_root and (_rank(new) > _rank(old) or new.start_ns > old.start_ns))


def _level(span: Span) -> int:
    return 3 if span.status == "error" else _LEVELS.get(span.level, 1)


def _rank(span: Span) -> int:
    return 0 if span.parent_id is None else 1 if span.is_app_root else 2


def _count(summary: TraceSummary, span: Span, sign: int) -> None:
    """Additive parts."""
    summary.span_count += sign
    if span.status == "error" or span.level == "ERROR":
        summary.error_count += sign
    elif span.level == "WARNING":
        summary.warning_count += sign
    if not span.counted:
        return
    if span.kind in MODEL_KINDS:
        summary.model_call_count += sign
    if span.usage and "usage" not in summary.client_fields:
        _add_usage(summary.usage, span.usage, sign)
    if span.cost and "cost" not in summary.client_fields:
        _add_cost(summary.cost, span.cost, sign)
    if sign > 0 and span.usage_source != "none":
        weak = _WEAK.get(span.usage_source, 0)
        if weak > summary.state.weakest:
            summary.state.weakest = weak
            if not summary.client_usage:
                summary.usage_source = _WEAK_NAMES[weak]


def _add_usage(total: dict[str, int], usage: Mapping[str, int], sign: int) -> None:
    for key, n in usage.items():
        _put(total, key, total.get(key, 0) + sign * n)
    if "total" not in usage:
        _put(total, "total", total.get("total", 0) + sign * sum(usage.values()))


def _put(total: dict[str, Any], key: str, n: float) -> None:
    if n:
        total[key] = n
    else:
        total.pop(key, None)


def _add_cost(total: dict[str, float], cost: Mapping[str, float], sign: int) -> None:
    """On a grid of 1e-12 USD, so that the sum does not depend on the order."""
    for key, usd in cost.items():
        _put(total, key, round(total.get(key, 0.0) + sign * round(usd, 12), 12))
    if "total" not in cost:
        _put(total, "total", round(total.get("total", 0.0) + sign * round(sum(cost.values()), 12), 12))


def _extremes(summary: TraceSummary, span: Span) -> None:
    start, end, fixed = span.start_ns, span.end_ns, summary.client_fields
    if start and (start < summary.start_ns or not summary.start_ns) and "start_ns" not in fixed:
        summary.start_ns = start
    if end is not None and (summary.end_ns is None or end > summary.end_ns) and "end_ns" not in fixed:
        summary.end_ns = end
    if span.level != "DEFAULT" or span.status == "error" or summary.level == "DEBUG":
        level = _level(span)
        if level > _LEVELS[summary.level] or (summary.span_count == 1 and level == 0):
            summary.level = ("DEBUG", "DEFAULT", "WARNING", "ERROR")[level]
    if span.model and span.model not in summary.models:
        summary.models = sorted([*summary.models, span.model])
    if span.prompt_name and span.prompt_version is not None:
        prompt = f"{span.prompt_name}/{span.prompt_version}"
        if prompt not in summary.prompts:
            summary.prompts = sorted([*summary.prompts, prompt])


def _statements(summary: TraceSummary, span: Span) -> None:
    """Fields that any span may fill: the latest (or earliest) span that says something wins; ties go to the greater."""
    at = span.start_ns
    if span.user_id:
        _latest(summary, "user_id", span.user_id, at)
    if span.session_id:
        _latest(summary, "session_id", span.session_id, at)
    if span.release:
        _latest(summary, "release", span.release, at)
    if span.version and span.dialect != "langfuse-ingestion":  # there a trace is told its own, apart from observations
        _latest(summary, "version", span.version, at)
    at = at or _NEVER - 1  # an update that waits for its create has no start yet
    if span.environment:
        _earliest(summary, "environment", span.environment, at)
    if span.service:
        _earliest(summary, "service", span.service, at)


def _latest(summary: TraceSummary, name: str, value: str, at: int) -> None:
    origins = summary.state.origins
    before = origins.get(name, -1)
    if at >= before and name not in summary.client_fields and (at > before or value > (getattr(summary, name) or "")):
        origins[name] = at
        setattr(summary, name, value)


def _earliest(summary: TraceSummary, name: str, value: str, at: int) -> None:
    origins = summary.state.origins
    before = origins.get(name, _NEVER)
    if at <= before and name not in summary.client_fields and (at < before or value < (getattr(summary, name) or "")):
        origins[name] = at
        setattr(summary, name, value)


def _forget_statements(summary: TraceSummary, old: Span, new: Span) -> None:
    """The span that said it now says something else: its new word takes the place of the old one."""
    origins = summary.state.origins
    for name in (*_LAST, *_FIRST):
        before, after = getattr(old, name), getattr(new, name)
        if (
            before
            and after
            and before != after
            and origins.get(name) == old.start_ns
            and getattr(summary, name) == before
        ):
            setattr(summary, name, after)
            origins[name] = new.start_ns


def _root(summary: TraceSummary, span: Span) -> None:
    """Name, status and previews come from the root: a span without parent, else one that stands for it, else the first."""
    state = summary.state
    rank = 0 if span.parent_id is None else 1 if span.is_app_root else 2
    if summary.root_span_id != span.span_id:
        here = (rank, span.start_ns or _NEVER, span.span_id)
        if here >= (state.root_rank, state.root_start_ns or _NEVER, summary.root_span_id or "\U0010ffff"):
            return
    summary.root_span_id = span.span_id
    state.root_rank = rank
    state.root_start_ns = span.start_ns
    fixed = summary.client_fields
    if "name" not in fixed and "name" not in state.origins:
        summary.name = span.name or None
    if "status" not in fixed:
        summary.status = _status(span, rank)
    if "input_preview" not in fixed and summary.input is None and "input" not in state.origins:
        summary.input_preview = span.input_preview or (preview(span.input) if span.input else None)
    if "output_preview" not in fixed and summary.output is None and "output" not in state.origins:
        summary.output_preview = span.output_preview or (preview(span.output) if span.output else None)


def _status(root: Span, rank: int) -> str:
    if rank == 2:
        return "unset"  # the real root is still to come
    if root.status == "error" or root.level == "ERROR":
        return "error"
    return "unset" if root.end_ns is None and root.kind != "event" else "ok"
