"""runs/search among many runs: a metric filter, a parameter filter, ordered by another metric.

The corpus is written into the stores directly (a sweep of 100,000 runs through the API would take MLflow an hour), the
search goes through HTTP as any client's does.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from itertools import islice
from pathlib import Path

from bench.book import Book, percentile
from bench.connection import BadAnswer
from bench.report import progress
from bench.servers import Mlflow, Server, Twinlens
from bench.suites import Effort, corpus
from bench.suites.tracking import searches
from bench.workload import runs

#: A search that takes longer is abandoned and reported as such.
PATIENCE = 60.0


def measure(kind: type[Server], folder: Path, book: Book, effort: Effort) -> None:
    """Twinlens among 10,000 and 100,000; MLflow among 10,000, and among 100,000 when ``effort`` says so."""
    if not issubclass(kind, (Twinlens, Mlflow)):
        return
    for count in effort.scales if kind is Twinlens else effort.peer_scales:
        where = folder.with_name(f"{folder.name}-{count}")
        experiment_id = _twinlens(where, count, effort.data) if kind is Twinlens else _mlflow(kind, where, count)
        key = "runs_10k" if count <= 10_000 else "runs_100k"
        with kind(where) as server, server.connect(PATIENCE) as connection:
            try:
                plain, filtered = searches(server, connection, experiment_id, 15.0)
            except (TimeoutError, BadAnswer) as error:
                note = f"no answer in {PATIENCE:.0f} s" if isinstance(error, TimeoutError) else str(error)[:200]
                book.record(f"{key}_filter", server.name, note=note)
                continue
        book.record(
            f"{key}_filter",
            kind.name,
            percentile(filtered, 0.95) * 1e3,
            note=f"p50 {percentile(filtered, 0.5) * 1e3:.1f} ms",
        )
        book.record(
            f"{key}_plain", kind.name, percentile(plain, 0.95) * 1e3, note=f"p50 {percentile(plain, 0.5) * 1e3:.1f} ms"
        )
        shutil.rmtree(where, ignore_errors=True)


def _twinlens(folder: Path, count: int, cache: Path) -> str:
    source = corpus.runs(cache / f"runs-{count}", count)
    shutil.copytree(source, folder)
    return corpus.EXPERIMENT_ID


def _mlflow(kind: type[Server], folder: Path, count: int) -> str:
    """Lets MLflow make its database, then fills its tables as its own store does."""
    with kind(folder):
        pass
    rng = random.Random(5)
    database = sqlite3.connect(folder / "mlflow.db", isolation_level=None)
    database.execute("pragma synchronous=off")
    database.execute("insert into experiments(experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time) "
                     "values (99, 'bench-scale', 'mlflow-artifacts:/99', 'active', 0, 0)")  # fmt: skip
    corpus_runs = runs(count)
    done = 0
    while chunk := list(islice(corpus_runs, 5000)):
        named = [(f"{rng.getrandbits(128):032x}", item) for item in chunk]
        database.execute("begin")
        database.executemany(
            "insert into runs(run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, "
            "source_version, lifecycle_stage, artifact_uri, experiment_id) "
            "values (?, ?, 'UNKNOWN', '', '', 'bench', 'FINISHED', ?, ?, '', 'active', ?, 99)",
            [(i, r.name, r.start_ms, r.start_ms + 60_000, f"mlflow-artifacts:/99/{i}/artifacts") for i, r in named],
        )
        points = [(k, v, r.start_ms, i) for i, r in named for k, v in r.metrics.items()]
        for table in ("metrics", "latest_metrics"):
            database.executemany(
                f"insert into {table}(key, value, timestamp, run_uuid, step, is_nan) values (?, ?, ?, ?, 0, 0)", points
            )
        database.executemany(
            "insert into params(key, value, run_uuid) values (?, ?, ?)",
            [(k, v, i) for i, r in named for k, v in r.params.items()],
        )
        database.executemany(
            "insert into tags(key, value, run_uuid) values ('mlflow.runName', ?, ?)", [(r.name, i) for i, r in named]
        )
        database.execute("commit")
        done += len(chunk)
    database.close()
    progress(f"MLflow: {done:,} runs written")
    return "99"
