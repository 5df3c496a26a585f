"""MLflow's aggregate queries over traces, spans and assessments (its ``QueryTraceMetrics``) as the typed query model.

Metrics, dimensions and filter keys are those of MLflow 3.18 (``mlflow.tracing.constant``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_filter import Clause, parse_filter
from twinlens.query.mlflow_filter_runs import text_value
from twinlens.query.mlflow_trace_filter import SPAN_KINDS, trace_filter
from twinlens.store.telemetry.query import Aggregate, Aggregation, Cmp, Dimension, Expr, Measure, Order, all_of

MS = 1_000_000
TIME = "time_bucket"
View = Literal["traces", "spans", "scores"]

_METRICS: dict[View, dict[str, str | None]] = {
    "traces": {
        "trace_count": None, "session_count": "session_id", "latency": "latency_ns", "input_tokens": "input_tokens",
        "output_tokens": "output_tokens", "total_tokens": "total_tokens",
    },
    "spans": {
        "span_count": None, "latency": "latency_ns", "input_cost": "input_cost", "output_cost": "output_cost",
        "total_cost": "total_cost",
    },
    "scores": {"assessment_count": None, "assessment_value": "value"},
}  # fmt: skip
#: Known to MLflow, not summed up here; they answer without data.
_WITHOUT_DATA = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens"})
_DIMENSIONS: dict[View, dict[str, str]] = {
    "traces": {"trace_name": "name", "trace_status": "state"},
    "spans": {
        "span_name": "name", "span_type": "kind", "span_status": "status", "span_model_name": "model",
        "span_model_provider": "provider",
    },
    "scores": {"assessment_name": "name", "assessment_value": "string_value"},
}  # fmt: skip
_AGGREGATIONS: dict[str, Aggregation] = {"COUNT": "count", "SUM": "sum", "AVG": "avg", "MIN": "min", "MAX": "max"}
_TIME_FIELDS: dict[View, str] = {"traces": "start_ns", "spans": "start_ns", "scores": "timestamp_ns"}
_TYPE_OF_KIND = {kinds[0]: name for name, kinds in SPAN_KINDS.items() if name != "LLM"} | {"generation": "LLM"}


class MetricRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One query as asked. ``aggregations`` are (type, percentile or None)."""

    view: View
    metric: str
    experiment_ids: Sequence[str]
    aggregations: Sequence[tuple[str, float | None]]
    dimensions: Sequence[str] = ()
    filters: Sequence[str] = ()
    interval_s: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 1000


def metric_query(project_id: str, asked: MetricRequest) -> Aggregate | None:
    """The aggregate behind a request; None for metrics that have no data here.

    Raises:
        InvalidArgument: an unknown metric, aggregation, dimension or filter.
    """
    view = asked.view
    if view == "traces" and asked.metric in _WITHOUT_DATA:
        return None
    if asked.metric not in _METRICS[view]:
        raise InvalidArgument(f"metric_name must be one of {list(_METRICS[view])}, got '{asked.metric}'")
    field = _METRICS[view][asked.metric]
    measures: list[Measure] = []
    for name, percentile in asked.aggregations:
        measures.append(_measure(asked.metric, field, name, percentile))
    if not measures:
        raise InvalidArgument("Missing value for required parameter 'aggregations'.")
    dimensions: list[Dimension] = []
    for name in asked.dimensions:
        if name not in _DIMENSIONS[view]:
            raise InvalidArgument(
                f"Found invalid dimension(s): ['{name}']. Supported dimensions: {list(_DIMENSIONS[view])}"
            )
        dimensions.append(Dimension(name, _DIMENSIONS[view][name]))
    if asked.interval_s is not None and (asked.interval_s < 1 or asked.start_ms is None or asked.end_ms is None):
        raise InvalidArgument(
            "start_time_ms and end_time_ms are required if time_interval_seconds is set, which must be positive"
        )
    time = _TIME_FIELDS[view]
    where = all_of(
        Cmp("experiment_id", "in", list(asked.experiment_ids)),
        None if asked.start_ms is None else Cmp(time, ">=", asked.start_ms * MS),
        None if asked.end_ms is None else Cmp(time, "<", (asked.end_ms + 1) * MS),
        Cmp("counted", "=", True) if view == "spans" and asked.metric.endswith("_cost") else None,
        Cmp("valid", "=", True) if view == "scores" else None,
        *(parse_filter(text, _RESOLVERS[view]) for text in asked.filters),
    )
    order = (Order("time", descending=False),) if asked.interval_s else ()
    return Aggregate(
        project_id=project_id, view=view, measures=tuple(measures), dimensions=tuple(dimensions), where=where,
        time_bucket_s=asked.interval_s, order=order, limit=asked.limit,
    )  # fmt: skip


def label(name: str, percentile: float | None) -> str:
    """The key of an aggregation's value in the reply: ``AVG``, ``P95``."""
    return name if percentile is None else f"P{percentile:g}" if percentile % 1 else f"P{percentile:.1f}"


def points(asked: MetricRequest, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the aggregate as MLflow's data points. Rows without a value of a dimension are left out."""
    found: list[dict[str, Any]] = []
    for row in rows:
        dimensions: dict[str, str] = {}
        if asked.interval_s:
            seconds = row["time"] / 1_000_000_000
            dimensions[TIME] = datetime.fromtimestamp(seconds, UTC).isoformat()
        for name in asked.dimensions:
            if row[name] is not None:
                dimensions[name] = _shown(name, row[name])
        if len(dimensions) < len(asked.dimensions) + bool(asked.interval_s):
            continue
        values: dict[str, float] = {}
        for name, percentile in asked.aggregations:
            value = row[label(name, percentile)]
            if value is not None:
                values[label(name, percentile)] = value / MS if asked.metric == "latency" else value
        if not values:
            continue
        found.append({"metric_name": asked.metric, "dimensions": dimensions, "values": values})
    return found


def _measure(metric: str, field: str | None, name: str, percentile: float | None) -> Measure:
    key = label(name, percentile)
    if percentile is not None and name != "PERCENTILE":
        raise InvalidArgument(f"Percentile value is only allowed for PERCENTILE aggregation type, got {name}")
    if field is None or metric == "session_count":
        if name != "COUNT":
            raise InvalidArgument(
                f"Found invalid aggregation_type(s): ['{name}']. Supported aggregation types: ['COUNT']"
            )
        return Measure(key, "count") if field is None else Measure(key, "uniq", field)
    if name == "PERCENTILE":
        if percentile is None:
            raise InvalidArgument("Percentile value is required for PERCENTILE aggregation")
        if not 0 <= percentile <= 100:
            raise InvalidArgument(f"Percentile value must be between 0 and 100, got {percentile}")
        return Measure(key, "quantile", field, at=percentile / 100)
    if name not in _AGGREGATIONS:
        raise InvalidArgument(
            f"Found invalid aggregation_type(s): ['{name}']. Supported aggregation types: {[*_AGGREGATIONS, 'PERCENTILE']}"
        )
    return Measure(key, _AGGREGATIONS[name], field)


def _shown(dimension: str, value: Any) -> str:
    if dimension in ("trace_status", "span_status"):
        return str(value).upper()
    if dimension == "span_type":
        return _TYPE_OF_KIND.get(str(value), "UNKNOWN")
    return str(value)


def _equal(clause: Clause) -> str:
    if clause.op != "=":
        raise InvalidArgument(f"Invalid comparator: '{clause.op}', only '=' operator is supported in: {clause.text}")
    return str(text_value(clause, clause.key))


def _trace(clause: Clause) -> Expr:
    _equal(clause)
    name, _, key = clause.key.partition(".")
    if clause.entity != "trace" or name not in ("status", "tag", "metadata") or bool(key) == (name == "status"):
        raise _unknown("filters", clause.text, ("trace.status", "trace.tag.<key>", "trace.metadata.<key>"))
    quoted = str(clause.value).replace("'", "''")
    return trace_filter(f"status = '{quoted}'" if name == "status" else f"{name}.`{key.strip('`')}` = '{quoted}'")


def _span(clause: Clause) -> Expr:
    value = _equal(clause)
    if clause.entity == "span" and clause.key == "type":
        return Cmp("kind", "in", SPAN_KINDS.get(value.upper(), [value.lower()]))
    if clause.entity == "span" and clause.key in ("name", "status"):
        return Cmp(clause.key, "=", value.lower() if clause.key == "status" else value)
    raise _unknown("filters", clause.text, ("span.name", "span.status", "span.type"))


def _score(clause: Clause) -> Expr:
    value = _equal(clause)
    if clause.entity == "assessment" and clause.key in ("name", "type"):
        return Cmp("name", "=", value) if clause.key == "name" else Cmp("kind", "=", value.lower())
    raise _unknown("filters", clause.text, ("assessment.name", "assessment.type"))


_RESOLVERS = {"traces": _trace, "spans": _span, "scores": _score}


def _unknown(parameter: str, value: str, valid: Any) -> InvalidArgument:
    return InvalidArgument(f"Invalid value '{value}' for parameter '{parameter}'. Valid values are {sorted(valid)}")
