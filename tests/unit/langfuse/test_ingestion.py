"""Langfuse's event batches: what each says, and how events about one object fold."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.clock import parse_iso
from twinlens.domain.merge import merge_span
from twinlens.domain.trace import Span
from twinlens.ingest.langfuse import OBSERVATION_EVENTS, adopt, decode
from twinlens.ingest.langfuse_fields import cost, environment, usage

_ids = itertools.count()


def event(
    type: str, body: dict[str, Any], at: str = "2026-11-23T10:00:00.000Z", id: str | None = None
) -> dict[str, Any]:
    return {"id": id or f"e{next(_ids)}", "type": type, "timestamp": at, "body": body}


def batch(*events: Any) -> bytes:
    return json.dumps({"batch": events}).encode()


def test_one_bad_event_costs_only_itself() -> None:
    found = decode(
        batch(
            event("trace-create", {"id": "t"}, id="good"),
            event("trace-create", {"id": "t", "name": 5}, id="bad type"),
            event("nonsense", {}, id="unknown"),
            event("span-create", {"id": "a\nb", "traceId": "t"}, id="line break"),
            event("span-create", {"id": "s", "traceId": "t", "startTime": "yesterday"}, id="time"),
            event("observation-create", {"id": "s", "traceId": "t", "type": "NOPE"}, id="kind"),
            event("score-create", {"traceId": "t", "value": 1}, id="nameless"),
            event("sdk-log", {"log": {}}, id="log"),
            {"id": "no envelope"},
            5,
        )
    )
    assert found.accepted == ["good", "log"]
    assert [e.id for e in found.errors] == [
        "bad type", "unknown", "line break", "time", "kind", "nameless", "no envelope", "9",
    ]  # fmt: skip
    assert all(e.status == 400 and e.error for e in found.errors)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"batch": {}}', b'{"batch": [1', b"\xff"])
def test_what_is_no_batch_is_refused_whole(body: bytes) -> None:
    with pytest.raises((ValueError, UnicodeDecodeError)):
        decode(body)


@pytest.mark.parametrize("type", OBSERVATION_EVENTS)
def test_every_type_becomes_a_span(type: str) -> None:
    kind, creates = OBSERVATION_EVENTS[type]
    body = {"id": "o", "traceId": "t", "name": "n", **({} if kind else {"type": "GENERATION"})}
    [span] = decode(batch(event(type, body))).spans
    assert (span.span_id, span.trace_id, span.name) == ("o", "t", "n")
    assert span.kind == (kind or "generation")
    assert span.partial is not creates
    assert span.given == (None if creates else {"name"})


def test_create_and_update_of_one_batch_are_one_whole_span() -> None:
    [span] = decode(
        batch(
            event("generation-update", {"id": "g", "traceId": "t", "output": "late", "metadata": {"a": {"y": 2}}}),
            event(
                "generation-create",
                {
                    "id": "g", "traceId": "t", "name": "n", "startTime": "2026-11-23T09:00:00Z", "output": "early",
                    "metadata": {"a": {"x": 1}}, "model": "m",
                },
            ),
            event("generation-update", {"id": "g", "traceId": "t", "name": None, "input": ""}),
        )
    ).spans  # fmt: skip
    assert not span.partial
    assert (span.name, span.model, span.output) == ("n", "m", '"late"')
    assert span.metadata == {"a": {"x": 1, "y": 2}}
    assert span.input is None
    assert span.start_ns == parse_iso("2026-11-23T09:00:00Z")


def test_events_fold_by_their_own_time_not_by_their_place() -> None:
    later = event("span-update", {"id": "s", "traceId": "t", "name": "last"}, "2026-11-23T10:00:02Z")
    sooner = event("span-update", {"id": "s", "traceId": "t", "name": "first"}, "2026-11-23T10:00:01Z")
    assert decode(batch(later, sooner)).spans[0].name == decode(batch(sooner, later)).spans[0].name == "last"


@given(st.permutations(range(4)))
def test_the_order_inside_a_batch_does_not_matter(order: list[int]) -> None:
    events = [
        event("span-create", {"id": "s", "traceId": "t", "name": "a", "metadata": {"k": 1}}, "2026-11-23T10:00:00Z"),
        event("span-update", {"id": "s", "traceId": "t", "input": {"q": 1}}, "2026-11-23T10:00:01Z"),
        event(
            "span-update", {"id": "s", "traceId": "t", "metadata": {"l": 2}, "level": "ERROR"}, "2026-11-23T10:00:02Z"
        ),
        event("span-update", {"id": "s", "traceId": "t", "endTime": "2026-11-23T10:00:03Z"}, "2026-11-23T10:00:03Z"),
    ]
    [span] = decode(batch(*(events[i] for i in order))).spans
    [expected] = decode(batch(*events)).spans
    assert span == expected


SAID: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["renamed", None]), "output": st.sampled_from(["o1", "o2", "", None]), "level": st.sampled_from(["ERROR", "WARNING"]),
        "statusMessage": st.sampled_from(["m1", "m2"]), "metadata": st.sampled_from([{"k": 2}, {"j": {"a": 1}}, {"j": {"b": 1}}]),
        "endTime": st.sampled_from(["2026-11-23T10:00:05Z", "2026-11-23T10:00:06Z"]), "model": st.just("m"),
        "usage": st.sampled_from([{"input": 5, "output": 2}, {"input": 7}]), "environment": st.just("staging"),
    },
)  # fmt: skip


@given(SAID, st.lists(SAID, max_size=4), st.data())
def test_requests_may_bring_create_and_updates_in_any_cut(
    first: dict[str, Any], more: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Updates follow each other; the create may come before, between and after them, one of them twice, in requests of any size."""
    start = {"id": "s", "traceId": "t", "name": "a", "startTime": "2026-11-23T10:00:01Z", "metadata": {"k": 1}}
    create = event("generation-create", start | first, "2026-11-23T10:00:10Z")
    events = [
        event("generation-update", {"id": "s", "traceId": "t", **said}, f"2026-11-23T10:00:{11 + n}Z") for n, said in enumerate(more)
    ]  # fmt: skip
    [expected] = decode(batch(create, *events)).spans
    if events:
        twice = data.draw(st.integers(0, len(events) - 1))
        events.insert(twice, events[twice])
    events.insert(data.draw(st.integers(0, len(events))), create)
    known: Span | None = None
    while events:
        size = data.draw(st.integers(1, len(events)))
        [span] = decode(batch(*events[:size])).spans
        events, known = events[size:], span if known is None else merge_span(known, span)
    assert known is not None
    for name in ("partial", "given", "counted"):
        setattr(known, name, getattr(expected, name))
    assert known == expected


def test_of_several_scores_of_one_id_the_latest_is_last() -> None:
    first = event("score-create", {"id": "s", "traceId": "t", "name": "n", "value": 1}, "2026-11-23T10:00:00Z")
    last = event("score-create", {"id": "s", "traceId": "t", "name": "n", "value": 2}, "2026-11-23T10:00:01Z")
    assert [[draft.value for _, draft in decode(batch(*sent)).scores] for sent in ((first, last), (last, first))] == [
        [1, 2]
    ] * 2


def test_start_and_environment_stay_as_first_said() -> None:
    [span] = decode(
        batch(
            event("span-create", {"id": "s", "traceId": "t", "startTime": "2026-11-23T09:00:00Z", "environment": "a"}),
            event("span-update", {"id": "s", "traceId": "t", "startTime": "2026-11-23T08:00:00Z", "environment": "b"}),
        )
    ).spans
    assert (span.start_ns, span.environment) == (parse_iso("2026-11-23T09:00:00Z"), "a")


def test_an_end_before_the_start_becomes_the_start() -> None:
    body = {"id": "s", "traceId": "t", "startTime": "2026-11-23T09:00:00Z", "endTime": "2026-11-23T08:00:00Z"}
    [span] = decode(batch(event("span-create", body))).spans
    assert span.end_ns == span.start_ns


def test_traces_fold_too() -> None:
    [patch] = decode(
        batch(
            event("trace-create", {"id": "t", "name": "n", "tags": ["b"], "metadata": {"a": {"x": 1}}, "input": "i"}),
            event(
                "trace-create",
                {"id": "t", "name": None, "tags": ["a"], "metadata": {"a": {"y": 1}}, "userId": "u"},
                "2026-11-23T10:00:01Z",
            ),
        )
    ).patches
    assert (patch.name, patch.tags, patch.user_id, patch.input) == ("n", ["a", "b"], "u", '"i"')
    assert patch.metadata == {"a": {"x": 1, "y": 1}}
    assert patch.authority == "client"
    assert patch.said_ns == parse_iso("2026-11-23T10:00:01Z")


def test_missing_ids_are_made_up_also_for_scores() -> None:
    found = decode(
        batch(
            event("trace-create", {"name": "n"}),
            event("span-create", {"name": "n"}),
            event("score-create", {"traceId": "t", "name": "n", "value": 1}),
        )
    )
    assert len(found.accepted) == 3
    assert found.patches[0].trace_id
    assert found.spans[0].trace_id == found.spans[0].span_id


def test_updates_without_a_trace_join_what_is_known() -> None:
    found = decode(batch(event("span-update", {"id": "s"}), event("span-create", {"id": "s", "traceId": "t"})))
    assert [span.trace_id for span in found.spans] == ["t"]
    found = decode(batch(event("span-update", {"id": "s", "output": 1})))
    adopt(found.orphans, {"s": "stored"}.get)
    assert found.spans[0].trace_id == "stored"


def test_metadata_that_is_no_object_is_wrapped() -> None:
    [span] = decode(batch(event("span-create", {"id": "s", "traceId": "t", "metadata": [1]}))).spans
    assert span.metadata == {"metadata": [1]}


def test_trace_ids_of_mlflow_and_hex_are_canonical() -> None:
    id = "A" * 32
    found = decode(
        batch(event("trace-create", {"id": id}), event("span-create", {"id": "s", "traceId": "tr-" + id.lower()}))
    )
    assert found.patches[0].trace_id == found.spans[0].trace_id == "a" * 32


def test_a_prompt_needs_name_and_version() -> None:
    both = {"id": "a", "traceId": "t", "promptName": "p", "promptVersion": 2}
    one = {"id": "b", "traceId": "t", "promptName": "p"}
    spans = decode(batch(event("generation-create", both), event("generation-create", one))).spans
    assert [(s.prompt_name, s.prompt_version) for s in spans] == [("p", 2), (None, None)]


@pytest.mark.parametrize(
    ("text", "stored"),
    [("Prod", "prod"), ("langfuse-x", "x"), ("a b", "default"), ("x" * 41, "default"), ("langfuse", "default")],
)
def test_environments(text: str, stored: str) -> None:
    assert environment(text) == stored


@pytest.mark.parametrize(
    ("details", "legacy", "expected"),
    [
        ({"input": 10, "output": 5}, None, {"input": 10, "output": 5, "total": 15}),
        (None, {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}, {"input": 10, "output": 5, "total": 15}),
        (None, {"input": 10, "output": 5, "unit": "TOKENS", "inputCost": 0.5}, {"input": 10, "output": 5, "total": 15}),
        (
            {
                "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 80}, "completion_tokens_details": {"reasoning_tokens": 20},
            },
            None,
            {"input": 20, "input_cached_tokens": 80, "output": 30, "output_reasoning_tokens": 20, "total": 150},
        ),
        (  # flat but inclusive: the total gives it away
            {"input": 100, "output": 50, "input_cached_tokens": 80, "total": 150},
            None,
            {"input": 20, "output": 50, "input_cached_tokens": 80, "total": 150},
        ),
        (  # flat and disjoint
            {"input": 20, "output": 50, "input_cached_tokens": 80, "total": 150},
            None,
            {"input": 20, "output": 50, "input_cached_tokens": 80, "total": 150},
        ),
        ({"input": -1, "output": None}, None, {}),
        (None, None, {}),
    ],
)  # fmt: skip
def test_usage(details: Any, legacy: Any, expected: dict[str, int]) -> None:
    assert usage(details, legacy) == expected


def test_cost_is_the_clients() -> None:
    assert cost({"input": 0.5, "output": 0.25}, None) == {"input": 0.5, "output": 0.25, "total": 0.75}
    assert cost(None, {"inputCost": 0.5, "totalCost": 2}) == {"input": 0.5, "total": 2.0}
    assert cost({"input": float("nan"), "output": -1}, None) == {}
