"""Logging metrics and reading their history (API 2.0).

``log-metric`` and ``log-batch`` are the requests that training loops wait for. Their usual bodies are decoded straight into
structs; whatever does not fit (numbers as text, NaN, camel case, mistakes) is read again by the general rules, which know
the messages.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.run import LatestMetric
from twinlens.domain.score import MetricPoint
from twinlens.faces.mlflow.limits import (
    MAX_HISTORY,
    MAX_HISTORY_RUNS,
    MAX_SAMPLE,
    check_batch,
)
from twinlens.faces.mlflow.params import Params, as_int
from twinlens.faces.mlflow.runs import run_id_of
from twinlens.faces.mlflow.wire import Call, RpcTable, decode_body, invalid, number, present

rpcs = RpcTable()


class _Point(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None

    def latest(self) -> LatestMetric:
        return LatestMetric(
            self.key, self.value, self.timestamp, self.step, self.model_id or None, self.dataset_name or None,
            self.dataset_digest or None,
        )  # fmt: skip


class _Pair(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    key: str
    value: str = ""


class _LogBatch(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    run_id: str
    metrics: list[_Point] = []
    params: list[_Pair] = []
    tags: list[_Pair] = []

    @property
    def complete(self) -> bool:
        """Nothing that must be there is empty."""
        return bool(self.run_id) and all(item.key for part in (self.metrics, self.params, self.tags) for item in part)


_log_metric = msgspec.json.Decoder(_Point).decode
_log_batch = msgspec.json.Decoder(_LogBatch).decode


def _point(params: Params) -> LatestMetric:
    return LatestMetric(
        params.required("key"), params.required_number("value"), params.required_integer("timestamp"),
        params.integer("step") or 0, params.text("model_id") or None, params.text("dataset_name") or None,
        params.text("dataset_digest") or None,
    )  # fmt: skip


@rpcs.rpc("POST", "2.0", "/mlflow/runs/log-metric", body="bytes", scope="ingest")
def log_metric(call: Call) -> None:
    """Store one point."""
    try:
        fast = _log_metric(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fast = None
    if fast is not None and fast.run_id and fast.key:
        run_id, point = fast.run_id, fast.latest()
    else:
        params = Params(decode_body(call.body))
        run_id, point = run_id_of(params), _point(params)
    call.services.metrics.log(call.project_id, run_id, [point])


@rpcs.rpc("POST", "2.0", "/mlflow/runs/log-batch", body="bytes", scope="ingest")
def log_batch(call: Call) -> None:
    """Store metrics, params and tags, all or nothing."""
    try:
        fast = _log_batch(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fast = None
    if fast is not None and fast.complete:
        run_id, metrics = fast.run_id, [point.latest() for point in fast.metrics]
        pairs = [(item.key, item.value) for item in fast.params]
        tags = [(item.key, item.value) for item in fast.tags]
    else:
        params = Params(decode_body(call.body))
        run_id, metrics = params.required("run_id"), [_point(item) for item in params.objects("metrics")]
        pairs, tags = params.pairs("params"), params.pairs("tags")
    check_batch(len(metrics), len(pairs), len(tags))
    call.services.runs.log_batch(call.project_id, run_id, metrics=metrics, params=pairs, tags=tags)


def _metric_json(point: MetricPoint) -> dict[str, Any]:
    return {"key": point.key, "value": number(point.value), "timestamp": point.timestamp_ms, "step": point.step}


@rpcs.rpc("GET", "2.0", "/mlflow/metrics/get-history")
def get_history(call: Call) -> dict[str, Any]:
    """Points of one metric of one run, all of them or a page."""
    params = call.params
    run_id, key = run_id_of(params), params.required("metric_key")
    limit = params.integer("max_results")
    if limit is not None and limit <= 0:
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    page = call.services.metrics.history(
        call.project_id, run_id, key, limit=limit, cursor=params.text("page_token") or None
    )
    return present(metrics=[_metric_json(p) for p in page.points] or None, next_page_token=page.next_cursor)


@rpcs.rpc("GET", "2.0", "/mlflow/metrics/get-history-bulk", ajax_only=True)
def get_history_bulk(call: Call) -> dict[str, Any]:
    """Points of one metric of several runs, run by run."""
    params = call.params
    run_ids = params.texts("run_id")
    if not run_ids:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > MAX_HISTORY_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MAX_HISTORY_RUNS} run_ids. "
            f"Received {len(run_ids)} run_ids."
        )
    key = params.text("metric_key")
    if key is None:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    limit = params.integer("max_results")
    limit = MAX_HISTORY if limit is None else max(0, min(limit, MAX_HISTORY))
    points = call.services.metrics.bulk(call.project_id, run_ids, key, limit)
    return {"metrics": [{**_metric_json(point), "run_id": point.run_id} for point in points]}


@rpcs.rpc("GET", "2.0", "/mlflow/metrics/get-history-bulk-interval")
def get_history_bulk_interval(call: Call) -> dict[str, Any]:
    """An even sample of one metric of several runs, for charts."""
    params = call.params
    run_ids = params.texts("run_ids")
    if not run_ids:
        raise invalid(
            "Missing value for required parameter 'run_ids'. See the API docs for more information about request "
            "parameters."
        )
    if len(run_ids) > MAX_HISTORY_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MAX_HISTORY_RUNS} run_ids. "
            f"Received {len(run_ids)} run_ids."
        )
    key = params.required("metric_key")
    limit = params.integer("max_results")
    if limit is not None and not 1 <= limit <= MAX_SAMPLE:
        raise invalid(f"max_results must be between 1 and {MAX_SAMPLE}.")
    first, last = _steps(params)
    found = call.services.metrics.sample(
        call.project_id, run_ids, key, limit=limit or MAX_SAMPLE, start_step=first, end_step=last
    )
    points = [{**_metric_json(p), "run_id": run_id} for run_id in dict.fromkeys(run_ids) for p in found.get(run_id, [])]
    return {"metrics": points} if points else {}


def _steps(params: Params) -> tuple[int | None, int | None]:
    """``start_step`` and ``end_step``: both or neither."""
    first, last = params.raw("start_step"), params.raw("end_step")
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is None:
        return None, None
    lower, upper = as_int(first, "start_step"), as_int(last, "end_step")
    if lower > upper:
        raise invalid(
            f"end_step must be greater than start_step. Found start_step={lower} and end_step={upper}."
        )  # fmt: skip
    return lower, upper
