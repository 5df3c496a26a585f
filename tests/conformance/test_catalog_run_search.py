"""Every way a run search can be done gives what a plain reading of the rules gives, on every catalog engine."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import pytest
import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.run import Dataset, DatasetInput, LatestMetric, Run
from twinlens.query.mlflow_filter_runs import run_filter, run_order
from twinlens.store.catalog import run_search
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.experiments import ExperimentTable
from twinlens.store.catalog.metrics import MetricTable
from twinlens.store.catalog.run_search import RunSearch
from twinlens.store.catalog.runs import RunTable, run_params
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or, Order

P = "p"
RUNS = 60


def make_runs() -> list[Run]:
    """Runs with ties, gaps, NaN, infinities, long values and two experiments."""
    chance = random.Random(7)
    made: list[Run] = []
    for index in range(RUNS):
        metrics = [LatestMetric("acc", chance.choice([0.1, 0.5, 0.5, 0.9, math.nan, math.inf, -math.inf]), 1, 0)]
        if index % 3:
            metrics.append(LatestMetric("loss", chance.randrange(5) / 4, 1, 0))
        if index % 4 == 0:
            metrics = []
        params = {"lr": chance.choice(["0.1", "0.2", "x" * 70 + "1", "x" * 70 + "2"])}
        if index % 2:
            params["opt"] = chance.choice(["adam", "Adam", "sgd%"])
        made.append(
            Run(
                run_id=f"{chance.getrandbits(128):032x}", experiment_id=str(chance.choice([1, 1, 1, 2])),
                name=f"run-{chance.randrange(20)}", status=chance.choice(["RUNNING", "FINISHED", "FAILED"]),
                lifecycle="deleted" if index % 10 == 9 else "active", start_ms=chance.randrange(10),
                end_ms=chance.choice([None, 5, 6]), user_id=chance.choice(["ann", "Bob"]), artifact_uri=f"s3://b/{index}",
                params=params, tags={"team": chance.choice(["a", "b"])} if index % 5 else {}, metrics=metrics,
                dataset_inputs=[DatasetInput(dataset=Dataset(name="d", digest=str(index % 2)))] if index % 7 == 0 else [],
            )
        )  # fmt: skip
    return made


@pytest.fixture
def runs(catalog: Catalog) -> list[Run]:
    made = make_runs()
    with catalog.write() as connection:
        experiments = ExperimentTable(connection, P)
        other = ExperimentTable(connection, "q")
        for table in (experiments, other):
            table.add_default("x", 1)
        for number in (1, 2):
            connection.execute(
                sa.text(
                    "INSERT INTO experiments (project_id, experiment_id, name, artifact_location, lifecycle, created_ms,"
                    " updated_ms, run_count) VALUES ('p', :n, :name, 'x', 'active', 1, 1, 0)"
                ),
                {"n": number, "name": f"e{number}"},
            )
        table, metrics = RunTable(connection, P), MetricTable(connection)
        for run in made:
            key = table.add(run)
            table.put_texts(run_params, key, run.params)
            if run.metrics:
                metrics.put_latest(P, key, run.metrics)
            table.put_inputs(key, run.dataset_inputs)
        stranger = Run(run_id="f" * 32, experiment_id="0", name="run-1", status="FINISHED", params={"lr": "0.1"})
        RunTable(connection, "q").add(stranger)
    return made


# --- the rules, read plainly -------------------------------------------------------------------------------------


def value_of(run: Run, field: str, key: str | None) -> list[Any]:
    match field:
        case "metric":
            return [m.value for m in run.metrics if m.key == key]
        case "param":
            return [run.params[key]] if key in run.params else []
        case "tag":
            return [run.tags[key]] if key in run.tags else []
        case "dataset_name" | "dataset_digest":
            return [getattr(item.dataset, field.removeprefix("dataset_")) for item in run.dataset_inputs]
        case "dataset_context":
            return []
        case _:
            value = getattr(run, field)
            return [] if value is None else [value]


def like(text: str, pattern: str, flags: int = 0) -> bool:
    expression = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, text, flags | re.DOTALL) is not None


def holds(run: Run, where: Expr) -> bool:
    match where:
        case And(items):
            return all(holds(run, item) for item in items)
        case Or(items):
            return any(holds(run, item) for item in items)
        case Not(item):
            return not holds(run, item)
        case Cmp(field, op, wanted, key):
            found = value_of(run, field, key)
            if op == "is null":
                return not found
            if op == "is not null":
                return bool(found)
            return any(compares(value, op, wanted) for value in found)
        case _:
            raise AssertionError(where)


def compares(value: Any, op: str, wanted: Any) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return op == "!="
    match op:
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case "<":
            return bool(value < wanted)
        case "<=":
            return bool(value <= wanted)
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
        case "in":
            return value in wanted
        case "not in":
            return value not in wanted
        case "like":
            return like(value, wanted)
        case "ilike":
            return like(value, wanted, re.IGNORECASE)
        case _:
            raise AssertionError(op)


def sorted_by(found: Sequence[Run], orders: Sequence[Order]) -> list[Run]:
    def rank(run: Run, order: Order) -> tuple[int, Any]:
        values = value_of(run, order.field, order.key)
        if not values:
            return 2, 0
        nan = isinstance(values[0], float) and math.isnan(values[0])
        return (1, 0) if nan else (0, values[0])

    def compare(a: Run, b: Run) -> int:
        for order in orders:
            (left_rank, left), (right_rank, right) = rank(a, order), rank(b, order)
            if left_rank != right_rank:
                return left_rank - right_rank
            if left != right:
                return (1 if left > right else -1) * (-1 if order.descending else 1)
        if a.start_ms != b.start_ms:
            return (b.start_ms or 0) - (a.start_ms or 0)
        return 1 if a.run_id > b.run_id else -1

    return sorted(found, key=cmp_to_key(compare))


# --- the comparison ----------------------------------------------------------------------------------------------

FILTERS = [
    "", "metrics.acc > 0.4", "metrics.acc != 0.5", "metrics.acc = 0.5 AND params.lr = '0.1'", "metrics.nope > 0",
    "metrics.acc >= 0.1 AND metrics.acc < 0.9", "NOT metrics.acc > 0.4", "metrics.loss <= 0.5 OR params.opt = 'adam'",
    "params.opt LIKE 'a%'", "params.opt ILIKE 'A%'", "params.opt LIKE '%\\%'", "params.opt IS NULL", "params.opt != 'adam'",
    f"params.lr = '{'x' * 70}1'", f"params.lr = '{'x' * 64}'", "tags.team = 'a' AND tags.team IS NOT NULL",
    "tags.team IS NULL AND status = 'FINISHED'", "status != 'FAILED' AND attributes.start_time > 4", "end_time < 6",
    "NOT end_time < 6", "user_id ILIKE 'bOb'", "run_name IN ('x')", "artifact_uri LIKE 's3://b/1_'",
    "dataset.name = 'd' AND dataset.digest = '1'", "dataset.digest NOT IN ('1')", "NOT dataset.name = 'd'",
    "(metrics.acc > 0.4 OR metrics.acc < 0.2) AND NOT (status = 'RUNNING' OR params.opt = 'adam')",
]  # fmt: skip
ORDERS: list[list[str]] = [
    [], ["metrics.acc"], ["metrics.acc DESC"], ["metrics.nope DESC"], ["params.lr"], ["params.opt DESC"], ["tags.team"],
    ["metrics.loss DESC", "metrics.acc"], ["attributes.status", "metrics.loss"], ["end_time"], ["end_time DESC"],
    ["run_name DESC"], ["start_time"], ["run_id DESC"], ["metrics.acc DESC", "params.opt", "start_time"],
]  # fmt: skip


@pytest.fixture(params=["as it chooses", "always candidates", "never candidates"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches choose how they are done; every way must give the same."""
    if request.param == "always candidates":
        monkeypatch.setattr(run_search, "_STEP", 1e9)
    if request.param == "never candidates":
        monkeypatch.setattr(run_search, "BOUND", 0)


@pytest.mark.usefixtures("way")
def test_every_filter_and_order(catalog: Catalog, runs: list[Run]) -> None:
    chance = random.Random(3)
    asked = [(text, ORDERS[index % len(ORDERS)]) for index, text in enumerate(FILTERS)]
    asked += [(chance.choice(FILTERS[:8]), order) for order in ORDERS]
    with catalog.read() as connection:
        for index, (text, order) in enumerate(asked):
            if text == "run_name IN ('x')":
                continue
            where, orders = run_filter(text), run_order(order)
            numbers = [1, 2] if index % 3 else [1]
            expected = [
                run.run_id
                for run in sorted_by([r for r in runs if holds(r, where)], orders)
                if run.lifecycle == "active" and int(run.experiment_id) in numbers
            ]
            search = RunSearch(connection, P, numbers, where, orders)
            assert [r.run_id for r in search.page(100).runs] == expected, (text, order, numbers)
            size, seen, cursor = chance.choice([3, 7, 11]), list[str](), None
            while True:
                page = search.page(size, cursor)
                assert len(page.runs) <= size
                seen += [r.run_id for r in page.runs]
                assert seen == expected[: len(seen)], (text, order, numbers, size)
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == expected, (text, order, numbers, size)


def test_a_run_comes_back_whole(catalog: Catalog, runs: list[Run]) -> None:
    with catalog.read() as connection:
        found = {r.run_id: r for r in RunSearch(connection, P, [1, 2], And(), (), "all").page(100).runs}
        assert len(found) == RUNS
        for run in runs:
            got = found[run.run_id]
            assert (got.params, got.tags, got.dataset_inputs) == (
                dict(sorted(run.params.items())), run.tags, run.dataset_inputs,
            )  # fmt: skip
            assert repr(got.metrics) == repr(sorted(run.metrics, key=lambda m: m.key))
        assert {r.run_id for r in RunSearch(connection, P, [1, 2], And(), (), "deleted").page(100).runs} == {
            run.run_id for run in runs if run.lifecycle == "deleted"
        }
        assert RunSearch(connection, "q", [1, 2], And(), ()).page(100).runs == []
        assert RunSearch(connection, P, [], And(), ()).page(100).runs == []


def test_a_cursor_belongs_to_its_search(catalog: Catalog, runs: list[Run]) -> None:
    with catalog.read() as connection:
        cursor = RunSearch(connection, P, [1], run_filter("metrics.acc > 0"), ()).page(1).next_cursor
        assert cursor
        for search in (
            RunSearch(connection, P, [1], run_filter("metrics.acc > 1"), ()),
            RunSearch(connection, P, [1, 2], run_filter("metrics.acc > 0"), ()),
            RunSearch(connection, P, [1], run_filter("metrics.acc > 0"), run_order(["start_time"])),
        ):
            with pytest.raises(InvalidArgument):
                search.page(1, cursor)
        for garbage in ("x", "eyJvZmZzZXQiOiAxfQ==", cursor[:-4], cursor[4:]):
            with pytest.raises(InvalidArgument):
                RunSearch(connection, P, [1], run_filter("metrics.acc > 0"), ()).page(1, garbage)


def test_a_page_may_be_changed_meanwhile(catalog: Catalog, runs: list[Run]) -> None:
    """A keyset goes on behind the last row, whatever has come or gone before it."""
    with catalog.write() as connection:
        search = RunSearch(connection, P, [1], And(), run_order(["metrics.acc DESC"]))
        whole = [r.run_id for r in search.page(100).runs]
        page = search.page(5)
        table = RunTable(connection, P)
        for run in page.runs[:3]:
            key = table.find(run.run_id)
            assert key
            table.set_lifecycle([key], "deleted", 1)
        assert [r.run_id for r in search.page(100, page.next_cursor).runs] == whole[5:]
