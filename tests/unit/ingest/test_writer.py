"""The writer's queue and its promises to callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.telemetry import ENGINES, T0, make_span, model_call, running_writer
from twinlens.domain.errors import Busy, InvalidArgument, StoreUnavailable
from twinlens.domain.live import Notice
from twinlens.domain.otlp import RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Scope, Span
from twinlens.features.live import LiveBus
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer, WriterLimits
from twinlens.store.telemetry.duckdb import DuckDBTelemetry
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Query


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TelemetryStore]:
    store = ENGINES["duckdb"](tmp_path)
    yield store
    store.close()


async def test_what_is_queued_together_is_committed_together(store: TelemetryStore) -> None:
    with running_writer(store) as writer:
        gate = threading.Event()
        blocked = asyncio.create_task(writer.run(lambda _: gate.wait(90)))
        batches = [
            asyncio.create_task(writer.submit(Batch(project_id="p", spans=[make_span(f"t{i}", "a")])))
            for i in range(20)
        ]
        while writer.depth()["items"] < 20:
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(blocked, *batches)
        assert writer.commits == 1 and writer.rows == 20
        assert store.count("traces", Query(project_id="p")) == 20


async def test_a_full_queue_says_busy_and_empties_again(store: TelemetryStore) -> None:
    with running_writer(store, limits=WriterLimits(queue_rows=10, queue_bytes=1000)) as writer:
        gate = threading.Event()
        blocked = asyncio.create_task(writer.run(lambda _: gate.wait(90)))
        huge = asyncio.create_task(
            writer.submit(Batch(project_id="p", spans=[make_span("t", f"{i}") for i in range(50)]))
        )
        while not writer.depth()["rows"]:
            await asyncio.sleep(0)
        with pytest.raises(Busy) as refused:
            await writer.submit(Batch(project_id="p", spans=[make_span("t", "x")]))
        assert refused.value.retry_after > 0
        gate.set()
        await asyncio.gather(blocked, huge)
        assert writer.depth() == {"items": 0, "rows": 0, "bytes": 0}
        await writer.submit(Batch(project_id="p", spans=[make_span("t", "x")], bytes=900))
        assert store.count("spans", Query(project_id="p")) == 51


async def test_a_client_that_goes_away_hurts_nobody(store: TelemetryStore) -> None:
    with running_writer(store) as writer:
        gate = threading.Event()
        blocked = asyncio.create_task(writer.run(lambda _: gate.wait(90)))
        gone = asyncio.create_task(writer.submit(Batch(project_id="p", spans=[make_span("t", "a")])))
        stays = asyncio.create_task(writer.submit(Batch(project_id="p", spans=[make_span("t", "b")])))
        while writer.depth()["items"] < 2:
            await asyncio.sleep(0)
        gone.cancel()
        gate.set()
        await asyncio.gather(blocked, stays)
        assert store.count("spans", Query(project_id="p")) == 2


async def test_work_runs_in_its_turn_and_its_errors_come_back(store: TelemetryStore) -> None:
    with running_writer(store) as writer:
        first = asyncio.create_task(writer.submit(Batch(project_id="p", spans=[make_span("t", "a")])))
        counted = asyncio.create_task(writer.run(lambda s: s.count("spans", Query(project_id="p"))))
        assert (await asyncio.gather(first, counted))[1] == 1

        def fail(_: TelemetryStore) -> None:
            raise InvalidArgument("no")

        with pytest.raises(InvalidArgument, match="no"):
            await writer.run(fail)
        with pytest.raises(InvalidArgument, match="no"):
            await asyncio.to_thread(writer.run_sync, fail)


def test_closing_commits_what_is_queued_and_refuses_the_rest(store: TelemetryStore) -> None:
    writer = Writer(store)
    writer.start()
    writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "a")]))
    writer.close()
    with pytest.raises(StoreUnavailable):
        writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "b")]))
    assert store.count("spans", Query(project_id="p")) == 1


def test_an_empty_batch_is_no_commit(store: TelemetryStore) -> None:
    with running_writer(store) as writer:
        writer.submit_sync(Batch(project_id="p"))
        assert writer.commits == 0
        writer.submit_sync(Batch(project_id="p", metric_watermark=4))
        assert store.metric_watermark() == 4


async def test_committed_changes_are_published(store: TelemetryStore) -> None:
    bus = LiveBus()
    with running_writer(store, live=bus) as writer, bus.subscribe("p") as subscription:
        await writer.submit(
            Batch(
                project_id="p",
                spans=[model_call("t", "a", user_id="ann")],
                scores=[Score(score_id="s", name="q", trace_id="t", value=1.0)],
                metrics=[MetricPoint(run_id="r", key=k, value=1.0, timestamp_ms=1) for k in ("b", "a")],
            )
        )
        await writer.submit(Batch(project_id="other", spans=[make_span("t", "a")]))
        found: list[Notice] = await subscription.next(5)
    kinds = {n.kind: n for n in found}
    assert kinds.keys() == {"trace", "score", "metric"} and len(found) == 3
    summary = kinds["trace"].data["summary"]
    assert (summary.trace_id, summary.user_id, summary.total_cost) == ("t", "ann", 0.25)
    assert kinds["score"].data["trace_id"] == "t" and kinds["metric"].data == {"keys": ["a", "b"]}


def test_merged_reports_are_priced_again(store: TelemetryStore) -> None:
    """The create knows the model, the update the usage: only together they have a price."""
    asked: list[tuple[str, str | None, dict[str, int]]] = []

    def reprice(project_id: str, span: Span) -> Span:
        asked.append((project_id, span.model, span.usage))
        span.cost, span.cost_source = {"total": 9.0}, "computed"
        return span

    create = make_span("t", "a", kind="generation", model="gpt-4o", end_ns=None)
    update = Span(
        trace_id="t",
        span_id="a",
        usage={"input": 3, "total": 3},
        usage_source="client",
        partial=True,
        given=frozenset({"usage"}),
    )
    with running_writer(store, reprice=reprice) as writer:
        writer.submit_sync(Batch(project_id="p", spans=[create]))
        writer.submit_sync(Batch(project_id="p", spans=[update]))
    assert asked == [("p", "gpt-4o", {"input": 3, "total": 3})]
    summary = store.trace("p", "t")
    assert summary is not None and summary.total_cost == 9.0 and summary.total_tokens == 3


def note(span_id: str, text: str, at: int = 0) -> RawLog:
    return RawLog(
        trace_id="t", span_id=span_id, time_ns=T0 + at, event_name="gen_ai.user.message", body={"content": text}, attributes={},
        severity=9, resource={}, scope=Scope(),
    )  # fmt: skip


def join(span: Span, logs: Any) -> Span:
    """Stands for the real rules (``twinlens.ingest.logs``): all bodies become the input."""
    seen = (span.input or "").strip('"').split() + [log.body["content"] for log in logs]
    text = f'"{" ".join(dict.fromkeys(seen))}"'
    return span if text == span.input else msgspec.structs.replace(span, input=text)


@pytest.mark.parametrize("order", ["log first", "span first", "together", "restart between"])
def test_content_in_logs_joins_its_span(tmp_path: Path, order: str) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    spans, logs = (
        Batch(project_id="p", spans=[make_span("t", "a")]),
        Batch(project_id="p", logs=[note("a", "hello"), note("b", "x")]),
    )
    writer = Writer(store, apply_logs=join)
    writer.start()
    if order == "together":
        writer.submit_sync(Batch(project_id="p", spans=spans.spans, logs=logs.logs))
    else:
        first, second = (spans, logs) if order == "span first" else (logs, spans)
        writer.submit_sync(first)
        if order == "restart between":
            writer.close()
            store.close()
            store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
            writer = Writer(store, apply_logs=join)
            writer.start()
        writer.submit_sync(second)
    found = store.span("p", "t", "a")
    assert found is not None and found.input == '"hello"' and found.input_preview == "hello"
    summary = store.trace("p", "t")
    assert summary is not None and summary.span_count == 1 and summary.input_preview == "hello"
    assert store.waiting_logs() == {("p", "t", "b")}
    writer.submit_sync(Batch(project_id="p", logs=[note("a", "again", 5)]))
    found = store.span("p", "t", "a")
    assert found is not None and found.input == '"hello again"'
    writer.close()
    store.close()


def test_an_idle_moment_settles_folds_and_gives_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckDBTelemetry.open(tmp_path / "t.duckdb")
    folded, reclaimed = threading.Event(), threading.Event()
    checkpoint, reclaim = store.checkpoint, store.reclaim

    def noted_checkpoint() -> None:
        checkpoint()
        folded.set()

    def noted_reclaim() -> Any:
        report = reclaim()
        reclaimed.set()
        return report

    monkeypatch.setattr(store, "checkpoint", noted_checkpoint)
    monkeypatch.setattr(store, "reclaim", noted_reclaim)
    monkeypatch.setattr("twinlens.ingest.writer._MOMENT_S", 0.01)
    with running_writer(store, limits=WriterLimits(idle_s=0.01)) as writer:
        writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "a", input='"' + "x" * 2000 + '"')]))
        assert folded.wait(90)
        assert (tmp_path / "t.duckdb.journal").stat().st_size == 0
        writer.run_sync(lambda s: s.delete_traces("p", ["t"]))
        assert reclaimed.wait(90)
        assert store.stats()["rows"]["payloads"] == 0
    store.close()


def test_failing_maintenance_does_not_stop_the_writer(store: TelemetryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def fail() -> None:
        tried.set()
        raise RuntimeError("broken")

    monkeypatch.setattr(store, "checkpoint", fail)
    monkeypatch.setattr("twinlens.ingest.writer._MOMENT_S", 0.01)
    with running_writer(store, limits=WriterLimits(idle_s=0.01)) as writer:
        writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "a")]))
        assert tried.wait(90)
        writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "b")]))
    assert store.count("spans", Query(project_id="p")) == 2
