"""Metric histories: points, chart buckets, samples. A history is a set: the same point twice is one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.otlp import OtelMetricPoint
from twinlens.domain.score import MetricPoint
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.interface import MetricBucket

if TYPE_CHECKING:
    from twinlens.store.telemetry.duckdb.engine import Engine

_POINT = "timestamp_ms, step, value"
_ORDERED = ("owner", "step", "timestamp_ms", "value")
_X = {"step": "step", "time": "timestamp_ms"}


class MetricReader:
    """Reads on any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def history(
        self, project_id: str, run_id: str, key: str, after: tuple[int, int, float] | None, limit: int
    ) -> list[MetricPoint]:
        """See ``TelemetryStore.metric_history``."""
        found: list[MetricPoint] = []
        with self._engine.read() as connection:
            while (wanted := limit - len(found)) > 0:
                where, params = self._of(project_id, [run_id], key)
                if after is not None:
                    where += " AND (timestamp_ms > ? OR (timestamp_ms = ? AND (step > ? OR (step = ? AND value > ?))))"
                    params += [after[0], after[0], after[1], after[1], after[2]]
                # The first rows, of which some may say the same: finding all different ones first takes five times as long.
                rows = connection.execute(
                    f"SELECT {_POINT}, run_id, model_id, dataset_name, dataset_digest FROM metrics WHERE {where} "
                    f"ORDER BY {_POINT} LIMIT {wanted}",
                    params,
                ).fetchall()
                found += [_point(key, row) for row in {_identity(row): row for row in rows}.values()]
                if len(rows) < wanted:
                    break
                after = rows[-1][:3]
        return found

    def histories(self, project_id: str, metrics: Sequence[tuple[str, str]], limit: int) -> list[MetricPoint]:
        """See ``TelemetryStore.metric_histories``."""
        if not metrics:
            return []
        okeys = ",".join(str(row_key(project_id, run_id, key)) for run_id, key in metrics)
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT owner, key, {_POINT}, any_value(run_id), any_value(model_id), any_value(dataset_name), any_value(dataset_digest) "
                f"FROM metrics WHERE okey IN ({okeys}) AND project = ? GROUP BY owner, key, {_POINT} "
                f"ORDER BY owner, key, {_POINT} LIMIT {max(0, limit)}",
                [project_id],
            ).fetchall()
        asked = set(metrics)  # two metrics may have one key of rows
        return [_point(key, row) for owner, key, *row in rows if (owner, key) in asked]

    def buckets(
        self,
        project_id: str,
        run_ids: Sequence[str],
        key: str,
        buckets: int,
        x: str,
        lower: int | None,
        upper: int | None,
    ) -> dict[str, list[MetricBucket]]:
        """See ``TelemetryStore.metric_buckets``."""
        if x not in _X:
            raise InvalidArgument("x must be step or time")
        if buckets < 1:
            raise InvalidArgument("at least one bucket is needed")
        if not run_ids:
            return {}
        column = _X[x]
        where, params = self._of(project_id, run_ids, key)
        owner = _owner(run_ids)
        for bound, op in ((lower, ">="), (upper, "<=")):
            if bound is not None:
                where += f" AND {column} {op} ?"
                params.append(bound)
        with self._engine.read() as connection:
            rows = connection.execute(
                f"""
                WITH points AS (SELECT DISTINCT {owner} AS owner, {_POINT} FROM metrics WHERE {where}),
                     span AS (SELECT min({column}) AS lo, max({column})::HUGEINT - min({column}) + 1 AS width FROM points)
                SELECT owner, (({column}::HUGEINT - lo) * {int(buckets)} // width)::BIGINT AS b,
                       min(step), max(step), min(timestamp_ms), max(timestamp_ms),
                       arg_min(value, (step, timestamp_ms)) FILTER (NOT isnan(value)),
                       arg_max(value, (step, timestamp_ms)) FILTER (NOT isnan(value)),
                       min(value) FILTER (NOT isnan(value)), max(value) FILTER (NOT isnan(value)),
                       sum(value) FILTER (isfinite(value)), count(*) FILTER (isfinite(value)),
                       count(*) FILTER (NOT isnan(value)), count(*) FILTER (isnan(value))
                FROM points, span GROUP BY owner, b ORDER BY owner, b
                """,
                params,
            ).fetchall()
        found: dict[str, list[MetricBucket]] = {run_id: [] for run_id in run_ids}
        for run_id, _, s0, s1, t0, t1, first, last, low, high, total, finite, n, nans in rows:
            nan = float("nan")
            mean = total / finite if finite else low if n else nan
            found[run_id or run_ids[0]].append(
                MetricBucket(
                    step_min=s0, step_max=s1, time_min_ms=t0, time_max_ms=t1, first=nan if first is None else first,
                    last=nan if last is None else last, min=nan if low is None else low,
                    max=nan if high is None else high, mean=mean, count=n, nan_count=nans,
                )
            )  # fmt: skip
        return found

    def sample(
        self,
        project_id: str,
        run_ids: Sequence[str],
        key: str,
        limit: int,
        start_step: int | None,
        end_step: int | None,
    ) -> dict[str, list[MetricPoint]]:
        """See ``TelemetryStore.metric_sample``."""
        if not run_ids or limit < 1:
            return {run_id: [] for run_id in run_ids}
        where, params = self._of(project_id, run_ids, key)
        for bound, op in ((start_step, ">="), (end_step, "<=")):
            if bound is not None:
                where += f" AND step {op} ?"
                params.append(bound)
        owner, last = _owner(run_ids), max(1, limit - 1)
        same = " AND ".join(f"{column} IS NOT DISTINCT FROM lag({column}) OVER ()" for column in _ORDERED)
        with self._engine.read() as connection:
            # One sort serves it all: windows without an order go through the rows as they come. What else is known of a
            # point is read for the kept ones only. Point i of n is kept when it opens a new one of ``last`` equal
            # intervals, or is the final one.
            rows = connection.execute(
                f"""
                WITH ordered AS (
                    SELECT rowid AS place, {owner} AS owner, {_POINT} FROM metrics WHERE {where} ORDER BY {", ".join(_ORDERED)}),
                     flagged AS (SELECT place, owner, {same} AS again FROM ordered),
                     numbered AS MATERIALIZED (
                    SELECT place, owner, row_number() OVER () AS i FROM flagged WHERE NOT again),
                     runs AS (SELECT owner, min(i) AS first, count(*) AS n FROM numbered GROUP BY owner),
                     each AS (SELECT place, i - first AS i, n FROM numbered JOIN runs USING (owner)),
                     kept AS (
                    SELECT place FROM each WHERE n <= {limit} OR i = n - 1 AND {limit} > 1
                        OR i < n - 1 AND (i = 0 OR i * {last} // (n - 1) > (i - 1) * {last} // (n - 1)))
                SELECT owner, {_POINT}, run_id, model_id, dataset_name, dataset_digest FROM metrics
                WHERE rowid IN (SELECT place FROM kept) ORDER BY owner, step, timestamp_ms, value
                """,
                params,
            ).fetchall()
        found: dict[str, list[MetricPoint]] = {run_id: [] for run_id in run_ids}
        for row in rows:
            found[row[0]].append(_point(key, row[1:]))
        return found

    def otel(
        self, project_id: str, name: str | None, since_ns: int, until_ns: int | None, limit: int
    ) -> list[OtelMetricPoint]:
        """See ``TelemetryStore.otel_metrics``."""
        fields = OtelMetricPoint.__struct_fields__
        where, params = "project = ? AND time_ns >= ?", [project_id, since_ns]
        if until_ns is not None:
            where += " AND time_ns < ?"
            params.append(until_ns)
        if name is not None:
            where += " AND name = ?"
            params.append(name)
        columns = ", ".join(f'"{f}"' for f in fields)
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM otel_metrics WHERE {where} ORDER BY time_ns, name LIMIT {max(0, limit)}", params
            ).fetchall()
        found: list[OtelMetricPoint] = []
        for row in rows:
            values: dict[str, Any] = dict(zip(fields, row, strict=True))
            values["attributes"] = msgspec.json.decode(values["attributes"])
            values["resource"] = msgspec.json.decode(values["resource"])
            found.append(OtelMetricPoint(**values))
        return found

    def _of(self, project_id: str, run_ids: Sequence[str], key: str) -> tuple[str, list[Any]]:
        okeys = ",".join(str(row_key(project_id, r, key)) for r in run_ids)
        marks = ",".join("?" * len(run_ids))
        return f"okey IN ({okeys}) AND project = ? AND key = ? AND owner IN ({marks})", [project_id, key, *run_ids]


def _owner(run_ids: Sequence[str]) -> str:
    """What tells the owners of points apart: of one run nothing, for a million texts take longer than the rest."""
    return "owner" if len(set(run_ids)) > 1 else "0"


def _identity(row: Sequence[Any]) -> tuple[Any, ...]:
    """What makes a point: NaN is as good as NaN, though it does not equal itself."""
    timestamp_ms, step, value = row[:3]
    return timestamp_ms, step, value if value == value else None


def _point(key: str, row: Sequence[Any]) -> MetricPoint:
    timestamp_ms, step, value, run_id, model_id, dataset_name, dataset_digest = row
    return MetricPoint(
        run_id=run_id, key=key, value=value, timestamp_ms=timestamp_ms, step=step, model_id=model_id,
        dataset_name=dataset_name, dataset_digest=dataset_digest,
    )  # fmt: skip
