"""MLflow's tracking API: metrics one by one and in batches, run searches. The same requests for every server."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from bench.book import Book, percentile
from bench.connection import Connection, drive, encode_json, timed
from bench.envs import ENVIRONMENTS
from bench.servers import Server, Twinlens
from bench.suites import Effort
from bench.workload import RunData, runs

API = "/api/2.0/mlflow"
FILTER = "metrics.accuracy > 0.9 and params.optimizer = 'adam'"
ORDER = ["metrics.val_loss ASC"]


def experiment(connection: Connection, name: str) -> str:
    """Creates an experiment; its id."""
    return str(connection.call("POST", f"{API}/experiments/create", {"name": name})["experiment_id"])


def run(connection: Connection, experiment_id: str, data: RunData | None = None) -> str:
    """Creates a run, with the metrics and params of ``data``; its id."""
    start = data.start_ms if data else int(time.time() * 1000)
    made = connection.call(
        "POST", f"{API}/runs/create",
        {"experiment_id": experiment_id, "start_time": start, "run_name": data.name if data else "bench", "tags": []},
    )  # fmt: skip
    run_id = str(made["run"]["info"]["run_id"])
    if data:
        body = {
            "run_id": run_id,
            "metrics": [{"key": k, "value": v, "timestamp": start, "step": 0} for k, v in data.metrics.items()],
            "params": [{"key": k, "value": v} for k, v in data.params.items()],
        }
        connection.call("POST", f"{API}/runs/log-batch", body)
    return run_id


def measure(server: Server, book: Book, effort: Effort) -> None:
    """All of it, in an experiment of its own."""
    seconds = effort.seconds if isinstance(server, Twinlens) else effort.peer_seconds
    with server.connect() as connection:
        experiment_id = experiment(connection, "bench-metrics")
        _log_metric(server, connection, book, effort, seconds, experiment_id)
        _log_batch(server, connection, book, effort, seconds, experiment_id)
        search(server, connection, book, effort, seconds)


def _log_metric(
    server: Server, connection: Connection, book: Book, effort: Effort, seconds: float, experiment_id: str
) -> None:
    run_id = run(connection, experiment_id)
    now = int(time.time() * 1000)
    rates = []
    done = 0
    for _ in range(effort.repeats):
        base = done
        requests = [
            encode_json(
                "POST", f"{API}/runs/log-metric",
                {"run_id": run_id, "run_uuid": run_id, "key": "loss", "value": 1 / (base + i + 1), "timestamp": now + base + i, "step": base + i},
            )
            for i in range(int(seconds * 3000))
        ]  # fmt: skip
        load = drive(server.port, requests, 1, seconds)
        done += len(load.acknowledged)
        rates.append(load.rate)
    note = _check(connection, run_id, "loss", done)
    book.record("log_metric", server.name, *rates, note=note)
    program = Path(__file__).resolve().parent.parent / "mlflow_client.py"
    outcome = subprocess.run(
        [ENVIRONMENTS["mlflow"].python, program, f"http://127.0.0.1:{server.port}", str(seconds), str(effort.repeats)],
        capture_output=True, text=True, timeout=60 + 3 * seconds * effort.repeats, check=True,
    )  # fmt: skip
    book.record("log_metric_client", server.name, *json.loads(outcome.stdout.splitlines()[-1]))


def batches(run_ids: list[str], count: int, first_step: int) -> list[bytes]:
    """``count`` log-batch requests of 1,000 points (20 keys × 50 steps), dealt out over the runs."""
    now = int(time.time() * 1000)
    requests = []
    for index in range(count):
        base = first_step + index * 50
        points = [
            {
                "key": f"metric_{key}",
                "value": (base + step) * 0.001 + key,
                "timestamp": now + base + step,
                "step": base + step,
            }
            for step in range(50)
            for key in range(20)
        ]
        requests.append(
            encode_json("POST", f"{API}/runs/log-batch", {"run_id": run_ids[index % len(run_ids)], "metrics": points})
        )
    return requests


def _log_batch(
    server: Server, connection: Connection, book: Book, effort: Effort, seconds: float, experiment_id: str
) -> None:
    ceiling = 150 if isinstance(server, Twinlens) else 20
    for key, connections in (("log_batch", 1), ("log_batch_4", 4)):
        run_ids = [run(connection, experiment_id) for _ in range(connections)]
        rates, errors, done, step = [], set(), 0, 0
        for _ in range(effort.repeats):
            requests = batches(run_ids, int(seconds * ceiling), step)
            step += len(requests) * 50
            load = drive(server.port, requests, connections, seconds)
            rates.append(load.rate * 1000)
            done += len(load.acknowledged)
            errors |= {f"{n} × {text}" for text, n in load.errors.items()}
        note = (
            "; ".join(sorted(errors))[:200]
            if connections > 1
            else _check(connection, run_ids[0], "metric_7", done * 50)
        )
        book.record(key, server.name, *rates, note=note)


def _check(connection: Connection, run_id: str, key: str, expected: int) -> str:
    """Reads the history back: every acknowledged point must be there at once. Empty when it is."""
    found, token = 0, ""
    for _ in range(100):
        page = connection.call(
            "GET",
            f"{API}/metrics/get-history?run_id={run_id}&metric_key={key}&max_results=25000"
            + (f"&page_token={token}" if token else ""),
        )
        found += len(page.get("metrics", []))
        if not (token := page.get("next_page_token", "")):
            break
    return "" if found == expected else f"history holds {found} of {expected} acknowledged points"


def searches(
    server: Server, connection: Connection, experiment_id: str, seconds: float, *, count: int = 100
) -> tuple[list[float], list[float]]:
    """Latencies (plain, filtered and ordered) of searches for 100 runs."""
    plain = encode_json("POST", f"{API}/runs/search", {"experiment_ids": [experiment_id], "max_results": 100})
    filtered = encode_json(
        "POST", f"{API}/runs/search",
        {"experiment_ids": [experiment_id], "max_results": 100, "filter": FILTER, "order_by": ORDER},
    )  # fmt: skip
    timed(connection, lambda _: plain, 2, seconds)
    timed(connection, lambda _: filtered, 2, seconds)
    return timed(connection, lambda _: plain, count, seconds), timed(connection, lambda _: filtered, count, seconds)


def search(server: Server, connection: Connection, book: Book, effort: Effort, seconds: float) -> None:
    """100 of 300 runs, written through the API."""
    experiment_id = experiment(connection, "bench-search")
    for data in runs(effort.runs):
        run(connection, experiment_id, data)
    plain, filtered = [], []
    for _ in range(effort.repeats):
        a, b = searches(server, connection, experiment_id, seconds)
        plain.append(percentile(a, 0.5) * 1e3)
        filtered.append(percentile(b, 0.5) * 1e3)
    book.record("runs_300", server.name, *plain)
    book.record("runs_300_filter", server.name, *filtered)
