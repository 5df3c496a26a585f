"""Builders for telemetry tests: spans with sensible values, a store with its writer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twinlens.domain.trace import Scope, Span
from twinlens.ingest.writer import Writer
from twinlens.store.telemetry.duckdb import DuckDBTelemetry
from twinlens.store.telemetry.interface import TelemetryStore

SECOND = 1_000_000_000
T0 = 1_760_000_000 * SECOND  #: 2025-10-09T08:53:20Z

#: Engines the conformance suite runs against: a name and how to open (or reopen) one in a folder.
ENGINES: dict[str, Callable[[Path], TelemetryStore]] = {
    "duckdb": lambda folder: DuckDBTelemetry.open(folder / "telemetry.duckdb", memory_limit="512MB"),
}


def make_span(trace_id: str = "t1", span_id: str = "s0", *, at: float = 0.0, took: float = 1.0, **fields: Any) -> Span:
    """A span that starts ``at`` seconds after T0 and takes ``took`` seconds."""
    start = T0 + round(at * SECOND)
    values: dict[str, Any] = {
        "name": span_id, "start_ns": start, "end_ns": start + round(took * SECOND), "status": "ok", "scope": Scope(name="tests"),
    }  # fmt: skip
    return Span(trace_id=trace_id, span_id=span_id, **{**values, **fields})


def model_call(
    trace_id: str, span_id: str, *, tokens: tuple[int, int] = (10, 5), usd: float = 0.25, **fields: Any
) -> Span:
    """A generation with usage and cost."""
    values: dict[str, Any] = {
        "kind": "generation", "model": "gpt-4o", "provider": "openai", "usage_source": "client", "cost_source": "computed",
        "usage": {"input": tokens[0], "output": tokens[1], "total": sum(tokens)},
        "cost": {"input": usd / 2, "output": usd / 2, "total": usd},
    }  # fmt: skip
    return make_span(trace_id, span_id, **{**values, **fields})


@contextlib.contextmanager
def running_writer(store: TelemetryStore, **options: Any) -> Iterator[Writer]:
    """A started writer, closed at the end."""
    writer = Writer(store, **options)
    writer.start()
    try:
        yield writer
    finally:
        writer.close()
