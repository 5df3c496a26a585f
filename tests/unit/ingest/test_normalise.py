"""What depends on several attributes, or on several spans of one request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.otlp import RawSpan
from twinlens.domain.patch import apply_patch
from twinlens.domain.summary import new_summary
from twinlens.domain.trace import Scope, Span, SpanEvent, SummaryState, TracePatch, TraceSummary
from twinlens.ingest.dialects.plan import MAX_PLANS, planner_for
from twinlens.ingest.dialects.rule import Source, json_text, nested
from twinlens.ingest.normalise import normalise

PLAIN = Scope(name="test")
#: What spans may say about their trace.
SAID: dict[str, st.SearchStrategy[Any]] = {
    "langfuse.trace.name": st.sampled_from(["a", "b", ""]), "langfuse.trace.public": st.booleans(),
    "langfuse.trace.input": st.sampled_from(["1", "2"]), "langfuse.trace.tags": st.lists(st.sampled_from("xyz"), max_size=2),
    "langfuse.trace.metadata.k": st.sampled_from(["v", "w"]),
}  # fmt: skip


def raw(attributes: dict[str, Any] | None = None, **fields: Any) -> RawSpan:
    defaults: dict[str, Any] = {
        "trace_id": "1" * 32, "span_id": "1" * 16, "parent_id": None, "name": "s", "otel_kind": 1, "start_ns": 100, "end_ns": 200,
        "events": [], "links": [], "status": "unset", "status_message": "", "trace_state": "", "resource": {}, "scope": PLAIN,
    }  # fmt: skip
    return RawSpan(attributes=attributes or {}, **{**defaults, **fields})


def one(attributes: dict[str, Any] | None = None, **fields: Any) -> Span:
    return normalise([raw(attributes, **fields)])[0][0]


def patch_of(*spans: RawSpan) -> TracePatch:
    (patch,) = normalise(spans)[1]
    return patch


# --- times, status, level --------------------------------------------------------------------------------------------


def test_an_end_before_the_start_becomes_the_start() -> None:
    assert one(end_ns=50).end_ns == 100


def test_a_span_without_end_is_open() -> None:
    assert one(end_ns=None).end_ns is None


def test_a_span_is_never_its_own_parent() -> None:
    assert one(parent_id="1" * 16).parent_id is None


@pytest.mark.parametrize(
    ("status", "attributes", "expected"),
    [
        ("unset", {}, ("unset", "DEFAULT")),
        ("ok", {}, ("ok", "DEFAULT")),
        ("error", {}, ("error", "ERROR")),
        ("unset", {"langfuse.observation.level": "ERROR"}, ("error", "ERROR")),
        ("ok", {"langfuse.observation.level": "ERROR"}, ("ok", "ERROR")),
        ("error", {"langfuse.observation.level": "WARNING"}, ("error", "WARNING")),
        ("unset", {"langfuse.observation.level": "nonsense"}, ("unset", "DEFAULT")),
    ],
)
def test_status_and_level_explain_each_other(
    status: str, attributes: dict[str, Any], expected: tuple[str, str]
) -> None:
    span = one(attributes, status=status)
    assert (span.status, span.level) == expected


def test_status_message_from_attribute_then_status_then_exception() -> None:
    failure = [
        SpanEvent(name="exception", time_ns=1, attributes={"exception.type": "ValueError", "exception.message": "bad"})
    ]
    assert one({"langfuse.observation.status_message": "a"}, status="error", status_message="b").status_message == "a"
    assert one(status="error", status_message="b", events=failure).status_message == "b"
    assert one(status="error", events=failure).status_message == "ValueError: bad"
    assert one(events=failure).status_message == ""


# --- fields ----------------------------------------------------------------------------------------------------------


def test_the_better_rule_wins_and_an_empty_one_gives_way() -> None:
    both = {"gen_ai.request.model": "asked", "gen_ai.response.model": "answered"}
    assert (one(both).model, one(both).rules["model"]) == ("answered", "genai-1.37:gen_ai.response.model")
    empty = {**both, "gen_ai.response.model": ""}
    assert (one(empty).model, one(empty).rules["model"]) == ("asked", "genai-1.37:gen_ai.request.model")
    nothing = {"gen_ai.request.model": "", "gen_ai.response.model": None}
    assert one(nothing).model is None
    assert "model" not in one(nothing).rules


def test_attribute_order_does_not_matter() -> None:
    attributes = {"gen_ai.request.model": "a", "langfuse.observation.model.name": "b", "llm.model_name": "c", "input.value": "x",
                  "langfuse.observation.input": "y", "gen_ai.usage.input_tokens": 5, "langfuse.observation.usage_details": '{"input": 7}'}  # fmt: skip
    forward, backward = one(attributes), one(dict(reversed(attributes.items())))
    assert (forward.model, forward.input, forward.usage) == ("b", '"y"', {"input": 7, "total": 7})
    for field in ("model", "input", "usage", "kind", "dialect", "rules", "model_parameters", "metadata"):
        assert getattr(forward, field) == getattr(backward, field)


def test_a_useless_whole_gives_way_to_single_numbers() -> None:
    span = one({"langfuse.observation.usage_details": "{}", "gen_ai.usage.input_tokens": 5})
    assert (span.usage, span.rules) == (
        {"input": 5, "total": 5},
        {"usage.input": "genai-1.37:gen_ai.usage.input_tokens"},
    )


@pytest.mark.parametrize("value", ["NaN", -5, None, True, "many", 1e400])
def test_numbers_that_are_none_are_dropped(value: Any) -> None:
    span = one({"gen_ai.usage.input_tokens": value, "gen_ai.usage.output_tokens": 3, "gen_ai.usage.cost": value})
    assert (span.usage, span.cost, span.cost_source) == ({"output": 3, "total": 3}, {}, "none")


def test_numbers_as_text_are_numbers() -> None:
    span = one({"gen_ai.usage.input_tokens": "12", "gen_ai.usage.cost": "0.5"})
    assert (span.usage, span.cost) == ({"input": 12, "total": 12}, {"total": 0.5})


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("hello", '"hello"'),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": 1', '"{\\"a\\": 1"'),
        ("12 apples", '"12 apples"'),
        ("12", "12"),
        ("true", "true"),
        ("truely", '"truely"'),
        ("  [1] ", "  [1] "),
        ("NaN", '"NaN"'),
        ({"a": [1]}, '{"a":[1]}'),
        ([], "[]"),
        ("", None),
        (None, None),
        (False, "false"),
        (0, "0"),
    ],
)
def test_io_is_json_text(value: Any, stored: str | None) -> None:
    assert json_text(value) == stored


def test_system_instructions_stand_in_front() -> None:
    system = '[{"type":"text","content":"Be brief."}]'
    messages = '[{"role":"user","parts":[]}]'
    first = '{"role":"system","parts":[{"type":"text","content":"Be brief."}]}'
    assert (
        one({"gen_ai.system_instructions": system, "gen_ai.input.messages": messages}).input
        == f"[{first},{messages[1:]}"
    )
    assert one({"gen_ai.system_instructions": system, "gen_ai.input.messages": "[]"}).input == f"[{first}]"
    assert one({"gen_ai.system_instructions": system}).input == f"[{first}]"
    # content of another dialect is not touched
    assert one({"gen_ai.system_instructions": system, "input.value": "x"}).input == '"x"'


def test_first_token_from_a_distance_or_an_event() -> None:
    assert one({"ai.response.msToFirstChunk": 0.00005}).completion_start_ns == 150
    assert one({"gen_ai.response.time_to_first_chunk": 5e-8}).completion_start_ns == 150
    event = [SpanEvent(name="First Token Stream Event", time_ns=170)]
    assert one(events=event).completion_start_ns == 170


def test_a_prompt_version_needs_a_name() -> None:
    assert one({"langfuse.observation.prompt.version": 3}).prompt_version is None
    span = one({"langfuse.observation.prompt.version": 3, "langfuse.observation.prompt.name": "p"})
    assert (span.prompt_name, span.prompt_version) == ("p", 3)


def test_indexed_names_cannot_make_huge_lists() -> None:
    assert nested({"999999999.role": "b", "7.role": "a"}) == [{"role": "a"}, {"role": "b"}]
    assert nested({"a.b": 1, "a": 2}) == {"a": {"b": 1}}
    assert nested({"a": 2, "a.b": 1}) == {"a": {"b": 1}}


def test_langfuse_before_3_4_called_generations_spans() -> None:
    attributes = {"langfuse.observation.type": "span", "langfuse.observation.model.name": "m"}
    kinds = {
        v: one(attributes, scope=Scope(name="langfuse-sdk", version=v)).kind
        for v in ("3.2.1", "3.3.4", "3.4.0", "5.0.4")
    }
    assert kinds == {"3.2.1": "generation", "3.3.4": "generation", "3.4.0": "span", "5.0.4": "span"}


def test_environment_of_the_span_before_the_resource() -> None:
    resource = {
        "deployment.environment": "old",
        "deployment.environment.name": "new",
        "service.name": "svc",
        "service.version": "7",
    }
    span = one(resource=resource)
    assert (span.environment, span.service, span.version) == ("new", "svc", "7")
    assert one({"langfuse.environment": "mine", "langfuse.version": "8"}, resource=resource).environment == "mine"
    assert one(resource={**resource, "langfuse.environment": "lf"}).environment == "lf"


# --- what spans say about their trace --------------------------------------------------------------------------------


def test_plain_spans_say_nothing() -> None:
    assert normalise([raw({"http.method": "GET"})])[1] == []


def test_resource_attributes_become_tags_of_the_trace() -> None:
    resource = {"service.name": "svc", "telemetry.sdk.name": "x", "mlflow.secret": "y", "number": 5, "list": [1]}
    assert patch_of(raw(resource=resource)).tag_values == {"service.name": "svc", "number": "5"}


def test_one_patch_per_trace_unites_tags_and_keeps_the_latest_word() -> None:
    early = raw(
        {"langfuse.trace.name": "early", "langfuse.trace.tags": ["a"], "langfuse.trace.metadata.k": '"1"'}, start_ns=1
    )
    late = raw({"langfuse.trace.name": "late", "langfuse.trace.tags": ["b", "a"], "langfuse.trace.metadata.k": '"2"'}, start_ns=2, span_id="2" * 16)  # fmt: skip
    for order in ((early, late), (late, early)):
        patch = patch_of(*order)
        assert (patch.name, sorted(patch.tags or ()), patch.metadata, patch.said_ns) == (
            "late",
            ["a", "b"],
            {"k": "2"},
            2,
        )
        assert patch.authority == "spans"


def test_traces_of_one_request_do_not_share_changes() -> None:
    resource = {"service.name": "svc"}
    tagged = raw({"mlflow.traceTag.team": "blue"}, resource=resource)
    other = raw(resource=resource, trace_id="2" * 32)
    first, second = normalise([tagged, other])[1]
    assert first.tag_values == {"service.name": "svc", "team": "blue"}
    assert second.tag_values == {"service.name": "svc"}


# --- plans -----------------------------------------------------------------------------------------------------------


def test_plans_are_bounded() -> None:
    source = Source(Scope(name="bounded"))
    planner = planner_for(source)
    assert planner_for(source) is planner
    for i in range(MAX_PLANS + 10):
        planner.plan({f"k{i}": 1})
    assert len(planner._plans) <= MAX_PLANS


@given(st.data())
def test_what_spans_say_about_their_trace_ends_the_same_in_any_order_and_cut(data: st.DataObject) -> None:
    said = data.draw(st.lists(st.fixed_dictionaries({}, optional=SAID), min_size=1, max_size=6))
    spans = [raw(one, span_id=f"{n:016x}", start_ns=100 + n, end_ns=200) for n, one in enumerate(said, 1)]

    def told(*requests: list[RawSpan]) -> TraceSummary:
        summary = new_summary("1" * 32, 1)
        for request in requests:
            for patch in normalise(request)[1]:
                apply_patch(summary, patch, 1_000)
        return msgspec.structs.replace(summary, state=SummaryState())

    shuffled = data.draw(st.permutations(spans))
    cut = data.draw(st.integers(0, len(spans)))
    twice = data.draw(st.sampled_from(spans))
    assert told(shuffled[:cut], [*shuffled[cut:], twice]) == told(spans)
