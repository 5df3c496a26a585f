"""Newest first through windows gives the same pages as one plain query."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.telemetry import ENGINES, make_span, running_writer
from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.duckdb import recent
from twinlens.store.telemetry.query import And, Cmp, Expr, Order, Query


@pytest.mark.parametrize("growth", [2, 64])
def test_windows_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, growth: int) -> None:
    monkeypatch.setattr(recent, "_SMALL", 10)
    monkeypatch.setattr(recent, "_FIRST", 1)
    monkeypatch.setattr(recent, "_GROWTH", growth)
    monkeypatch.setattr(recent, "_FRESH_S", 0.0)
    rng = random.Random(3)
    # bunched, tied and far apart in time
    times = [rng.choice([0, 1, 1, 2, 1000 * rng.random(), 1e6]) for _ in range(300)]
    store = ENGINES["duckdb"](tmp_path)
    with running_writer(store) as writer:
        for project in ("p", "q"):
            spans = [make_span(f"t{i}", "a", at=at, user_id=f"u{i % 7}") for i, at in enumerate(times)]
            writer.submit_sync(Batch(project_id=project, spans=spans))
    wheres: list[Expr] = [And(), Cmp("user_id", "=", "u3"), Cmp("user_id", "=", "nobody")]
    for where in wheres:
        plain = store.traces(
            Query(project_id="p", where=where, limit=1000, order=(Order("start_ns"), Order("trace_id", False)))
        ).rows
        expected = [row.trace_id for row in plain]
        assert expected == [r.trace_id for r in sorted(plain, key=lambda r: (-r.start_ns, r.trace_id))]
        for limit in (1, 7, 50):
            found: list[str] = []
            cursor = None
            while True:
                page = store.traces(Query(project_id="p", where=where, limit=limit, cursor=cursor))
                found += [row.trace_id for row in page.rows]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == expected
            offset = store.traces(Query(project_id="p", where=where, limit=limit, offset=limit))
            assert [row.trace_id for row in offset.rows] == expected[limit : 2 * limit]
    store.close()
