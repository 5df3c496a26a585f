"""What counts once (twinlens.domain.counting)."""

from __future__ import annotations

from tests.telemetry import make_span, model_call
from twinlens.domain.counting import uncounted
from twinlens.domain.trace import Scope

USAGE = {"input": 10, "output": 5, "total": 15}


def test_wrapper_with_a_reporting_descendant_does_not_count() -> None:
    spans = [
        make_span("t", "agent", kind="agent", usage=USAGE),
        make_span("t", "step", kind="chain", parent_id="agent"),
        model_call("t", "call", parent_id="step"),
    ]
    assert uncounted(spans) == {"agent"}


def test_wrapper_alone_counts() -> None:
    spans = [make_span("t", "agent", kind="agent", usage=USAGE), make_span("t", "x", parent_id="agent")]
    assert uncounted(spans) == set()


def test_two_calls_of_one_instrumentation_both_count() -> None:
    spans = [model_call("t", "a", parent_id="p"), model_call("t", "b", parent_id="p")]
    assert uncounted(spans) == set()


def test_parent_and_child_twin_keeps_the_inner_one() -> None:
    outer = model_call("t", "outer", model="openai/gpt-4o", scope=Scope(name="openinference"), took=2)
    inner = model_call("t", "inner", parent_id="outer", model="gpt-4o-2024-08-06", scope=Scope(name="otel"), at=0.5)
    assert uncounted([outer, inner]) == {"outer"}


def test_client_cost_decides_between_twins() -> None:
    outer = model_call("t", "outer", scope=Scope(name="openinference"), took=2, cost_source="client")
    inner = model_call("t", "inner", parent_id="outer", scope=Scope(name="otel"), at=0.5)
    assert uncounted([outer, inner]) == {"inner"}


def test_cached_tokens_split_by_one_side_only_is_still_a_twin() -> None:
    a = model_call(
        "t",
        "a",
        parent_id="p",
        scope=Scope(name="x"),
        usage={"input": 4, "input_cached_tokens": 6, "output": 5, "total": 15},
    )
    b = model_call("t", "b", parent_id="p", scope=Scope(name="y"))
    assert uncounted([a, b]) == {"b"}


def test_parallel_equal_calls_seen_by_two_instrumentations_count_twice() -> None:
    spans = [
        model_call("t", f"{scope}{i}", parent_id="p", scope=Scope(name=scope), at=i / 10)
        for scope in ("x", "y")
        for i in (0, 1)
    ]
    for order in (spans, spans[::-1]):
        assert len(uncounted(order)) == 2 and len({s[0] for s in uncounted(order)}) == 1


def test_different_tokens_or_times_are_two_calls() -> None:
    a = model_call("t", "a", parent_id="p", scope=Scope(name="x"))
    assert uncounted([a, model_call("t", "b", parent_id="p", scope=Scope(name="y"), tokens=(11, 5))]) == set()
    assert uncounted([a, model_call("t", "b", parent_id="p", scope=Scope(name="y"), at=5)]) == set()


def test_parent_cycle_does_not_hang() -> None:
    a = make_span("t", "a", kind="agent", parent_id="b", usage=USAGE)
    b = make_span("t", "b", kind="agent", parent_id="a", usage=USAGE)
    assert uncounted([a, b]) == {"a", "b"}


def test_an_estimate_gives_way_to_what_is_said_below_or_by_a_model_span_above() -> None:
    guess = {"input": 12, "output": 3, "total": 15}
    outer = model_call("t", "outer", usage=guess, usage_source="estimated")
    inner = model_call("t", "inner", parent_id="outer", usage=USAGE, usage_source="client")
    assert uncounted([outer, inner]) == {"outer"}
    module = make_span("t", "module", kind="generation", usage=USAGE, usage_source="client")
    step = make_span("t", "step", kind="chain", parent_id="module")
    call = model_call("t", "call", parent_id="step", usage=guess, usage_source="estimated")
    assert uncounted([module, step, call]) == {"call"}
    other = model_call("t", "other", parent_id="elsewhere", usage=guess, usage_source="estimated")
    assert uncounted([inner, other]) == set()
