"""Copies of both stores at one moment, while writing goes on: what ``twinlens backup`` is made of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conformance.test_metric_inbox import P, Stack, points, stack
from tests.postgres import PostgresServer
from tests.telemetry import make_span, running_writer
from twinlens.domain.errors import AlreadyExists, Conflict
from twinlens.ingest.batch import Batch
from twinlens.store.catalog.copy import fill, open_snapshot
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.runs import runs
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Query


def batch(number: int, spans: int = 1) -> Batch:
    made = Batch(project_id="a")
    made.spans = [make_span(f"t{number}", f"s{n}", input="x" * 500) for n in range(spans)]
    return made


def test_telemetry_is_copied_as_it_was(
    telemetry: TelemetryStore, telemetry_engine: Callable[[], TelemetryStore], tmp_path: Path
) -> None:
    with running_writer(telemetry) as writer:
        for number in range(3):
            writer.submit_sync(batch(number))
        snapshot = writer.run_sync(lambda store: store.snapshot())
        with pytest.raises(Conflict):
            writer.run_sync(lambda store: store.snapshot())
        writer.submit_sync(batch(3, spans=5_000))  # large: straight into the tables
        writer.submit_sync(batch(4))
        writer.run_sync(lambda store: (store.delete_traces("a", ["t0"]), store.checkpoint(), store.reclaim()))
        folder = tmp_path / "copy" / "telemetry"
        folder.mkdir(parents=True)
        for path, size in snapshot.files:
            (folder / path.name).write_bytes(path.read_bytes()[:size])
        assert snapshot.valid
        snapshot.release()
        assert not snapshot.valid
        writer.run_sync(lambda store: store.snapshot()).release()
        assert {t.trace_id for t in telemetry.traces(Query(project_id="a")).rows} == {"t1", "t2", "t3", "t4"}
    telemetry.close()
    original = snapshot.files[0][0].parent
    for path in [p for p in original.iterdir() if p.is_file()]:
        path.unlink()
    for path in folder.iterdir():
        shutil.copy(path, original / path.name)
    again = telemetry_engine()
    assert {t.trace_id for t in again.traces(Query(project_id="a")).rows} == {"t0", "t1", "t2"}
    assert again.trace_spans("a", ["t0"])["t0"][0].input == "x" * 500
    again.close()


__all__ = ["stack"]


def test_a_catalog_is_copied_at_one_moment_and_goes_on_elsewhere(
    stack: Stack, postgres: PostgresServer, tmp_path: Path
) -> None:
    experiment = stack.experiments.create(P, "ours")
    run = stack.runs.create(P, experiment_id=experiment, tags=[("ünï", "{}")])
    stack.metrics.log(P, run.run_id, points(1.5, float("nan")))
    with open_snapshot(stack.catalog) as snapshot:
        late = stack.runs.create(P, experiment_id=experiment)
        snapshot.save(tmp_path / "copy.db")
    places = [Path(tmp_path / "filled.db"), postgres.url(postgres.create())]
    for place in places:
        catalog = Catalog(place)
        fill(tmp_path / "copy.db", catalog)
        with pytest.raises(AlreadyExists):
            fill(tmp_path / "copy.db", catalog)
        other = Stack(catalog, tmp_path / str(len(str(place))))
        assert [found.run_id for found in other.runs.search(P, [experiment]).runs] == [run.run_id]
        assert other.runs.get(P, run.run_id).tags == stack.runs.get(P, run.run_id).tags
        assert [step for step, _ in other.history(run.run_id)] == [0, 1]
        more = other.runs.create(P, experiment_id=experiment)
        other.metrics.log(P, more.run_id, points(2.0))
        assert other.history(more.run_id) == [(0, 2.0)]
        with catalog.read() as connection:
            numbers = connection.execute(sa.select(runs.c.run_no)).scalars().all()
        assert len(set(numbers)) == 2 and late.run_id not in {run.run_id, more.run_id}
        other.close()
        catalog.close()
