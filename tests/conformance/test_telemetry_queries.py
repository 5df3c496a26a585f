"""Filters, order, cursors, grouping: the same answers from every engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry import ENGINES, SECOND, T0, make_span, model_call, running_writer
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.score import Score
from twinlens.domain.trace import TracePatch
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import (
    Aggregate,
    And,
    Cmp,
    Dimension,
    Expr,
    HasScore,
    HasSpan,
    Measure,
    Not,
    Or,
    Order,
    Query,
)

HOUR = 3600


@pytest.fixture(scope="module", params=list(ENGINES))
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    """Six traces: t0 … t5, one hour apart; see ``fill``."""
    store = ENGINES[request.param](Path(tmp_path_factory.mktemp("queries")))
    with running_writer(store) as writer:
        for i in range(6):
            fill(writer.submit_sync, i)
        writer.submit_sync(Batch(project_id="other", spans=[make_span("t0", "root", name="other")]))
    yield store
    store.close()


def fill(submit: Callable[[Batch], None], i: int) -> None:
    trace = f"t{i}"
    root = make_span(
        trace, "root", name=f"agent {'AB'[i % 2]}", kind="agent", at=i * HOUR, took=1 + i, input=f'"Question {i}"', output='"50% off_x"',
        user_id=f"user{i % 3}", session_id="s1" if i < 2 else None, environment="prod" if i else "dev", status="error" if i == 3 else "ok",
        attributes={"http.route": f"/r{i}", "a.b/c": i}, metadata={"team": "red" if i < 3 else "blue", "n": i},
    )  # fmt: skip
    calls = [
        model_call(trace, f"c{n}", parent_id="root", at=i * HOUR + n, model="gpt-4o" if n % 2 else "claude", usd=i + 1, tool_name=f"tool{n}")
        for n in range(i)
    ]  # fmt: skip
    patch = TracePatch(
        trace_id=trace, tags=["all", f"tag{i % 2}"], metadata={"team": "red" if i < 3 else "blue", "n": i},
        tag_values={"owner": f"o{i}"} if i else None, bookmarked=i == 1, experiment_id="7" if i == 5 else None, authority="client",
    )  # fmt: skip
    scores = (
        [Score(score_id=f"{trace}-q", name="quality", trace_id=trace, value=i / 10, timestamp_ns=T0 + i * SECOND)]
        if i
        else []
    )
    if i == 2:
        scores.append(Score(score_id="old", name="quality", trace_id=trace, value=9.0, valid=False, timestamp_ns=T0))
        scores.append(
            Score(
                score_id="verdict",
                name="verdict",
                trace_id=trace,
                span_id="c0",
                data_type="CATEGORICAL",
                string_value="good",
                timestamp_ns=T0,
            )
        )
    submit(Batch(project_id="p", spans=[root, *calls], patches=[patch], scores=scores))


def traces(store: TelemetryStore, where: Expr) -> set[int]:
    rows = store.traces(Query(project_id="p", where=where)).rows
    assert store.count("traces", Query(project_id="p", where=where)) == len(rows)
    return {int(row.trace_id[1:]) for row in rows}


def cmp(field: str, op: Any, value: Any = None, key: str | None = None) -> Cmp:
    return Cmp(field, op, value, key)


ALL = {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (And(), ALL),
        (Or(), set()),
        (cmp("user_id", "=", "user1"), {1, 4}),
        (cmp("user_id", "!=", "user1"), {0, 2, 3, 5}),
        (cmp("session_id", "!=", "s2"), {0, 1}),
        (cmp("session_id", "is null"), {2, 3, 4, 5}),
        (cmp("session_id", "is not null"), {0, 1}),
        (Not(cmp("session_id", "=", "s1")), {2, 3, 4, 5}),
        (cmp("user_id", "in", ["user0", "user2"]), {0, 2, 3, 5}),
        (cmp("user_id", "not in", ["user0", "user2"]), {1, 4}),
        (cmp("user_id", "in", []), set()),
        (cmp("user_id", "not in", []), ALL),
        (cmp("name", "contains", "AGENT a"), {0, 2, 4}),
        (cmp("name", "not contains", "agent a"), {1, 3, 5}),
        (cmp("name", "like", "agent%A"), {0, 2, 4}),
        (cmp("name", "like", "Agent%"), set()),
        (cmp("name", "ilike", "AGENT _"), ALL),
        (cmp("name", "starts with", "agent"), ALL),
        (cmp("name", "ends with", "B"), {1, 3, 5}),
        (cmp("name", "regex", "^agent [B]$"), {1, 3, 5}),
        (cmp("output_preview", "contains", "50% OFF_"), ALL),
        (cmp("text", "contains", "question 3"), {3}),
        (cmp("text", "not contains", "question 3"), ALL - {3}),
        (cmp("total_cost", ">=", 9), {3, 4, 5}),
        (cmp("total_tokens", "=", 30), {2}),
        (cmp("input_tokens", "<", 20), {0, 1}),
        (cmp("latency_ns", ">", 4 * SECOND), {4, 5}),
        (cmp("start_ns", "<=", T0 + HOUR * SECOND), {0, 1}),
        (cmp("status", "=", "error"), {3}),
        (cmp("level", "=", "ERROR"), {3}),
        (cmp("bookmarked", "=", True), {1}),
        (cmp("bookmarked", "!=", True), ALL - {1}),
        (cmp("environment", "=", "dev"), {0}),
        (cmp("experiment_id", "=", "7"), {5}),
        (cmp("span_count", "=", 3), {2}),
        (cmp("tags", "any of", ["tag1", "nope"]), {1, 3, 5}),
        (cmp("tags", "none of", ["tag1"]), {0, 2, 4}),
        (cmp("tags", "all of", ["all", "tag0"]), {0, 2, 4}),
        (cmp("tags", "=", "tag1"), {1, 3, 5}),
        (cmp("tags", "contains", "AG1"), {1, 3, 5}),
        (cmp("tags", "not contains", "ag1"), {0, 2, 4}),
        (cmp("run_ids", "is null"), ALL),
        (cmp("models", "any of", ["gpt-4o"]), {2, 3, 4, 5}),
        (cmp("metadata", "=", "red", "team"), {0, 1, 2}),
        (cmp("metadata", "!=", "red", "team"), {3, 4, 5}),
        (cmp("metadata", ">", 3, "n"), {4, 5}),
        (cmp("metadata", "in", [1, 2], "n"), {1, 2}),
        (cmp("metadata", "=", "x", "absent"), set()),
        (cmp("metadata", "is null", None, "absent"), ALL),
        (cmp("tag", "=", "o2", "owner"), {2}),
        (cmp("tag", "!=", "o2", "owner"), {1, 3, 4, 5}),
        (cmp("tag", "is null", None, "owner"), {0}),
        (cmp("score", ">=", 0.3, "quality"), {3, 4, 5}),
        (cmp("score", "!=", 0.3, "quality"), {1, 2, 4, 5}),
        (cmp("score", "is null", None, "quality"), {0}),
        (cmp("score", "=", "good", "verdict"), {2}),
        (HasScore(And((cmp("name", "=", "quality"), cmp("value", ">", 0.4)))), {5}),
        (Not(HasScore(cmp("name", "=", "quality"))), {0}),
        (HasSpan(And((cmp("tool_name", "=", "tool1"), cmp("model", "=", "gpt-4o")))), {2, 3, 4, 5}),
        (HasSpan(And((cmp("tool_name", "=", "tool0"), cmp("model", "=", "gpt-4o")))), set()),
        (And((HasSpan(cmp("model", "=", "claude")), cmp("user_id", "=", "user1"))), {1, 4}),
        (Or((cmp("user_id", "=", "user1"), cmp("status", "=", "error"))), {1, 3, 4}),
        (HasSpan(cmp("attribute", "=", "/r4", "http.route")), {4}),
        (HasSpan(cmp("attribute", ">", 3, "a.b/c")), {4, 5}),
    ],
)  # fmt: skip
def test_trace_filters(store: TelemetryStore, where: Expr, expected: set[int]) -> None:
    assert traces(store, where) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (cmp("kind", "=", "agent"), 6),
        (cmp("is_root", "=", True), 6),
        (cmp("is_root", "=", False), 15),
        (cmp("model", "is null"), 6),
        (cmp("counted", "=", True), 21),
        (cmp("trace_name", "=", "agent A"), 1 + 3 + 5),
        (cmp("experiment_id", "=", "7"), 6),
        (cmp("tags", "any of", ["tag1"]), 2 + 4 + 6),
        (cmp("metadata", "=", "blue", "team"), 3),
        (cmp("attribute", "=", "/r1", "http.route"), 1),
        (HasScore(cmp("string_value", "=", "good")), 1),
        (cmp("score", "=", "good", "verdict"), 1),
        (cmp("total_cost", ">", 4), 4 + 5),
        (cmp("text", "contains", "question"), 6),
    ],
)  # fmt: skip
def test_span_filters(store: TelemetryStore, where: Expr, expected: int) -> None:
    assert len(store.spans(Query(project_id="p", where=where)).rows) == expected
    assert store.count("spans", Query(project_id="p", where=where)) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (cmp("valid", "=", True), 6),
        (cmp("name", "=", "verdict"), 1),
        (cmp("value", ">", 0.3), 3),
        (cmp("trace_id", "in", ["t1", "t2"]), 4),
        (cmp("timestamp_ns", ">=", T0 + 4 * SECOND), 2),
    ],
)
def test_score_filters(store: TelemetryStore, where: Expr, expected: int) -> None:
    assert len(store.scores(Query(project_id="p", where=where)).rows) == expected


@pytest.mark.parametrize(
    "where",
    [
        cmp("usr_id", "=", "x"), cmp("user_id", "=", 3), cmp("total_cost", ">", "x"), cmp("total_cost", "contains", 3),
        cmp("metadata", "=", "x"), cmp("user_id", "in", "abc"), cmp("bookmarked", "=", "yes"), cmp("user_id", "regex", "("),
    ],
)  # fmt: skip
def test_bad_filters_are_the_callers_fault(store: TelemetryStore, where: Expr) -> None:
    with pytest.raises(InvalidArgument):
        store.traces(Query(project_id="p", where=where))


def test_unknown_fields_name_the_nearest(store: TelemetryStore) -> None:
    with pytest.raises(InvalidArgument, match="did you mean 'user_id'"):
        store.traces(Query(project_id="p", where=cmp("usr_id", "=", "x")))
    with pytest.raises(InvalidArgument, match="unknown view"):
        store.count("runs", Query(project_id="p"))


def test_user_text_never_becomes_sql(store: TelemetryStore) -> None:
    for text in ("'; DROP TABLE spans; --", '"', "$p1", "?", "\\", "/~", "%", "[0]", "$.a"):
        assert traces(store, cmp("name", "=", text)) == set()
        assert traces(store, cmp("metadata", "=", text, text)) == set()
        assert store.values("p", "traces", "metadata", key=text) == []
    assert traces(store, And()) == ALL


ORDERS: list[tuple[Order, ...]] = [
    (),
    (Order("start_ns", descending=False),),
    (Order("user_id"), Order("total_cost", descending=False)),
    (Order("session_id", descending=False),),
    (Order("session_id", descending=True),),
    (Order("score", key="quality"),),
    (Order("metadata", key="team"), Order("name")),
    (Order("latency_ns"),),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_join_without_gaps_or_repeats(store: TelemetryStore, order: tuple[Order, ...], limit: int) -> None:
    whole = store.traces(Query(project_id="p", order=order, limit=100))
    assert whole.next_cursor is None and len(whole.rows) == 6
    ids: list[str] = []
    cursor = None
    while True:
        page = store.traces(Query(project_id="p", order=order, limit=limit, cursor=cursor))
        assert len(page.rows) <= limit
        ids += [row.trace_id for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert ids == [row.trace_id for row in whole.rows]


def test_missing_values_come_last_both_ways(store: TelemetryStore) -> None:
    for descending in (True, False):
        rows = store.traces(Query(project_id="p", order=(Order("session_id", descending),))).rows
        assert [row.session_id for row in rows] == ["s1", "s1", None, None, None, None]
        rows = store.traces(Query(project_id="p", order=(Order("score", descending, "quality"),))).rows
        assert rows[-1].trace_id == "t0" and rows[0].trace_id == ("t5" if descending else "t1")


def test_pages_of_spans_and_offsets(store: TelemetryStore) -> None:
    whole = [(s.trace_id, s.span_id) for s in store.spans(Query(project_id="p", limit=100)).rows]
    assert len(whole) == 21 == len(set(whole))
    page = store.spans(Query(project_id="p", limit=10, offset=15))
    assert [(s.trace_id, s.span_id) for s in page.rows] == whole[15:] and page.next_cursor is None


def test_cursors_of_other_queries_are_refused(store: TelemetryStore) -> None:
    cursor = store.traces(Query(project_id="p", limit=1)).next_cursor
    for query in (Query(project_id="p", cursor=cursor, order=(Order("name"),)), Query(project_id="p", cursor="xyz")):
        with pytest.raises(InvalidArgument, match="cursor"):
            store.traces(query)
    with pytest.raises(InvalidArgument):
        store.spans(Query(project_id="p", cursor=cursor))


def test_lists_carry_payloads_only_when_asked(store: TelemetryStore) -> None:
    plain = store.traces(Query(project_id="p", limit=1)).rows[0]
    whole = store.traces(Query(project_id="p", limit=1, with_io=True)).rows[0]
    assert plain.input is None and plain.input_preview == "Question 5" and whole.input == '"Question 5"'
    span = store.spans(Query(project_id="p", where=cmp("name", "=", "agent B"), limit=1, with_attributes=True)).rows[0]
    assert span.attributes["http.route"] == "/r5" and span.metadata["n"] == 5 and span.input is None


def test_grouping(store: TelemetryStore) -> None:
    rows = store.aggregate(
        Aggregate(
            project_id="p",
            view="spans",
            where=cmp("kind", "=", "generation"),
            dimensions=(Dimension("model", "model"),),
            measures=(
                Measure("n", "count"),
                Measure("usd", "sum", "total_cost"),
                Measure("tokens", "avg", "total_tokens"),
                Measure("tools", "uniq", "tool_name"),
                Measure("p95", "p95", "latency_ns"),
                Measure("low", "min", "total_cost"),
            ),
            order=(Order("usd"),),
        )
    )
    assert [(r["model"], r["n"], r["tools"]) for r in rows] == [("claude", 9, 3), ("gpt-4o", 6, 2)]
    assert rows[0]["usd"] + rows[1]["usd"] == pytest.approx(sum(i * (i + 1) for i in range(6)))
    assert rows[0]["tokens"] == 15 and rows[0]["p95"] == SECOND and rows[0]["low"] == 2.0


def test_grouping_by_time_lists_and_keys(store: TelemetryStore) -> None:
    def rows(**fields: Any) -> list[dict[str, Any]]:
        return store.aggregate(Aggregate(project_id="p", view="traces", measures=(Measure("n", "count"),), **fields))

    assert rows() == [{"n": 6}]
    assert rows(where=Or()) == [{"n": 0}]
    assert [r["n"] for r in rows(time_bucket_s=2 * HOUR)] in ([1, 2, 2, 1], [2, 2, 2])
    assert {r["time"] % (2 * HOUR * SECOND) for r in rows(time_bucket_s=2 * HOUR)} == {0}
    assert {r["tag"]: r["n"] for r in rows(dimensions=(Dimension("tag", "tags"),))} == {"all": 6, "tag0": 3, "tag1": 3}
    assert {r["team"]: r["n"] for r in rows(dimensions=(Dimension("team", "metadata", "team"),))} == {
        "red": 3,
        "blue": 3,
    }
    with pytest.raises(InvalidArgument, match="order"):
        rows(order=(Order("nope"),))


def test_histograms_and_score_groups(store: TelemetryStore) -> None:
    (row,) = store.aggregate(
        Aggregate(
            project_id="p",
            view="scores",
            where=cmp("valid", "=", True),
            measures=(Measure("h", "histogram", "value", bins=2),),
        )
    )
    assert len(row["h"]) == 2 and sum(n for _, _, n in row["h"]) == 5
    assert row["h"][0][0] == pytest.approx(0.1) and row["h"][1][1] == pytest.approx(0.5)


def test_wrappers_are_not_paid_twice(store: TelemetryStore, tmp_path: Path) -> None:
    other = ENGINES["duckdb"](tmp_path)
    with running_writer(other) as writer:
        agent = model_call("t", "agent", kind="agent", model=None)
        writer.submit_sync(Batch(project_id="p", spans=[agent, model_call("t", "call", parent_id="agent")]))
    total = Aggregate(
        project_id="p", view="spans", measures=(Measure("usd", "sum", "total_cost"), Measure("n", "count"))
    )
    assert other.aggregate(total) == [{"usd": 0.25, "n": 2}]
    assert [s.span_id for s in other.spans(Query(project_id="p", where=cmp("counted", "=", False))).rows] == ["agent"]
    other.close()


def test_values_for_menus(store: TelemetryStore) -> None:
    assert store.values("p", "traces", "user_id") == [("user0", 2), ("user1", 2), ("user2", 2)]
    assert store.values("p", "traces", "tags", limit=1) == [("all", 6)]
    assert store.values("p", "spans", "model") == [("claude", 9), ("gpt-4o", 6)]
    assert dict(store.values("p", "traces", "metadata")) == {"team": 6, "n": 6}
    assert store.values("p", "traces", "metadata", key="team") == [("blue", 3), ("red", 3)]


def test_rollup_by_model_and_day(store: TelemetryStore) -> None:
    rows = store.rollup("p", since_ns=0, until_ns=2 * T0, by=["day_ns", "model"])
    assert [(k["model"], v.spans) for k, v in rows] == [("claude", 9), ("gpt-4o", 6)]
    assert sum(v.total_cost for _, v in rows) == pytest.approx(sum(i * (i + 1) for i in range(6)))
    hour = T0 // (HOUR * SECOND) * HOUR * SECOND
    first = store.rollup("p", since_ns=hour, until_ns=hour + 2 * HOUR * SECOND, by=[], where={"model": "claude"})
    assert first[0][1].spans == 1
    with pytest.raises(InvalidArgument, match="rollup"):
        store.rollup("p", since_ns=0, until_ns=1, by=["color"])


def test_random_filters_agree_with_plain_python(store: TelemetryStore) -> None:
    """Boolean structure: the engine and a few lines of Python select the same traces."""
    rng = random.Random(7)
    rows = store.traces(Query(project_id="p", limit=100)).rows
    leaves: list[tuple[Expr, Callable[[Any], bool]]] = [
        (cmp("user_id", "=", "user1"), lambda t: t.user_id == "user1"),
        (cmp("session_id", "=", "s1"), lambda t: t.session_id == "s1"),
        (cmp("session_id", "!=", "zz"), lambda t: t.session_id is not None),
        (cmp("total_cost", ">", 6), lambda t: t.total_cost > 6),
        (cmp("tags", "any of", ["tag1"]), lambda t: "tag1" in t.tags),
        (cmp("metadata", "=", "red", "team"), lambda t: t.metadata["team"] == "red"),
    ]

    def tree(depth: int) -> tuple[Expr, Callable[[Any], bool]]:
        kind = rng.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
        if kind == "leaf":
            return rng.choice(leaves)
        if kind == "not":
            expr, holds = tree(depth - 1)
            return Not(expr), lambda t: not holds(t)
        parts = [tree(depth - 1) for _ in range(rng.randint(0, 3))]
        if kind == "and":
            return And(tuple(e for e, _ in parts)), lambda t: all(h(t) for _, h in parts)
        return Or(tuple(e for e, _ in parts)), lambda t: any(h(t) for _, h in parts)

    for _ in range(40):
        expr, holds = tree(3)
        assert traces(store, expr) == {int(t.trace_id[1:]) for t in rows if holds(t)}, expr
