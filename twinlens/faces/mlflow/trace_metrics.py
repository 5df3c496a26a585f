"""Aggregates over traces, spans and assessments, for MLflow's dashboards."""

from __future__ import annotations

from typing import Any

from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.params import Params
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable
from twinlens.query.mlflow_trace_metrics import MetricRequest, metric_query, points

rpcs = RpcTable()

_VIEWS: dict[str, Any] = {"TRACES": "traces", "SPANS": "spans", "ASSESSMENTS": "scores"}
_TYPES = ("COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX")
MAX_POINTS = 1_000


@rpcs.rpc("POST", "3.0", "/mlflow/traces/metrics")
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


def _aggregation(item: Params) -> tuple[str, float | None]:
    name = item.enum("aggregation_type", _TYPES)
    if name is None:
        raise invalid("Missing value for required parameter 'aggregation_type'.")
    return name, item.number("percentile_value")
