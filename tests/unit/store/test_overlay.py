"""Reads over rows that the tables do not have yet answer the same as the tables do once they have them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry import SECOND, T0, make_span, model_call
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.score import Score
from twinlens.domain.trace import Scope, Span, SpanEvent, TracePatch
from twinlens.ingest.batch import Batch
from twinlens.ingest.plan import Planner
from twinlens.store.telemetry.duckdb import DuckDBTelemetry, trace_codec
from twinlens.store.telemetry.duckdb.overlay import Overlay
from twinlens.store.telemetry.duckdb.pages import Pages
from twinlens.store.telemetry.duckdb.span_codec import COLUMN_OF
from twinlens.store.telemetry.query import (
    Aggregate,
    And,
    Cmp,
    Dimension,
    Expr,
    HasScore,
    Measure,
    Not,
    Or,
    Order,
    Query,
)

TRACES = [f"t{n}" for n in range(12)]
SPANS = [f"s{n}" for n in range(4)]
WHERE: dict[str, list[Expr]] = {
    "traces": [
        And(), Cmp("user_id", "=", "u1"), Cmp("tags", "any of", ["a", "c"]), Cmp("total_cost", ">", 0.3),
        Cmp("trace_id", "in", ["t1", "t3", "none"]), Cmp("text", "contains", "QUEST"), Cmp("latency_ns", ">=", SECOND),
        Cmp("metadata", "=", "x", "k"), Cmp("tag", "is null", None, "owner"), Cmp("user_id", "is null"),
        Not(Cmp("environment", "starts with", "pro")), Or((Cmp("status", "=", "error"), Cmp("models", "none of", ["gpt-4o"]))),
        HasScore(Cmp("value", ">", 0.5)), Cmp("score", ">", 0.5, "q"), Cmp("total_tokens", "in", [15, 30]),
    ],
    "spans": [
        And(), Cmp("kind", "=", "generation"), Cmp("is_root", "=", True), Cmp("trace_id", "=", "t2"), Cmp("span_id", "=", "s1"),
        Cmp("total_cost", "is null"), Cmp("input_preview", "ilike", "%quest%"), Cmp("metadata", "=", 1, "n"),
        Cmp("trace_user_id", "=", "u1"), Cmp("usage_type", "any of", ["input"]), Cmp("source", "=", "otlp"),
        And((Cmp("trace_id", "in", ["t1", "t4"]), Cmp("level", "!=", "ERROR"))),
    ],
    "scores": [And(), Cmp("name", "=", "q"), Cmp("value", "<", 0.5), Cmp("trace_id", "=", "t2"), Cmp("trace_name", "=", "s0")],
}  # fmt: skip
ORDER: dict[str, list[tuple[Order, ...]]] = {
    "traces": [
        (),
        (Order("start_ns", descending=False),),
        (Order("user_id"), Order("total_cost")),
        (Order("latency_ns"),),
    ],
    "spans": [(), (Order("name", descending=False),), (Order("model"),)],
    "scores": [(), (Order("value"),)],
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBTelemetry]:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    yield store
    store.close()


class Exporter:
    """Says random things about few traces, so that updates, repeats and new rows all occur."""

    def __init__(self, store: DuckDBTelemetry, choose: random.Random) -> None:
        self._store = store
        self._planner = Planner(store, lambda: T0 + 10**15 + choose.randrange(10**9), None, None)
        self._choose = choose

    def say(self) -> None:
        """One commit; the store's writer is not there, so nothing takes over by itself."""
        c = self._choose
        spans = [self._span() for _ in range(c.randrange(4))]
        patches = [
            TracePatch(
                trace_id=c.choice(TRACES), authority="client", user_id=c.choice(["u1", "u2", None]), tags=c.sample("abc", 2),
                input=c.choice([None, '"asked"']), output=c.choice([None, '{"said": 1}']), metadata={"k": c.choice("xy")},
                tag_values={"owner": c.choice("mn")}, environment=c.choice([None, "prod"]),
            )
            for _ in range(c.randrange(2))
        ]  # fmt: skip
        at = T0 + c.randrange(50) * SECOND
        scores = [
            Score(
                score_id=f"q{c.randrange(15)}", name=c.choice("qr"), value=c.choice([0.0, 0.4, 0.9]), timestamp_ns=at,
                trace_id=c.choice([*TRACES, None]), created_ns=at, updated_ns=at, metadata={"by": "test"},
            )
            for _ in range(c.randrange(3))
        ]  # fmt: skip
        rows = self._planner.plan([Batch(project_id="p", spans=spans, patches=patches, scores=scores)])
        self._store.commit(rows)
        self._planner.committed(rows)

    def _span(self) -> Span:
        c = self._choose
        make: Callable[..., Span] = c.choice([make_span, model_call])
        span_id = c.choice(SPANS)
        fields: dict[str, Any] = {
            "at": c.randrange(40), "took": c.choice([0.5, 2.0]), "parent_id": None if span_id == "s0" else "s0",
            "status": c.choice(["ok", "error"]), "level": c.choice(["DEFAULT", "ERROR"]), "user_id": c.choice([None, "u1"]),
            "input": c.choice([None, '"a question"', '"' + "long " * 400 + '"']), "output": c.choice([None, "[1, 2]"]),
            "metadata": {"n": c.randrange(2), "big": "z" * c.choice([1, 3000])}, "attributes": {"a": c.randrange(3)},
            "events": c.choice([[], [SpanEvent(name="e", time_ns=T0)]]), "resource": {"service.name": "svc"},
            "scope": Scope(name=c.choice(["x", "y"]), version="1"), "trace_state": c.choice(["", "k=v"]),
            "model_parameters": c.choice([{}, {"temperature": 0.5}]), "rules": {"name": "rule"},
        }  # fmt: skip
        return make(c.choice(TRACES), span_id, **fields)


def questions(choose: random.Random) -> list[Callable[[DuckDBTelemetry], Any]]:
    """One read of every kind, with random conditions."""
    found: list[Callable[[DuckDBTelemetry], Any]] = []
    for view in ("traces", "spans", "scores"):
        query = Query(
            project_id="p", where=choose.choice(WHERE[view]), order=choose.choice(ORDER[view]), limit=choose.choice([1, 3, 50]),
            offset=choose.choice([0, 0, 2]), with_io=choose.random() < 0.5, with_attributes=choose.random() < 0.3,
        )  # fmt: skip
        found.append(lambda s, v=view, q=query: pages(s, v, q))
        found.append(lambda s, v=view, q=query: s.count(v, q))
    view = choose.choice(["traces", "spans", "scores"])
    found.append(lambda s, q=grouped(view, choose): s.aggregate(q))
    found.append(lambda s, v=view, f=choose.choice(FIELDS[view]): sorted(s.values("p", v, f, limit=1000), key=str))
    ids = choose.sample(TRACES, 3)
    io, attributes = choose.random() < 0.5, choose.random() < 0.5
    one, span_id = choose.choice(TRACES), choose.choice(SPANS)
    found += [
        lambda s: s.trace("p", one, with_io=io),
        lambda s: s.trace_spans("p", ids, with_io=io, with_attributes=attributes),
        lambda s: s.span_ids("p", ids),
        lambda s: s.span_columns("p", one, list(COLUMN_OF)),
        lambda s: s.trace_table("p", ids, trace_codec.PLAIN),
        lambda s: s.span("p", one, span_id),
        lambda s: s.span("p", None, span_id),
        lambda s: s.scores_for("p", ids),
        lambda s: s.trace("other", one) or s.trace_spans("other", ids) or s.traces(Query(project_id="other")).rows,
    ]
    return found


#: What rows are grouped by; of each view the last one looks into others.
FIELDS = {
    "traces": ["user_id", "environment", "tags", "models", "status", "score_count"],
    "spans": ["model", "kind", "usage_type", "is_root", "trace_name"],
    "scores": ["name", "source", "valid", "trace_user_id"],
}
SUMS = {"traces": "total_cost", "spans": "total_tokens", "scores": "value"}


def grouped(view: Any, choose: random.Random) -> Aggregate:
    """A random grouped query."""
    by = choose.sample(FIELDS[view], choose.randrange(3))
    measures = [Measure("n", "count"), Measure("most", "max", SUMS[view]), Measure("ids", "uniq", "trace_id")]
    return Aggregate(
        project_id="p", view=view, where=choose.choice(WHERE[view]), limit=choose.choice([2, 1000]),
        dimensions=tuple(Dimension(name, name) for name in by), order=tuple(Order(name) for name in by[:1]),
        measures=(*measures, *([Measure("all", "groups")] if by else [])), time_bucket_s=choose.choice([None, 20]) if by else None,
    )  # fmt: skip


def pages(store: DuckDBTelemetry, view: str, query: Query) -> list[Any]:
    """The page and, where it is not the last one, all that follow."""
    read = getattr(store, view)
    page = read(query)
    rows = list(page.rows)
    while page.next_cursor is not None:
        page = read(
            Query(
                project_id="p", where=query.where, order=query.order, limit=query.limit, cursor=page.next_cursor,
                with_io=query.with_io, with_attributes=query.with_attributes,
            )
        )  # fmt: skip
        rows += page.rows
    return rows


@pytest.mark.parametrize("seed", [2, 5])
def test_pending_rows_read_as_stored_ones(store: DuckDBTelemetry, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)
    exporter = Exporter(store, choose)
    merged: list[bool] = []
    grouped_over: list[bool] = []
    join, lay = Pages._merged_page, Overlay.beside

    def watched(*args: Any) -> Any:
        page = join(*args)
        merged.append(page is not None)
        return page

    def laid(*args: Any) -> Any:
        both = lay(*args)
        grouped_over.append(both is not None)
        return both

    monkeypatch.setattr(Pages, "_merged_page", watched)
    monkeypatch.setattr(Overlay, "beside", laid)
    for _ in range(3):
        for number in range(choose.randrange(1, 5)):
            exporter.say()
            if number == 1 and choose.random() < 0.5 and store._leaving is None:
                with store._lock:
                    store._set_out()  # two memtables, as while the tables take over one
        for ask in questions(choose):
            pending = store._memtable.rows
            over = ask(store)
            if pending and store._memtable.rows == 0:
                exporter.say()  # the read has taken over: let the next one have something to look over
            else:
                store._catch_up()
                assert ask(store) == over
                exporter.say()
    assert any(merged) and any(grouped_over)


def test_a_pending_row_of_one_view_shows_in_conditions_and_orders_of_others(store: DuckDBTelemetry) -> None:
    planner = Planner(store, lambda: T0, None, None)
    spans = [make_span(f"t{n}", "a", at=n) for n in range(3)]
    store.commit(planner.plan([Batch(project_id="p", spans=spans)]))
    store._catch_up()
    told = {"name": "q", "timestamp_ns": T0, "created_ns": T0, "updated_ns": T0}
    for n in (0, 2):
        score = Score(score_id=f"q{n}", trace_id=f"t{n}", span_id="a", value=float(n), **told)
        store.commit(planner.plan([Batch(project_id="p", scores=[score])]))
        high = Query(project_id="p", where=HasScore(Cmp("value", ">=", 0)))
        assert {row.trace_id for row in store.traces(high).rows} == {"t0", f"t{n}"}
        assert store.count("spans", high) == store.count("traces", high) == 1 + n // 2
    assert store._memtable.rows == 0  # such reads need the tables
    store.commit(planner.plan([Batch(project_id="p", scores=[Score(score_id="q1", trace_id="t1", value=5.0, **told)])]))
    best = Query(project_id="p", order=(Order("score", key="q"),))
    assert [row.trace_id for row in store.traces(best).rows] == ["t1", "t2", "t0"]


def test_reads_together_take_over_once(store: DuckDBTelemetry) -> None:
    planner = Planner(store, lambda: T0, None, None)
    of_traces = Cmp("trace_user_id", "is null")  # looks into another view
    sums = Aggregate(project_id="p", view="spans", where=of_traces, measures=(Measure("n", "count"),))

    def say(trace_id: str) -> None:
        store.commit(planner.plan([Batch(project_id="p", spans=[make_span(trace_id, "a")])]))

    say("t0")
    with store.together():
        say("t1")
        assert store.aggregate(sums)[0]["n"] == 2 and store._memtable.rows == 0
        say("t2")
        assert store.aggregate(sums)[0]["n"] == 2 and store._memtable.rows > 0
        with store.together():  # part of the block around it
            assert len(store.traces(Query(project_id="p")).rows) == 2
    assert store.aggregate(sums)[0]["n"] == 3 and store._memtable.rows == 0


def test_reads_together_share_one_moment(store: DuckDBTelemetry) -> None:
    """Of each project the moment of its first read in the block; a mistake of the caller does not end it."""
    planner = Planner(store, lambda: T0, None, None)

    def say(trace_id: str, project_id: str = "p") -> None:
        store.commit(planner.plan([Batch(project_id=project_id, spans=[make_span(trace_id, "a")])]))

    def elsewhere(*steps: Callable[[], None]) -> None:
        for step in steps:  # the block is this thread's
            other = threading.Thread(target=step)
            other.start()
            other.join()

    def ids(project_id: str = "p") -> list[str]:
        found = sorted(row.trace_id for row in store.traces(Query(project_id=project_id, with_io=True)).rows)
        assert store.count("traces", Query(project_id=project_id)) == len(found)
        assert sorted(store.span_ids(project_id, found)) == found
        return found

    say("t0")
    store._catch_up()
    say("t1")
    with store.together():
        assert ids() == ["t0", "t1"]
        elsewhere(lambda: say("t2"), lambda: say("t3"))
        assert ids() == ["t0", "t1"] and store.trace("p", "t2") is None and store.trace_spans("p", ["t3"]) == {}
        with pytest.raises(InvalidArgument):
            store.traces(Query(project_id="p", where=Cmp("name", "regex", "(")))
        elsewhere(lambda: say("u0", "q"))
        assert ids("q") == ["u0"] and ids() == ["t0", "t1", "t2", "t3"]  # each from its first read on
    assert ids() == ["t0", "t1", "t2", "t3"]


def test_rows_that_reach_the_tables_during_a_read_are_seen_once(
    store: DuckDBTelemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a reader's look at the memtables and its snapshot the tables take over, or have done so without saying it yet."""
    exporter = Exporter(store, random.Random(1))
    for _ in range(20):
        exporter.say()
    everything = Query(project_id="p", limit=100)
    before = [store.traces(everything).rows, store.spans(everything).rows, store.scores(everything).rows]
    capture = store._engine.pending
    taken = threading.Event()

    def late(project_id: str) -> Any:
        found = capture(project_id)
        if not taken.is_set():
            taken.set()
            store._catch_up()
        return found

    for view, rows in zip(("traces", "spans", "scores"), before, strict=True):
        taken.clear()
        exporter.say()
        monkeypatch.setattr(store._engine, "pending", late)
        seen = getattr(store, view)(everything).rows
        monkeypatch.setattr(store._engine, "pending", capture)
        assert store._memtable.rows == 0 and seen == getattr(store, view)(everything).rows
        assert len(seen) >= len(rows)


def test_a_score_that_alone_is_pending_counts_for_its_trace(store: DuckDBTelemetry) -> None:
    planner = Planner(store, lambda: T0, None, None)
    for batch in (
        Batch(project_id="p", spans=[make_span("t1", "s0")]),
        Batch(project_id="p", scores=[Score(score_id="q", name="q", value=0.9, timestamp_ns=T0, trace_id="t1")]),
    ):
        store.settle(idle=True)
        rows = planner.plan([batch])
        store.commit(rows)
        planner.committed(rows)
    query = Query(project_id="p", where=HasScore(Cmp("value", ">", 0.5)))
    assert store.count("traces", query) == 1
    assert [row.trace_id for row in store.traces(query).rows] == ["t1"]
