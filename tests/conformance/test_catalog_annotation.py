"""Annotation queues and label schemas on every catalog engine."""

from __future__ import annotations

import pytest

from twinlens.domain.annotation import AnnotationQueue
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.score_config import ScoreConfig, ScoreForm
from twinlens.features.annotation import AnnotationQueues
from twinlens.features.score_configs import ScoreConfigs
from twinlens.store.catalog.engine import Catalog

P = "project"


@pytest.fixture
def configs(catalog: Catalog) -> ScoreConfigs:
    return ScoreConfigs(catalog)


@pytest.fixture
def queues(catalog: Catalog, configs: ScoreConfigs) -> AnnotationQueues:
    return AnnotationQueues(catalog, configs)


def queue(name: str = "q", **more: object) -> AnnotationQueue:
    return AnnotationQueue(queue_id="", name=name, **more)  # type: ignore[arg-type]


def test_an_item_is_done_once_enough_people_have_judged_it(queues: AnnotationQueues) -> None:
    made = queues.create(P, queue(reviews_needed=2))
    [item] = queues.add_items(P, made.queue_id, [("TRACE", "t1")])
    for _ in range(2):  # the same person twice is one person
        item = queues.set_status(P, made.queue_id, item, "COMPLETED", "ann", whole=False)
        assert (item.status, item.completed_by) == ("PENDING", None)
    item = queues.set_status(P, made.queue_id, item, "COMPLETED", "bob", whole=False)
    assert (item.status, item.completed_by) == ("COMPLETED", "bob")
    assert queues.reviewed(P, [item.item_id]) == {item.item_id: ["ann", "bob"]}
    assert queues.progress(P, [made.queue_id]) == {made.queue_id: {"COMPLETED": 1}}
    item = queues.set_status(P, made.queue_id, item, "PENDING")
    assert (item.status, item.completed_ns, queues.reviewed(P, [item.item_id])) == ("PENDING", None, {})


def test_adding_again_keeps_the_status_and_answers_in_the_order_asked(queues: AnnotationQueues) -> None:
    made = queues.create(P, queue())
    first = queues.add_items(P, made.queue_id, [("TRACE", f"t{i}") for i in range(600)])
    queues.set_status(P, made.queue_id, first[7], "DECLINED", "ann")
    again = queues.add_items(P, made.queue_id, [("TRACE", "t7"), ("SESSION", "t7"), ("TRACE", "t3")])
    assert [(i.object_type, i.object_id, i.status) for i in again] == [
        ("TRACE", "t7", "DECLINED"), ("SESSION", "t7", "PENDING"), ("TRACE", "t3", "PENDING"),
    ]  # fmt: skip
    assert again[2].item_id == first[3].item_id
    shown, total = queues.items(P, made.queue_id, status="PENDING", limit=5)
    assert (len(shown), total) == (5, 600)
    assert queues.remove_objects(P, made.queue_id, ["t7", "nothing"]) == 2
    with pytest.raises(InvalidArgument, match="objectType"):
        queues.add_items(P, made.queue_id, [("TRACE", "new"), ("PLANET", "x")])
    assert queues.items(P, made.queue_id, limit=1)[1] == 599, "half of a bad call was written"


def test_names_are_unique_in_their_experiment_whatever_the_case(queues: AnnotationQueues) -> None:
    made = queues.create(P, queue("Checks"))
    with pytest.raises(AlreadyExists):
        queues.create(P, queue("checks"))
    queues.create(P, queue("checks", experiment_id="1"))
    queues.create("other", queue("Checks"))
    other = queues.create(P, queue("second"))
    with pytest.raises(AlreadyExists):
        queues.update(P, other.queue_id, name="CHECKS")
    assert queues.update(P, made.queue_id, name="CHECKS").name == "CHECKS"
    assert queues.named(P, "7", "checks").queue_id == made.queue_id, (
        "a queue of the whole project is in every experiment"
    )
    with pytest.raises(NotFound):
        queues.get("other", made.queue_id)


def test_questions_must_exist_and_are_locked_by_items(queues: AnnotationQueues, configs: ScoreConfigs) -> None:
    tone = configs.create(P, ScoreConfig(config_id="", name="tone", data_type="NUMERIC"))
    elsewhere = configs.create(P, ScoreConfig(config_id="", name="x", data_type="TEXT", experiment_id="2"))
    for wrong in ("nothing", elsewhere.config_id):
        with pytest.raises(InvalidArgument, match="does not exist"):
            queues.create(P, queue(experiment_id="1", config_ids=[wrong]))
    made = queues.create(P, queue(config_ids=[tone.config_id, tone.config_id]))
    assert made.config_ids == [tone.config_id]
    queues.add_items(P, made.queue_id, [("TRACE", "t")])
    with pytest.raises(InvalidArgument, match="locked"):
        queues.update(P, made.queue_id, config_ids=[])
    assert queues.update(P, made.queue_id, reviewers=["ann", "bob", "ann"]).reviewers == ["ann", "bob"]
    configs.delete(P, tone.config_id)
    assert queues.get(P, made.queue_id).config_ids == []


def test_reviewers_and_personal_queues(queues: AnnotationQueues, configs: ScoreConfigs) -> None:
    shared = queues.create(P, queue("shared", experiment_id="1", reviewers=["ann"]))
    queues.assign(P, shared.queue_id, "bob")
    queues.assign(P, shared.queue_id, "bob")
    queues.unassign(P, shared.queue_id, "ann")
    assert queues.get(P, shared.queue_id).reviewers == ["bob"]
    mine = queues.of_person(P, "1", " Bob ")
    assert (mine.name, mine.reviewers, mine.queue_id) == ("bob", ["bob"], queues.of_person(P, "1", "bob").queue_id)
    assert [q.name for q in queues.list(P, reviewer="BOB", limit=9, offset=0)[0]] == ["bob", "shared"]
    configs.create(P, ScoreConfig(config_id="", name="whole", data_type="TEXT"))
    configs.create(P, ScoreConfig(config_id="", name="elsewhere", data_type="TEXT", experiment_id="2"))
    assert {c.name for c in queues.questions(P, mine)} == {"whole", "Feedback"}
    with pytest.raises(InvalidArgument):
        queues.assign(P, mine.queue_id, "ann")
    with pytest.raises(AlreadyExists):
        queues.of_person(P, "1", "shared")
    assert queues.delete(P, mine.queue_id)
    assert not queues.delete(P, mine.queue_id)


def test_label_schemas_keep_type_and_name_rules(configs: ScoreConfigs) -> None:
    def schema(name: str, **more: object) -> ScoreConfig:
        return ScoreConfig(config_id="", name=name, data_type="BOOLEAN", experiment_id="1", **more)  # type: ignore[arg-type]

    made = configs.create(P, schema("Is it right?", form=ScoreForm(positive_label="yes", negative_label="no")))
    assert configs.get(P, made.config_id).form.positive_label == "yes"
    with pytest.raises(AlreadyExists):
        configs.create(P, schema("Is it right?"))
    with pytest.raises(InvalidArgument, match="reserved"):
        configs.create(P, schema("feedback"))
    other = configs.create(P, schema("other"))
    with pytest.raises(AlreadyExists):
        configs.update(P, other.config_id, name="Is it right?")
    standard = next(c for c in configs.of_experiment(P, "1") if c.form.standard)
    for change in (
        lambda: configs.update(P, standard.config_id, name="x"),
        lambda: configs.delete(P, standard.config_id),
    ):
        with pytest.raises(InvalidArgument, match="default question"):
            change()
    assert len(configs.of_experiment(P, "1")) == 3
