"""Whatever the order, batching and repetition in which spans arrive, a trace ends up the same.

Through the real writer and store: lookups, merging, walks over stored spans and replacing are all part of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.telemetry import ENGINES, T0, make_span, running_writer
from twinlens.domain.trace import Scope, Span, TracePatch, TraceSummary
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.telemetry.interface import TelemetryStore

_projects = itertools.count()


@pytest.fixture(scope="module", params=list(ENGINES))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TelemetryStore, Writer]]:
    """One store for all examples: each takes a project of its own."""
    store = ENGINES[request.param](Path(tmp_path_factory.mktemp("order")))
    with running_writer(store) as writer:
        yield store, writer
    store.close()


@st.composite
def trees(draw: st.DrawFn) -> list[Span]:
    """A trace of up to eight spans: wrappers with usage, twins of two scopes, conflicting statements, missing roots."""
    spans: list[Span] = []
    for i in range(draw(st.integers(1, 8))):
        reports = draw(st.booleans())
        usage = {"input": draw(st.integers(1, 2)), "output": 1} if reports else {}
        if usage:
            usage["total"] = sum(usage.values())
        parent = (
            draw(st.sampled_from([None, "missing", *(s.span_id for s in spans)]))
            if i
            else draw(st.sampled_from([None, "missing"]))
        )
        spans.append(
            make_span(
                "t", f"s{i}", parent_id=parent, at=draw(st.integers(0, 3)), took=draw(st.integers(0, 3)),
                kind=draw(st.sampled_from(["agent", "chain", "generation", "generation", "tool", "event"])),
                model=draw(st.sampled_from([None, "gpt-4o", "openai/gpt-4o"])) if reports else None,
                usage=usage, cost={"total": draw(st.sampled_from([0.1, 0.7, 1e-7]))} if reports else {},
                usage_source=draw(st.sampled_from(["client", "estimated"])) if reports else "none",
                cost_source="client" if reports and draw(st.booleans()) else "computed" if reports else "none",
                scope=Scope(name=draw(st.sampled_from(["x", "y"]))), status=draw(st.sampled_from(["ok", "unset", "error"])),
                level=draw(st.sampled_from(["DEFAULT", "WARNING", "DEBUG"])), user_id=draw(st.sampled_from([None, "ann", "bob"])),
                environment=draw(st.sampled_from([None, "prod", "dev"])), service=draw(st.sampled_from([None, "web", "db"])),
                input=draw(st.sampled_from([None, '"in"', '"other"'])), is_app_root=draw(st.booleans()),
                end_ns=None if draw(st.integers(0, 5)) == 0 else T0 + 10**10,
            )
        )  # fmt: skip
    return spans


def copy(span: Span) -> Span:
    return msgspec.json.decode(msgspec.json.encode(span), type=Span)


def outcome(store: TelemetryStore, project: str) -> tuple[TraceSummary, dict[str, bool], Any]:
    summary = store.trace(project, "t")
    assert summary is not None
    summary.created_ns = summary.updated_ns = 0
    counted = {s.span_id: s.counted for s in store.trace_spans(project, ["t"])["t"]}
    usage = [
        (k, v.spans, v.total_tokens, round(v.total_cost, 9))
        for k, v in store.rollup(project, since_ns=0, until_ns=2 * T0, by=["kind", "model"])
    ]
    return summary, counted, usage


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), spans=trees())
def test_arrival_does_not_matter(pair: tuple[TelemetryStore, Writer], data: st.DataObject, spans: list[Span]) -> None:
    store, writer = pair
    once, scattered = f"p{next(_projects)}", f"p{next(_projects)}"
    writer.submit_sync(Batch(project_id=once, spans=[copy(s) for s in spans]))
    arrivals = data.draw(st.permutations(spans + data.draw(st.lists(st.sampled_from(spans), max_size=3))))
    while arrivals:
        n = data.draw(st.integers(1, len(arrivals)))
        writer.submit_sync(Batch(project_id=scattered, spans=[copy(s) for s in arrivals[:n]]))
        arrivals = arrivals[n:]
    assert outcome(store, scattered) == outcome(store, once)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), spans=trees())
def test_the_two_writers_of_one_trace_may_race(
    pair: tuple[TelemetryStore, Writer], data: st.DataObject, spans: list[Span]
) -> None:
    """MLflow's TraceInfo and a client's trace event against the spans, in any order."""
    store, writer = pair
    patches = [
        TracePatch(trace_id="t", name="client", user_id="zoe", tags=["b"], metadata={"k": {"a": 1}}, authority="client", said_ns=5),
        TracePatch(trace_id="t", name="newer", tags=["a"], metadata={"k": {"b": 2}}, authority="client", said_ns=6, input='"asked"'),
        TracePatch(trace_id="t", start_ns=7, end_ns=9, status="error", input_preview="req", authority="final", said_ns=8, usage={"input": 9}),
    ]  # fmt: skip
    once, scattered = f"p{next(_projects)}", f"p{next(_projects)}"
    writer.submit_sync(Batch(project_id=once, spans=[copy(s) for s in spans], patches=patches))
    for item in data.draw(st.permutations([*spans, *patches])):
        if isinstance(item, Span):
            writer.submit_sync(Batch(project_id=scattered, spans=[copy(item)]))
        else:
            writer.submit_sync(Batch(project_id=scattered, patches=[item]))
    one, other = outcome(store, once), outcome(store, scattered)
    for summary in (one[0], other[0]):
        summary.source = ""  # who was first
    assert other == one
