"""Datasets, items, runs, score configs and media records on every catalog engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twinlens.domain.dataset import experiment_id
from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.score_config import ScoreCategory, ScoreConfig
from twinlens.features.datasets import Datasets
from twinlens.features.score_configs import ScoreConfigs
from twinlens.store.catalog.engine import Catalog

P = "project"
MS = 1_000_000


class Ticking:
    """A clock that moves by a millisecond with every look."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000_000

    def __call__(self) -> int:
        self.now += MS
        return self.now


@pytest.fixture
def datasets(catalog: Catalog) -> Datasets:
    return Datasets(catalog, Ticking())


def test_a_dataset_is_upserted_by_name(datasets: Datasets) -> None:
    first = datasets.put(P, "qa/set one", description="d", metadata={"a": 1})
    again = datasets.put(P, "qa/set one", description="e")
    assert (again.dataset_id, again.description, again.metadata) == (first.dataset_id, "e", {"a": 1})
    assert datasets.get(P, "qa/set one") == again
    assert datasets.list(P, limit=10, offset=0) == ([again], 1)
    with pytest.raises(NotFound):
        datasets.get("other", "qa/set one")


def test_items_keep_their_history(datasets: Datasets) -> None:
    datasets.put(P, "d")
    first = datasets.put_item(P, "d", "i1", {"input": {"q": 1}, "expected_output": "a"})
    before = first.valid_from_ns
    second = datasets.put_item(P, "d", "i1", {"expected_output": "b"})
    assert second.valid_from_ns > before
    assert second.input == {"q": 1}
    datasets.put_item(P, "d", "i2", {"input": 2})
    datasets.delete_item(P, "i1")

    def at(time: int | None) -> list[tuple[str, object]]:
        items, total = datasets.items(P, dataset_name="d", at=time, limit=10, offset=0)
        assert total == len(items)
        return [(item.item_id, item.expected_output) for item in items]

    assert at(before) == [("i1", "a")]
    assert at(second.valid_from_ns) == [("i1", "b")]
    assert at(None) == [("i2", None)]
    assert at(before - MS) == []
    back = datasets.put_item(P, "d", "i1", {"input": "new"})
    assert back.expected_output is None
    assert [item_id for item_id, _ in at(None)] == ["i1", "i2"]


def test_archived_items_are_not_shown(datasets: Datasets) -> None:
    datasets.put(P, "d")
    datasets.put_item(P, "d", "i", {"input": 1})
    datasets.put_item(P, "d", "i", {"status": "ARCHIVED"})
    assert datasets.items(P, dataset_name="d", limit=10, offset=0) == ([], 0)
    with pytest.raises(NotFound):
        datasets.get_item(P, "i")


def test_an_id_of_another_dataset_is_not_found(datasets: Datasets) -> None:
    datasets.put(P, "one")
    datasets.put(P, "two")
    datasets.put_item(P, "one", "i")
    with pytest.raises(NotFound):
        datasets.put_item(P, "two", "i")
    with pytest.raises(NotFound):
        datasets.put_item(P, "three", "j")


def test_schemas_are_enforced_also_on_what_is_there(datasets: Datasets) -> None:
    schema = {"type": "object", "required": ["q"]}
    datasets.put(P, "d", input_schema=schema)
    with pytest.raises(InvalidArgument, match="'q' is a required property"):
        datasets.put_item(P, "d", "i", {"input": {}})
    datasets.put_item(P, "d", "i", {"input": {"q": 1}})
    with pytest.raises(InvalidArgument, match="item 'i'"):
        datasets.put(P, "d", input_schema={"type": "string"})
    with pytest.raises(InvalidArgument, match="JSON Schema"):
        datasets.put(P, "d", input_schema={"type": "nonsense"})
    with pytest.raises(InvalidArgument, match="refers"):
        datasets.put(P, "d", input_schema={"$ref": "http://127.0.0.1:1/schema.json"})


def test_runs_are_made_by_their_items(datasets: Datasets) -> None:
    dataset = datasets.put(P, "d")
    for item in ("i1", "i2"):
        datasets.put_item(P, "d", item)
        datasets.link(P, "run/1", item, f"t-{item}", run_description="d", metadata={"a": 1})
    datasets.link(P, "run/1", "i1", "t-i1")
    run = datasets.run(P, "d", "run/1")
    assert run.run_id == experiment_id(P, dataset.dataset_id, "run/1")
    assert (run.description, run.metadata, run.dataset_name) == ("d", {"a": 1}, "d")
    items, total = datasets.run_items(P, run)
    assert total == 2
    assert {item.trace_id for item in items} == {"t-i1", "t-i2"}
    assert datasets.runs(P, "d", limit=10, offset=0) == ([run], 1)
    assert datasets.runs_between(P, 0) == [run]
    datasets.delete_run(P, "d", "run/1")
    with pytest.raises(NotFound):
        datasets.run(P, "d", "run/1")
    with pytest.raises(NotFound):
        datasets.link(P, "run/1", "nothing", "t")


def test_score_configs(catalog: Catalog) -> None:
    configs = ScoreConfigs(catalog)
    made = configs.create(P, ScoreConfig(config_id="", name="n", data_type="NUMERIC", min_value=0, max_value=1))
    assert configs.get(P, made.config_id) == made
    flag = configs.create(P, ScoreConfig(config_id="", name="ok", data_type="BOOLEAN"))
    assert flag.categories == [ScoreCategory("True", 1), ScoreCategory("False", 0)]
    assert configs.update(P, made.config_id, archived=True).archived
    assert [c.name for c in configs.list(P, limit=10, offset=0)[0]] == ["ok", "n"]
    with pytest.raises(NotFound):
        configs.get("other", made.config_id)
    with pytest.raises(InvalidArgument, match="greater"):
        configs.update(P, made.config_id, max_value=-1)
    with pytest.raises(InvalidArgument, match="categories"):
        configs.create(P, ScoreConfig(config_id="", name="c", data_type="CATEGORICAL"))
    with pytest.raises(InvalidArgument, match="35"):
        configs.create(P, ScoreConfig(config_id="", name="c" * 36, data_type="TEXT"))


def test_pages_go_on_behind_the_last_row(catalog: Catalog) -> None:
    ticks = iter(range(100, 200))
    datasets = Datasets(catalog, clock=lambda: next(ticks) // 3 * 1_000_000)  # several at one time
    for index in range(7):
        datasets.put(P, f"d{index}")
    one = datasets.put(P, "items")
    for index in range(7):
        datasets.put_item(P, "items", f"i{index}", {"input": index})

    def walk(page: Callable[[str | None], tuple[list[Any], int, str | None]], total: int) -> list[Any]:
        found, cursor = list[Any](), None
        while True:
            rows, count, cursor = page(cursor)
            assert (count, 0 < len(rows) <= 3) == (total, True)
            found += rows
            if cursor is None:
                return found

    assert walk(lambda c: datasets.page(P, limit=3, cursor=c), 8) == datasets.list(P, limit=100, offset=0)[0]
    items = walk(lambda c: datasets.item_page(P, one.dataset_id, limit=3, cursor=c), 7)
    assert items == datasets.items(P, dataset_name="items", limit=100, offset=0)[0]
    first, _, cursor = datasets.item_page(P, one.dataset_id, limit=3)
    for item in first[:2]:  # what goes before the cursor shifts nothing
        datasets.delete_item(P, item.item_id)
    assert datasets.item_page(P, one.dataset_id, limit=10, cursor=cursor)[0] == items[3:]
    for wrong in (lambda: datasets.page(P, limit=1, cursor=cursor), lambda: datasets.page(P, limit=1, cursor="x")):
        with pytest.raises(InvalidArgument):
            wrong()


def test_what_no_column_can_hold_is_the_callers_mistake(catalog: Catalog) -> None:
    datasets = Datasets(catalog)
    with pytest.raises(InvalidArgument, match="cannot be stored"):
        datasets.list(P, limit=10, offset=1 << 70)
    if not catalog.is_sqlite:
        with pytest.raises(InvalidArgument, match="cannot be stored"):
            datasets.put(P, "d", description="a\x00b")
    assert datasets.list(P, limit=10, offset=0) == ([], 0)
