"""The typed query model. Faces and ``twinlens.query`` build these; each engine compiles them to its dialect.

Queries are authored once. A field is a name from ``TRACE_FIELDS``/``SPAN_FIELDS``/``SCORE_FIELDS``, or one of the
keyed families (``metadata``, ``tag``, ``score``, ``attribute``) with ``key``. Engines must reject unknown fields with
``InvalidArgument`` that names the nearest known one, and must never put user text into SQL other than as a bound value.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Op = Literal[
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "not contains", "starts with", "ends with",
    "like", "ilike", "regex", "is null", "is not null", "any of", "none of", "all of",
]  # fmt: skip


class Cmp(msgspec.Struct, frozen=True, tag="cmp"):
    """``field op value``. ``any of``/``none of``/``all of`` compare list fields (tags, models) with a list.

    A comparison, also a negative one, holds only where the field or key is present; only ``is null`` finds the others.
    ``like`` is case-sensitive with ``%`` and ``_``; ``ilike`` is not; ``contains`` is a case-insensitive substring.
    """

    field: str
    op: Op
    value: Any = None
    key: str | None = None


class And(msgspec.Struct, frozen=True, tag="and"):
    """All hold; empty is true."""

    items: tuple[Expr, ...] = ()


class Or(msgspec.Struct, frozen=True, tag="or"):
    """At least one holds; empty is false."""

    items: tuple[Expr, ...] = ()


class Not(msgspec.Struct, frozen=True, tag="not"):
    """Does not hold."""

    item: Expr


class HasSpan(msgspec.Struct, frozen=True, tag="has_span"):
    """In a trace query: at least one single span of the trace satisfies ``where`` (over ``SPAN_FIELDS``)."""

    where: Expr


class HasScore(msgspec.Struct, frozen=True, tag="has_score"):
    """In a trace or span query: at least one valid score satisfies ``where`` (over ``SCORE_FIELDS``)."""

    where: Expr


Expr = Cmp | And | Or | Not | HasSpan | HasScore

TRACE_FIELDS = frozenset({
    "trace_id", "experiment_id", "name", "start_ns", "end_ns", "latency_ns", "status", "level", "user_id",
    "state",  # ok, error or in_progress: status, and what an end makes of none
    "session_id", "environment", "release", "version", "service", "public", "bookmarked", "tags", "models",
    "run_ids", "prompts", "client_request_id", "input_tokens", "output_tokens", "total_tokens", "input_cost",
    "output_cost", "total_cost", "span_count", "error_count", "warning_count", "model_call_count", "input_preview",
    "output_preview", "root_span_id", "source", "created_ns", "updated_ns",
    "text",      # any preview or name: what a search box means
    "metadata",  # keyed
    "tag",       # keyed: tag_values
    "score",     # keyed: numeric value of the valid score of that name (average when several)
    "score_count", "level_count",  # how many valid scores; keyed: how many spans of that level
})  # fmt: skip

SPAN_FIELDS = frozenset({
    "trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "latency_ns", "ttft_ns", "status",
    "level", "status_message", "model", "provider", "input_tokens", "output_tokens", "total_tokens", "input_cost",
    "output_cost", "total_cost", "user_id", "session_id", "environment", "release", "version", "service",
    "prompt_name", "prompt_version", "tool_name", "agent_name", "is_app_root", "is_root", "counted", "source", "dialect",
    "input_preview", "output_preview", "created_ns", "updated_ns", "text", "usage_source", "cost_source",
    "trace_name", "tags", "experiment_id", "trace_user_id", "trace_session_id", "trace_release",
    "trace_version",  # of the trace
    "owner_user_id", "owner_session_id", "owner_release",  # the span's own, else the trace's
    "is_any_root",  # is_root or is_app_root
    "stream_ns", "output_rate", "output_stream_rate", "total_rate",  # first token to end; tokens per second
    "score_count", "tools_offered",
    "tool_call_count", "called_tools",  # what a model's answer calls; the names
    "usage_type", "cost_type",  # lists: keys of usage and cost, without ``total`` where there are others
    "usage_by_type", "cost_by_type",  # measures beside the dimension of that type; without it the total
    "metadata",   # keyed
    "attribute",  # keyed: raw attribute
    "score",      # keyed
})  # fmt: skip

SCORE_FIELDS = frozenset({
    "score_id", "name", "data_type", "kind", "trace_id", "span_id", "session_id", "dataset_run_id", "value",
    "string_value", "json_value", "source", "source_id", "comment", "config_id", "queue_id", "author_user_id",
    "environment", "timestamp_ns", "created_ns", "updated_ns", "valid",
    "trace_name", "tags", "trace_user_id", "trace_session_id", "trace_release", "trace_version",
    "experiment_id",  # of the trace
    "span_name", "span_model", "span_prompt_name", "span_prompt_version",  # of the span
    "metadata",  # keyed
})  # fmt: skip


class Order(msgspec.Struct, frozen=True):
    """Sort by a field; missing values come last in both directions. The id always breaks ties."""

    field: str
    descending: bool = True
    key: str | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A page of rows. ``cursor`` is the opaque ``Page.next_cursor`` of the page before (keyset, never offset).

    ``offset`` exists only for protocols whose page numbers force it (Langfuse v1 lists).
    """

    project_id: str
    where: Expr = And()
    order: tuple[Order, ...] = ()
    limit: int = 50
    cursor: str | None = None
    offset: int = 0
    with_io: bool = False  #: also load full input and output (else previews only)
    with_attributes: bool = False  #: also load raw attributes, events, resource, scope


class Page(msgspec.Struct, kw_only=True):
    """Rows in order, and the cursor of the next page or None on the last one."""

    rows: list[Any]
    next_cursor: str | None = None


Aggregation = Literal[
    "count", "sum", "avg", "min", "max", "p50", "p75", "p90", "p95", "p99", "uniq", "histogram", "quantile", "groups"
]


class Measure(msgspec.Struct, frozen=True):
    """One aggregate column. ``field`` is ignored for ``count`` and ``groups`` (how many groups there are, whatever the limit);
    ``histogram`` returns ``[[lower, upper, n], …]``; ``quantile`` takes the fraction ``at``, from 0 to 1, interpolated as the
    percentiles are."""

    name: str
    aggregation: Aggregation
    field: str | None = None
    key: str | None = None
    bins: int = 10
    at: float = 0.5


class Dimension(msgspec.Struct, frozen=True):
    """One group-by column."""

    name: str
    field: str
    key: str | None = None


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """Group rows of one view. ``time_bucket_s`` adds the dimension ``time`` (bucket start, nanoseconds)."""

    project_id: str
    view: Literal["traces", "spans", "scores"]
    measures: tuple[Measure, ...]
    dimensions: tuple[Dimension, ...] = ()
    where: Expr = And()
    time_bucket_s: int | None = None
    order: tuple[Order, ...] = ()
    limit: int = 1000


def all_of(*items: Expr | None) -> Expr:
    """``And`` of those that are not None."""
    return And(tuple(i for i in items if i is not None))
