"""Two reports of one span (twinlens.domain.merge)."""

from __future__ import annotations

import msgspec

from tests.telemetry import T0, make_span, model_call
from twinlens.domain.merge import deep_union, merge_span, same
from twinlens.domain.trace import Scope, Span, SpanEvent


def copy(span: Span) -> Span:
    return msgspec.json.decode(msgspec.json.encode(span), type=Span)


def test_same_report_twice_is_the_stored_one() -> None:
    old = model_call("t", "a", input='"hi"', attributes={"x": [1, {"y": 2}]}, events=[SpanEvent(name="e", time_ns=1)])
    assert merge_span(old, copy(old)) is old


def test_nothing_said_never_erases() -> None:
    old = model_call("t", "a", user_id="ann", input='"hi"', metadata={"a": {"b": 1}}, completion_start_ns=T0 + 1)
    new = make_span("t", "a", output='"ho"', metadata={"a": {"c": 2}})
    merged = merge_span(old, new)
    assert (merged.user_id, merged.input, merged.output) == ("ann", '"hi"', '"ho"')
    assert merged.metadata == {"a": {"b": 1, "c": 2}}
    assert merged.usage == old.usage and merged.cost == old.cost and merged.kind == "generation"


def test_input_and_output_are_the_last_truthy() -> None:
    old = make_span("t", "a", input='"first"', output='"x"')
    merged = merge_span(old, make_span("t", "a", input='"second"', output="null"))
    assert (merged.input, merged.output) == ('"second"', '"x"')


def test_update_means_only_given_fields() -> None:
    old = make_span("t", "a", name="call", level="WARNING")
    update = Span(trace_id="t", span_id="a", name="ignored", output='"done"', partial=True, given=frozenset({"output"}))
    merged = merge_span(old, update)
    assert (merged.name, merged.output, merged.level, merged.partial) == ("call", '"done"', "WARNING", False)


def test_update_before_create_waits_and_wins() -> None:
    update = Span(
        trace_id="t", span_id="a", output='"late"', end_ns=T0 + 9, partial=True, given=frozenset({"output", "end_ns"})
    )
    again = Span(trace_id="t", span_id="a", model="m", partial=True, given=frozenset({"model"}))
    waiting = merge_span(update, again)
    assert waiting.partial and waiting.given == {"output", "end_ns", "model"}
    created = make_span("t", "a", name="call", output='"early"', start_ns=T0, end_ns=None)
    merged = merge_span(waiting, created)
    assert not merged.partial and merged.given is None
    assert (merged.name, merged.output, merged.end_ns, merged.model) == ("call", '"late"', T0 + 9, "m")


def test_two_exporters_give_the_union_in_either_order() -> None:
    otlp = make_span(
        "t", "a", name="chat gpt", attributes={"gen_ai.x": 1}, resource={"service.name": "api"}, service="api",
        kind="generation", usage={"input": 3, "total": 3}, usage_source="estimated",
    )  # fmt: skip
    langfuse = make_span(
        "t", "a", name="answer", source="langfuse", scope=Scope(), user_id="ann", kind="generation",
        usage={"input": 4, "output": 1, "total": 5}, usage_source="client", attributes={"lf": 2},
    )  # fmt: skip
    one, two = merge_span(otlp, langfuse), merge_span(langfuse, otlp)
    assert same(one, two)
    assert (one.name, one.user_id, one.service, one.scope.name) == ("answer", "ann", "api", "tests")
    assert one.attributes == {"gen_ai.x": 1, "lf": 2}
    assert one.usage == {"input": 4, "output": 1, "total": 5} and one.usage_source == "client"


def test_client_cost_beats_computed_whoever_comes_last() -> None:
    client = model_call("t", "a", cost={"total": 1.0}, cost_source="client")
    computed = model_call("t", "a", cost={"total": 2.0}, cost_source="computed", price_id="p")
    for merged in (merge_span(client, computed), merge_span(computed, client)):
        assert merged.cost == {"total": 1.0} and merged.cost_source == "client" and merged.price_id is None


def test_start_and_environment_are_immutable_and_time_runs_forward() -> None:
    old = make_span("t", "a", environment="prod")
    merged = merge_span(old, make_span("t", "a", at=-5, took=0, environment="dev", end_ns=T0 - 9 * 10**9))
    assert merged.environment == "prod"
    assert merged.start_ns == T0 - 5 * 10**9 and merged.end_ns == merged.start_ns


def test_deep_union_leaves_its_arguments_alone() -> None:
    a, b = {"x": {"y": 1}}, {"x": {"z": 2}, "w": 3}
    assert deep_union(a, b) == {"x": {"y": 1, "z": 2}, "w": 3}
    assert a == {"x": {"y": 1}} and b == {"x": {"z": 2}, "w": 3}
