"""Metric curves, bucketed for a chart of so many pixels."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.params import FromPath, QueryParameter

from twinlens.domain.errors import InvalidArgument
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import run_schemas as rs
from twinlens.faces.native.reply import reading, whole_id
from twinlens.faces.native.rows import number
from twinlens.store.telemetry.interface import MetricBucket

MAX_SERIES = 500


@get("/projects/{project_id:str}/metrics/buckets", summary="Metric curves")
async def metric_buckets(
    request: AnyRequest,
    project_id: FromPath[str],
    run_id: Annotated[list[str], QueryParameter(name="run_id", description="Runs; repeatable.", min_items=1)],
    key: Annotated[list[str], QueryParameter(name="key", description="Metric keys; repeatable.", min_items=1)],
    buckets: Annotated[
        int, QueryParameter(ge=1, le=4_000, description="At most this many per curve: one per pixel.")
    ] = 600,
    x: Annotated[Literal["step", "time"], QueryParameter(description="What the curve runs over.")] = "step",
    lower: Annotated[int | None, QueryParameter(description="Only from this step, or time in ms.")] = None,
    upper: Annotated[int | None, QueryParameter(description="Only up to this step, or time in ms.")] = None,
) -> rs.SeriesList:
    """Runs that do not have a metric are left out. Everything logged before the request is in the answer."""
    allowed = await reading(request, whole_id(project_id))
    if len(run_id) * len(key) > MAX_SERIES:
        raise InvalidArgument(f"at most {MAX_SERIES} curves (runs times keys) at once")
    metrics = services(request).metrics

    def read() -> list[rs.Series]:
        found: list[rs.Series] = []
        for one in dict.fromkeys(key):
            by_run = metrics.buckets(allowed, run_id, one, buckets=buckets, x=x, lower=lower, upper=upper)
            found += [
                rs.Series(run_id=run, key=one, buckets=[_bucket(bucket) for bucket in by_run[run]])
                for run in dict.fromkeys(run_id)
                if by_run.get(run)
            ]
        return found

    return rs.SeriesList(series=await in_thread(read))


def _bucket(bucket: MetricBucket) -> rs.SeriesBucket:
    empty = bucket.nan_count >= bucket.count  # nothing but NaN: there is no mean
    return rs.SeriesBucket(
        step_min=bucket.step_min,
        step_max=bucket.step_max,
        time_min_ms=bucket.time_min_ms,
        time_max_ms=bucket.time_max_ms,
        first=number(bucket.first),
        last=number(bucket.last),
        min=None if empty else number(bucket.min),
        max=None if empty else number(bucket.max),
        mean=None if empty else number(bucket.mean),
        count=bucket.count,
        nan_count=bucket.nan_count,
    )


HANDLERS = [metric_buckets]
