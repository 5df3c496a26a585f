"""The filter of spans written lately."""

from __future__ import annotations

from twinlens.ingest import seen
from twinlens.ingest.seen import SeenSpans


def test_never_denies_what_was_written_since() -> None:
    spans = SeenSpans(100)
    ids = [f"s{i}" for i in range(5000)]
    spans.add("p", "t", ids)
    assert all(spans.maybe("p", "t", i) for i in ids)
    others = sum(spans.maybe("p", "t", f"x{i}") for i in range(5000)) + sum(spans.maybe("q", "t", i) for i in ids)
    assert others < 50


def test_generations_move_the_horizon(monkeypatch: object) -> None:
    spans = SeenSpans(100)
    for generation in range(4):
        now = spans.tick(1000 * (generation + 1))
        ids = [f"{generation}.{i}" for i in range(seen.CAPACITY)]
        spans.add("p", "t", ids)
        assert spans.since_ns < now
        assert all(spans.maybe("p", "t", i) for i in ids[:1000])
    assert spans.since_ns >= 2000  # what is older has been forgotten, and the filter says so


def test_time_never_runs_backwards() -> None:
    spans = SeenSpans(100)
    assert spans.tick(500) == 500
    assert spans.tick(300) == 501
