"""Wide and long: 12,000 distinct metric keys in one experiment, 1,000,000 points in one metric. Written through the API."""

from __future__ import annotations

import time

from bench.book import Book, percentile
from bench.connection import BadAnswer, Connection, drive, encode, encode_json, timed
from bench.report import progress
from bench.servers import Server, Twinlens
from bench.suites import Effort
from bench.suites.tracking import API, experiment, run

#: MLflow's limit of one log-batch.
BATCH = 1_000
#: What MLflow's own chart asks for.
CHART = 320


def measure(server: Server, book: Book, effort: Effort) -> None:
    """Both, in experiments of their own."""
    with server.connect(120.0) as connection:
        _wide(server, connection, book, effort)
        _long(server, connection, book, effort)


def _wide(server: Server, connection: Connection, book: Book, effort: Effort) -> None:
    """One run per 1,000 keys; then a search that filters and orders by one of them, and the run with all keys."""
    experiment_id = experiment(connection, "bench-wide")
    now = int(time.time() * 1000)
    first = ""
    for base in range(0, effort.keys, BATCH):
        run_id = run(connection, experiment_id)
        first = first or run_id
        for each in {run_id, first}:  # the first run ends up with all of them
            points = [
                {"key": f"eval/task_{key}/score", "value": key / effort.keys, "timestamp": now, "step": 0}
                for key in range(base, min(base + BATCH, effort.keys))
            ]
            connection.call("POST", f"{API}/runs/log-batch", {"run_id": each, "metrics": points})
    key = f"eval/task_{effort.keys // 2}/score"
    search = encode_json(
        "POST", f"{API}/runs/search",
        {"experiment_ids": [experiment_id], "max_results": 100, "filter": f"metrics.`{key}` > 0", "order_by": [f"metrics.`{key}` DESC"]},
    )  # fmt: skip
    get = encode("GET", f"{API}/runs/get?run_id={first}")
    for name, request in (("wide_search", search), ("wide_run", get)):
        _time(connection, book, name, server, request, effort, f"{effort.keys:,} keys")


def _long(server: Server, connection: Connection, book: Book, effort: Effort) -> None:
    """The points of one metric of one run; then its chart, and the first page of its history."""
    count = effort.points if isinstance(server, Twinlens) else effort.peer_points
    run_id = run(connection, experiment(connection, "bench-long"))
    now = int(time.time() * 1000)
    requests = [
        encode_json(
            "POST", f"{API}/runs/log-batch",
            {"run_id": run_id, "metrics": [
                {"key": "loss", "value": 1 / (step + 1), "timestamp": now + step, "step": step}
                for step in range(base, base + BATCH)
            ]},
        )
        for base in range(0, count, BATCH)
    ]  # fmt: skip
    load = drive(server.port, requests, 1, effort.points_seconds)
    note = f"{len(load.acknowledged) * BATCH:,} of {count:,} points written"
    progress(f"{server.name}: {note}")
    book.record("long_write", server.name, load.rate * BATCH, note=note)
    history = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run_id}"
    chart = encode("GET", f"{history}&metric_key=loss&max_results={CHART}")
    page = encode("GET", f"{API}/metrics/get-history?run_id={run_id}&metric_key=loss&max_results=25000")
    for name, request in (("long_chart", chart), ("long_page", page)):
        _time(connection, book, name, server, request, effort, note)


def _time(
    connection: Connection, book: Book, name: str, server: Server, request: bytes, effort: Effort, note: str
) -> None:  # fmt: skip
    try:
        timed(connection, lambda _: request, 1, 60.0)  # the first answer may still carry points over
        found = timed(connection, lambda _: request, 30, effort.seconds * 2)
    except (TimeoutError, BadAnswer) as error:
        book.record(name, server.name, note=f"{note}: {str(error)[:200] or 'no answer in time'}")
    else:
        book.record(name, server.name, percentile(found, 0.5) * 1e3, note=note)
