"""Tracking with the real MLflow client, and the wire's own rules over plain HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.envs import python_of
from tests.servers import LiveServer
from tests.wire.mlflow import recording

PROGRAMS = Path(__file__).parent / "programs"
API = "/api/2.0/mlflow"


def run_program(name: str, *args: str) -> dict[str, Any]:
    """Run a program with the real client; what its last line says."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "OTEL_"))}
    env |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_DISABLE_TELEMETRY": "true", **recording.environment()}
    done = subprocess.run(
        [python_of("mlflow"), "-W", "ignore", str(PROGRAMS / name), *args],
        env=env, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def name() -> str:
    """A fresh experiment name, because the server is shared by the tests of this file."""
    return f"experiment-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    with live_server.client() as client:
        yield client


def new_run(http: httpx.Client, **fields: Any) -> str:
    """A fresh run's id."""
    return str(http.post(f"{API}/runs/create", json={"experiment_id": "0", **fields}).json()["run"]["info"]["run_id"])


# --- the real client ---------------------------------------------------------------------------------------------


@pytest.mark.peer
def test_a_training_program(live_server: LiveServer, name: str) -> None:
    facts = run_program("tracking.py", live_server.url, name)
    assert facts["same experiment"] and facts["user"] and facts["parent of child"]
    assert (facts["status"], facts["name"], facts["description"]) == ("FINISHED", "parent", "A **run**.")
    assert facts["params"] == {"lr": "0.1", "depth": "3", "note": ""}
    assert facts["metrics"] == {
        "loss": "0.05", "acc": "0.9", "broken": "nan", "up": "1.7976931348623157e+308", "async": "1.5", "resumed": "1.0",
    }  # fmt: skip
    assert facts["tags"] == {"team": "vision", "a": "1"}
    assert facts["datasets"] == [["points", {"mlflow.data.context": "train"}]]
    assert facts["history"] == [[step, 1 / (step + 1)] for step in range(20)]
    assert facts["found"] == ["parent"]
    assert facts["either"] == ["child", "parent"]
    assert facts["pages"] == [1, 1, None]
    assert facts["columns"] == [
        "metrics.acc", "metrics.async", "metrics.broken", "metrics.loss", "metrics.resumed", "metrics.up",
        "params.depth", "params.lr", "params.note",
    ]  # fmt: skip
    assert facts["errors"] == {
        "param": "INVALID_PARAMETER_VALUE", "run": "RESOURCE_DOES_NOT_EXIST", "name": "RESOURCE_ALREADY_EXISTS",
        "filter": "INVALID_PARAMETER_VALUE", "key": "INVALID_PARAMETER_VALUE",
    }  # fmt: skip


@pytest.mark.peer
def test_experiments_and_runs_live_and_die(live_server: LiveServer, name: str) -> None:
    facts = run_program("lifecycle.py", live_server.url, name)
    assert facts["after delete"] == ["run-4", "run-3", "renamed", "run-0"]
    assert (facts["deleted"], facts["all"]) == (["run-2"], 5)
    assert facts["after restore"] == ["run-4", "run-3", "run-2", "renamed", "run-0"]
    assert facts["experiment"] == [True, {"k": "v"}, "active"]
    assert facts["deleted experiment"] == ["deleted", "deleted", 5, [True]]
    assert facts["run"] == [50, 899.0, "FINISHED", True, [["m-0", 3]], "eval"]
    assert facts["history"] == 900
    assert (facts["default"], facts["missing"], facts["by tag"]) == ("Default", None, True)
    assert facts["ordered"] == ["run-0", "renamed", "run-2"]


# --- durability --------------------------------------------------------------------------------------------------


def test_acknowledged_metrics_survive_a_kill(start_server: Callable[..., LiveServer]) -> None:
    server = start_server()
    with server.client() as http:
        run_id = new_run(http)
        for step in range(40):
            point = {"run_id": run_id, "key": "m", "value": step, "timestamp": step, "step": step}
            assert http.post(f"{API}/runs/log-metric", json=point).status_code == 200
            if step == 20:
                http.get(f"{API}/metrics/get-history", params={"run_id": run_id, "metric_key": "m"})
    server.kill()
    server.start()
    with server.client() as http:
        query = {"run_id": run_id, "metric_key": "m"}
        found = http.get(f"{API}/metrics/get-history", params=query).json()["metrics"]
        assert [m["step"] for m in found] == list(range(40))
        point = {"run_id": run_id, "key": "m", "value": 40, "timestamp": 40, "step": 40}
        assert http.post(f"{API}/runs/log-metric", json=point).status_code == 200
        assert len(http.get(f"{API}/metrics/get-history", params=query).json()["metrics"]) == 41


# --- the wire ----------------------------------------------------------------------------------------------------


def test_what_the_server_says_about_itself(http: httpx.Client) -> None:
    version = http.get("/version")
    assert version.status_code == 200 and tuple(map(int, version.text.split("."))) >= (3, 4, 0)
    assert http.get("/health").text == "OK"
    for prefix in ("/api", "/ajax-api"):
        info = http.get(f"{prefix}/3.0/mlflow/server-info").json()
        assert info["store_type"] == "SqlStore" and info["workspaces_enabled"] is False


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/api/2.0/mlflow/nope", 404),
        ("POST", "/ajax-api/2.0/mlflow/nope", 404),
        ("GET", "/api/3.0/mlflow/nope", 404),
        ("GET", "/ajax-api/nope", 404),
        ("GET", "/api/2.0/mlflow/runs/create", 405),
        ("DELETE", "/api/2.0/mlflow/runs/get", 405),
    ],
)
def test_unknown_paths_answer_no_json(http: httpx.Client, verb: str, path: str, status: int) -> None:
    """MLflow's client takes any other 404 than JSON as ENDPOINT_NOT_FOUND and falls back to older calls."""
    answer = http.request(verb, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_both_prefixes_are_the_same(http: httpx.Client, prefix: str) -> None:
    assert http.get(f"{prefix}/2.0/mlflow/experiments/get?experiment_id=0").json()["experiment"]["name"] == "Default"


def test_the_misspelt_path_of_datasets(http: httpx.Client) -> None:
    for path in ("/api/2.0mlflow/experiments/search-datasets", "/ajax-api/2.0/mlflow/experiments/search-datasets"):
        assert http.post(path, json={"experiment_ids": ["0"]}).status_code == 200
        assert http.post(path, json={"experiment_ids": [str(n) for n in range(21)]}).status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{", "application/json", "Missing value for required parameter 'name'"),
        (b"", "application/json", "Missing value for required parameter 'name'"),
        (b"[1]", "application/json", "Missing value for required parameter 'name'"),
        (b"null", "application/json", "Missing value for required parameter 'name'"),
        (b'{"name": ""}', "application/json", "Missing value for required parameter 'name'"),
        (b'{"name": 5}', "application/json", "Invalid value 5 for parameter 'name' supplied"),
        (b'{"name": "x", "tags": "y"}', "application/json", "Invalid value \"y\" for parameter 'tags' supplied"),
        (b'{"name": "x"}', "text/plain", "Content-Type must be one of ['application/json']"),
        (b'{"name": "x"}', None, "Content-Type header is missing"),
        (b"[" * 100_000, "application/json", "Missing value for required parameter 'name'"),
        (
            b'{"artifact_location": "x", "artifactLocation": "y", "name": "n"}',
            "application/json",
            "Request specifies both",
        ),
    ],
)
def test_bad_bodies_say_what_is_wrong(http: httpx.Client, body: bytes, content_type: str | None, message: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = http.post(f"{API}/experiments/create", content=body, headers=headers)
    assert answer.status_code == 400
    error = answer.json()
    assert error["error_code"] == "INVALID_PARAMETER_VALUE" and message in error["message"], error
    assert (error["sqlstate"], error["error_class"]) == ("KAM00", "INVALID_PARAMETER_VALUE")


def test_bodies_of_old_and_other_clients_are_read(http: httpx.Client, name: str) -> None:
    doubled = json.dumps(json.dumps({"name": name}))
    headers = {"content-type": "application/json; charset=utf-8"}
    assert http.post(f"{API}/experiments/create", content=doubled, headers=headers).json()["experiment_id"]
    run_id = new_run(http)
    assert http.get(f"{API}/runs/get", params={"run_uuid": run_id}).json()["run"]["info"]["run_id"] == run_id
    camel = {"runId": run_id, "key": "m", "value": "0.5", "timestamp": "7", "modelId": "", "unknown": 1}
    assert http.post(f"{API}/runs/log-metric", json=camel).json() == {}
    bare = f'{{"run_id": "{run_id}", "key": "n", "value": NaN, "timestamp": 1}}'
    assert http.post(f"{API}/runs/log-metric", content=bare, headers=headers).status_code == 200
    found = http.get(f"{API}/runs/get", params={"run_id": run_id}).json()["run"]["data"]["metrics"]
    assert found == [
        {"key": "m", "value": 0.5, "timestamp": 7, "step": 0}, {"key": "n", "value": "NaN", "timestamp": 1, "step": 0},
    ]  # fmt: skip


def test_numbers_on_the_wire(http: httpx.Client) -> None:
    run_id = new_run(http, start_time=1)
    for key, value in (("nan", "NaN"), ("up", "Infinity"), ("down", "-Infinity"), ("one", 1)):
        point = {"run_id": run_id, "key": key, "value": value, "timestamp": 2**53}
        assert http.post(f"{API}/runs/log-metric", json=point).status_code == 200
    answer = http.get(f"{API}/runs/get", params={"run_id": run_id})
    run = json.loads(answer.text)["run"]
    assert {m["key"]: m["value"] for m in run["data"]["metrics"]} == {
        "nan": "NaN", "up": 1.7976931348623157e308, "down": -1.7976931348623157e308, "one": 1.0,
    }  # fmt: skip
    assert run["data"]["metrics"][0]["timestamp"] == 2**53
    assert "end_time" not in run["info"] and run["info"]["run_uuid"] == run_id


def test_queries_repeat_parameters(http: httpx.Client) -> None:
    runs = [new_run(http) for _ in range(2)]
    for run_id in runs:
        points = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(50)]
        http.post(f"{API}/runs/log-batch", json={"run_id": run_id, "metrics": points})
    query = {"run_ids": runs, "metric_key": "m", "max_results": 5}
    found = http.get(f"{API}/metrics/get-history-bulk-interval", params=query).json()["metrics"]
    assert {m["run_id"] for m in found} == set(runs) and len(found) <= 10
    single = http.get(f"{API}/metrics/get-history-bulk-interval", params={**query, "run_ids": runs[0]}).json()[
        "metrics"
    ]
    assert {m["run_id"] for m in single} == {runs[0]}
    bulk = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    found = http.get(bulk, params={"run_id": runs, "metric_key": "m", "max_results": 60}).json()["metrics"]
    assert [m["run_id"] for m in found] == [sorted(runs)[0]] * 50 + [sorted(runs)[1]] * 10
    assert http.get(bulk.replace("ajax-api", "api"), params={"run_id": runs, "metric_key": "m"}).status_code == 404
    assert http.get(bulk, params={"run_id": ["x"] * 101, "metric_key": "m"}).status_code == 400


def test_history_pages(http: httpx.Client) -> None:
    run_id = new_run(http)
    points = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(25)]
    http.post(f"{API}/runs/log-batch", json={"run_id": run_id, "metrics": points})
    query: dict[str, Any] = {"run_id": run_id, "metric_key": "m", "max_results": 10}
    seen: list[int] = []
    while True:
        page = http.get(f"{API}/metrics/get-history", params=query).json()
        seen += [m["step"] for m in page["metrics"]]
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert seen == list(range(25))


def test_a_batch_is_all_or_nothing(http: httpx.Client) -> None:
    run_id = new_run(http)
    good = {"key": "m", "value": 1, "timestamp": 1}
    for bad in (
        {"metrics": [good, {**good, "key": "../x"}]},
        {"metrics": [good], "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]},
        {"metrics": [good], "tags": [{"key": "x" * 251, "value": "1"}]},
        {"metrics": [good, {**good, "value": True}]},
        {"metrics": [good] * 1_001},
        {"metrics": [good], "params": [{"key": f"p{i}", "value": "1"} for i in range(101)]},
    ):
        answer = http.post(f"{API}/runs/log-batch", json={"run_id": run_id, **bad})
        assert answer.status_code == 400 and answer.json()["error_code"] == "INVALID_PARAMETER_VALUE", bad.keys()
    data = http.get(f"{API}/runs/get", params={"run_id": run_id}).json()["run"]["data"]
    assert list(data) == ["tags"] and [tag["key"] for tag in data["tags"]] == ["mlflow.runName"]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "metrics.a >"}, {"order_by": ["bogus"]}, {"page_token": "garbage"}, {"max_results": 0},
        {"max_results": 50_001}, {"max_results": "many"}, {"experiment_ids": ["x"]}, {"run_view_type": "BOGUS"},
        {"filter": "(" * 10_000}, {"order_by": "start_time"}, {"filter": 5},
    ],
)  # fmt: skip
def test_bad_searches_are_refused(http: httpx.Client, query: dict[str, Any]) -> None:
    answer = http.post(f"{API}/runs/search", json={"experiment_ids": ["0"], **query})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


# --- tenancy -----------------------------------------------------------------------------------------------------


def test_keys_see_their_project_only(start_server: Callable[..., LiveServer]) -> None:
    server = start_server(
        TWINLENS_MODE="secured", LANGFUSE_INIT_PROJECT_ID="one", LANGFUSE_INIT_ORG_ID="o",
        LANGFUSE_INIT_PROJECT_PUBLIC_KEY="pk-lf-one", LANGFUSE_INIT_PROJECT_SECRET_KEY="sk-lf-one",
    )  # fmt: skip
    with server.client() as anonymous, server.client(auth=("pk-lf-one", "sk-lf-one")) as one:
        refused = anonymous.post(f"{API}/runs/create", json={})
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert anonymous.get("/version").status_code == 200
        assert anonymous.get("/api/3.0/mlflow/server-info").status_code == 200
        assert one.get(f"{API}/experiments/get", params={"experiment_id": "0"}).status_code == 200
        assert new_run(one)
        bearer = {"authorization": "Bearer sk-lf-one"}
        assert anonymous.get(f"{API}/experiments/get?experiment_id=0", headers=bearer).status_code in (200, 401)


# --- abuse -------------------------------------------------------------------------------------------------------

#: Endpoints with their fields, for values that nobody should send.
FIELDS = {
    "experiments/create": ("name", "artifact_location", "tags"),
    "experiments/update": ("experiment_id", "new_name"),
    "experiments/search": ("filter", "order_by", "max_results", "page_token", "view_type"),
    "experiments/set-experiment-tag": ("experiment_id", "key", "value"),
    "experiments/search-datasets": ("experiment_ids",),
    "runs/create": ("experiment_id", "run_name", "user_id", "start_time", "tags"),
    "runs/update": ("run_id", "status", "end_time", "run_name"),
    "runs/search": ("experiment_ids", "filter", "order_by", "max_results", "page_token", "run_view_type"),
    "runs/log-metric": ("run_id", "key", "value", "timestamp", "step", "model_id"),
    "runs/log-parameter": ("run_id", "key", "value"),
    "runs/log-batch": ("run_id", "metrics", "params", "tags"),
    "runs/log-inputs": ("run_id", "datasets", "models"),
    "runs/outputs": ("run_id", "models"),
    "runs/log-model": ("run_id", "model_json"),
}
VALUES = [
    "\x00", "\ud800", "'", "%", "a" * 70_000, "", None, 5, -1, 1.5, 2**63, 2**70, -(2**70), True, [], {}, ["\x00"],
    [5], {"a": 1}, [{"key": "\x00", "value": "\x00"}], [{"key": "k", "value": "\x00"}], [{}], "NaN",
]  # fmt: skip


@pytest.mark.parametrize("path", FIELDS)
def test_nothing_a_client_sends_is_the_servers_fault(http: httpx.Client, path: str) -> None:
    fine = {"name": "n", "experiment_id": "0", "key": "k", "value": 1.0, "timestamp": 1, "run_id": new_run(http)}
    headers = {"content-type": "application/json"}
    for field in FIELDS[path]:
        for value in VALUES:
            body = json.dumps({name: fine[name] for name in FIELDS[path] if name in fine} | {field: value})
            answer = http.post(f"{API}/{path}", content=body, headers=headers)
            assert answer.status_code < 500, (path, field, value, answer.text)
            if answer.status_code != 200:
                assert answer.json()["error_code"] in STATUSES[answer.status_code], answer.text
    for raw in (b"\xff\xfe", b'{"name": "\xff"}', b'{"a":' * 1_000, b'{"timestamp": 1e999}'):
        assert http.post(f"{API}/{path}", content=raw, headers=headers).status_code < 500, (path, raw)


STATUSES = {
    400: {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE"},
    404: {"RESOURCE_DOES_NOT_EXIST"},
}
