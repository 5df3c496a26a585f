"""The numbers of a project's first page: totals, a timeline, models, names and scores of a range of time."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.trace import MODEL_KINDS
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, And, Cmp, Dimension, Expr, Measure, Order, Query, all_of

SECOND = 1_000_000_000
#: Widths of time buckets that people can read, in seconds.
STEPS = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000)
MAX_BUCKETS = 400


class Latency(msgspec.Struct, frozen=True):
    """Percentiles in nanoseconds; None where nothing has ended."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a group of traces or calls. ``key`` is its time (ns), model or name."""

    key: Any = None
    count: int = 0
    errors: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    total_cost: float = 0.0
    users: int = 0
    sessions: int = 0
    latency: Latency = Latency()


class ScoreUse(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of one name; ``average`` of the numeric ones."""

    name: str
    count: int
    average: float | None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """See the module's text. ``timeline`` has no gaps."""

    bucket_ns: int
    totals: Use
    previous: Use
    timeline: list[Use]
    models: list[Use]
    names: list[Use]
    scores: list[ScoreUse]


def bucket_seconds(span_ns: int, wanted: int) -> int:
    """The smallest readable bucket width that needs at most ``wanted`` buckets."""
    return next((step for step in STEPS if span_ns <= step * SECOND * wanted), STEPS[-1])


_LATENCY = tuple(Measure(p, p, "latency_ns") for p in ("p50", "p95", "p99"))
_SUMS = tuple(Measure(f, "sum", f) for f in ("input_tokens", "output_tokens", "total_tokens", "total_cost"))
_COUNT = Measure("count", "count")


class Overviews:
    """Aggregates over stored summaries and spans; blocking."""

    def __init__(self, telemetry: TelemetryStore) -> None:
        self._telemetry = telemetry

    def empty(self, project_id: str) -> bool:
        """Whether the project has never seen a trace."""
        return not self._telemetry.traces(Query(project_id=project_id, limit=1)).rows

    def compute(
        self, project_id: str, from_ns: int, to_ns: int, *, buckets: int = 60, shown: Expr = And()
    ) -> Overview:  # fmt: skip
        """Everything that started in ``[from_ns, to_ns)`` and is ``shown``, a condition on traces, spans and scores."""
        step = bucket_seconds(to_ns - from_ns, max(1, min(buckets, MAX_BUCKETS)))
        span = to_ns - from_ns
        return Overview(
            bucket_ns=step * SECOND,
            totals=self._totals(project_id, from_ns, to_ns, shown),
            previous=self._totals(project_id, from_ns - span, from_ns, shown),
            timeline=self.timeline(project_id, from_ns, to_ns, step, shown),
            models=self._models(project_id, from_ns, to_ns, shown),
            names=self._names(project_id, from_ns, to_ns, shown),
            scores=self._scores(project_id, from_ns, to_ns, shown),
        )

    def timeline(self, project_id: str, from_ns: int, to_ns: int, step_s: int, where: Expr | None = None) -> list[Use]:
        """Traces over time, one entry per bucket, also for empty ones; ``key`` is the bucket's start."""
        condition = all_of(_between(from_ns, to_ns), where)
        rows = self._aggregate(project_id, "traces", condition, (_COUNT, *_SUMS, *_LATENCY), step_s=step_s)
        failed = self._aggregate(project_id, "traces", all_of(condition, _FAILED), (_COUNT,), step_s=step_s)
        return _without_gaps(rows, failed, from_ns, to_ns, step_s * SECOND)

    def histogram(self, project_id: str, where: Expr, from_ns: int, to_ns: int, step_s: int) -> list[Use]:
        """``timeline`` with counts and errors only."""
        condition = all_of(_between(from_ns, to_ns), where)
        rows = self._aggregate(project_id, "traces", condition, (_COUNT,), step_s=step_s)
        failed = self._aggregate(project_id, "traces", all_of(condition, _FAILED), (_COUNT,), step_s=step_s)
        return _without_gaps(rows, failed, from_ns, to_ns, step_s * SECOND)

    def sessions(
        self, project_id: str, from_ns: int, to_ns: int, *, limit: int, cursor: str | None, shown: Expr = And()
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Sessions active in the range, most recently active first, and the next page's cursor.

        Rows have ``session_id``, ``traces``, ``errors``, ``first``, ``last`` (ns), ``total_tokens``, ``total_cost`` and
        ``users``.

        Raises:
            InvalidArgument: bad cursor.
        """
        offset = 0
        if cursor:
            if not cursor.isdecimal() or len(cursor) > 9:
                raise InvalidArgument("cursor: not one of ours")
            offset = int(cursor)
        measures = (
            Measure("traces", "count"),
            Measure("first", "min", "start_ns"),
            Measure("last", "max", "start_ns"),
            Measure("total_tokens", "sum", "total_tokens"),
            Measure("total_cost", "sum", "total_cost"),
            Measure("errors", "sum", "error_count"),
            Measure("users", "uniq", "user_id"),
        )
        query = Aggregate(
            project_id=project_id,
            view="traces",
            measures=measures,
            dimensions=(Dimension("session_id", "session_id"),),
            where=all_of(_between(from_ns, to_ns), Cmp("session_id", "is not null"), shown),
            order=(Order("last"),),
            limit=offset + limit + 1,
        )
        rows = self._telemetry.aggregate(query)[offset:]
        return rows[:limit], str(offset + limit) if len(rows) > limit else None

    def _totals(self, project_id: str, from_ns: int, to_ns: int, shown: Expr) -> Use:
        condition = all_of(_between(from_ns, to_ns), shown)
        measures = (
            _COUNT,
            *_SUMS,
            *_LATENCY,
            Measure("calls", "sum", "model_call_count"),
            Measure("users", "uniq", "user_id"),
            Measure("sessions", "uniq", "session_id"),
        )
        rows = self._aggregate(project_id, "traces", condition, measures)
        failed = self._aggregate(project_id, "traces", all_of(condition, _FAILED), (_COUNT,))
        return _use(rows[0] if rows else {}, errors=int(failed[0]["count"]) if failed else 0)

    def _models(self, project_id: str, from_ns: int, to_ns: int, shown: Expr) -> list[Use]:
        condition = all_of(
            _between(from_ns, to_ns),
            Cmp("kind", "in", sorted(MODEL_KINDS)),
            Cmp("model", "is not null"),
            Cmp("counted", "=", True),
            shown,
        )
        rows = self._aggregate(
            project_id, "spans", condition, (_COUNT, *_SUMS, *_LATENCY), by="model", order="total_cost", limit=20
        )
        return [_use(row, key=row["key"]) for row in rows]

    def _names(self, project_id: str, from_ns: int, to_ns: int, shown: Expr) -> list[Use]:
        condition = all_of(_between(from_ns, to_ns), Cmp("name", "is not null"), shown)
        rows = self._aggregate(
            project_id, "traces", condition, (_COUNT, *_SUMS, *_LATENCY), by="name", order="count", limit=20
        )
        failed = self._aggregate(project_id, "traces", all_of(condition, _FAILED), (_COUNT,), by="name", order="count")
        errors = {row["key"]: int(row["count"]) for row in failed}
        return [_use(row, key=row["key"], errors=errors.get(row["key"], 0)) for row in rows]

    def _scores(self, project_id: str, from_ns: int, to_ns: int, shown: Expr) -> list[ScoreUse]:
        condition = all_of(
            Cmp("timestamp_ns", ">=", from_ns), Cmp("timestamp_ns", "<", to_ns), Cmp("valid", "=", True), shown
        )
        rows = self._aggregate(
            project_id,
            "scores",
            condition,
            (_COUNT, Measure("average", "avg", "value")),
            by="name",
            order="count",
            limit=20,
        )
        return [ScoreUse(name=row["key"], count=int(row["count"]), average=row.get("average")) for row in rows]

    def _aggregate(
        self,
        project_id: str,
        view: Any,
        where: Expr,
        measures: tuple[Measure, ...],
        *,
        by: str | None = None,
        step_s: int | None = None,
        order: str | None = None,
        limit: int = 1_000,
    ) -> list[dict[str, Any]]:
        return self._telemetry.aggregate(
            Aggregate(
                project_id=project_id,
                view=view,
                measures=measures,
                dimensions=(Dimension("key", by),) if by else (),
                where=where,
                time_bucket_s=step_s,
                order=(Order(order),) if order else (),
                limit=limit,
            )
        )


_FAILED = Cmp("status", "=", "error")


def _between(from_ns: int, to_ns: int) -> Expr:
    return all_of(Cmp("start_ns", ">=", from_ns), Cmp("start_ns", "<", to_ns))


def _use(row: dict[str, Any], *, key: Any = None, errors: int = 0) -> Use:
    return Use(
        key=key,
        count=int(row.get("count") or 0),
        errors=errors,
        calls=int(row.get("calls") or 0),
        input_tokens=int(row.get("input_tokens") or 0),
        output_tokens=int(row.get("output_tokens") or 0),
        total_tokens=int(row.get("total_tokens") or 0),
        total_cost=float(row.get("total_cost") or 0.0),
        users=int(row.get("users") or 0),
        sessions=int(row.get("sessions") or 0),
        latency=Latency(row.get("p50"), row.get("p95"), row.get("p99")),
    )


def _without_gaps(
    rows: list[dict[str, Any]], failed: list[dict[str, Any]], from_ns: int, to_ns: int, step_ns: int
) -> list[Use]:
    by_time = {int(row["time"]): row for row in rows}
    errors = {int(row["time"]): int(row["count"]) for row in failed}
    first = from_ns - from_ns % step_ns
    times = range(first, max(to_ns, first + 1), step_ns)
    return [_use(by_time.get(time, {}), key=time, errors=errors.get(time, 0)) for time in times]
