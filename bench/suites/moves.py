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
            note = f"{spans:,} spans, {effort.moved_runs:,} runs; {spans / seconds:,.0f} spans/s"
            book.record(key, source.name, seconds, note=note)
            book.record(f"{key}_memory", source.name, resident / 1e6)


def _fill(connection: Connection, effort: Effort) -> int:
    """Spans over OTLP, runs over MLflow's API; number of spans."""
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
    return spans


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
