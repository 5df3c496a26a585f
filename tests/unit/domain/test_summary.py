"""Trace summaries from spans and patches (twinlens.domain.summary, twinlens.domain.patch)."""

from __future__ import annotations

import pytest

from tests.telemetry import SECOND, T0, make_span, model_call
from twinlens.domain.errors import InvalidArgument
from twinlens.domain.patch import apply_patch
from twinlens.domain.summary import add_spans, new_summary
from twinlens.domain.trace import Span, TracePatch, TraceSummary


def summary_of(*spans: Span) -> TraceSummary:
    summary = new_summary("t", 1)
    assert add_spans(summary, [(None, s) for s in spans])
    return summary


def test_children_before_the_root_make_a_shallow_trace() -> None:
    child = make_span("t", "child", parent_id="root", at=1, name="step")
    summary = summary_of(child)
    assert (summary.name, summary.status, summary.span_count) == ("step", "unset", 1)
    add_spans(summary, [(None, make_span("t", "root", took=3, name="answer", input='"q"', output='"a"'))])
    assert (summary.name, summary.status, summary.root_span_id) == ("answer", "ok", "root")
    assert (summary.input_preview, summary.output_preview) == ("q", "a")
    assert (summary.start_ns, summary.end_ns) == (T0, T0 + 3 * SECOND)


def test_levels_and_errors_are_counted() -> None:
    summary = summary_of(
        make_span("t", "a"), make_span("t", "b", parent_id="a", level="WARNING"),
        make_span("t", "c", parent_id="a", status="error"), make_span("t", "d", parent_id="a", level="DEBUG"),
    )  # fmt: skip
    assert (summary.level, summary.error_count, summary.warning_count, summary.span_count) == ("ERROR", 1, 1, 4)
    assert summary.status == "ok"  # the root's


def test_latest_user_wins_earliest_environment_wins() -> None:
    early = make_span("t", "a", user_id="ann", environment="prod", service="web")
    late = make_span("t", "b", parent_id="a", at=1, user_id="bob", environment="dev", service="db")
    for order in ((early, late), (late, early)):
        summary = summary_of(*order)
        assert (summary.user_id, summary.environment, summary.service) == ("bob", "prod", "web")


def test_uncounted_spans_add_no_tokens() -> None:
    summary = summary_of(model_call("t", "a"), model_call("t", "b", counted=False))
    assert summary.usage == {"input": 10, "output": 5, "total": 15}
    assert summary.cost == {"input": 0.125, "output": 0.125, "total": 0.25}
    assert summary.model_call_count == 1


def test_weakest_usage_source_shows() -> None:
    summary = summary_of(model_call("t", "a"), model_call("t", "b", usage_source="estimated"), make_span("t", "c"))
    assert summary.usage_source == "estimated"


def test_replacing_moves_the_totals() -> None:
    open_call = make_span("t", "a", kind="generation", end_ns=None)
    summary = summary_of(open_call)
    assert summary.status == "unset"
    assert add_spans(summary, [(open_call, model_call("t", "a"))])
    assert (summary.status, summary.span_count, summary.total_tokens) == ("ok", 1, 15)


def test_what_extremes_cannot_forget_asks_for_a_rebuild() -> None:
    old = make_span("t", "a")
    summary = summary_of(old, make_span("t", "b", parent_id="a", at=0.2, took=0.1))
    assert not add_spans(summary, [(old, make_span("t", "a", at=0.5))])


def test_client_beats_spans_and_latest_client_wins() -> None:
    summary = summary_of(make_span("t", "a", name="root", user_id="span-user"))
    apply_patch(summary, TracePatch(trace_id="t", name="second", authority="client", said_ns=20), 99)
    apply_patch(summary, TracePatch(trace_id="t", name="first", user_id="ann", authority="client", said_ns=10), 99)
    apply_patch(summary, TracePatch(trace_id="t", name="from span", authority="spans", said_ns=30), 99)
    add_spans(summary, [(None, make_span("t", "b", at=9, user_id="other"))])
    assert (summary.name, summary.user_id) == ("second", "ann")


def test_final_info_fixes_times_status_and_previews() -> None:
    final = TracePatch(
        trace_id="t", start_ns=5, end_ns=7, status="error", input_preview="req", authority="final", experiment_id="3",
        usage={"input": 1, "output": 2},
    )  # fmt: skip
    one, two = new_summary("t", 1), new_summary("t", 1)
    span = model_call("t", "a", input='"other"')
    apply_patch(one, final, 50)
    add_spans(one, [(None, span)])
    add_spans(two, [(None, span)])
    apply_patch(two, final, 50)
    for summary in (one, two):
        assert (summary.start_ns, summary.end_ns, summary.status, summary.input_preview) == (5, 7, "error", "req")
        assert summary.usage == {"input": 1, "output": 2, "total": 3} and summary.client_usage
        assert summary.cost["total"] == 0.25 and summary.final and summary.experiment_id == "3"


def test_a_trace_cannot_move_between_named_experiments() -> None:
    summary = new_summary("t", 1)
    apply_patch(summary, TracePatch(trace_id="t", experiment_id="3"), 1)
    with pytest.raises(InvalidArgument, match="belongs to experiment 3"):
        apply_patch(summary, TracePatch(trace_id="t", experiment_id="4"), 2)


def test_tags_unite_values_delete_metadata_merges() -> None:
    summary = new_summary("t", 1)
    apply_patch(
        summary, TracePatch(trace_id="t", tags=["b"], tag_values={"k": "v", "x": "1"}, metadata={"a": {"b": 1}}), 1
    )
    apply_patch(summary, TracePatch(trace_id="t", tags=["a", "b"], tag_values={"x": None}, metadata={"a": {"c": 2}}), 2)
    assert summary.tags == ["a", "b"] and summary.tag_values == {"k": "v"}
    assert summary.metadata == {"a": {"b": 1, "c": 2}}
    apply_patch(summary, TracePatch(trace_id="t", tags=["z"], replace_tags=True), 3)
    assert summary.tags == ["z"]


def test_environment_and_start_stay_as_the_first_client_said() -> None:
    summary = new_summary("t", 1)
    apply_patch(summary, TracePatch(trace_id="t", environment="prod", start_ns=10, authority="client"), 1)
    apply_patch(summary, TracePatch(trace_id="t", environment="dev", start_ns=20, authority="client"), 2)
    assert (summary.environment, summary.start_ns) == ("prod", 10)


def test_explicit_trace_input_wins_over_the_root() -> None:
    summary = new_summary("t", 1)
    apply_patch(summary, TracePatch(trace_id="t", input='{"q": 1}', authority="client"), 1)
    add_spans(summary, [(None, make_span("t", "a", input='"root"'))])
    assert (summary.input, summary.input_preview) == ('{"q": 1}', '{"q": 1}')
