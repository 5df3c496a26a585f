"""Registry and logged models on every catalog engine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.logged_model import DatasetScope, LoggedModel, ModelOrder
from twinlens.domain.registry import ModelVersion
from twinlens.domain.score import MetricPoint
from twinlens.query.mlflow_filter_registry import logged_model_filter, model_filter, version_filter
from twinlens.store.catalog.logged_models import LoggedModelTable, put_model_metrics
from twinlens.store.catalog.registry import RegistryTable
from twinlens.store.telemetry.query import And


@pytest.fixture
def connection(catalog: Any) -> Iterator[sa.Connection]:
    with catalog.write() as connection:
        yield connection


@pytest.fixture
def registry(connection: sa.Connection) -> RegistryTable:
    return RegistryTable(connection, "p")


@pytest.fixture
def logged(connection: sa.Connection) -> LoggedModelTable:
    return LoggedModelTable(connection, "p")


def version(name: str, number: int, **fields: Any) -> ModelVersion:
    return ModelVersion(name=name, version=number, source="s3://b/x", storage_location="s3://b/x", **fields)


def fill(registry: RegistryTable) -> None:
    for index, name in enumerate(["b_model", "a_model", "c%model", "A_model"]):
        assert registry.add_model(name, "", {"team": "x" if index % 2 else "y", "n": str(index)}, 100 + index)
    for stage in ("None", "Staging", "None"):
        number = registry.next_version("a_model", 200)
        assert number is not None
        registry.add_version(
            version("a_model", number, stage=stage, run_id=f"r{number}", created_ms=number, tags={"k": str(number)})
        )
    number = registry.next_version("b_model", 300)
    assert number == 1
    registry.add_version(version("b_model", 1, run_id="r1"))


def test_names_are_unique_per_project(connection: sa.Connection, registry: RegistryTable) -> None:
    assert registry.add_model("m", "d", {}, 1)
    assert not registry.add_model("m", "e", {"t": "1"}, 2)
    model = registry.model("m")
    assert model is not None and model.description == "d" and model.tags == {}
    other = RegistryTable(connection, "q")
    assert other.model("m") is None
    assert other.add_model("m", "other", {}, 3)
    assert registry.model("m").description == "d"  # type: ignore[union-attr]


def test_version_numbers_are_never_reused(registry: RegistryTable) -> None:
    fill(registry)
    assert registry.drop_version("a_model", 3)
    assert not registry.drop_version("a_model", 3)
    assert registry.next_version("a_model", 1) == 4
    assert registry.newest_version("a_model") == 2
    assert registry.next_version("nope", 1) is None


def test_latest_versions_and_aliases(registry: RegistryTable) -> None:
    fill(registry)
    registry.put_alias("a_model", "champion", 1)
    registry.put_alias("a_model", "champion", 2)
    registry.put_alias("a_model", "old", 1)
    model = registry.model("a_model")
    assert model is not None
    assert [(v.stage, v.version) for v in model.latest_versions] == [("Staging", 2), ("None", 3)]
    assert model.aliases == {"champion": 2, "old": 1}
    assert model.latest_versions[0].aliases == ["champion"]
    assert model.latest_versions[0].tags == {"k": "2"}
    registry.drop_version("a_model", 2)
    assert registry.model("a_model").aliases == {"old": 1}  # type: ignore[union-attr]


def test_rename_takes_everything_along(registry: RegistryTable) -> None:
    fill(registry)
    registry.put_alias("a_model", "x", 1)
    assert registry.set_model("a_model", name="renamed", updated_ms=5)
    assert registry.model("a_model") is None
    model = registry.model("renamed")
    assert model is not None and model.aliases == {"x": 1} and model.tags["n"] == "1"
    found = registry.version("renamed", 1)
    assert found is not None and found.tags == {"k": "1"} and found.aliases == ["x"]


def test_delete_model_removes_all(registry: RegistryTable, connection: sa.Connection) -> None:
    fill(registry)
    registry.put_alias("a_model", "x", 1)
    assert registry.drop_model("a_model")
    assert not registry.drop_model("a_model")
    for table in ("registered_model_tags", "registered_model_aliases", "model_versions", "model_version_tags"):
        query = sa.text(f"SELECT count(*) FROM {table} WHERE name = 'a_model'")
        assert connection.execute(query).scalar() == 0


def test_stage_moves(registry: RegistryTable) -> None:
    fill(registry)
    registry.set_version("a_model", 3, stage="Staging")
    registry.move_stage("a_model", "Staging", "Archived", but=3, now=9)
    stages = {n: registry.version("a_model", n).stage for n in (1, 2, 3)}  # type: ignore[union-attr]
    assert stages == {1: "None", 2: "Archived", 3: "Staging"}


@pytest.mark.parametrize(("text", "names"), [
    (None, {"A_model", "a_model", "b_model", "c%model"}),
    ("name = 'a_model'", {"a_model"}),
    ("name != 'a_model'", {"A_model", "b_model", "c%model"}),
    ("name LIKE 'a%'", {"a_model"}),
    ("name ILIKE 'a%'", {"a_model", "A_model"}),
    ("name LIKE '%\\%'", set()),
    ("name IN ('a_model', 'zz')", {"a_model"}),
    ("name NOT IN ('a_model')", {"A_model", "b_model", "c%model"}),
    ("tags.team = 'y'", {"b_model", "c%model"}),
    ("tag.`team` != 'y' AND tags.n = '1'", {"a_model"}),
    ("tags.nope != 'y'", set()),
    ("tags.`mlflow.prompt.is_prompt` != 'true'", {"A_model", "a_model", "b_model", "c%model"}),
    ("tags.`mlflow.prompt.is_prompt` = 'false' AND name = 'a_model'", {"a_model"}),
    ("name = 'a_model' OR tags.n = '0'", {"a_model", "b_model"}),
    ("NOT tags.nope = 'y'", {"A_model", "a_model", "b_model", "c%model"}),
])  # fmt: skip
def test_model_search(registry: RegistryTable, text: str | None, names: set[str]) -> None:
    fill(registry)
    prompts, where = model_filter(text)
    assert not prompts
    page = registry.search_models(where, [], 100, None)
    assert {m.name for m in page.models} == names
    assert page.next_cursor is None


def test_prompt_filter_is_recognised() -> None:
    assert model_filter("tags.`mlflow.prompt.is_prompt` = 'true' AND name LIKE 'x%'")[0]
    assert version_filter("tags.`mlflow.prompt.is_prompt` != 'false'")[0]
    assert not model_filter("name = 'a'")[0]


def test_model_pages(registry: RegistryTable) -> None:
    fill(registry)
    seen: list[str] = []
    cursor = None
    while True:
        page = registry.search_models(And(), [("updated_ms", True)], 1, cursor)
        seen += [m.name for m in page.models]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["b_model", "a_model", "A_model", "c%model"]
    first = registry.search_models(And(), [("updated_ms", True)], 1, None).next_cursor
    with pytest.raises(InvalidArgument):
        registry.search_models(And(), [("name", True)], 1, first)
    for garbage in ("x", "!!", "eyJvZmZzZXQiOiAxfQ=="):
        with pytest.raises(InvalidArgument):
            registry.search_models(And(), [], 1, garbage)


@pytest.mark.parametrize(("text", "found"), [
    (None, [("a_model", 3), ("a_model", 2), ("a_model", 1), ("b_model", 1)]),
    ("run_id = 'r1'", [("a_model", 1), ("b_model", 1)]),
    ("run_id IN ('r2', 'r3')", [("a_model", 3), ("a_model", 2)]),
    ("name = 'a_model' AND version_number > 1", [("a_model", 3), ("a_model", 2)]),
    ("tags.k = '2'", [("a_model", 2)]),
    ("source_path LIKE 's3://%'", [("a_model", 3), ("a_model", 2), ("a_model", 1), ("b_model", 1)]),
])  # fmt: skip
def test_version_search(registry: RegistryTable, text: str | None, found: list[tuple[str, int]]) -> None:
    fill(registry)
    page = registry.search_versions(version_filter(text)[1], [], 100, None)
    assert [(v.name, v.version) for v in page.versions] == found
    pages: list[tuple[str, int]] = []
    cursor = None
    for _ in found:
        one = registry.search_versions(version_filter(text)[1], [], 1, cursor)
        pages += [(v.name, v.version) for v in one.versions]
        cursor = one.next_cursor
    assert pages == found and cursor is None


@pytest.mark.parametrize("text", [
    "nope = 'a'", "name > 'a'", "name = 3", "metrics.a = 1", "tags.a > 1", "name = 'a' AND", "name = '\x00'",
])  # fmt: skip
def test_bad_model_filters(registry: RegistryTable, text: str) -> None:
    with pytest.raises(InvalidArgument):
        registry.search_models(model_filter(text)[1], [], 10, None)


# --- logged models ---------------------------------------------------------------------------------------------------


def model(number: int, **fields: Any) -> LoggedModel:
    return LoggedModel(model_id=f"m-{number}", experiment_id="1", name=f"n{number}", created_ms=number, **fields)


def point(number: int, key: str, value: float, step: int = 0, **fields: Any) -> MetricPoint:
    return MetricPoint(run_id="r", key=key, value=value, timestamp_ms=step, step=step, model_id=f"m-{number}", **fields)


def fill_logged(logged: LoggedModelTable, connection: sa.Connection) -> None:
    for number in range(1, 5):
        logged.add(
            model(
                number,
                status="READY" if number % 2 else "PENDING",
                params={"lr": f"0.{number}"},
                tags={"t": str(number)},
            )
        )
    put_model_metrics(connection, "p", [
        point(1, "acc", 0.5, 1, dataset_name="d1", dataset_digest="x"),
        point(1, "acc", 0.9, 1, dataset_name="d2", dataset_digest="y"),
        point(2, "acc", 0.7, 1, dataset_name="d1", dataset_digest="x"),
        point(3, "acc", math.nan),
        point(1, "loss", 1.0, 1), point(1, "loss", 2.0, 5), point(1, "loss", 3.0, 3),
        point(9, "acc", 1.0),
    ])  # fmt: skip


def test_logged_model_round_trip(logged: LoggedModelTable, connection: sa.Connection) -> None:
    fill_logged(logged, connection)
    found = logged.get("m-1")
    assert found is not None
    assert (found.params, found.tags, found.status) == ({"lr": "0.1"}, {"t": "1"}, "READY")
    losses = [m for m in found.metrics if m.key == "loss"]
    assert [(m.value, m.step) for m in losses] == [(2.0, 5)]
    put_model_metrics(connection, "p", [point(1, "loss", 7.0, 4)])
    assert [m.value for m in logged.get("m-1").metrics if m.key == "loss"] == [2.0]  # type: ignore[union-attr]
    put_model_metrics(connection, "p", [point(1, "loss", math.inf, 6)])
    assert next(m.value for m in logged.get("m-1").metrics if m.key == "loss") > 1e308  # type: ignore[union-attr]
    assert LoggedModelTable(connection, "q").get("m-1") is None


def test_params_do_not_change(logged: LoggedModelTable) -> None:
    logged.add(model(1, params={"a": "1"}))
    logged.put_params("m-1", {"a": "1", "b": "2"})
    with pytest.raises(InvalidArgument):
        logged.put_params("m-1", {"a": "2"})
    assert logged.get("m-1").params == {"a": "1", "b": "2"}  # type: ignore[union-attr]


def test_deleted_models_are_hidden(logged: LoggedModelTable) -> None:
    logged.add(model(1))
    assert logged.set("m-1", lifecycle="deleted")
    assert not logged.set("m-1", status="READY")
    assert logged.get("m-1") is None
    assert logged.get("m-1", deleted=True) is not None
    assert logged.search(["1"]).models == []


@pytest.mark.parametrize(("text", "datasets", "ids"), [
    (None, [], ["m-4", "m-3", "m-2", "m-1"]),
    ("name = 'n2'", [], ["m-2"]),
    ("status = 'LOGGED_MODEL_READY'", [], ["m-3", "m-1"]),
    ("status = 'ready' AND creation_timestamp < 2", [], ["m-1"]),
    ("params.lr = '0.4'", [], ["m-4"]),
    ("tags.t IN ('1', '2')", [], ["m-2", "m-1"]),
    ("metrics.acc > 0.6", [], ["m-2", "m-1"]),
    ("metrics.acc != 0.6", [], ["m-3", "m-2", "m-1"]),
    ("metrics.acc > 0.6", [DatasetScope("d1")], ["m-2"]),
    ("metrics.acc > 0.6", [DatasetScope("d1", "z")], []),
    (None, [DatasetScope("d2", "y")], ["m-1"]),
])  # fmt: skip
def test_logged_model_search(
    logged: LoggedModelTable, connection: sa.Connection, text: str | None, datasets: list[DatasetScope], ids: list[str]
) -> None:
    fill_logged(logged, connection)
    page = logged.search(["1", "2"], logged_model_filter(text), datasets)
    assert [m.model_id for m in page.models] == ids


@pytest.mark.parametrize(("order", "ids"), [
    (ModelOrder("name"), ["m-1", "m-2", "m-3", "m-4"]),
    (ModelOrder("metrics.acc", False, "d1"), ["m-2", "m-1", "m-4", "m-3"]),
    (ModelOrder("metrics.acc", True, "d1", "x"), ["m-1", "m-2", "m-4", "m-3"]),
    (ModelOrder("metrics.acc", False), ["m-1", "m-2", "m-3", "m-4"]),
    (ModelOrder("params.lr", False), ["m-4", "m-3", "m-2", "m-1"]),
    (ModelOrder("model_type"), ["m-4", "m-3", "m-2", "m-1"]),
])  # fmt: skip
def test_logged_model_order_and_pages(
    logged: LoggedModelTable, connection: sa.Connection, order: ModelOrder, ids: list[str]
) -> None:
    fill_logged(logged, connection)
    put_model_metrics(connection, "p", [point(1, "acc", 0.95, 9, dataset_name="d3")])
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = logged.search(["1"], orders=[order], limit=1, cursor=cursor)
        seen += [m.model_id for m in page.models]
        cursor = page.next_cursor
    assert seen == ids
    assert cursor is None
