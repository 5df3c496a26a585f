"""Prompts on every catalog engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from twinlens.domain.errors import AlreadyExists, Conflict, InvalidArgument, NotFound
from twinlens.features.prompts import PromptFilter, Prompts
from twinlens.store.catalog.engine import Catalog

P = "project"


@pytest.fixture
def prompts(catalog: Catalog) -> Prompts:
    return Prompts(catalog)


def test_versions_count_from_one_and_latest_follows(prompts: Prompts) -> None:
    first = prompts.create_version(P, "greeting", "hi {{name}}", labels=["production"])
    second = prompts.create_version(P, "greeting", "hello {{name}}")
    assert (first.version, second.version) == (1, 2)
    assert first.labels == ["latest", "production"]
    assert prompts.get(P, "greeting").version == 1
    assert prompts.get(P, "greeting", label="latest").version == 2
    assert prompts.head(P, "greeting").labels == {"latest": 2, "production": 1}


def test_labels_move_and_readers_see_it_at_once(prompts: Prompts) -> None:
    for text in ("one", "two"):
        prompts.create_version(P, "p", text, labels=["production", "staging"])
    assert prompts.get(P, "p").version == 2
    changed = prompts.add_labels(P, "p", 1, ["production"])
    assert changed.labels == ["production"]
    assert prompts.get(P, "p").version == 1
    assert prompts.get(P, "p", label="staging").version == 2


def test_aliases_of_mlflow_are_labels(prompts: Prompts) -> None:
    prompts.create(P, "p", properties={"team": "search"})
    prompts.create_version(P, "p", "text", version_tags={"a": "1"}, response_format={"type": "object"})
    prompts.set_alias(P, "p", "Champion", 1)
    row = prompts.get(P, "p", label="Champion")
    assert row.version_tags == {"a": "1"}
    assert row.response_format == {"type": "object"}
    assert prompts.delete_label(P, "p", "Champion")
    assert not prompts.delete_label(P, "p", "Champion")
    with pytest.raises(NotFound):
        prompts.get(P, "p", label="Champion")
    with pytest.raises(AlreadyExists):
        prompts.create(P, "p")


def test_an_empty_prompt_is_listed_only_on_demand_and_takes_its_type_from_the_first_version(prompts: Prompts) -> None:
    prompts.create(P, "p", description="d", properties={"k": "v"})
    assert prompts.list(P)[1] == 0
    assert prompts.list(P, PromptFilter(include_empty=True))[0][0].description == "d"
    prompts.create_version(P, "p", [{"role": "user", "content": "hi"}])
    assert prompts.head(P, "p").type == "chat"
    assert prompts.update(P, "p", properties={"k": None, "n": "w"}).properties == {"n": "w"}


def test_filters_combine(prompts: Prompts) -> None:
    prompts.create_version(P, "a/one", "x", tags=["t1", "t2"], labels=["production"], config={"n": 1})
    prompts.create_version(P, "a/two", "x", tags=["t1"])
    prompts.create_version(P, "b", "x")

    def names(**chosen: object) -> list[str]:
        found, total = prompts.list(P, PromptFilter(**chosen))  # type: ignore[arg-type]
        assert total == len(found)
        return [prompt.name for prompt in found]

    assert names() == ["a/one", "a/two", "b"]
    assert names(name_prefix="a/") == ["a/one", "a/two"]
    assert names(tags=("t1", "t2")) == ["a/one"]
    assert names(label="production") == ["a/one"]
    assert names(name="b") == ["b"]
    assert names(name_like="%o%") == ["a/one", "a/two"]
    assert names(version=2) == []
    page, total = prompts.list(P, limit=1, offset=1)
    assert [prompt.name for prompt in page] == ["a/two"]
    assert total == 3
    assert prompts.list(P, PromptFilter(name="a/one"))[0][0].last_config == {"n": 1}


def test_deleting_the_latest_version_hands_the_label_down_and_numbers_are_not_reused(prompts: Prompts) -> None:
    for text in ("one", "two", "three"):
        prompts.create_version(P, "p", text)
    prompts.delete(P, "p", version=3)
    assert prompts.get(P, "p", label="latest").version == 2
    assert prompts.create_version(P, "p", "four").version == 4
    prompts.delete(P, "p", label="latest")
    assert [row.version for row in prompts.versions(P, "p")] == [1, 2]
    prompts.delete(P, "p")
    assert not prompts.exists(P, "p")
    with pytest.raises(NotFound):
        prompts.delete(P, "p")


def test_inclusions_are_resolved_with_their_graph(prompts: Prompts) -> None:
    base = prompts.create_version(P, "base", "be kind", labels=["production"])
    prompts.create_version(P, "mid", "@@@langfusePrompt:name=base|label=production@@@!", labels=["production"])
    top = prompts.create_version(P, "top", [{"role": "system", "content": "@@@langfusePrompt:name=mid|version=1@@@"}])
    row = prompts.get(P, "top", version=1)
    assert row.template == [{"role": "system", "content": "be kind!"}]
    assert row.resolution is not None
    assert row.resolution["root"] == {"name": "top", "version": 1, "id": top.version_id}
    assert [n["id"] for n in row.resolution["dependencies"][prompts.get(P, "mid").version_id]] == [base.version_id]
    raw = prompts.get(P, "top", version=1, resolve=False)
    assert "@@@" in raw.template[0]["content"]  # type: ignore[index]
    assert raw.resolution is None
    prompts.create_version(P, "base", "be brief", labels=["production"])
    assert prompts.get(P, "top", version=1).template == [{"role": "system", "content": "be brief!"}]


def test_a_prompt_that_others_include_cannot_be_deleted(prompts: Prompts) -> None:
    prompts.create_version(P, "base", "x", labels=["production"])
    prompts.create_version(P, "top", "@@@langfusePrompt:name=base|label=production@@@")
    prompts.create_version(P, "base", "y")
    with pytest.raises(InvalidArgument, match="top v1"):
        prompts.delete(P, "base")
    with pytest.raises(InvalidArgument, match="top v1"):
        prompts.delete(P, "base", version=1)
    prompts.delete(P, "base", version=2)
    prompts.delete(P, "top")
    prompts.delete(P, "base")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("@@@langfusePrompt:name=nothing|version=1@@@", "not found"),
        ("@@@langfusePrompt:name=chat|version=1@@@", "not a text prompt"),
        ("@@@langfusePrompt:name=self|label=latest@@@", "Circular"),
    ],
)
def test_bad_inclusions_are_refused_and_leave_nothing(prompts: Prompts, template: str, message: str) -> None:
    prompts.create_version(P, "chat", [{"role": "user", "content": "hi"}])
    with pytest.raises(InvalidArgument, match=message):
        prompts.create_version(P, "self", template)
    assert not prompts.exists(P, "self")


def test_moving_a_label_into_a_circle_is_refused(prompts: Prompts) -> None:
    prompts.create_version(P, "a", "plain", labels=["x"])
    prompts.create_version(P, "b", "@@@langfusePrompt:name=a|label=x@@@", labels=["x"])
    prompts.create_version(P, "a", "@@@langfusePrompt:name=b|label=x@@@")
    with pytest.raises(InvalidArgument, match="Circular"):
        prompts.add_labels(P, "a", 2, ["x"])
    assert prompts.get(P, "b", label="x").template == "plain"


def test_nesting_deeper_than_five_is_refused(prompts: Prompts) -> None:
    prompts.create_version(P, "p0", "end")
    for n in range(1, 6):
        prompts.create_version(P, f"p{n}", f"@@@langfusePrompt:name=p{n - 1}|version=1@@@")
    assert prompts.get(P, "p5", version=1).template == "end"
    with pytest.raises(InvalidArgument, match="nesting"):
        prompts.create_version(P, "p6", "@@@langfusePrompt:name=p5|version=1@@@")


@pytest.mark.parametrize("name", ["", "a" * 256, "a|b", "a<b>c", "/a", "a/", "a//b", "new", "metrics", "a\nb"])
def test_bad_names_are_refused(prompts: Prompts, name: str) -> None:
    with pytest.raises(InvalidArgument):
        prompts.create_version(P, name, "x")


@pytest.mark.parametrize("label", ["Upper", "a b", "", "a" * 37])
def test_bad_labels_are_refused(prompts: Prompts, label: str) -> None:
    with pytest.raises(InvalidArgument):
        prompts.create_version(P, "p", "x", labels=[label])
    assert not prompts.exists(P, "p")


def test_other_rules_of_a_version(prompts: Prompts) -> None:
    prompts.create_version(P, "p", "x")
    with pytest.raises(InvalidArgument, match="type"):
        prompts.create_version(P, "p", [{"role": "user", "content": "x"}])
    placeholder = {"type": "placeholder", "name": "history"}
    with pytest.raises(InvalidArgument, match="unique"):
        prompts.create_version(P, "q", [placeholder, {"role": "user", "content": "{{history}}"}])
    with pytest.raises(InvalidArgument, match="both"):
        prompts.get(P, "p", version=1, label="latest")
    with pytest.raises(InvalidArgument, match="latest"):
        prompts.add_labels(P, "p", 1, ["latest"])
    with pytest.raises(NotFound):
        prompts.add_labels(P, "p", 9, ["x"])


def test_projects_do_not_see_each_other(prompts: Prompts) -> None:
    row = prompts.create_version("one", "p", "x", labels=["production"])
    with pytest.raises(NotFound):
        prompts.get("two", "p")
    with pytest.raises(NotFound):
        prompts.get_by_id("two", row.version_id)
    assert prompts.get_by_id("one", row.version_id).name == "p"
    assert prompts.list("two") == ([], 0)


def test_many_creators_of_one_prompt_get_different_numbers(prompts: Prompts) -> None:
    prompts.create_version(P, "p", "0")

    def create(n: int) -> int:
        try:
            return prompts.create_version(P, "p", str(n)).version
        except Conflict:
            return 0

    with ThreadPoolExecutor(4) as pool:
        made = [n for n in pool.map(create, range(12)) if n]
    assert len(set(made)) == len(made)
    assert prompts.get(P, "p", label="latest").version == max(made)
