"""Requests of MLflow's tracking API, for playing against our server and a real one. ``{name}`` is a value kept earlier.

A step is (verb, path below ``/api/2.0/mlflow``, query or body, how to keep values of the answer).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Step(NamedTuple):
    """One request. ``keep`` maps names to dotted paths in the answer."""

    verb: str
    path: str
    body: Any = None
    keep: dict[str, str] = {}  # noqa: RUF012 - never changed


def post(path: str, body: Any = None, **keep: str) -> Step:
    """A POST with a JSON body."""
    return Step("POST", path, {} if body is None else body, keep)


def get(path: str, query: Any = None, **keep: str) -> Step:
    """A GET with a query."""
    return Step("GET", path, query, keep)


def points(count: int, key: str = "loss", **fields: Any) -> list[dict[str, Any]]:
    """Metric points of a batch."""
    return [{"key": key, "value": i / 4, "timestamp": 1_000 + i, "step": i, **fields} for i in range(count)]


DATASET = {"name": "d", "digest": "abc", "source_type": "code", "source": "{}", "schema": "{}", "profile": "{}"}

EXPERIMENTS = [
    get("/experiments/get", {"experiment_id": "0"}),
    post("/experiments/create", {"name": "one", "tags": [{"key": "team", "value": "a"}]}, e1="experiment_id"),
    post("/experiments/create", {"name": "two", "artifact_location": "s3://bucket/two"}, e2="experiment_id"),
    post("/experiments/create", {"name": "one"}),
    post("/experiments/create", {"name": ""}),
    post("/experiments/create"),
    post("/experiments/create", {"name": 5}),
    post("/experiments/create", {"name": "x" * 501}),
    post("/experiments/create", {"name": "loc", "artifact_location": "s3://b/x#frag"}),
    post("/experiments/create", {"name": "loc2", "artifact_location": "runs:/x/y"}),
    post("/experiments/create", {"name": "t", "tags": [{"key": "a b\t", "value": "x"}]}),
    get("/experiments/get", {"experiment_id": "{e1}"}),
    get("/experiments/get", {"experiment_id": "abc"}),
    get("/experiments/get", {"experiment_id": "99999"}),
    get("/experiments/get", {"experiment_id": "-1"}),
    get("/experiments/get"),
    get("/experiments/get-by-name", {"experiment_name": "two"}),
    get("/experiments/get-by-name", {"experiment_name": "nope"}),
    get("/experiments/get-by-name"),
    post("/experiments/search", {"max_results": 10}),
    get("/experiments/search", {"max_results": 1}),
    post("/experiments/search", {"max_results": 10, "filter": "name LIKE 'o%'"}),
    post("/experiments/search", {"max_results": 10, "filter": "tags.team = 'a'"}),
    post("/experiments/search", {"max_results": 10, "filter": "bogus = 'a'"}),
    post("/experiments/search", {"max_results": 10, "order_by": ["name ASC"]}),
    post("/experiments/search", {"max_results": 10, "order_by": ["bogus"]}),
    post("/experiments/search", {"max_results": 50_001}),
    post("/experiments/search", {"max_results": 10, "view_type": "ALL"}),
    post("/experiments/update", {"experiment_id": "{e2}", "new_name": "renamed"}),
    post("/experiments/update", {"experiment_id": "{e2}"}),
    post("/experiments/set-experiment-tag", {"experiment_id": "{e2}", "key": "k", "value": "v"}),
    post("/experiments/set-experiment-tag", {"experiment_id": "{e2}", "key": "k", "value": "x" * 20_001}),
    post("/experiments/set-experiment-tag", {"experiment_id": "{e2}"}),
    post("/experiments/delete-experiment-tag", {"experiment_id": "{e2}", "key": "nope"}),
    post("/experiments/delete-experiment-tag", {"experiment_id": "{e2}", "key": "k"}),
    post("/experiments/delete", {"experiment_id": "{e2}"}),
    post("/experiments/delete", {"experiment_id": "{e2}"}),
    post("/experiments/set-experiment-tag", {"experiment_id": "{e2}", "key": "k", "value": "v"}),
    post("/experiments/search", {"max_results": 10, "view_type": "DELETED_ONLY"}),
    post("/runs/create", {"experiment_id": "{e2}"}),
    post("/experiments/restore", {"experiment_id": "{e2}"}),
    post("/experiments/restore", {"experiment_id": "{e2}"}),
    post("/experiments/bogus"),
    Step("DELETE", "/experiments/create", {}),
]

RUNS = [
    post("/runs/create", {"experiment_id": "{e1}", "start_time": 5, "run_name": "r1", "user_id": "me", "tags": [
        {"key": "mlflow.user", "value": "me"}, {"key": "team", "value": "a"}]}, r1="run.info.run_id"),
    post("/runs/create", {"experiment_id": "{e1}", "start_time": 6, "tags": [
        {"key": "mlflow.runName", "value": "r2"}]}, r2="run.info.run_id"),
    post("/runs/create", {"experiment_id": "{e2}", "run_name": "scrap", "start_time": 1}, scrap="run.info.run_id"),
    post("/runs/create", {"experiment_id": "{e1}", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}),
    post("/runs/create", {"experiment_id": "{e2}", "run_name": "odd", "start_time": 2, "user_id": "me", "tags": [
        {"key": "long", "value": "x" * 8_001}, {"key": "a?b", "value": "x"}, {"key": "k" * 251, "value": "x"}]}, odd="run.info.run_id"),
    post("/runs/create", {"experiment_id": "nope"}),
    post("/runs/create", {"run_name": "nowhere"}),
    post("/runs/create", {"experiment_id": "{e1}", "start_time": "x"}),
    get("/runs/get", {"run_id": "{r1}"}),
    get("/runs/get", {"run_uuid": "{r1}", "run_id": "{r1}"}),
    get("/runs/get", {"run_uuid": "{r1}"}),
    get("/runs/get", {"run_id": "nope"}),
    get("/runs/get"),
    post("/runs/update", {"run_id": "{r1}", "status": "FINISHED", "end_time": 9}),
    post("/runs/update", {"run_id": "{r1}", "run_name": "renamed"}),
    post("/runs/update", {"run_id": "{r1}", "status": "BOGUS"}),
    post("/runs/update", {"run_id": "{r1}", "status": 1}),
    post("/runs/update", {"status": "FINISHED"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "lr", "value": "0.1"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "lr", "value": "0.1"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "lr", "value": "0.2"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "empty", "value": ""}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "long", "value": "x" * 6_001}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "../bad", "value": "x"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "bad\tname", "value": "x"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "x" * 251, "value": "x"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "value": "x"}),
    post("/runs/log-parameter", {"run_id": "{r1}", "key": "n", "value": 5}),
    post("/runs/log-parameter", {"run_uuid": "{r1}", "key": "by-uuid", "value": "x"}),
    post("/runs/set-tag", {"run_id": "{r1}", "key": "t", "value": "v"}),
    post("/runs/set-tag", {"run_id": "{r1}", "key": "t", "value": "w"}),
    post("/runs/set-tag", {"run_id": "{r1}", "key": "mlflow.runName", "value": "again"}),
    post("/runs/set-tag", {"run_id": "{r1}", "key": "mlflow.runName", "value": ""}),
    get("/runs/get", {"run_id": "{r1}"}),
    post("/runs/set-tag", {"run_id": "{r1}", "key": "long", "value": "x" * 8_001}),
    post("/runs/set-tag", {"run_id": "{r1}", "value": "v"}),
    post("/runs/delete-tag", {"run_id": "{r1}", "key": "t"}),
    post("/runs/delete-tag", {"run_id": "{r1}", "key": "t"}),
    get("/runs/get", {"run_id": "{r1}"}),
]  # fmt: skip

METRICS = [
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 1.5, "timestamp": 10, "step": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 1.5, "timestamp": 10, "step": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": "2.5", "timestamp": "11", "step": "1"}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 0.5, "timestamp": 9, "step": 0}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "nan", "value": "NaN", "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "up", "value": "Infinity", "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "down", "value": "-Infinity", "timestamp": 1, "step": -3}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": "abc", "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{scrap}", "key": "other", "value": True, "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "value": 1, "timestamp": 1}),
    post("/runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 1, "timestamp": -1}),
    post("/runs/log-metric", {"run_id": "{scrap}", "key": "other", "value": 1, "timestamp": 1.5}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "/m", "value": 1, "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "nope", "key": "m", "value": 1, "timestamp": 1}),
    post("/runs/log-metric", {"run_id": "{r1}", "key": "m", "value": 7, "timestamp": 20, "step": 2, "bogus": 1}),
    post("/runs/log-metric", {"runId": "{r1}", "run_id": "{r1}", "key": "m", "value": 7, "timestamp": 20}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": points(30), "params": [{"key": "a", "value": "1"}],
        "tags": [{"key": "x", "value": "y"}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": points(30)}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": points(1_001)}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": points(950), "params": [{"key": f"p{i}", "value": "1"}
        for i in range(60)]}),
    post("/runs/log-batch", {"run_id": "{r2}", "params": [{"key": f"p{i}", "value": "1"} for i in range(101)]}),
    post("/runs/log-batch", {"run_id": "{r2}", "params": [{"key": "a", "value": "2"}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "params": [{"key": "z", "value": "2"}, {"key": "z", "value": "2"}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": [{"key": "m", "timestamp": 1}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": [{"value": 1, "timestamp": 1}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "tags": [{"value": "1"}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": [{"key": "a//b", "value": 1, "timestamp": 1}]}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": "x"}),
    post("/runs/log-batch", {"run_id": "{odd}", "tags": [{"key": f"t{i}", "value": "x" * 8_000} for i in range(100)],
        "params": [{"key": f"p{i}", "value": "x" * 6_000} for i in range(100)]}),
    post("/runs/log-batch", {"run_id": "bad id!"}),
    post("/runs/log-batch", {"metrics": []}),
    post("/runs/log-batch", {"run_id": "{r2}"}),
    get("/metrics/get-history", {"run_id": "{r1}", "metric_key": "m"}),
    get("/metrics/get-history", {"run_id": "{r1}", "metric_key": "nan"}),
    get("/metrics/get-history", {"run_id": "{r1}", "metric_key": "nope"}),
    get("/metrics/get-history", {"run_id": "{r2}", "metric_key": "loss"}),
    get("/metrics/get-history", {"run_id": "{r2}", "metric_key": "loss", "max_results": 0}),
    get("/metrics/get-history", {"run_id": "{r2}", "metric_key": "loss", "page_token": "garbage"}),
    get("/metrics/get-history", {"run_id": "{r2}"}),
    get("/metrics/get-history-bulk-interval", {"run_ids": ["{r2}"], "metric_key": "loss", "max_results": 5}),
    get("/metrics/get-history-bulk-interval", {"run_ids": ["{r2}"], "metric_key": "loss", "start_step": 3, "end_step": 6}),
    get("/metrics/get-history-bulk-interval", {"run_ids": ["{r2}"], "metric_key": "loss", "start_step": 3}),
    get("/metrics/get-history-bulk-interval", {"run_ids": ["{r2}"], "metric_key": "loss", "start_step": 6, "end_step": 3}),
    get("/metrics/get-history-bulk-interval", {"run_ids": ["{r2}"], "metric_key": "loss", "max_results": 2501}),
    get("/metrics/get-history-bulk-interval", {"metric_key": "loss"}),
    get("/runs/get", {"run_id": "{r1}"}),
    get("/runs/get", {"run_id": "{r2}"}),
]  # fmt: skip

SEARCH = [
    post("/runs/search", {"experiment_ids": ["{e1}"]}),
    post("/runs/search", {"experiment_ids": []}),
    post("/runs/search", {"experiment_ids": ["nope"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.m > 1"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.m > 100"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.nan != 5"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.nan > 0"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "params.lr = '0.1' and metrics.m > 1"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "params.nope != '0.1'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "params.lr IS NULL"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "tags.team LIKE 'A'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "tags.team ILIKE 'A'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "attributes.status = 'FINISHED'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "run_name = 'r2'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "attributes.`run name` LIKE 'r%'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "run_id IN ('{r1}')"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "start_time > 5"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "user_id = 'me'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.m > 'x'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.'m' > 1"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "params.lr = 0.1"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "bogus.lr = '0.1'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "attributes.bogus = '0.1'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "status IS NULL"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "status IN ('FINISHED')"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "metrics.m LIKE 'x'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["metrics.m DESC"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["metrics.nope"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["params.lr", "start_time"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["run_name DESC"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["start_time", "start_time"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["bogus.x"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "order_by": ["start_time bogus"]}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "max_results": 50_001}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "page_token": "garbage"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "run_view_type": "DELETED_ONLY"}),
    post("/runs/search", {"experiment_ids": "{e1}"}),
]

REST = [
    post("/runs/log-inputs", {"run_id": "{r1}", "datasets": [{"dataset": DATASET, "tags": [
        {"key": "mlflow.data.context", "value": "train"}]}], "models": [{"model_id": "m-1"}]}),
    post("/runs/log-inputs", {"run_id": "{r1}", "datasets": [{"dataset": DATASET}]}),
    post("/runs/log-inputs", {"run_id": "{r2}", "datasets": [{"dataset": DATASET}, {"dataset": DATASET}]}),
    post("/runs/log-inputs", {"run_id": "{r2}", "datasets": [{"dataset": {**DATASET, "digest": "x" * 37}}]}),
    post("/runs/log-inputs", {"run_id": "{odd}", "datasets": [{"dataset": {"name": "bare", "source_type": "c", "source": "s"}}, {
        "dataset": {"digest": "d"}}]}),
    get("/runs/get", {"run_id": "{odd}"}),
    post("/runs/log-inputs", {"datasets": []}),
    post("/runs/outputs", {"run_id": "{r1}", "models": [{"model_id": "m-2", "step": 3}]}),
    post("/runs/outputs", {"run_id": "{r1}"}),
    post("/runs/log-model", {"run_id": "{r1}", "model_json": "x"}),
    post("/runs/log-model", {"run_id": "{r1}", "model_json": "{}"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "dataset.name = 'd' and dataset.context = 'train'"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "filter": "datasets.digest IN ('abc')"}),
    get("/runs/get", {"run_id": "{r1}"}),
    post("/runs/delete", {"run_id": "{r2}"}),
    post("/runs/delete", {"run_id": "nope"}),
    post("/runs/log-metric", {"run_id": "{r2}", "key": "m", "value": 1, "timestamp": 1}),
    post("/runs/log-parameter", {"run_id": "{r2}", "key": "m", "value": "1"}),
    post("/runs/log-batch", {"run_id": "{r2}", "metrics": points(1)}),
    post("/runs/update", {"run_id": "{r2}", "status": "FAILED"}),
    get("/runs/get", {"run_id": "{r2}"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "run_view_type": "DELETED_ONLY"}),
    post("/runs/search", {"experiment_ids": ["{e1}"], "run_view_type": "ALL"}),
    post("/runs/restore", {"run_id": "{r2}"}),
    post("/experiments/delete", {"experiment_id": "{e1}"}),
    get("/runs/get", {"run_id": "{r1}"}),
    post("/experiments/restore", {"experiment_id": "{e1}"}),
    get("/runs/get", {"run_id": "{r1}"}),
]  # fmt: skip

CORPUS = [*EXPERIMENTS, *RUNS, *METRICS, *SEARCH, *REST]
