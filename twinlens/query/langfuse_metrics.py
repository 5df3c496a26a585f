"""Langfuse's metrics queries (``GET /metrics`` and ``/v2/metrics``) → aggregates.

A query names a view, dimensions, measures with aggregations, filters and a time range; rows come back keyed
``{aggregation}_{measure}``, with ``time_dimension`` for a time series. Times are milliseconds in measures, as Langfuse has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import msgspec

from twinlens.domain.clock import iso_ms, parse_iso
from twinlens.domain.errors import InvalidArgument
from twinlens.ingest.langfuse_fields import storable_time
from twinlens.query import langfuse_filter as filters
from twinlens.store.telemetry.query import Aggregate, Aggregation, And, Cmp, Dimension, Expr, Measure, Order, all_of

View = Literal["traces", "spans", "scores"]
MAX_ROWS = 1_000
MAX_PERIODS = 500
_SECOND = 1_000_000_000
_MS = 1_000_000


class MetricField(msgspec.Struct):
    """A dimension."""

    field: str


class MetricMeasure(msgspec.Struct):
    """A measure with its aggregation."""

    measure: str
    aggregation: str


class TimeDimension(msgspec.Struct):
    """A time series of this granularity."""

    granularity: Literal["auto", "minute", "hour", "day", "week", "month"]


class MetricOrder(msgspec.Struct):
    """Sort by a key of the rows."""

    field: str
    direction: Literal["asc", "desc"] = "desc"


class MetricConfig(msgspec.Struct):
    """Limits."""

    row_limit: int = 100
    bins: int = 10


class MetricsQuery(msgspec.Struct, rename="camel", kw_only=True):
    """The ``query`` parameter."""

    view: str
    metrics: list[MetricMeasure]
    dimensions: list[MetricField] = []
    filters: list[filters.Item] = []
    time_dimension: TimeDimension | None = None
    from_timestamp: str
    to_timestamp: str
    order_by: list[MetricOrder] | None = None
    config: MetricConfig = msgspec.field(default_factory=MetricConfig)


class _Of(msgspec.Struct, frozen=True):
    """What a measure is in our fields; ``scale`` divides the result."""

    field: str | None
    scale: float = 1
    only: str | None = None  #: the one aggregation it has, whatever is asked


class _View(msgspec.Struct, frozen=True):
    """One of Langfuse's views over one of ours."""

    view: View
    time: str
    measures: Mapping[str, _Of]
    dimensions: Mapping[str, tuple[str, str | None]]  #: our field and key
    columns: Mapping[str, filters.Column]
    where: Expr | None = None


_USAGE = {
    "inputTokens": _Of("input_tokens"), "outputTokens": _Of("output_tokens"), "totalTokens": _Of("total_tokens"),
    "inputCost": _Of("input_cost"), "outputCost": _Of("output_cost"), "totalCost": _Of("total_cost"),
    "latency": _Of("latency_ns", _MS), "count": _Of(None),
}  # fmt: skip
_COMMON: dict[str, tuple[str, str | None]] = {
    name: (field, None)
    for name, field in (
        ("name", "name"), ("level", "level"), ("version", "version"), ("environment", "environment"),
        ("userId", "user_id"), ("sessionId", "session_id"), ("tags", "tags"), ("release", "release"),
    )
}  # fmt: skip
_SPAN_DIMENSIONS: dict[str, tuple[str, str | None]] = {
    **_COMMON, "userId": ("owner_user_id", None), "sessionId": ("owner_session_id", None),
    "release": ("owner_release", None), "traceRelease": ("trace_release", None), "traceVersion": ("trace_version", None),
    "usageType": ("usage_type", None), "costType": ("cost_type", None),
    "type": ("kind", None), "traceName": ("trace_name", None), "providedModelName": ("model", None),
    "model": ("model", None), "promptName": ("prompt_name", None), "promptVersion": ("prompt_version", None),
    "toolNames": ("tool_name", None), "calledToolNames": ("called_tools", None), "isRootObservation": ("is_any_root", None),
    "experimentId": ("attribute", "langfuse.experiment.id"),
    "experimentName": ("attribute", "langfuse.experiment.name"),
    "experimentDatasetId": ("attribute", "langfuse.experiment.dataset.id"),
}  # fmt: skip
_SCORE_DIMENSIONS: dict[str, tuple[str, str | None]] = {
    name: (field, None)
    for name, field in (
        ("name", "name"), ("source", "source"), ("dataType", "data_type"), ("environment", "environment"),
        ("stringValue", "string_value"), ("configId", "config_id"), ("traceName", "trace_name"), ("tags", "tags"),
        ("userId", "trace_user_id"), ("sessionId", "trace_session_id"), ("value", "value"),
        ("traceRelease", "trace_release"), ("traceVersion", "trace_version"), ("observationName", "span_name"),
        ("observationModelName", "span_model"), ("observationPromptName", "span_prompt_name"),
        ("observationPromptVersion", "span_prompt_version"),
    )
}  # fmt: skip


def _scores(data_types: list[str], **measures: _Of) -> _View:
    return _View(
        "scores", "timestamp_ns", {"count": _Of(None), **measures}, _SCORE_DIMENSIONS, filters.SCORES,
        all_of(Cmp("data_type", "in", data_types), Cmp("valid", "=", True)),
    )  # fmt: skip


VIEWS: Mapping[str, _View] = {
    "traces": _View(
        "traces", "start_ns",
        {
            **_USAGE, "observationsCount": _Of("span_count"), "scoresCount": _Of("score_count"),
            "uniqueUserIds": _Of("user_id", only="uniq"), "uniqueSessionIds": _Of("session_id", only="uniq"),
        },
        _COMMON, filters.TRACES,
    ),
    "observations": _View(
        "spans", "start_ns",
        {
            **_USAGE, "timeToFirstToken": _Of("ttft_ns", _MS), "streamingLatency": _Of("stream_ns", _MS),
            "tokensPerSecond": _Of("total_rate"), "outputTokensPerSecond": _Of("output_stream_rate"),
            "countScores": _Of("score_count"), "toolCalls": _Of("tool_call_count"),
            "toolDefinitions": _Of("tools_offered"),
            "costByType": _Of("cost_by_type"), "usageByType": _Of("usage_by_type"),
            "uniqueUserIds": _Of("owner_user_id", only="uniq"),
            "uniqueSessionIds": _Of("owner_session_id", only="uniq"),
        },
        _SPAN_DIMENSIONS, filters.OBSERVATIONS,
    ),
    "scores-numeric": _scores(["NUMERIC", "BOOLEAN"], value=_Of("value")),
    "scores-boolean": _scores(["BOOLEAN"], value=_Of("value")),
    "scores-categorical": _scores(["CATEGORICAL", "TEXT"]),
}  # fmt: skip
#: Grouping by these would make one row per row.
_IDS = frozenset({"id", "traceId", "observationId", "parentObservationId"})
_AGGREGATIONS = frozenset({"sum", "avg", "count", "min", "max", "p50", "p75", "p90", "p95", "p99", "histogram", "uniq"})
#: What an aggregation is over no rows; None for the others.
_EMPTY: Mapping[str, Any] = {"count": 0, "sum": 0, "uniq": 0, "histogram": []}
_SOURCE_OF = {ours: name for name, sources in filters.SOURCES_OF.items() for ours in sources}
#: Longest range in hours of each granularity that ``auto`` stands for; ``month`` beyond.
_AUTO: tuple[tuple[int, Literal["minute", "hour", "day", "week"]], ...] = (
    (2, "minute"), (72, "hour"), (1_440, "day"), (8_760, "week"),
)  # fmt: skip
_STEPS = {"minute": 60, "hour": 3_600, "day": 86_400}

_decoder = msgspec.json.Decoder(MetricsQuery)


class Plan(msgspec.Struct, kw_only=True):
    """What to run, and how to turn its rows into Langfuse's."""

    aggregates: list[tuple[int | None, Aggregate]]  #: with the start of the period for weeks and months
    scales: dict[str, float]
    series: bool
    view: View
    order: tuple[Order, ...]
    limit: int
    filled: tuple[range, dict[str, Any]] | None = None  #: starts of all periods, and the row of one without data

    def rows(self, results: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Langfuse's rows from one result per aggregate.

        A series without dimensions has a row for each period up to the limit, so that a chart shows the gaps.
        """
        if self.filled is not None:
            starts, empty = self.filled
            there = {int(row["time"]): row for row in results[0]}
            results = [[there.get(at) or {"time": at, **empty} for at in starts[: self.limit]]]
        found: list[dict[str, Any]] = []
        for (start, _), result in zip(self.aggregates, results, strict=True):
            for row in result:
                if self.series:
                    row["time_dimension"] = iso_ms(start if start is not None else int(row.pop("time")))
                for name, scale in self.scales.items():
                    row[name] = _scaled(row[name], scale)
                if "type" in row and row["type"] is not None:
                    row["type"] = filters.TYPE_OF.get(row["type"], "SPAN")
                if row.get("source") is not None:
                    row["source"] = _SOURCE_OF.get(row["source"], "API")
                found.append(row)
        if len(results) > 1:  # each period came in an order of its own
            for asked in reversed(self.order):
                name = "time_dimension" if asked.field == "time" else asked.field
                there = [row for row in found if row[name] is not None]
                there.sort(key=lambda row: row[name], reverse=asked.descending)
                found = there + [row for row in found if row[name] is None]
        return found[: self.limit]


def _scaled(value: Any, scale: float) -> Any:
    if isinstance(value, list):
        return [[low / scale, high / scale, n] for low, high, n in cast("list[list[float]]", value)]
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value / scale


def plan(project_id: str, text: str, *, v2: bool, shown: Expr = And()) -> Plan:
    """Read a query's text, as ``plan_query``.

    Args:
        text: the ``query`` parameter.
        v2: the newer API: no view ``traces``, no grouping by ids.
        shown: what may be counted at all, a condition on every view.

    Raises:
        InvalidArgument: what is wrong with it.
    """
    try:
        query = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"query: {error}") from None
    return plan_query(project_id, query, v2=v2, shown=shown)


def plan_query(project_id: str, query: MetricsQuery, *, v2: bool, shown: Expr = And()) -> Plan:
    """What to run for a query.

    Args:
        v2: the newer API: no view ``traces``, no grouping by ids.

    Raises:
        InvalidArgument: what is wrong with it.
    """
    view = VIEWS.get(query.view)
    if view is None or (v2 and query.view == "traces"):
        known = [name for name in VIEWS if not (v2 and name == "traces")]
        raise InvalidArgument(f"query: unknown view '{query.view}', known are {', '.join(known)}")
    start, end = _time(query.from_timestamp, "fromTimestamp"), _time(query.to_timestamp, "toTimestamp")
    if not query.metrics:
        raise InvalidArgument("query: at least one metric is needed")
    measures = {m.name: (m, scale) for m, scale in (_measure(view, query, asked) for asked in query.metrics)}
    dimensions = tuple(dict.fromkeys(_dimension(view, asked.field) for asked in query.dimensions))
    where = all_of(view.where, filters.build(query.filters, view.columns), shown)
    limit = min(max(query.config.row_limit, 1), MAX_ROWS)
    series = query.time_dimension is not None
    order = _order(query, measures, dimensions)
    aggregates: list[tuple[int | None, Aggregate]] = []
    for period, lower, upper, step in _periods(query.time_dimension, start, end):
        aggregates.append(
            (
                period,
                Aggregate(
                    project_id=project_id, view=view.view, measures=tuple(m for m, _ in measures.values()),
                    dimensions=dimensions, time_bucket_s=step, limit=limit, order=tuple(o for o in order if step is not None or o.field != "time"),
                    where=all_of(where, Cmp(view.time, ">=", lower), Cmp(view.time, "<", upper)),
                ),
            )
        )  # fmt: skip
    scales = {name: scale for name, (_, scale) in measures.items() if scale != 1}
    first = aggregates[0][1] if aggregates else None
    filled = None
    if (
        first is not None
        and not dimensions
        and first.time_bucket_s
        and first.order == (Order("time", descending=False),)
    ):
        size = first.time_bucket_s * _SECOND
        filled = (range(start // size * size, end, size), {m.name: _EMPTY.get(m.aggregation) for m in first.measures})
    return Plan(
        aggregates=aggregates, scales=scales, series=series, view=view.view, order=order, limit=limit, filled=filled
    )  # fmt: skip


def _time(text: str, name: str) -> int:
    try:
        return storable_time(parse_iso(text))
    except (ValueError, OverflowError):
        raise InvalidArgument(f"query: {name} is not an ISO-8601 time") from None


def _measure(view: _View, query: MetricsQuery, asked: MetricMeasure) -> tuple[Measure, float]:
    of = view.measures.get(asked.measure)
    if of is None:
        raise InvalidArgument(
            f"query: unknown measure '{asked.measure}' of view {query.view}, known are {', '.join(view.measures)}"
        )
    if asked.aggregation not in _AGGREGATIONS:
        raise InvalidArgument(
            f"query: unknown aggregation '{asked.aggregation}', known are {', '.join(sorted(_AGGREGATIONS))}"
        )
    name = f"{asked.aggregation}_{asked.measure}"
    aggregation = cast("Aggregation", of.only or ("count" if of.field is None else asked.aggregation))
    scale = of.scale if aggregation not in ("count", "uniq") else 1
    return Measure(name, aggregation, of.field, bins=min(max(query.config.bins, 1), 100)), scale


def _dimension(view: _View, name: str) -> Dimension:
    if name in _IDS:
        raise InvalidArgument(
            f"query: grouping by '{name}' is not possible, it has a value per row; filter by it instead"
        )
    found = view.dimensions.get(name)
    if found is None:
        raise InvalidArgument(f"query: unknown dimension '{name}', known are {', '.join(view.dimensions)}")
    return Dimension(name, found[0], found[1])


def _order(query: MetricsQuery, measures: Mapping[str, Any], dimensions: tuple[Dimension, ...]) -> tuple[Order, ...]:
    found: list[Order] = []
    for asked in query.order_by or []:
        if asked.field == "time_dimension":
            if query.time_dimension is not None:
                found.append(Order("time", descending=asked.direction == "desc"))
            continue
        names = [asked.field, *(n for n in measures if n.partition("_")[2] == asked.field)]
        known = {*measures, *(d.name for d in dimensions)}
        name = next((n for n in names if n in known), None)
        if name is None:
            raise InvalidArgument(f"query: cannot order by '{asked.field}', it is not part of the query")
        found.append(Order(name, descending=asked.direction == "desc"))
    if not query.order_by:
        first = Order(next(iter(measures)))
        found.append(first if query.time_dimension is None else Order("time", descending=False))
    return tuple(found)


def _periods(wanted: TimeDimension | None, start: int, end: int) -> Iterator[tuple[int | None, int, int, int | None]]:
    """(start of the period or None, lower, upper, bucket size). Weeks and months have no fixed size from the epoch."""
    if wanted is None:
        yield None, start, end, None
        return
    granularity = wanted.granularity
    if granularity == "auto":
        hours = (end - start) / _SECOND / 3_600
        granularity = next((name for most, name in _AUTO if hours < most), "month")
    if granularity in _STEPS:
        yield None, start, end, _STEPS[granularity]
        return
    at = datetime.fromtimestamp(start // _SECOND, UTC).replace(hour=0, minute=0, second=0)
    at = at.replace(day=1) if granularity == "month" else at - timedelta(days=at.weekday())
    for _ in range(MAX_PERIODS):
        following = (
            (at.replace(day=28) + timedelta(days=4)).replace(day=1)
            if granularity == "month"
            else at + timedelta(days=7)
        )
        lower, upper = int(at.timestamp()) * _SECOND, int(following.timestamp()) * _SECOND
        if lower >= end:
            return
        yield lower, max(lower, start), min(upper, end), None
        at = following
    raise InvalidArgument(f"query: more than {MAX_PERIODS} {granularity}s, narrow the time range")
