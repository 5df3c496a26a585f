"""Data folders of Twinlens with much in them, made once and kept in ``bench/data``."""

from __future__ import annotations

import random
import shutil
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from bench import workload
from bench.report import progress

PROJECT = "default"
EXPERIMENT_ID = "1"


def _prepared(folder: Path) -> Path | None:
    """A folder to fill, next to the final one; None when the final one is complete."""
    if (folder / "complete").exists():
        return None
    work = folder.with_name(folder.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def _finish(work: Path, folder: Path) -> Path:
    (work / "complete").touch()
    shutil.rmtree(folder, ignore_errors=True)
    return work.rename(folder)


def runs(folder: Path, count: int) -> Path:
    """A catalog with one experiment of ``count`` runs, written by the catalog's own tables. Latest metric values only."""
    from twinlens.store.catalog import schema
    from twinlens.store.catalog.engine import Catalog
    from twinlens.store.catalog.experiments import experiments, next_number
    from twinlens.store.catalog.runs import latest_metrics, run_params, run_tags
    from twinlens.store.catalog.runs import runs as run_rows

    work = _prepared(folder)
    if work is None:
        return folder
    catalog = Catalog(work / "catalog.db")
    schema.prepare(catalog)
    corpus = workload.runs(count)
    rng = random.Random(5)
    scope = {"project_id": PROJECT, "experiment_id": int(EXPERIMENT_ID)}
    with catalog.write() as c:
        assert next_number(c, "experiment") == int(EXPERIMENT_ID)
        c.execute(
            experiments.insert(),
            {**scope, "name": "bench-scale", "artifact_location": "mlflow-artifacts:/1", "lifecycle": "active",
             "created_ms": 0, "updated_ms": 0, "run_count": count, "last_run_ms": None},
        )  # fmt: skip
    done = 0
    while chunk := list(islice(corpus, 5000)):
        numbered = list(enumerate(chunk, done + 1))
        with catalog.write() as c:
            ids = {no: f"{rng.getrandbits(128):032x}" for no, _ in numbered}
            c.execute(run_rows.insert(), [
                {**scope, "run_no": no, "run_id": ids[no], "name": r.name, "status": "FINISHED", "lifecycle": "active",
                 "start_ms": r.start_ms, "end_ms": r.start_ms + 60_000, "user_id": "bench",
                 "artifact_uri": f"mlflow-artifacts:/1/{ids[no]}/artifacts"}
                for no, r in numbered
            ])  # fmt: skip
            for table, pairs in (
                (run_params, [(no, k, v) for no, r in numbered for k, v in r.params.items()]),
                (run_tags, [(no, "mlflow.runName", r.name) for no, r in numbered]),
            ):
                c.execute(table.insert(), [{**scope, "run_no": no, "key": k, "value": v, "head": v[:64]} for no, k, v in pairs])
            c.execute(latest_metrics.insert(), [
                {**scope, "run_no": no, "key": k, "value": v, "timestamp_ms": r.start_ms, "step": 0}
                for no, r in numbered
                for k, v in r.metrics.items()
            ])  # fmt: skip
        done += len(chunk)
    with catalog.read() as c:
        if catalog.is_sqlite:
            c.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    catalog.close()
    progress(f"Twinlens: {done:,} runs written")
    return _finish(work, folder)
