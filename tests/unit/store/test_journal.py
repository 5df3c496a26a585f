"""The journal in front of the tables: nothing acknowledged is lost, nothing is taken over twice."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from tests.telemetry import T0, make_span, model_call, running_writer
from twinlens.domain.errors import StoreUnavailable
from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.summary import add_spans, new_summary
from twinlens.domain.trace import Scope, Span, TracePatch
from twinlens.domain.usage import UsageKey, UsageSum
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.duckdb import store as store_module
from twinlens.store.telemetry.duckdb.journal import Journal, decode, encode, fits
from twinlens.store.telemetry.duckdb.store import DuckDBTelemetry
from twinlens.store.telemetry.interface import ProjectRows, WriteSet
from twinlens.store.telemetry.query import Query


def commit_of(*spans: Span, project: str = "p", **more: Any) -> WriteSet:
    """A WriteSet with the summaries that belong to new spans."""
    summaries = []
    for trace_id in dict.fromkeys(s.trace_id for s in spans):
        summary = new_summary(trace_id, 1)
        add_spans(summary, [(None, s) for s in spans if s.trace_id == trace_id])
        summaries.append(summary)
    return WriteSet(projects={project: ProjectRows(summaries=summaries, spans=list(spans), **more)})


def journal_with(path: Path, *payloads: bytes) -> Journal:
    journal = Journal(path)
    assert list(journal.recover(0)) == []
    for payload in payloads:
        journal.append(payload)
    return journal


def numbered(n: int) -> bytes:
    return encode(WriteSet(metric_watermark=n))


def found_in(path: Path, taken: int = 0) -> list[int | None]:
    journal = Journal(path)
    try:
        return [rows.metric_watermark for rows in journal.recover(taken)]
    finally:
        journal.close()


def test_everything_survives_encoding() -> None:
    rows = commit_of(
        model_call("t", "a", given=frozenset({"x"}), attributes={"f": 1.5, "n": None, "l": [1, {"a": True}]}),
        replaces={("t", "a")},
        scores=[Score(score_id="s", name="n", value=0.5, metadata={"k": [1]})],
        metrics=[MetricPoint(run_id="r", key="k", value=float("inf"), timestamp_ms=1, step=-1)],
        otel_metrics=[OtelMetricPoint(name="m", unit="", kind="sum", time_ns=1, start_ns=0, value=2.0, attributes={"a": 1})],
        usage={UsageKey(hour_ns=1, model="m"): UsageSum(spans=1, total_cost=0.5)},
        logs=[RawLog(trace_id="t", span_id="a", time_ns=1, event_name="e", body={"x": 1}, attributes={}, severity=1, resource={}, scope=Scope())],
        logs_done=[("t", "b")],
    )  # fmt: skip
    rows.metric_watermark = 9
    assert decode(encode(rows)) == rows


def test_entries_come_back_in_order_from_behind_what_is_taken(tmp_path: Path) -> None:
    journal_with(tmp_path / "j", *map(numbered, (1, 2, 3))).close()
    assert found_in(tmp_path / "j") == [1, 2, 3]
    assert found_in(tmp_path / "j", taken=2) == [3]
    assert found_in(tmp_path / "j", taken=3) == []


@pytest.mark.parametrize("cut", [1, 5, 15, 17])
def test_a_torn_entry_ends_the_journal(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j"
    journal_with(path, numbered(1), numbered(2)).close()
    os.truncate(path, path.stat().st_size - cut)
    assert found_in(path) == [1]
    journal = Journal(path)
    assert len(list(journal.recover(0))) == 1
    journal.append(numbered(22))
    journal.close()
    assert found_in(path) == [1, 22]


def test_a_flipped_bit_ends_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal_with(path, numbered(1), numbered(2)).close()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert found_in(path) == [1]


def test_what_lies_behind_is_known_to_be_old(tmp_path: Path) -> None:
    """A file is written again from its beginning, over entries of the same size."""
    path = tmp_path / "j"
    journal = journal_with(path, *map(numbered, range(1, 6)))
    journal.switch()
    journal.emptied()
    journal.switch()
    journal.append(numbered(6))
    journal.close()
    assert found_in(path, taken=5) == [6]


def test_two_files_are_one_journal(tmp_path: Path) -> None:
    """Entries of both files come back in order, whichever of them the tables have taken over already."""
    path = tmp_path / "j"
    journal = journal_with(path, *map(numbered, (1, 2, 3)))
    journal.switch()
    journal.append(numbered(4))
    journal.emptied()  # 1 to 3
    journal.switch()
    journal.append(numbered(5))
    journal.close()
    assert found_in(path, taken=3) == [4, 5]
    assert found_in(path, taken=4) == [5]
    again = Journal(path)
    assert [rows.metric_watermark for rows in again.recover(4)] == [5] and again.number == 5
    again.shrink()
    again.append(numbered(6))
    again.close()
    assert found_in(path, taken=5) == [6]


def copy_of(folder: Path, target: Path) -> Path:
    """The files as a killed process would leave them."""
    shutil.copytree(folder, target)
    return target / "t.duckdb"


def test_a_killed_process_leaves_everything(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    store = DuckDBTelemetry.open(tmp_path / "live" / "t.duckdb")
    for i in range(5):
        store.commit(commit_of(model_call(f"t{i}", "a")))
    copies = [copy_of(tmp_path / "live", tmp_path / "before")]
    assert store.count("spans", Query(project_id="p")) == 5  # takes over
    copies.append(copy_of(tmp_path / "live", tmp_path / "after"))
    store.commit(commit_of(model_call("t5", "a")))
    copies.append(copy_of(tmp_path / "live", tmp_path / "more"))
    store.close()
    for path, expected in zip(copies, (5, 5, 6), strict=True):
        for _ in range(2):
            again = DuckDBTelemetry.open(path)
            assert (
                again.count("spans", Query(project_id="p")) == again.count("traces", Query(project_id="p")) == expected
            )
            again.close()
        assert journal_size(path) == 0


def journal_size(path: Path) -> int:
    return sum(path.with_name(path.name + end).stat().st_size for end in (".journal", ".journal2"))


def test_writers_go_on_while_the_tables_take_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way into the tables is found by lookups, survives a kill, and what comes meanwhile is durable too."""
    monkeypatch.setattr(store_module, "TAKE_OVER", 5)
    (tmp_path / "live").mkdir()
    store = DuckDBTelemetry.open(tmp_path / "live" / "t.duckdb")
    commit = store._committer.commit
    entered, go = threading.Event(), threading.Event()

    def slow(*args: Any) -> None:
        entered.set()
        assert go.wait(90)
        commit(*args)

    monkeypatch.setattr(store._committer, "commit", slow)
    store.commit(commit_of(make_span("t", "a"), make_span("t", "b")))
    store.commit(commit_of(make_span("u", "a")))
    store.settle(idle=False)
    assert entered.wait(90)
    store.commit(commit_of(make_span("v", "a")))
    update = make_span("t", "b", name="said again")
    summary = store.lookup_traces([("p", "t")])["p", "t"]
    store.commit(WriteSet(projects={"p": ProjectRows(summaries=[summary], spans=[update], replaces={("t", "b")})}))
    assert store.lookup_traces([("p", "t"), ("p", "v"), ("p", "w")]).keys() == {("p", "t"), ("p", "v")}
    found = store.lookup_spans("p", {"t": ["a", "b", "c"], "v": ["a"]})
    assert found.keys() == {("t", "a"), ("t", "b"), ("v", "a")} and found["t", "b"].name == "said again"
    killed = copy_of(tmp_path / "live", tmp_path / "killed")
    go.set()
    assert store.count("spans", Query(project_id="p")) == 4  # a read waits for both
    copies = [killed, copy_of(tmp_path / "live", tmp_path / "after")]
    store.close()
    for path in copies:
        again = DuckDBTelemetry.open(path)
        spans = again.trace_spans("p", ["t", "u", "v"])
        assert {t: sorted(s.span_id for s in of) for t, of in spans.items()} == {
            "t": ["a", "b"],
            "u": ["a"],
            "v": ["a"],
        }
        assert next(s for s in spans["t"] if s.span_id == "b").name == "said again"
        again.close()
        assert journal_size(path) == 0


def test_an_update_before_the_tables_know_the_span(tmp_path: Path) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    with running_writer(store) as writer:
        writer.submit_sync(
            Batch(
                project_id="p",
                spans=[make_span("t", "a", input='"x"')],
                patches=[TracePatch(trace_id="t", input='"asked"')],
            )
        )
        assert store.lookup_spans("p", {"t": ["a", "b"]}).keys() == {("t", "a")}
        for n in range(3):
            update = Span(trace_id="t", span_id="a", output=f'"{n}"', partial=True, given=frozenset({"output"}))
            writer.submit_sync(Batch(project_id="p", spans=[update, model_call("t", f"c{n}")]))
    (span, *calls) = sorted(store.trace_spans("p", ["t"])["t"], key=lambda s: s.span_id)
    assert (span.input, span.output, len(calls)) == ('"x"', '"2"', 3)
    summary = store.trace("p", "t")
    assert summary is not None and summary.span_count == 4 and summary.input == '"asked"'
    # and again when the tables know it
    with running_writer(store) as writer:
        writer.submit_sync(
            Batch(
                project_id="p",
                spans=[Span(trace_id="t", span_id="a", name="n", partial=True, given=frozenset({"name"}))],
            )
        )
        writer.submit_sync(
            Batch(
                project_id="p",
                spans=[Span(trace_id="t", span_id="a", output='"3"', partial=True, given=frozenset({"output"}))],
            )
        )
    found = store.span("p", "t", "a")
    assert (
        found is not None
        and (found.name, found.output) == ("n", '"3"')
        and store.count("spans", Query(project_id="p")) == 4
    )
    store.close()


def test_many_small_commits_reach_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "TAKE_OVER", 20)
    monkeypatch.setattr(store_module, "_MOST_PENDING", 40)
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    for i in range(100):
        store.commit(commit_of(make_span(f"t{i}", "a"), make_span(f"t{i}", "b")))
        assert store._memtable.rows <= 40
    store.settle(idle=False)
    assert store._memtable.rows < 20
    store.settle(idle=True)
    assert store._memtable.rows == 0
    assert store.count("spans", Query(project_id="p")) == 200
    store.close()


def test_taking_over_is_tried_again_and_never_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    store.commit(commit_of(make_span("t", "a")))
    commit = store._committer.commit

    def fails_before(*_: Any) -> None:
        raise StoreUnavailable("no room")

    def fails_after(*args: Any) -> None:
        commit(*args)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(store._committer, "commit", fails_before)
    with pytest.raises(StoreUnavailable):
        store.settle(idle=True)
    store.commit(commit_of(make_span("t2", "a")))  # the journal still takes small commits
    assert {row.trace_id for row in store.traces(Query(project_id="p")).rows} == {"t", "t2"}  # and lists show them
    monkeypatch.setattr(store._committer, "commit", fails_after)
    with pytest.raises(StoreUnavailable):
        store.settle(idle=True)
    assert {row.trace_id for row in store.traces(Query(project_id="p")).rows} == {"t", "t2"}
    monkeypatch.setattr(store._committer, "commit", commit)
    assert store.count("spans", Query(project_id="p")) == store.count("traces", Query(project_id="p")) == 2
    store.close()


def test_odd_rows_go_past_the_journal(tmp_path: Path) -> None:
    """What MessagePack or the columns cannot hold is judged by the tables, at once."""
    assert not fits(commit_of(model_call("t", "a", usage={"input": 1 << 63})))
    assert not fits(commit_of(make_span("t", "a", prompt_version=1 << 40)))
    assert fits(commit_of(model_call("t", "a", end_ns=None)))
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    store.commit(commit_of(make_span("t", "a", name="half \ud83d pair")))
    assert store.span("p", "t", "a") is not None
    store.close()


def test_the_journal_of_a_closed_store_is_empty(tmp_path: Path) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    store.commit(commit_of(make_span("t", "a", start_ns=T0)))
    assert (tmp_path / "t.duckdb.journal").stat().st_size > 0
    store.close()
    assert (tmp_path / "t.duckdb.journal").stat().st_size == 0
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM spans").fetchall() == [(1,)]


def test_waiting_logs_pass_through(tmp_path: Path) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    log = RawLog(
        trace_id="t",
        span_id="a",
        time_ns=1,
        event_name="e",
        body="x",
        attributes={},
        severity=1,
        resource={},
        scope=Scope(),
    )
    store.commit(WriteSet(projects={"p": ProjectRows(logs=[log])}))
    store.commit(WriteSet(projects={"p": ProjectRows(logs=[msgspec.structs.replace(log, span_id="b")])}))
    store.commit(commit_of(make_span("t", "a"), logs_done=[("t", "a")]))
    assert store.waiting_logs() == {("p", "t", "b")}
    store.close()
