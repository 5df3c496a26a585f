"""``/metrics``, ``/v2/metrics`` and ``/metrics/daily``."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.traces import tagged, time_range
from twinlens.faces.langfuse.wire import Call, PageQuery, Result, RouteTable
from twinlens.query import langfuse_metrics
from twinlens.store.telemetry.query import Aggregate, And, Cmp, Dimension, Expr, Measure, Order, all_of

routes = RouteTable()
DAY_S = 86_400


class QueryParameter(msgspec.Struct):
    """The whole query is one JSON parameter."""

    query: str = ""


async def _metrics(call: Call, *, v2: bool) -> Result:
    text = call.query(QueryParameter).query
    if not text:
        raise BadRequest(issue("Required", "query", code="invalid_type"))
    plan = langfuse_metrics.plan(call.project_id, text, v2=v2, shown=call.shown())

    def read() -> dict[str, Any]:
        return {"data": plan.rows([call.services.telemetry.aggregate(a) for _, a in plan.aggregates])}

    return await in_thread(read)


@routes.on("GET", "/metrics", scope="read", listed=True)
async def metrics_v1(call: Call) -> Result:
    """Also over traces."""
    return await _metrics(call, v2=False)


@routes.on("GET", "/v2/metrics", scope="read", listed=True)
async def metrics_v2(call: Call) -> Result:
    """Over observations and scores."""
    return await _metrics(call, v2=True)


class DailyQuery(PageQuery, rename="camel", kw_only=True):
    """Parameters of the daily report."""

    trace_name: str | None = None
    user_id: str | None = None
    tags: list[str] = msgspec.field(default_factory=list[str])
    environment: list[str] = msgspec.field(default_factory=list[str])
    from_timestamp: str | None = None
    to_timestamp: str | None = None

    def where(self, name: str, user: str) -> Expr:
        """The condition; name and user of the trace are other fields in each view."""
        return all_of(
            None if self.trace_name is None else Cmp(name, "=", self.trace_name),
            None if self.user_id is None else Cmp(user, "=", self.user_id),
            tagged(self.tags),
            Cmp("environment", "in", self.environment) if self.environment else None,
            And(tuple(time_range("start_ns", self.from_timestamp, self.to_timestamp))),
        )


_TRACES = (
    Measure("countTraces", "count"),
    Measure("totalCost", "sum", "total_cost"),
    Measure("n", "sum", "span_count"),
)
_MODELS = (
    Measure("inputUsage", "sum", "input_tokens"), Measure("outputUsage", "sum", "output_tokens"),
    Measure("totalUsage", "sum", "total_tokens"), Measure("countTraces", "uniq", "trace_id"),
    Measure("countObservations", "count"), Measure("totalCost", "sum", "total_cost"),
)  # fmt: skip


@routes.on("GET", "/metrics/daily", scope="read", listed=True)
async def daily(call: Call) -> Result:
    """Usage and cost by day and model, newest day first."""
    query = call.query(DailyQuery)
    limit, offset = query.window()
    project = call.project_id
    newest = (Order("time"),)

    def read() -> dict[str, Any]:
        aggregate = call.services.telemetry.aggregate
        traces = all_of(query.where("name", "user_id"), call.shown())
        days = aggregate(
            Aggregate(
                project_id=project, view="traces", measures=_TRACES, where=traces, time_bucket_s=DAY_S, order=newest,
                limit=100_000,
            )
        )  # fmt: skip
        page = days[offset : offset + limit]
        usage: dict[int, list[dict[str, Any]]] = {}
        if page:
            first, last = int(page[-1]["time"]), int(page[0]["time"])
            spans = all_of(
                query.where("trace_name", "trace_user_id"),
                call.shown(),
                Cmp("start_ns", ">=", first),
                Cmp("start_ns", "<", last + DAY_S * 1_000_000_000),
                Cmp("kind", "in", ["generation", "embedding", "reranker"]),
            )
            for row in aggregate(
                Aggregate(
                    project_id=project, view="spans", measures=_MODELS, where=spans, time_bucket_s=DAY_S,
                    dimensions=(Dimension("model", "model"),), order=newest, limit=100_000,
                )
            ):  # fmt: skip
                usage.setdefault(int(row.pop("time")), []).append(row)
        data = [
            {
                "date": iso_ms(int(day["time"]))[:10],
                "countTraces": day["countTraces"],
                "countObservations": int(day["n"]),
                "totalCost": day["totalCost"],
                "usage": usage.get(int(day["time"]), []),
            }
            for day in page
        ]
        return {"data": data, "meta": query.meta(len(days))}

    return await in_thread(read)
