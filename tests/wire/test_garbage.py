"""Deleted for good: rows, artifacts, metric points, traces; age, dry run, going on after a stop; retention."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.servers import LiveServer, eventually
from tests.servers import run_command as command

NATIVE = "/api/twinlens/v1/projects/default"
MLFLOW = "/api/2.0/mlflow"


def ask(client: httpx.Client, path: str, **body: Any) -> Any:
    return client.post(f"{MLFLOW}/{path}", json=body).raise_for_status().json()


def run_with_everything(client: httpx.Client, experiment: str) -> str:
    """A run with a metric and an artifact; its id."""
    run = ask(client, "runs/create", experiment_id=experiment)["run"]["info"]
    ask(client, "runs/log-metric", run_id=run["run_id"], key="loss", value=1.0, timestamp=1, step=0)
    place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.put(f"/api/2.0/mlflow-artifacts/artifacts/{place}/a.txt", content=b"x" * 1_000).raise_for_status()
    return run["run_id"]


def files(server: LiveServer) -> int:
    return sum(1 for path in (server.data / "blobs").rglob("*") if path.is_file())


def collect(client: httpx.Client, **body: Any) -> dict[str, Any]:
    return client.post(f"{NATIVE}/gc", json=body).raise_for_status().json()


def trace(client: httpx.Client, trace_id: str, experiment: str = "0", age_days: float = 0.0, text: str = "hi") -> None:
    start = time.time_ns() - int(age_days * 86_400e9)
    one = {
        "traceId": trace_id, "spanId": trace_id[:16], "name": "s", "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000_000), "status": {"code": 1},
        "attributes": [{"key": "input.value", "value": {"stringValue": text}}],
    }  # fmt: skip
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [one]}]}]}
    headers = {"x-mlflow-experiment-id": experiment}
    client.post("/v1/traces", json=body, headers=headers).raise_for_status()


def test_only_what_is_deleted_goes_with_all_its_parts(live_server: LiveServer) -> None:
    with live_server.client() as client:
        experiment = ask(client, "experiments/create", name="doomed")["experiment_id"]
        kept, gone = run_with_everything(client, experiment), run_with_everything(client, experiment)
        assert files(live_server) == 2
        ask(client, "runs/delete", run_id=gone)
        assert client.get(f"{NATIVE}/counts").json()["deleted_runs"] == 1
        refused = client.post(f"{NATIVE}/gc", json={"run_ids": [kept]})
        assert refused.status_code == 400 and "delete it first" in refused.json()["message"]
        assert collect(client, older_than_days=1)["runs"] == 0
        dry = collect(client, dry_run=True)
        assert (dry["runs"], dry["dry_run"]) == (1, True) and files(live_server) == 2
        done = collect(client)
        assert (done["runs"], done["files"], done["experiments"]) == (1, 1, 0)
        assert files(live_server) == 1
        assert client.get(f"{MLFLOW}/runs/get", params={"run_id": gone}).status_code == 404
        points = client.get(f"{MLFLOW}/metrics/get-history", params={"run_id": gone, "metric_key": "loss"}).json()
        assert not points.get("metrics")
        history = client.get(f"{MLFLOW}/metrics/get-history", params={"run_id": kept, "metric_key": "loss"}).json()
        assert len(history["metrics"]) == 1
        # the whole experiment, with runs, logged models, data sets, artifacts and traces
        data = {"name": "d", "digest": "1", "source_type": "local", "source": "{}"}
        ask(client, "runs/log-inputs", run_id=kept, datasets=[{"dataset": data, "tags": []}])
        ask(client, "logged-models", experiment_id=experiment, name="m")
        trace(client, "a" * 32, experiment)
        trace(client, "b" * 32)
        ask(client, "experiments/delete", experiment_id=experiment)
        env = {"TWINLENS_URL": live_server.url}
        assert "would remove 1 runs" in command("gc", "--dry-run", "--older-than", "0s", env=env).stdout
        ran = command("gc", env=env)
        assert "removed 1 runs" in ran.stdout and "1 experiments, 1 traces" in ran.stdout, ran.stdout + ran.stderr
        assert files(live_server) == 0
        assert client.get(f"{MLFLOW}/experiments/get", params={"experiment_id": experiment}).status_code == 404
        assert client.get(f"{NATIVE}/traces/{'a' * 32}").status_code == 404
        assert client.get(f"{NATIVE}/traces/{'b' * 32}").status_code == 200
        counts = client.get(f"{NATIVE}/counts").json()
        assert (counts["runs"], counts["deleted_runs"], counts["logged_models"], counts["traces"]) == (0, 0, 0, 1)
        again = ask(client, "experiments/create", name="doomed")["experiment_id"]  # the name is free again
        assert again != experiment
    assert command("gc", "--older-than", "soon", env=env).returncode == 2


def test_a_collection_that_was_stopped_goes_on(live_server: LiveServer) -> None:
    with live_server.client() as client:
        runs = [run_with_everything(client, "0") for _ in range(3)]
        for run in runs:
            ask(client, "runs/delete", run_id=run)
        # as after a kill between the artifacts of the first and its row
        info = client.get(f"{MLFLOW}/runs/get", params={"run_id": runs[0]}).json()["run"]["info"]
        place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        client.delete(f"/api/2.0/mlflow-artifacts/artifacts/{place}/a.txt").raise_for_status()
        live_server.kill()
    live_server.start()
    with live_server.client() as client:
        assert collect(client)["runs"] == 3
        assert collect(client)["runs"] == 0
    assert files(live_server) == 0


def test_retention(start_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    old, young = "a" * 32, "b" * 32
    text = "A long question. " * 500
    for keep in (False, True):
        server = start_server(
            LANGFUSE_INIT_PROJECT_ID="default", LANGFUSE_INIT_PROJECT_RETENTION="7", TWINLENS_RETENTION_INTERVAL="1",
            TWINLENS_RETENTION_DROPS="payloads" if keep else "traces",
        )  # fmt: skip
        with server.client() as client:
            trace(client, old, age_days=8, text=text)
            trace(client, young, age_days=6, text=text)
            there = lambda t: client.get(f"{NATIVE}/traces/{t}")  # noqa: E731
            if not keep:
                eventually(lambda: there(old).status_code == 404)  # noqa: B023
            else:
                eventually(lambda: text not in client.get(f"{NATIVE}/traces/{old}/spans/{old[:16]}").text)
                assert there(old).status_code == 200
            assert text.strip() in client.get(f"{NATIVE}/traces/{young}/spans/{young[:16]}").text
