"""Deployments, on each catalog engine: releases, promotion, rollback, who wins."""

from __future__ import annotations

import threading
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.deployment import Release, rollback_target
from twinlens.domain.errors import AlreadyExists, Conflict, InvalidArgument, InvalidState, NotFound
from twinlens.features.deployment_targets import Targets
from twinlens.features.deployments import Change, Deployments
from twinlens.features.live import LiveBus
from twinlens.store.catalog.engine import Catalog


@pytest.fixture
def deployments(catalog: Catalog) -> Deployments:
    """The feature with a clock that ticks; agents need none of the other features."""
    targets = Targets(None, None, None, None)  # type: ignore[arg-type]
    return Deployments(catalog, targets, LiveBus(), count(1_000).__next__)


def say(version: str, **more: object) -> Change:
    return Change(version=version, **more)  # type: ignore[arg-type]


def test_promote_roll_back_and_keep_every_release(deployments: Deployments) -> None:
    made = deployments.create("p", "bot", "staging", say("1", url="http://s:1/", config={"replicas": 1}, by="ann"))
    assert (made.kind, made.subject, made.release.number, made.release.by) == ("agent", "bot", 1, "ann")
    live = deployments.promote("p", "bot@staging", "production", Change(by="bob", url="http://p:1"))
    assert (live.release.version, live.release.action, live.release.from_environment) == ("1", "promote", "staging")
    assert (live.release.config, live.release.url) == ({"replicas": 1}, "http://p:1")
    for version in ("2", "3"):
        deployments.update("p", "bot@staging", say(version))
        deployments.promote("p", made.deployment_id, "production", Change())
    assert [deployments.rollback("p", "bot", Change()).release.version for _ in range(2)] == ["2", "1"]
    with pytest.raises(InvalidState, match="no earlier version"):
        deployments.rollback("p", "bot", Change())
    again = deployments.rollback("p", "bot", Change(note="fixed"), to=3)
    assert (again.release.version, again.release.note, again.release.url) == ("3", "fixed", "http://p:1")
    history = deployments.history("p", "bot").releases
    assert [(r.number, r.action, r.version, r.restores) for r in history] == [
        (6, "rollback", "3", 3), (5, "rollback", "1", 1), (4, "rollback", "2", 2), (3, "promote", "3", None),
        (2, "promote", "2", None), (1, "promote", "1", None),
    ]  # fmt: skip
    assert history[0].until_ns is None
    assert all(older.until_ns == newer.at_ns for newer, older in pairwise(history))
    first = deployments.history("p", "bot", limit=4)
    rest = deployments.history("p", "bot", limit=4, cursor=first.next_cursor)
    assert [*first.releases, *rest.releases] == history and rest.next_cursor is None
    assert [e.name for e in deployments.environments("p")] == ["production", "staging"]


def test_health_is_of_a_version(deployments: Deployments) -> None:
    deployments.create("p", "bot", "production", say("1"))
    assert deployments.report_health("p", "bot", "degraded", "slow").health_message == "slow"
    kept = deployments.update("p", "bot", Change(config={"a": 1}))
    assert (kept.release.number, kept.health) == (2, "degraded")
    assert deployments.update("p", "bot", say("2")).health == "unknown"
    with pytest.raises(InvalidArgument, match="healthy"):
        deployments.report_health("p", "bot", "fine")


def test_retired_names_come_back_with_their_history(deployments: Deployments) -> None:
    made = deployments.create("p", "bot", "production", say("1"))
    assert deployments.retire("p", "bot", by="ann").retired
    assert deployments.retire("p", "bot").release.number == 2  # again changes nothing
    assert deployments.list("p").deployments == []
    assert len(deployments.list("p", retired=True).deployments) == 1
    for call in (deployments.rollback, deployments.update):
        with pytest.raises(InvalidState, match="retired"):
            call("p", "bot", say("2"))
    back = deployments.create("p", "bot", "production", say("2"))
    assert (back.deployment_id, back.release.number, back.retired) == (made.deployment_id, 3, False)


def test_wrong_requests_change_nothing(deployments: Deployments) -> None:
    deployments.create("p", "bot", "production", say("1"))
    with pytest.raises(AlreadyExists):
        deployments.create("p", "bot", "production", say("2"))
    for change, error in (
        (say("2", expected_release=7), Conflict), (Change(), InvalidArgument), (say("2", url="ftp://x"), InvalidArgument),
        (say("2", url="http://me:pw@host/"), InvalidArgument), (say("a\nb"), InvalidArgument),
        (say("2", config={"x": "y" * 70_000}), InvalidArgument), (say("2", model_uri="models:/m/1"), InvalidArgument),
    ):  # fmt: skip
        with pytest.raises(error):
            deployments.update("p", "bot", change)
    for name, environment in (("", "production"), ("bot", "no/slash"), ("x" * 300, "production"), ("b\x00t", "dev")):
        with pytest.raises(InvalidArgument):
            deployments.create("p", name, environment, say("1"))
    with pytest.raises(InvalidArgument, match="already"):
        deployments.promote("p", "bot", "production", Change())
    with pytest.raises(NotFound, match="name@environment"):
        deployments.get("other project", "bot")
    with pytest.raises(InvalidState, match="serves in production"):
        deployments.delete_environment("p", "production")
    assert len(deployments.history("p", "bot").releases) == 1
    assert [e.name for e in deployments.environments("p")] == ["production"]


def test_lists_page_by_key_and_filter(deployments: Deployments) -> None:
    for environment in ("dev", "production"):
        for name in ("a", "b", "c"):
            deployments.create("p", name, environment, say("1"))
    seen: list[str] = []
    cursor = None
    while True:
        page = deployments.list("p", limit=4, cursor=cursor)
        seen += [f"{d.name}@{d.environment}" for d in page.deployments]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["a@dev", "b@dev", "c@dev", "a@production", "b@production", "c@production"]
    assert [d.name for d in deployments.list("p", environment="dev", subject="b").deployments] == ["b"]
    with pytest.raises(InvalidArgument, match="page token"):
        deployments.list("p", environment="dev", cursor=deployments.list("p", limit=1).next_cursor)


def test_two_at_once_get_two_releases(catalog: Catalog, deployments: Deployments, tmp_path: Path) -> None:
    deployments.create("p", "bot", "production", say("0"))
    won: list[int] = []
    lost: list[Exception] = []

    def press(version: str) -> None:
        try:
            won.append(deployments.update("p", "bot", say(version, expected_release=1)).release.number)
        except Conflict as error:
            lost.append(error)

    threads = [threading.Thread(target=press, args=(str(n),)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(lost) == 3
    history = deployments.history("p", "bot").releases
    assert [r.number for r in history] == [2, 1] and history[1].until_ns == history[0].at_ns


@given(st.lists(st.sampled_from(["1", "2", "3", "back"]), min_size=1, max_size=12))
def test_rolling_back_always_goes_to_an_older_other_version(steps: list[str]) -> None:
    history: list[Release] = []  # newest first
    base = 0  # number of the release whose version serves
    for number, step in enumerate(steps, 1):
        if step != "back":
            history.insert(0, Release(number=number, action="update", version=step))
            base = number
            continue
        wanted = rollback_target(history)
        if wanted is None:
            assert all(r.version == history[0].version for r in history if r.number < base)
            continue
        assert wanted.number < base and wanted.version != history[0].version
        base = wanted.number if wanted.restores is None else wanted.restores
        history.insert(0, Release(number=number, action="rollback", version=wanted.version, restores=base))
