"""Metric points from acknowledgement to history: the real catalog engines, the real writer and telemetry store."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from twinlens.domain.errors import AlreadyExists, InvalidArgument, StoreUnavailable
from twinlens.domain.run import LatestMetric
from twinlens.domain.score import Score
from twinlens.features.experiments import Experiments
from twinlens.features.live import LiveBus
from twinlens.features.metrics import Metrics
from twinlens.features.run_scores import SOURCE_RUN, RunScores
from twinlens.features.runs import Runs
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.metrics import MetricTable, metric_inbox
from twinlens.store.telemetry.duckdb import DuckDBTelemetry
from twinlens.store.telemetry.query import Query

P = "p"


class Stack:
    """Catalog, telemetry and the features between them; the mover thread runs only when a test starts it."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self.catalog = catalog
        self.telemetry = DuckDBTelemetry.open(folder / "telemetry.duckdb", memory_limit="256MB")
        self.writer = Writer(self.telemetry)
        self.writer.start()
        live = LiveBus()
        self.metrics = Metrics(catalog, self.telemetry, self.writer, live)
        scores = RunScores(self.telemetry, self.writer)
        self.experiments = Experiments(catalog, live, scores)
        self.runs = Runs(catalog, self.experiments, self.metrics, scores, live)

    def close(self) -> None:
        self.metrics.close()
        self.writer.close()
        self.telemetry.close()

    def waiting(self) -> int:
        with self.catalog.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(metric_inbox)).scalar_one())

    def history(self, run_id: str, key: str = "m", **options: Any) -> list[tuple[int, float]]:
        return [(p.step, p.value) for p in self.metrics.history(P, run_id, key, **options).points]


@pytest.fixture
def stack(catalog: Catalog, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(catalog, tmp_path)
    yield stack
    stack.close()


def points(*values: float, key: str = "m", start: int = 0) -> list[LatestMetric]:
    return [LatestMetric(key, value, 1_000 + start + step, start + step) for step, value in enumerate(values)]


def test_what_is_acknowledged_is_in_the_next_history(stack: Stack) -> None:
    run_id = stack.runs.create(P).run_id
    for step in range(5):
        stack.metrics.log(P, run_id, points(step / 2, start=step))
        assert len(stack.history(run_id)) == step + 1
    assert stack.history(run_id) == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]
    assert stack.waiting() == 0
    assert stack.history(run_id, "nope") == [] == stack.history("nope")
    assert stack.metrics.history("q", run_id, "m").points == []


def test_points_are_a_set_in_order(stack: Stack) -> None:
    run_id = stack.runs.create(P).run_id
    sent = [
        LatestMetric("m", math.nan, 5, 1), LatestMetric("m", 2.0, 5, 1), LatestMetric("m", math.inf, 5, 1),
        LatestMetric("m", 1.0, 5, 0), LatestMetric("m", 9.0, 4, 7), LatestMetric("m", -math.inf, 6, -2),
    ]  # fmt: skip
    for _ in range(2):
        stack.runs.log_batch(P, run_id, metrics=sent)
        stack.metrics.drain()
    stack.metrics.log(P, run_id, sent[:1])
    found = stack.metrics.history(P, run_id, "m").points
    assert len(found) == len(sent)
    assert [(p.timestamp_ms, p.step) for p in found] == [(4, 7), (5, 0), (5, 1), (5, 1), (5, 1), (6, -2)]
    assert {repr(p.value) for p in found} == {"9.0", "1.0", "2.0", "nan", "inf", "-inf"}


def test_history_comes_in_pages(stack: Stack) -> None:
    run_id = stack.runs.create(P).run_id
    stack.runs.log_batch(P, run_id, metrics=points(*range(10)))
    stack.runs.log_batch(P, run_id, metrics=[LatestMetric("m", math.nan, 1_004, 4), LatestMetric("m", 99, 1_004, 4)])
    whole = stack.history(run_id)
    seen, page = list[tuple[int, float]](), stack.metrics.history(P, run_id, "m", limit=5)
    while True:
        assert len(page.points) <= 5
        seen += [(p.step, p.value) for p in page.points]
        if page.next_cursor is None:
            break
        page = stack.metrics.history(P, run_id, "m", limit=5, cursor=page.next_cursor)
    assert len(whole) == 12 and repr(seen) == repr(whole)
    with pytest.raises(InvalidArgument):
        stack.metrics.history(P, run_id, "m", limit=5, cursor="garbage")


def test_several_runs_at_once(stack: Stack) -> None:
    first, second = sorted(stack.runs.create(P).run_id for _ in range(2))
    for run_id in (first, second):
        stack.runs.log_batch(P, run_id, metrics=points(*range(100)))
    found = stack.metrics.bulk(P, [second, first, "nope"], "m", 150)
    assert [(p.run_id, p.step) for p in found] == [(first, s) for s in range(100)] + [(second, s) for s in range(50)]
    sample = stack.metrics.sample(P, [first, second], "m", limit=10, start_step=20, end_step=60)
    for run_id in (first, second):
        steps = [p.step for p in sample[run_id]]
        assert steps == sorted(steps) and len(steps) <= 10 and (steps[0], steps[-1]) == (20, 60)
    buckets = stack.metrics.buckets(P, [first], "m", buckets=10)[first]
    assert len(buckets) <= 10 and sum(b.count for b in buckets) == 100 and buckets[-1].last == 99


def test_points_survive_a_crash_between_the_stores(catalog: Catalog, tmp_path: Path) -> None:
    """Telemetry has stored the points but the inbox was not emptied: they must not come twice, nor get lost."""
    stack = Stack(catalog, tmp_path)
    run_id = stack.runs.create(P).run_id
    stack.metrics.log(P, run_id, points(1.0))
    with catalog.read() as connection:
        table = MetricTable(connection)
        rows = table.pending(table.last_position(), 10)
    stack.writer.submit_sync(Batch(project_id=P, metrics=rows[0].points, metric_watermark=rows[0].seq))
    stack.metrics.log(P, run_id, points(2.0, start=1))
    assert stack.waiting() == 2
    stack.close()

    again = Stack(catalog, tmp_path)
    again.metrics.start()
    try:
        assert again.waiting() <= 1
        assert again.history(run_id) == [(0, 1.0), (1, 2.0)]
    finally:
        again.close()


def test_a_younger_catalog_starts_behind_the_watermark(stack: Stack) -> None:
    """Telemetry that outlives its catalog must not swallow the new catalog's points."""
    stack.writer.submit_sync(Batch(project_id=P, metric_watermark=1_000_000))
    stack.metrics.start()
    run_id = stack.runs.create(P).run_id
    stack.metrics.log(P, run_id, points(1.0, 2.0))
    assert stack.history(run_id) == [(0, 1.0), (1, 2.0)]
    assert stack.telemetry.metric_watermark() > 1_000_000


def test_a_store_that_cannot_write_keeps_points_in_the_inbox(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = stack.runs.create(P).run_id

    def full(_batch: Batch) -> None:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(stack.writer, "submit_sync", full)
        stack.metrics.log(P, run_id, points(1.0))  # still acknowledged
        with pytest.raises(StoreUnavailable):
            stack.history(run_id)
        assert stack.runs.get(P, run_id).metrics[0].value == 1.0
    assert stack.history(run_id) == [(0, 1.0)]


def test_writers_and_readers_at_once_lose_nothing(stack: Stack) -> None:
    stack.metrics.start()
    runs = [stack.runs.create(P).run_id for _ in range(4)]
    errors: list[BaseException] = []

    def write(run_id: str) -> None:
        try:
            for step in range(25):
                stack.metrics.log(P, run_id, points(float(step), start=step))
                if step % 10 == 9:
                    assert len(stack.history(run_id)) == step + 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(run_id,)) for run_id in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for run_id in runs:
        assert stack.history(run_id) == [(step, float(step)) for step in range(25)]


def test_purged_runs_leave_no_points(stack: Stack) -> None:
    run_id = stack.runs.create(P).run_id
    stack.metrics.log(P, run_id, points(1.0))
    with pytest.raises(InvalidArgument):
        stack.runs.purge(P, [run_id])
    stack.runs.delete(P, run_id)
    stack.runs.purge(P, [run_id])
    assert stack.history(run_id) == []
    assert stack.runs.search(P, ["0"], view="all").runs == []


def test_a_deleted_run_takes_its_scores_along(stack: Stack) -> None:
    first, second = (stack.runs.create(P).run_id for _ in range(2))
    made = [
        Score(score_id=f"{run_id}-{index}", name="quality", value=1.0, trace_id="t", metadata={SOURCE_RUN: run_id})
        for run_id in (first, second)
        for index in range(3)
    ]
    stack.writer.submit_sync(Batch(project_id=P, scores=[*made, Score(score_id="human", name="quality", value=1.0)]))
    stack.runs.delete(P, first)
    assert {s.score_id for s in stack.telemetry.scores(Query(project_id=P)).rows} == {
        "human", *(f"{second}-{index}" for index in range(3)),
    }  # fmt: skip


def test_writers_of_one_run_do_not_stand_in_each_others_way(stack: Stack) -> None:
    """PostgreSQL deadlocks when transactions lock the same rows in different orders."""
    run_id = stack.runs.create(P).run_id
    names = [f"k{index}" for index in range(40)]
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for step in range(15):
                order = chance.sample(names, len(names))
                stack.runs.log_batch(
                    P, run_id, metrics=[LatestMetric(name, seed, step, step) for name in order],
                    params=[(name, "same") for name in order[:20]], tags=[(name, str(seed)) for name in order],
                )  # fmt: skip
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = stack.runs.get(P, run_id)
    assert [(m.key, m.step, m.value) for m in found.metrics] == [(name, 14, 3.0) for name in sorted(names)]
    assert len(stack.history(run_id, "k0")) == 60


def test_racing_for_a_param_or_a_name_has_one_winner(stack: Stack) -> None:
    run_id = stack.runs.create(P).run_id
    outcomes: list[str] = []

    def race(mine: str) -> None:
        for title, call in (
            ("param", lambda: stack.runs.log_param(P, run_id, "lr", mine)),
            ("name", lambda: stack.experiments.create(P, "only one")),
        ):
            try:
                call()
                outcomes.append(title)
            except (InvalidArgument, AlreadyExists):
                pass

    threads = [threading.Thread(target=race, args=(str(index),)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["name", "param"]
