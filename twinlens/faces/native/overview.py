"""The first page's numbers."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import schemas as s
from twinlens.faces.native.guard import shown_traces, visible
from twinlens.faces.native.reply import FromMs, ToMs, reading, time_range, whole_id
from twinlens.faces.native.rows import ms, trace_row
from twinlens.faces.native.run_rows import run_row
from twinlens.features.overview import Latency, Use
from twinlens.store.telemetry.query import Query


@get("/projects/{project_id:str}/overview", summary="Totals, timeline, models, names, scores, recent activity")
async def overview(
    request: AnyRequest,
    project_id: FromPath[str],
    from_ms: FromMs = None,
    to_ms: ToMs = None,
    buckets: Annotated[int, QueryParameter(ge=1, le=400, description="At most this many points on the timeline.")] = 60,
) -> s.Overview:
    """By default of the last 24 hours, with the range before for comparison."""
    allowed = await reading(request, whole_id(project_id))
    start, end = time_range(from_ms, to_ms)
    graph = services(request)
    shown, may_see = shown_traces(request), visible(request, "experiment", "run")

    def read() -> s.Overview:
        found = graph.overviews.compute(allowed, start, end, buckets=buckets, shown=shown)
        recent = graph.telemetry.traces(Query(project_id=allowed, where=shown, limit=8)).rows
        experiments = [one.experiment_id for one in graph.experiments.list(allowed)]
        experiments = [id for id in experiments if may_see is None or id in may_see]
        scores = graph.telemetry.scores_for(allowed, [t.trace_id for t in recent]) if recent else {}
        return s.Overview(
            from_ms=ms(start),
            to_ms=ms(end),
            bucket_ms=ms(found.bucket_ns),
            empty=not recent,
            totals=_totals(found.totals),
            previous=_totals(found.previous),
            timeline=[
                s.TimeBucket(
                    start_ms=ms(use.key),
                    traces=use.count,
                    errors=use.errors,
                    total_tokens=use.total_tokens,
                    total_cost=use.total_cost,
                    latency=_latency(use.latency),
                )
                for use in found.timeline
            ],
            models=[
                s.ModelUse(
                    model=use.key,
                    calls=use.count,
                    input_tokens=use.input_tokens,
                    output_tokens=use.output_tokens,
                    total_tokens=use.total_tokens,
                    total_cost=use.total_cost,
                    latency=_latency(use.latency),
                )
                for use in found.models
            ],
            names=[
                s.NameUse(
                    name=use.key,
                    traces=use.count,
                    errors=use.errors,
                    total_cost=use.total_cost,
                    latency=_latency(use.latency),
                )
                for use in found.names
            ],
            scores=[s.ScoreUse(name=use.name, count=use.count, average=use.average) for use in found.scores],
            recent_traces=[trace_row(t, scores.get(t.trace_id, ())) for t in recent],
            recent_runs=[run_row(run) for run in graph.runs.search(allowed, experiments, limit=5).runs],
        )

    return await in_thread(read)


def _totals(use: Use) -> s.Totals:
    return s.Totals(
        traces=use.count,
        errors=use.errors,
        model_calls=use.calls,
        total_tokens=use.total_tokens,
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
        total_cost=use.total_cost,
        users=use.users,
        sessions=use.sessions,
        latency=_latency(use.latency),
    )


def _latency(latency: Latency) -> s.Percentiles:
    def ms_of(value: float | None) -> float | None:
        return None if value is None else round(value / 1e6, 3)

    return s.Percentiles(p50=ms_of(latency.p50), p95=ms_of(latency.p95), p99=ms_of(latency.p99))


HANDLERS = [overview]
