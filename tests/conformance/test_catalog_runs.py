"""Experiments, runs and metrics on every catalog engine, through their features."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from twinlens.domain.live import Notice
from twinlens.domain.run import Dataset, DatasetInput, LatestMetric, ModelOutput, Run
from twinlens.features.experiments import Experiments
from twinlens.features.live import LiveBus
from twinlens.features.metrics import Metrics
from twinlens.features.runs import Runs
from twinlens.query.mlflow_filter_runs import experiment_filter, experiment_order, run_filter, run_order
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.logged_models import LoggedModelTable

P = "p"


class NoScores:
    """Records which runs' scores were to be deleted."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def drop(self, project_id: str, run_ids: list[str]) -> None:
        self.dropped += run_ids


class Tracking:
    """The three features over one catalog, with a clock that the test moves."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.now = 1_000
        self.scores = NoScores()
        live = LiveBus()
        unused: Any = None
        self.metrics = Metrics(catalog, unused, unused, live)
        self.experiments = Experiments(catalog, live, self.scores, clock=self.tick)  # type: ignore[arg-type]
        self.runs = Runs(catalog, self.experiments, self.metrics, self.scores, live, clock=self.tick)  # type: ignore[arg-type]

    def tick(self) -> int:
        self.now += 1
        return self.now

    def run(self, experiment: str = "0", **fields: Any) -> str:
        return self.runs.create(P, experiment, **fields).run_id

    def found(self, text: str = "", *order: str, experiments: tuple[str, ...] = ("0",), **options: Any) -> list[Run]:
        return self.runs.search(P, experiments, run_filter(text), run_order(list(order)), **options).runs

    def names(self, text: str = "", *order: str, **options: Any) -> list[str]:
        return [run.name for run in self.found(text, *order, **options)]


@pytest.fixture
def tracking(catalog: Catalog) -> Tracking:
    return Tracking(catalog)


def point(key: str, value: float, step: int = 0, timestamp_ms: int = 1, **fields: Any) -> LatestMetric:
    return LatestMetric(key, value, timestamp_ms, step, **fields)


# --- experiments -------------------------------------------------------------------------------------------------


def test_every_project_has_experiment_zero(tracking: Tracking) -> None:
    for project in ("p", "q"):
        found = tracking.experiments.get(project, "0")
        assert (found.name, found.lifecycle) == ("Default", "active")
        assert [e.experiment_id for e in tracking.experiments.list(project)] == ["0"]


def test_ids_ascend_over_all_projects_and_are_never_used_again(tracking: Tracking) -> None:
    create = tracking.experiments.create
    assert [create("p", "a"), create("q", "a"), create("p", "b")] == ["1", "2", "3"]
    with pytest.raises(NotFound):
        tracking.experiments.get("p", "2")
    with pytest.raises(AlreadyExists):
        create("p", "a")
    assert int(create("p", "c")) > 3


def test_names_stay_taken_while_deleted(tracking: Tracking) -> None:
    experiments = tracking.experiments
    number = experiments.create(P, "a", tags=[("k", "v")])
    experiments.delete(P, number)
    with pytest.raises(AlreadyExists):
        experiments.create(P, "a")
    assert experiments.get_by_name(P, "a").lifecycle == "deleted"
    with pytest.raises(InvalidState):
        experiments.rename(P, number, "b")
    with pytest.raises(NotFound):
        experiments.delete(P, number)
    with pytest.raises(InvalidArgument):
        experiments.set_tag(P, number, "k", "w")
    experiments.restore(P, number)
    with pytest.raises(AlreadyExists):
        experiments.rename(P, number, "Default")
    experiments.rename(P, number, "a")  # its own name
    experiments.rename(P, number, "b")
    experiments.set_tag(P, number, "k", "w")
    assert experiments.get_by_name(P, "b").tags == {"k": "w"}
    experiments.delete_tag(P, number, "k")
    with pytest.raises(NotFound):
        experiments.delete_tag(P, number, "k")


def test_deleting_an_experiment_takes_its_runs_along(tracking: Tracking) -> None:
    number = tracking.experiments.create(P, "a")
    first, second = tracking.run(number, name="x"), tracking.run(number, name="y")
    tracking.runs.delete(P, second)
    tracking.experiments.delete(P, number)
    assert set(tracking.scores.dropped) == {first, second}
    assert tracking.names(experiments=(number,)) == []
    assert len(tracking.found(experiments=(number,), view="deleted")) == 2
    with pytest.raises(InvalidArgument, match="must be in the 'active' state"):
        tracking.run(number)
    tracking.experiments.restore(P, number)  # all of them, also the one deleted before
    assert sorted(tracking.names(experiments=(number,))) == ["x", "y"]


def test_experiments_count_their_runs(tracking: Tracking) -> None:
    number = tracking.experiments.create(P, "a")

    def counted() -> tuple[int | None, int | None]:
        found = next(e for e in tracking.experiments.list(P) if e.experiment_id == number)
        return found.run_count, found.last_run_ms

    assert counted() == (0, None)
    old, new = tracking.run(number, start_ms=10), tracking.run(number, start_ms=20)
    assert counted() == (2, 20)
    tracking.runs.delete(P, new)
    tracking.runs.delete(P, new)
    assert counted() == (1, 10)
    tracking.runs.restore(P, new)
    assert counted() == (2, 20)
    tracking.runs.delete(P, old)
    tracking.runs.delete(P, new)
    assert counted() == (0, None)


def test_experiments_are_searched_in_pages(tracking: Tracking) -> None:
    for index in range(7):
        tracking.experiments.create(P, f"e{index}", tags=[("half", str(index % 2))])
    search = tracking.experiments.search

    def names(text: str = "", *order: str, **options: Any) -> list[str]:
        return [
            e.name for e in search(P, experiment_filter(text), experiment_order(list(order)), **options).experiments
        ]

    assert names() == ["e6", "e5", "e4", "e3", "e2", "e1", "e0", "Default"]
    assert names("name LIKE 'e%' AND tags.half = '1'", "name") == ["e1", "e3", "e5"]
    assert names("name ILIKE 'E_' AND NOT tags.half = '1'", "name DESC") == ["e6", "e4", "e2", "e0"]
    assert names("tags.half IS NULL") == ["Default"]
    assert names("experiment_id IN ('1', '3', 'x')", "experiment_id") == ["e0", "e2"]
    page, seen = search(P, limit=3), list[str]()
    while True:
        seen += [e.name for e in page.experiments]
        if page.next_cursor is None:
            break
        page = search(P, limit=3, cursor=page.next_cursor)
    assert seen == names()
    for cursor in ("garbage", search(P, limit=1).next_cursor):
        with pytest.raises(InvalidArgument):
            search(P, experiment_filter("name = 'x'"), cursor=cursor)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("s3://bucket/x?endpoint=y", "s3://bucket/x?endpoint=y"),
        ("/abs/path", "/abs/path"),
        ("file:///abs", "file:///abs"),
    ],
)
def test_artifact_locations(tracking: Tracking, given: str, stored: str) -> None:
    number = tracking.experiments.create(P, "a", given)
    run = tracking.runs.create(P, number)
    assert tracking.experiments.get(P, number).artifact_location == stored
    base, question, query = stored.partition("?")
    assert run.artifact_uri == f"{base}/{run.run_id}/artifacts{question}{query}"


@pytest.mark.parametrize(
    "location", ["s3://b/../x", "file:///a/%2e%2e/b", "runs:/x/y", "s3://b/x#f", "a/../../etc", "x" * 3_000]
)
def test_bad_artifact_locations_are_refused(tracking: Tracking, location: str) -> None:
    with pytest.raises(InvalidArgument):
        tracking.experiments.create(P, "a", location)
    assert len(tracking.experiments.list(P)) == 1


# --- runs --------------------------------------------------------------------------------------------------------


def test_a_run_has_a_name_and_its_tag(tracking: Tracking) -> None:
    runs = tracking.runs
    generated = runs.create(P)
    assert generated.tags["mlflow.runName"] == generated.name
    assert len(generated.name) <= 20 and len(generated.name.split("-")) == 3
    assert runs.create(P, name="x").name == "x"
    tagged = runs.create(P, tags=[("mlflow.runName", "y"), ("mlflow.user", "me")])
    assert (tagged.name, tagged.user_id) == ("y", "me")
    with pytest.raises(InvalidArgument, match="different values"):
        runs.create(P, name="x", tags=[("mlflow.runName", "y")])
    runs.update(P, tagged.run_id, name="z", status="FINISHED", end_ms=5)
    found = runs.get(P, tagged.run_id)
    assert (found.name, found.tags["mlflow.runName"], found.status, found.end_ms) == ("z", "z", "FINISHED", 5)
    runs.set_tag(P, tagged.run_id, "mlflow.runName", "w")
    assert runs.get(P, tagged.run_id).name == "w"
    runs.log_batch(P, tagged.run_id, tags=[("mlflow.runName", "v")])
    assert runs.get(P, tagged.run_id).name == "v"
    assert runs.update(P, tagged.run_id, status="RUNNING").end_ms == 5  # resumed


def test_a_run_belongs_to_its_project(tracking: Tracking) -> None:
    run_id = tracking.run()
    calls: list[Callable[[], object]] = [
        lambda: tracking.runs.get("q", run_id),
        lambda: tracking.runs.update("q", run_id, status="FAILED"),
        lambda: tracking.runs.delete("q", run_id),
        lambda: tracking.runs.set_tag("q", run_id, "k", "v"),
        lambda: tracking.metrics.log("q", run_id, [point("m", 1)]),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert tracking.runs.search("q", ["0"]).runs == []


def test_params_never_change(tracking: Tracking) -> None:
    run_id = tracking.run()
    log = tracking.runs.log_param
    log(P, run_id, "lr", "0.1")
    log(P, run_id, "lr", "0.1")
    log(P, run_id, "empty", "")
    with pytest.raises(InvalidArgument, match=r"was already logged with value='0\.1'.*new value '0\.2'"):
        log(P, run_id, "lr", "0.2")
    with pytest.raises(InvalidArgument, match="Changing param values"):
        tracking.runs.log_batch(
            P, run_id, metrics=[point("m", 1)], params=[("new", "1"), ("lr", "9")], tags=[("t", "1")]
        )
    with pytest.raises(InvalidArgument, match="Duplicate parameter keys"):
        tracking.runs.log_batch(P, run_id, params=[("a", "1"), ("a", "1")])
    found = tracking.runs.get(P, run_id)  # nothing of the refused batches
    assert (found.params, found.metrics, "t" in found.tags) == ({"empty": "", "lr": "0.1"}, [], False)
    log(P, run_id, "long", "x" * 7_000)
    tracking.runs.set_tag(P, run_id, "long", "x" * 9_000)
    found = tracking.runs.get(P, run_id)
    assert (len(found.params["long"]), len(found.tags["long"])) == (6_000, 8_000)


@pytest.mark.parametrize("key", ["a\tb", "../a", "/a", "a/../b", ".", "a//b", "x" * 251, "ключ\n"])
def test_bad_names_are_refused(tracking: Tracking, key: str) -> None:
    run_id = tracking.run()
    calls: list[Callable[[], object]] = [
        lambda: tracking.runs.log_param(P, run_id, key, "v"),
        lambda: tracking.runs.set_tag(P, run_id, key, "v"),
        lambda: tracking.metrics.log(P, run_id, [point(key, 1)]),
        lambda: tracking.runs.log_batch(P, run_id, metrics=[point("good", 1), point(key, 1)]),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument):
            call()
    found = tracking.runs.get(P, run_id)
    assert (found.params, found.metrics, list(found.tags)) == ({}, [], ["mlflow.runName"])


def test_good_names_are_kept(tracking: Tracking) -> None:
    run_id = tracking.run()
    names = ["a b", "a/b", "a.b-c_d:e", "ключ", "x" * 250, "..a"[1:]]
    tracking.metrics.log(P, run_id, [point(name, 1) for name in names])
    assert {m.key for m in tracking.runs.get(P, run_id).metrics} == set(names)


def test_deleted_runs_take_no_writes(tracking: Tracking) -> None:
    run_id = tracking.run()
    tracking.runs.log_param(P, run_id, "a", "1")
    tracking.runs.delete(P, run_id)
    assert tracking.scores.dropped == [run_id]
    calls: list[Callable[[], object]] = [
        lambda: tracking.runs.log_param(P, run_id, "b", "1"),
        lambda: tracking.runs.set_tag(P, run_id, "b", "1"),
        lambda: tracking.runs.update(P, run_id, status="FAILED"),
        lambda: tracking.metrics.log(P, run_id, [point("m", 1)]),
        lambda: tracking.runs.log_inputs(P, run_id),
        lambda: tracking.runs.log_outputs(P, run_id, [ModelOutput("m-1")]),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument, match="must be in the 'active' state"):
            call()
    assert tracking.runs.get(P, run_id).lifecycle == "deleted"
    tracking.runs.restore(P, run_id)
    assert tracking.runs.get(P, run_id).lifecycle == "active"


def test_inputs_and_outputs_are_sets(tracking: Tracking) -> None:
    first, second = tracking.run(name="a"), tracking.run(name="b")
    data = Dataset(name="d", digest="1", source_type="t", source="s", schema="{}", profile=None)
    for run_id in (first, first, second):
        tracking.runs.log_inputs(
            P, run_id, [DatasetInput(dataset=data, tags={"mlflow.data.context": "train"})], ["m-in"]
        )
    tracking.runs.log_inputs(P, second, [DatasetInput(dataset=Dataset(name="d", digest="2"))])
    for step in (0, 0, 3):
        tracking.runs.log_outputs(P, first, [ModelOutput("m-out", step)])
    found = tracking.runs.get(P, first)
    assert found.dataset_inputs == [DatasetInput(dataset=data, tags={"mlflow.data.context": "train"})]
    assert found.model_inputs == ["m-in"]
    assert found.model_outputs == [ModelOutput("m-out", 0), ModelOutput("m-out", 3)]
    assert [(s.name, s.digest, s.context) for s in tracking.runs.dataset_summaries(P, ["0"])] == [
        ("d", "1", "train"), ("d", "2", None),
    ]  # fmt: skip
    assert tracking.runs.dataset_summaries("q", ["0"]) == []
    assert tracking.names("dataset.name = 'd' AND dataset.digest = '2'") == ["b"]
    assert sorted(tracking.names("dataset.context IN ('train')")) == ["a", "b"]
    for bad in (
        Dataset(name="n" * 501, digest="1"),
        Dataset(name="n", digest="1" * 37),
        Dataset(name="n", digest="1", source="s" * 65_536),
    ):
        with pytest.raises(InvalidArgument, match="exceeds the maximum length"):
            tracking.runs.log_inputs(P, first, [DatasetInput(dataset=bad)])


def test_the_history_of_models_grows(tracking: Tracking) -> None:
    run_id = tracking.run()
    for path in ("a", "b"):
        tracking.runs.log_model(P, run_id, {"artifact_path": path})
    assert (
        tracking.runs.get(P, run_id).tags["mlflow.log-model.history"] == '[{"artifact_path":"a"},{"artifact_path":"b"}]'
    )


# --- metrics -----------------------------------------------------------------------------------------------------


def latest(tracking: Tracking, run_id: str) -> dict[str, tuple[float, int, int]]:
    return {m.key: (m.value, m.timestamp_ms, m.step) for m in tracking.runs.get(P, run_id).metrics}


def test_the_latest_value_has_the_greatest_step_timestamp_and_value(tracking: Tracking) -> None:
    run_id = tracking.run()
    for value, timestamp, step in [(1, 5, 1), (9, 9, 0), (2, 5, 1), (1.5, 5, 1), (7, 4, 1), (-1, 1, -5)]:
        tracking.metrics.log(P, run_id, [point("m", value, step, timestamp)])
    assert latest(tracking, run_id) == {"m": (2, 5, 1)}
    tracking.runs.log_batch(P, run_id, metrics=[point("m", v, s, 5) for v, s in [(1, 2), (8, 3), (4, 3), (9, 1)]])
    assert latest(tracking, run_id) == {"m": (8, 5, 3)}


def test_nan_and_infinity_are_values(tracking: Tracking) -> None:
    run_id = tracking.run()
    tracking.metrics.log(P, run_id, [point("nan", math.nan), point("up", math.inf), point("down", -math.inf)])
    found = {m.key: m.value for m in tracking.runs.get(P, run_id).metrics}
    assert math.isnan(found["nan"]) and found["up"] == math.inf and found["down"] == -math.inf
    tracking.metrics.log(P, run_id, [point("nan", 1.0)])  # same step and time: NaN counts as 0
    tracking.metrics.log(P, run_id, [point("nan", math.nan)])
    assert latest(tracking, run_id)["nan"][0] == 1.0
    tracking.metrics.log(P, run_id, [point("nan", math.nan, step=1)])
    assert math.isnan(latest(tracking, run_id)["nan"][0])


@pytest.mark.parametrize(
    "bad", [point("m", 1, timestamp_ms=-1), point("m", 1, step=1 << 63), point("m", 1, timestamp_ms=1 << 63)]
)
def test_numbers_out_of_range_are_refused(tracking: Tracking, bad: LatestMetric) -> None:
    with pytest.raises(InvalidArgument):
        tracking.metrics.log(P, tracking.run(), [bad])


def test_points_of_a_model_are_attached_to_it(tracking: Tracking) -> None:
    run_id = tracking.run()
    tracking.metrics.log(
        P, run_id, [point("m", 1, model_id="m-1", dataset_name="d", dataset_digest="x"), point("n", 2)]
    )
    with tracking.catalog.read() as connection:
        from twinlens.store.catalog.logged_models import logged_model_metrics as t

        rows = connection.execute(t.select()).mappings().all()
        assert LoggedModelTable(connection, P).get("m-1") is None  # the model itself may come later
    assert [(r["model_id"], r["key"], r["run_id"], r["dataset_name"]) for r in rows] == [("m-1", "m", run_id, "d")]


def test_names_of_an_experiment_are_listed_in_order(tracking: Tracking) -> None:
    first, second = tracking.run(), tracking.run()
    tracking.runs.log_batch(P, first, metrics=[point("b", 1), point("a", 1)], params=[("z", "1")])
    tracking.runs.log_batch(P, second, metrics=[point("c", 1), point("a", 2)])
    keys = tracking.metrics.keys
    assert keys(P, "0") == ["a", "b", "c"]
    assert keys(P, "0", limit=1, after="a") == ["b"]
    assert keys(P, "0", kind="param") == ["z"]
    assert keys("q", "0") == []


async def test_open_pages_are_told(catalog: Catalog) -> None:
    tracking = Tracking(catalog)
    live: LiveBus = tracking.metrics._live
    with live.subscribe(P) as subscription:
        run_id = tracking.run(name="x")
        tracking.runs.log_batch(P, run_id, metrics=[point("m", 1, 1), point("m", 2, 2), point("n", math.nan)])
        tracking.runs.update(P, run_id, status="FINISHED")
        notices: list[Notice] = await subscription.next(1)
    assert [(n.kind, n.id) for n in notices] == [("run", run_id), ("metric", run_id), ("run", run_id)]
    assert notices[1].data["metrics"] == {"m": [2, 1, 2.0], "n": [0, 1, None]}
    assert notices[2].data["status"] == "FINISHED"


def test_twelve_thousand_metric_names_in_one_experiment(tracking: Tracking) -> None:
    """MLflow's issue 11927: such an experiment freezes it."""
    run_id = tracking.run(name="wide")
    for part in range(12):
        tracking.runs.log_batch(P, run_id, metrics=[point(f"layer/{part * 1_000 + i:05d}", i) for i in range(1_000)])
    narrow = tracking.run(name="narrow")
    tracking.metrics.log(P, narrow, [point("layer/00007", 99)])
    assert tracking.names("metrics.`layer/00007` > 5", "metrics.`layer/00007` DESC") == ["narrow", "wide"]
    assert len(tracking.runs.get(P, run_id).metrics) == 12_000
    seen: list[str] = []
    while page := tracking.metrics.keys(P, "0", after=seen[-1] if seen else ""):
        seen += page
    assert seen == [f"layer/{i:05d}" for i in range(12_000)]
