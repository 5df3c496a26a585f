"""The telemetry contract, run against every engine: what is committed is there, whole, once, and only in its project."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.telemetry import SECOND, T0, make_span, model_call, running_writer
from twinlens.domain.errors import InvalidArgument, StoreUnavailable
from twinlens.domain.otlp import OtelMetricPoint
from twinlens.domain.score import Score
from twinlens.domain.summary import add_spans, new_summary
from twinlens.domain.trace import Scope, Span, SpanEvent, SpanLink, TracePatch
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Writer
from twinlens.store.telemetry.interface import ProjectRows, TelemetryStore, WriteSet
from twinlens.store.telemetry.query import Cmp, Query


def rich_span() -> Span:
    """A span with every field set to something unusual."""
    text = json.dumps(
        [{"role": "user", "content": "häß\u2028 " + "x" * 3000}, {"role": "assistant", "content": "y" * 50}] * 20
    )
    return Span(
        trace_id="ünï/ id", span_id="s\"'", parent_id="p", name="näme", kind="generation", start_ns=T0, end_ns=T0 + 5,
        status="error", status_message="boom", level="ERROR", completion_start_ns=T0 + 1, is_app_root=True,
        model="gpt-4o", provider="openai", model_parameters={"temperature": 0.5, "tools": [{"a": "b" * 600}]},
        usage={"input": 3, "input_cached_tokens": 4, "output": 5, "total": 12}, cost={"input": 0.1, "output": 0.2, "total": 0.3},
        usage_source="client", cost_source="computed", price_id="price-1", input=text, output=json.dumps({"messages": json.loads(text)}),
        metadata={"a.b": {"c": [1, 2.5, None, True]}, "big": "z" * 5000}, prompt_name="p", prompt_version=3,
        tool_name="tool", agent_name="agent", user_id="u", session_id="s", environment="prod", release="r", version="v",
        service="svc", attributes={"n": 1, "f": 1.5, "l": ["a", "b"], "long": "q" * 9000, "gen_ai.input.messages": text,
                                   **{f"llm.input_messages.{i}.message.content": f"m{i} " * 20 for i in range(40)}},
        events=[SpanEvent(name="exception", time_ns=T0 + 2, attributes={"stack": "line\n" * 400})],
        links=[SpanLink(trace_id="other", span_id="x", attributes={"k": "v"})],
        resource={"service.name": "svc", "host": {"a": 1}}, scope=Scope(name="lib", version="1", attributes={"x": 1}),
        otel_kind=3, trace_state="a=b", dialect="genai", rules={"model": "gen_ai.request.model"}, source="langfuse",
        input_preview="in", output_preview="out",
    )  # fmt: skip


def test_whole_span_comes_back(telemetry: TelemetryStore, writer: Writer) -> None:
    span = rich_span()
    writer.submit_sync(Batch(project_id="p", spans=[span]))
    found = telemetry.span("p", span.trace_id, span.span_id)
    assert found is not None and found.created_ns > 0 and found.updated_ns > 0
    span.created_ns, span.updated_ns = found.created_ns, found.updated_ns
    assert found == span
    assert telemetry.span("p", None, span.span_id) == found
    assert telemetry.trace_spans("p", [span.trace_id]) == {span.trace_id: [found]}
    assert telemetry.span_ids("p", [span.trace_id, "none"]) == {span.trace_id: [found.span_id]}
    assert telemetry.span_ids("other", [span.trace_id]) == {}
    assert telemetry.lookup_spans("p", {span.trace_id: [span.span_id, "absent"]}) == {
        (span.trace_id, span.span_id): found
    }


def test_skeleton_leaves_the_payloads_out(telemetry: TelemetryStore, writer: Writer) -> None:
    span = rich_span()
    writer.submit_sync(Batch(project_id="p", spans=[span]))
    (found,) = telemetry.trace_spans("p", [span.trace_id], with_io=False, with_attributes=False)[span.trace_id]
    assert (found.name, found.usage, found.cost, found.input_preview, found.scope.name) == (
        "näme",
        span.usage,
        span.cost,
        "in",
        "lib",
    )
    assert found.input is None and not found.attributes and not found.events and not found.resource


def test_some_fields_of_all_spans(telemetry: TelemetryStore, writer: Writer) -> None:
    fields = ("span_id", "status_message", "usage", "cost", "input_preview", "completion_start_ns", "counted", "model")
    spans = [
        rich_span(),
        *(model_call("t", f"c{n}", at=3 - n, parent_id=None) for n in range(3)),
        make_span("t", "a", at=9),
    ]
    writer.submit_sync(Batch(project_id="p", spans=spans))
    writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "b", at=1.5, status_message="late")]))
    for trace_id in (spans[0].trace_id, "t"):
        skeletons = telemetry.trace_spans("p", [trace_id], with_io=False, with_attributes=False)[trace_id]
        wanted = [[getattr(span, field) for span in skeletons] for field in fields]
        assert telemetry.span_columns("p", trace_id, fields) == wanted
    assert telemetry.span_columns("p", "t", ("span_id",)) == [["c2", "b", "c1", "c0", "a"]]
    nothing: list[list[Any]] = [[] for _ in fields]
    assert telemetry.span_columns("p", "none", fields) == telemetry.span_columns("other", "t", fields) == nothing
    with pytest.raises(InvalidArgument):
        telemetry.span_columns("p", "t", ("input",))


def test_some_fields_of_some_traces(telemetry: TelemetryStore, writer: Writer) -> None:
    fields = ("user_id", "tags", "span_count", "environment")
    spans = [make_span(f"t{n}", "a", at=n, user_id=f"u{n}") for n in range(3)]
    patch = TracePatch(trace_id="t1", tags=["x", "y"], authority="client")
    writer.submit_sync(Batch(project_id="p", spans=spans, patches=[patch]))
    found = telemetry.trace_table("p", ["t1", "t2", "none"], fields)
    assert found == {"t1": ("u1", ["x", "y"], 1, "default"), "t2": ("u2", [], 1, "default")}
    assert telemetry.trace_table("p", [], fields) == telemetry.trace_table("other", ["t1"], fields) == {}
    with pytest.raises(InvalidArgument):
        telemetry.trace_table("p", ["t1"], ("metadata",))


@pytest.mark.parametrize(
    "text",
    [
        '""', '"short"', json.dumps("long " * 1000), json.dumps("ünï\u2028 \\ \" " * 1000, ensure_ascii=False),
        json.dumps([{"role": "user", "content": "x" * 700}] * 50), json.dumps([1] * 5000, separators=(",", ":")),
        json.dumps({"messages": [{"c": "x" * 900}] * 3, "k": None}), json.dumps({"a": ["x" * 300] * 30}, indent=2),
        json.dumps([["x" * 600, ["y" * 600] * 20]] * 3), "[1, 2,3 ]" * 300, "not json " * 300, "\x01" + "9" * 5, "\x01[",
        json.dumps(json.dumps([{"c": "x" * 600}] * 20)), "[" * 3000, '{"a": ' * 900, "ä" * 5000, '["' + "\\ud83d\\ude00" * 900 + '"]',
    ],
)  # fmt: skip
def test_payloads_come_back_byte_for_byte(telemetry: TelemetryStore, writer: Writer, text: str) -> None:
    span = make_span("t", "a", input=text, output=text, attributes={"raw": text, "list": [text]}, metadata={"m": text})
    writer.submit_sync(Batch(project_id="p", spans=[span]))
    found = telemetry.span("p", "t", "a")
    assert found is not None
    assert (found.input, found.output, found.attributes, found.metadata) == (text, text, span.attributes, span.metadata)


def test_half_a_surrogate_pair_does_not_fail_the_batch(telemetry: TelemetryStore, writer: Writer) -> None:
    writer.submit_sync(
        Batch(project_id="p", spans=[make_span("t", "a", name="x\ud83d", input='"' + "\ud83d" * 600 + '"')])
    )
    assert telemetry.span("p", "t", "a") is not None


def test_resending_changes_nothing(telemetry: TelemetryStore, writer: Writer) -> None:
    def batch() -> Batch:
        return Batch(
            project_id="p", spans=[make_span("t", "root", input='"q"'), model_call("t", "call", parent_id="root")]
        )

    writer.submit_sync(batch())
    before, rows = telemetry.trace("p", "t"), telemetry.stats()["rows"]
    for _ in range(3):
        writer.submit_sync(batch())
    assert telemetry.trace("p", "t") == before
    assert telemetry.stats()["rows"] == rows
    assert before is not None and (before.total_tokens, before.total_cost, before.span_count) == (15, 0.25, 2)
    ((_, total),) = telemetry.rollup("p", since_ns=0, until_ns=2 * T0, by=["model"])
    assert (total.spans, total.total_tokens, total.total_cost) == (1, 15, 0.25)


def test_resending_after_a_restart_changes_nothing(telemetry_engine: Callable[[], TelemetryStore]) -> None:
    batch = Batch(project_id="p", spans=[model_call("t", "call")])
    for _ in range(2):
        store = telemetry_engine()
        with running_writer(store) as writer:
            writer.submit_sync(batch)
        store.close()
    store = telemetry_engine()
    summary = store.trace("p", "t")
    assert summary is not None and (summary.span_count, summary.total_cost) == (1, 0.25)
    assert len(store.trace_spans("p", ["t"])["t"]) == 1
    store.close()


def test_an_update_takes_the_old_cost_back(telemetry: TelemetryStore, writer: Writer) -> None:
    writer.submit_sync(Batch(project_id="p", spans=[model_call("t", "a", end_ns=None), model_call("t", "b")]))
    update = Span(
        trace_id="t", span_id="a", end_ns=T0 + 9 * SECOND, cost={"total": 1.0}, cost_source="client", partial=True,
        given=frozenset({"end_ns", "cost"}),
    )  # fmt: skip
    writer.submit_sync(Batch(project_id="p", spans=[update]))
    summary = telemetry.trace("p", "t")
    assert summary is not None and summary.total_cost == 1.25 and summary.end_ns == T0 + 9 * SECOND
    totals = telemetry.rollup("p", since_ns=0, until_ns=2 * T0, by=[])
    assert totals[0][1].total_cost == pytest.approx(1.25) and totals[0][1].spans == 2


def test_projects_do_not_see_each_other(telemetry: TelemetryStore, writer: Writer) -> None:
    text = json.dumps("the same text " * 500)
    for project, name in (("p", "mine"), ("q", "theirs")):
        writer.submit_sync(
            Batch(project_id=project, spans=[model_call("t", "a", name=name, input=text)], scores=[Score(score_id="s", name=name, trace_id="t", value=1)])
        )  # fmt: skip
    assert (
        telemetry.trace("r", "t") is None
        and telemetry.span("r", "t", "a") is None
        and telemetry.span("r", None, "a") is None
    )
    assert telemetry.trace_spans("r", ["t"]) == {} and telemetry.scores_for("r", ["t"]) == {}
    for project, name in (("p", "mine"), ("q", "theirs")):
        (span,) = telemetry.trace_spans(project, ["t"])["t"]
        assert span.name == name and span.input == text
        assert [s.name for s in telemetry.scores_for(project, ["t"])["t"]] == [name]
        assert [t.name for t in telemetry.traces(Query(project_id=project)).rows] == [name]
        assert telemetry.values(project, "spans", "name") == [(name, 1)]
    telemetry.delete_project("p")
    assert telemetry.trace("p", "t") is None
    telemetry.reclaim()
    (left,) = telemetry.trace_spans("q", ["t"])["t"]
    assert left.input == text


def test_deleting_a_trace_takes_its_spans_and_scores_but_not_its_cost(
    telemetry: TelemetryStore, writer: Writer
) -> None:
    writer.submit_sync(
        Batch(
            project_id="p",
            spans=[model_call("t", "a"), model_call("u", "a")],
            scores=[
                Score(score_id="s", name="q", trace_id="t", value=1),
                Score(score_id="v", name="q", trace_id="u", value=1),
            ],
        )
    )
    assert writer.run_sync(lambda store: store.delete_traces("p", ["t", "t", "absent"])) == 1
    assert telemetry.trace("p", "t") is None and telemetry.trace_spans("p", ["t", "u"]).keys() == {"u"}
    assert (
        telemetry.count("spans", Query(project_id="p")) == 1 and telemetry.count("scores", Query(project_id="p")) == 1
    )
    assert telemetry.rollup("p", since_ns=0, until_ns=2 * T0, by=[])[0][1].spans == 2
    # the id may be used again
    writer.submit_sync(Batch(project_id="p", spans=[make_span("t", "b", name="again")]))
    summary = telemetry.trace("p", "t")
    assert summary is not None and (summary.name, summary.span_count, summary.total_cost) == ("again", 1, 0.0)


def test_reclaim_frees_what_nothing_refers_to(telemetry: TelemetryStore, writer: Writer) -> None:
    shared = json.dumps([{"role": "system", "content": "shared " * 300}] * 20)
    spans = [make_span(f"t{i}", "a", input=shared, output=json.dumps(f"{i} only here " * 400)) for i in range(10)]
    writer.submit_sync(Batch(project_id="p", spans=spans))
    assert writer.run_sync(lambda s: s.reclaim()).payloads_dropped == 0
    writer.run_sync(lambda s: s.delete_traces("p", [f"t{i}" for i in range(9)]))
    report = writer.run_sync(lambda s: s.reclaim())
    assert report.payloads_dropped >= 9 and report.payloads_kept >= 2 and report.bytes_dropped > 0
    left = telemetry.span("p", "t9", "a")
    assert left is not None and left.input == shared and left.output == spans[9].output
    # what was freed can come again
    writer.submit_sync(Batch(project_id="p", spans=[make_span("t0", "a", output=spans[0].output)]))
    again = telemetry.span("p", "t0", "a")
    assert again is not None and again.output == spans[0].output


def test_retention_drops_payloads_and_keeps_headers(telemetry: TelemetryStore, writer: Writer) -> None:
    text = json.dumps("secret " * 400)
    old = model_call("old", "a", input=text, output='"short secret"', attributes={"k": "v"}, metadata={"m": text})
    new = model_call("new", "a", at=100, input=text)
    writer.submit_sync(Batch(project_id="p", spans=[old, new], patches=[TracePatch(trace_id="old", input=text)]))
    assert writer.run_sync(lambda s: s.drop_payloads("p", T0 + 50 * SECOND)) == 1
    assert writer.run_sync(lambda s: s.drop_payloads("p", T0 + 50 * SECOND)) == 0
    found = telemetry.span("p", "old", "a")
    assert (
        found is not None
        and found.input is None
        and found.output is None
        and not found.attributes
        and not found.metadata
    )
    assert found.input_preview and found.total_cost == 0.25 and found.model == "gpt-4o"
    summary = telemetry.trace("p", "old")
    assert summary is not None and summary.input is None and summary.total_cost == 0.25
    writer.run_sync(lambda s: s.reclaim())
    kept = telemetry.span("p", "new", "a")
    assert kept is not None and kept.input == text


def test_a_failed_commit_stores_nothing(telemetry: TelemetryStore) -> None:
    good, bad = model_call("t", "a"), model_call("t", "b", usage={"input": 1 << 70})
    rows = ProjectRows(
        summaries=[new_summary("t", 1)], spans=[good, bad], scores=[Score(score_id="s", name="x", trace_id="t")]
    )
    with pytest.raises(InvalidArgument):
        telemetry.commit(WriteSet(projects={"p": rows}, metric_watermark=7))
    assert telemetry.trace("p", "t") is None and telemetry.metric_watermark() == 0
    assert telemetry.count("spans", Query(project_id="p")) == telemetry.count("scores", Query(project_id="p")) == 0
    summary = new_summary("t", 1)
    add_spans(summary, [(None, good)])
    telemetry.commit(WriteSet(projects={"p": ProjectRows(summaries=[summary], spans=[good])}, metric_watermark=7))
    assert telemetry.trace_spans("p", ["t"])["t"][0].span_id == "a" and telemetry.metric_watermark() == 7


def test_one_bad_batch_fails_alone(telemetry: TelemetryStore, writer: Writer) -> None:
    """Batches that are committed together share neither fate nor blame."""
    writer.submit_sync(Batch(project_id="p", patches=[TracePatch(trace_id="taken", experiment_id="1")]))
    gate = threading.Event()
    outcomes: dict[str, BaseException | None] = {}

    def send(name: str, batch: Batch) -> None:
        try:
            writer.submit_sync(batch)
            outcomes[name] = None
        except BaseException as error:
            outcomes[name] = error

    batches = {
        "good": Batch(project_id="p", spans=[make_span("g", "a")]),
        "huge": Batch(project_id="p", spans=[model_call("h", "a", usage={"input": 1 << 70})]),
        "moved": Batch(project_id="p", spans=[make_span("taken", "a")], experiment_id="2"),
        "other": Batch(project_id="q", spans=[make_span("g", "a")]),
    }
    blocker = threading.Thread(target=lambda: writer.run_sync(lambda _: gate.wait(90)))
    blocker.start()
    threads = [threading.Thread(target=send, args=item) for item in batches.items()]
    for thread in threads:
        thread.start()
    while writer.depth()["items"] < len(batches):
        threading.Event().wait(0.001)
    gate.set()
    for thread in [*threads, blocker]:
        thread.join(90)
    assert outcomes["good"] is None and outcomes["other"] is None
    assert isinstance(outcomes["huge"], InvalidArgument) and isinstance(outcomes["moved"], InvalidArgument)
    assert telemetry.count("spans", Query(project_id="p")) == 1 and telemetry.trace_spans("p", ["h", "taken"]) == {}


def test_scores_are_upserted_by_id(telemetry: TelemetryStore, writer: Writer) -> None:
    score = Score(
        score_id="s", name="quality", trace_id="t", span_id="a", value=0.5, comment="ok", metadata={"k": 1}, error={"code": "x"},
        timestamp_ns=T0, source="judge", source_id="gpt", overrides="older",
    )  # fmt: skip
    writer.submit_sync(Batch(project_id="p", scores=[score]))
    stored = telemetry.lookup_scores("p", ["s", "absent"])["s"]
    assert (
        stored.created_ns and stored.comment == "ok" and stored.metadata == {"k": 1} and stored.error == {"code": "x"}
    )
    stored.value, stored.valid = 0.75, False
    writer.submit_sync(Batch(project_id="p", scores=[stored]))
    (found,) = telemetry.scores_for("p", ["t"])["t"]
    assert (found.value, found.valid, found.created_ns) == (0.75, False, stored.created_ns)
    assert writer.run_sync(lambda s: s.delete_scores("p", ["s", "absent"])) == 1
    assert telemetry.scores_for("p", ["t"]) == {}


def test_otel_metrics_come_back(telemetry: TelemetryStore, writer: Writer) -> None:
    points = [
        OtelMetricPoint(name="m", unit="s", kind="histogram", time_ns=T0 + i, start_ns=T0, value=None, count=2, sum=3.0, min=1.0,
                        max=2.0, buckets='{"bounds":[1]}', attributes={"a": i}, resource={"r": 1}, scope="x")
        for i in range(3)
    ]  # fmt: skip
    writer.submit_sync(Batch(project_id="p", otel_metrics=points))
    assert telemetry.otel_metrics("p", "m") == points
    assert telemetry.otel_metrics("p", since_ns=T0 + 1, until_ns=T0 + 2) == points[1:2]
    assert telemetry.otel_metrics("q") == []


def test_a_closed_store_says_so(telemetry_engine: Callable[[], TelemetryStore]) -> None:
    store = telemetry_engine()
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable):
        store.traces(Query(project_id="p"))
    with pytest.raises(StoreUnavailable):
        store.commit(WriteSet())


def test_reads_see_one_snapshot_while_writes_go_on(telemetry: TelemetryStore, writer: Writer) -> None:
    """A trace and its spans never disagree, however reads and commits interleave."""
    stop = threading.Event()
    problems: list[str] = []

    def read() -> None:
        while not stop.is_set():
            for row in telemetry.traces(Query(project_id="p", limit=5)).rows:
                spans = telemetry.trace_spans("p", [row.trace_id], with_io=False, with_attributes=False)[row.trace_id]
                if len(spans) < row.span_count:
                    problems.append(f"{row.trace_id}: {len(spans)} < {row.span_count}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(40):
        writer.submit_sync(Batch(project_id="p", spans=[make_span(f"t{i % 4}", f"s{i}", at=i)]))
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert telemetry.count("spans", Query(project_id="p", where=Cmp("trace_id", "=", "t0"))) == 10


def test_reclaim_gives_the_space_back(telemetry: TelemetryStore, writer: Writer) -> None:
    if not telemetry.capabilities.reclaims_space:
        pytest.skip("this engine frees space on its own schedule")
    rng = random.Random(1)
    spans = [
        make_span(
            f"t{i}", "a", input=json.dumps(rng.randbytes(2000).hex()), output=json.dumps(rng.randbytes(100).hex())
        )
        for i in range(1000)
    ]
    writer.submit_sync(Batch(project_id="p", spans=spans))
    writer.run_sync(lambda s: s.checkpoint())
    before = telemetry.stats()["bytes"]
    assert not telemetry.reclaim_due()
    writer.run_sync(lambda s: s.delete_traces("p", [f"t{i}" for i in range(1000) if i % 10]))
    assert telemetry.reclaim_due()
    writer.run_sync(lambda s: s.reclaim())
    assert not telemetry.reclaim_due()
    assert telemetry.stats()["bytes"] < before / 3
    for i in range(0, 1000, 10):
        found = telemetry.span("p", f"t{i}", "a")
        assert found is not None and (found.input, found.output) == (spans[i].input, spans[i].output)
    writer.submit_sync(Batch(project_id="p", spans=spans[:20]))
    assert telemetry.count("spans", Query(project_id="p")) == 118


def test_reclaim_adds_up_the_rollup(telemetry: TelemetryStore, writer: Writer) -> None:
    for i in range(5):
        writer.submit_sync(Batch(project_id="p", spans=[model_call("t", f"s{i}", name="call")]))
    before = telemetry.rollup("p", since_ns=0, until_ns=2 * T0, by=["hour_ns", "model", "name"])
    writer.run_sync(lambda s: s.reclaim())
    assert telemetry.rollup("p", since_ns=0, until_ns=2 * T0, by=["hour_ns", "model", "name"]) == before
    assert before[0][1].spans == 5
