"""Aggregates over traces, spans and assessments, for MLflow's dashboards."""

from __future__ import annotations

from typing import Any

from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, number
from twinlens.query.correlation import npmi
from twinlens.query.mlflow_trace_filter import trace_filter
from twinlens.query.mlflow_trace_metrics import MetricRequest, metric_query, points
from twinlens.store.telemetry.query import Cmp, all_of

rpcs = RpcTable()

_VIEWS: dict[str, Any] = {"TRACES": "traces", "SPANS": "spans", "ASSESSMENTS": "scores"}
_TYPES = ("COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX")
MAX_POINTS = 1_000


@rpcs.rpc("POST", "3.0", "/mlflow/traces/metrics", scope="read")
def query(call: Call) -> Reply:
    """One metric, aggregated by dimensions and time."""
    params = call.params
    experiment_ids = params.texts("experiment_ids")
    if not experiment_ids:
        raise invalid("Missing value for required parameter 'experiment_ids'.")
    view = params.enum("view_type", tuple(_VIEWS))
    if view is None:
        raise invalid("Missing value for required parameter 'view_type'.")
    asked = MetricRequest(
        view=_VIEWS[view], metric=params.required("metric_name"), experiment_ids=experiment_ids,
        aggregations=[_aggregation(item) for item in params.objects("aggregations")],
        dimensions=params.texts("dimensions"), filters=params.texts("filters"),
        interval_s=params.integer("time_interval_seconds"), start_ms=params.integer("start_time_ms"),
        end_ms=params.integer("end_time_ms"), limit=params.max_results(MAX_POINTS, MAX_POINTS),
    )  # fmt: skip
    aggregate = metric_query(call.project_id, asked)
    rows = [] if aggregate is None else call.services.telemetry.aggregate(aggregate)
    found = points(asked, rows)
    return {"data_points": found} if found else {}


@rpcs.rpc("POST", "3.0", "/mlflow/traces/calculate-filter-correlation", scope="read")
def correlation(call: Call) -> Reply:
    """How strongly two filters go together among the traces that fit the base filter."""
    params = call.params
    experiment_ids = params.texts("experiment_ids")
    if not experiment_ids:
        raise invalid("Missing value for required parameter 'experiment_ids'.")
    base = all_of(Cmp("experiment_id", "in", experiment_ids), trace_filter(params.text("base_filter")))
    first, second = (trace_filter(params.required(name)) for name in ("filter_string1", "filter_string2"))
    total, one, other, both = (
        call.services.traces.count(call.project_id, where)
        for where in (base, all_of(base, first), all_of(base, second), all_of(base, first, second))
    )
    return {
        "npmi": number(npmi(both, one, other, total)),
        "npmi_smoothed": number(npmi(both, one, other, total, smoothed=True)),
        "filter1_count": one, "filter2_count": other, "joint_count": both, "total_count": total,
    }  # fmt: skip


def _aggregation(item: Params) -> tuple[str, float | None]:
    name = item.enum("aggregation_type", _TYPES)
    if name is None:
        raise invalid("Missing value for required parameter 'aggregation_type'.")
    return name, item.number("percentile_value")
