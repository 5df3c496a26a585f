"""A growing agent trace is walked from memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telemetry import ENGINES, make_span, model_call, running_writer
from twinlens.ingest import skeletons
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.duckdb import DuckDBTelemetry

USAGE = {"input": 100, "output": 50, "total": 150}


class Counting(DuckDBTelemetry):
    """Counts the queries for all spans of a trace."""

    asked = 0

    def trace_spans(self, *args: object, **options: object) -> dict[str, list[object]]:  # type: ignore[override]
        self.asked += 1
        return super().trace_spans(*args, **options)  # type: ignore[arg-type,return-value]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    store = Counting.open(tmp_path / "t.duckdb")
    assert isinstance(store, Counting)
    yield store
    store.close()


def grow(store: Counting) -> None:
    with running_writer(store) as writer:
        for turn in range(20):
            writer.submit_sync(
                Batch(project_id="p", spans=[model_call("t", f"call{turn}", parent_id=f"agent{turn}", at=turn)])
            )
            agent = make_span("t", f"agent{turn}", kind="agent", usage=USAGE, parent_id="root", at=turn)
            writer.submit_sync(Batch(project_id="p", spans=[agent]))
    summary = store.trace("p", "t")
    assert summary is not None and summary.total_tokens == 20 * 15 and summary.span_count == 40


def test_one_query_for_forty_requests(store: Counting) -> None:
    grow(store)
    assert store.asked == 1


def test_forgetting_costs_queries_only(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "MOST_SPANS", 3)
    grow(store)
    assert store.asked > 10


def test_deletion_is_noticed(tmp_path: Path) -> None:
    store = ENGINES["duckdb"](tmp_path)
    with running_writer(store) as writer:
        for _ in range(2):
            writer.submit_sync(Batch(project_id="p", spans=[model_call("t", "call", parent_id="agent")]))
            writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "agent", kind="agent", usage=USAGE)]))
            writer.submit_sync(Batch(project_id="p", spans=[model_call("t", "call2", parent_id="agent")]))
            assert writer.run_sync(lambda s: s.delete_traces("p", ["t"])) == 1
        writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "agent", kind="agent", usage=USAGE)]))
        summary = store.trace("p", "t")
        assert summary is not None and summary.total_tokens == 150
    store.close()
