"""``twinlens migrate`` as people run it: a program between two servers, which carries everything and compares both sides.

The source is Twinlens behind MLflow's or Langfuse's API (so that their servers' own speed is not what is measured), or its
native one. Time is from the start of the program to its end, the comparison of both sides included; memory is the most
that the program had resident.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.book import Book
from bench.connection import Connection, encode, encode_json
from bench.report import progress
from bench.servers import Twinlens
from bench.suites import Effort
from bench.workload import TraceWriter, runs

#: Address of the source by row; the port is filled in.
SOURCES = {
    "move_mlflow": "mlflow+http://127.0.0.1:{port}",
    "move_langfuse": "langfuse+http://pk-lf-1:sk-lf-1@127.0.0.1:{port}",
    "move_twinlens": "twinlens+http://127.0.0.1:{port}/default",
}
STEPS = 5  #: points of each metric of a run
_SCORES, _PROMPTS, _VERSIONS, _DATASETS, _ITEMS = 5_000, 50, 3, 10, 100


def measure(folder: Path, book: Book, effort: Effort) -> None:
    """Fill one server, carry it to fresh ones."""
    folder.mkdir(parents=True)
    with Twinlens(folder / "source") as source:
        with source.connect(120) as connection:
            spans = _fill(connection, effort)
        for key, address in SOURCES.items():
            with Twinlens(folder / key) as target:
                there = address.format(port=source.port)
                seconds, resident = _move(folder, there, f"twinlens+http://127.0.0.1:{target.port}/default")
            note = f"{spans:,} spans, {effort.moved_runs:,} runs, {_SCORES:,} scores; {spans / seconds:,.0f} spans/s"
            book.record(key, source.name, seconds, note=note)
            book.record(f"{key}_memory", source.name, resident / 1e6)


def _fill(connection: Connection, effort: Effort) -> int:
    """Spans over OTLP, runs over MLflow's API, the rest over Langfuse's; number of spans."""
    spans = 0
    for body in TraceWriter().requests(effort.moved_spans // 100):
        headers = {"Content-Type": "application/x-protobuf"}
        status, _ = connection.send(encode("POST", "/v1/traces", body, headers))
        assert status == 200, status
        spans += 100
    path = "/api/2.0/mlflow"
    for data in runs(effort.moved_runs):
        made = connection.call(
            "POST", f"{path}/runs/create", {"experiment_id": "0", "run_name": data.name, "start_time": data.start_ms}
        )
        body = {
            "run_id": made["run"]["info"]["run_id"],
            "params": [{"key": key, "value": value} for key, value in data.params.items()],
            "metrics": [
                {"key": key, "value": value / (step + 1), "timestamp": data.start_ms + step, "step": step}
                for key, value in data.metrics.items() for step in range(STEPS)
            ],
        }  # fmt: skip
        status, answer = connection.send(encode_json("POST", f"{path}/runs/log-batch", body))
        assert status == 200, answer
    _fill_small(connection)
    return spans


def _fill_small(connection: Connection) -> None:
    """Scores, prompts with versions, datasets with items and a run of each, over Langfuse's API."""
    path = "/api/public"
    page = connection.call("GET", f"{path}/traces?limit=100&fields=core")["data"]
    for first in range(0, _SCORES, 100):
        batch: list[Any] = []
        for n in range(first, first + 100):
            body = {
                "id": f"score-{n}",
                "traceId": page[n % len(page)]["id"],
                "name": f"quality-{n % 7}",
                "value": n / _SCORES,
            }
            batch.append({"id": f"event-{n}", "type": "score-create", "timestamp": page[0]["timestamp"], "body": body})
        connection.call("POST", f"{path}/ingestion", {"batch": batch})
    for n in range(_PROMPTS * _VERSIONS):
        text = f"Version {n // _PROMPTS}: answer {{{{question}}}} as a polite assistant. " * 5
        connection.call("POST", f"{path}/v2/prompts", {"name": f"prompt-{n % _PROMPTS}", "prompt": text})
    for n in range(_DATASETS):
        connection.call("POST", f"{path}/v2/datasets", {"name": f"dataset-{n}"})
        for k in range(_ITEMS):
            item = {
                "id": f"item-{n}-{k}",
                "datasetName": f"dataset-{n}",
                "input": {"question": f"{n} and {k}?"},
                "expectedOutput": n * k,
            }
            connection.call("POST", f"{path}/dataset-items", item)
            link = {"runName": "first", "datasetItemId": f"item-{n}-{k}", "traceId": page[k % len(page)]["id"]}
            connection.call("POST", f"{path}/dataset-run-items", link)


def _move(folder: Path, there: str, here: str) -> tuple[float, int]:
    """Seconds and most resident bytes of one migration.

    Raises:
        RuntimeError: it failed, or both sides differ.
    """
    begun = time.monotonic()
    command = [sys.executable, "-m", "twinlens", "migrate", there, here]
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {"COLUMNS": "160"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.1):
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            except OSError:
                return
            most = max(most, int(found[1]) * 1024 if found else 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    text, _ = process.communicate()
    done.set()
    watcher.join()
    progress(text)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text[-2000:]}")
    return time.monotonic() - begun, most
