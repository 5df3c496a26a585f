"""The text filter: what it means, and what it says about mistakes."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.query.text_filter import FilterError, parse
from twinlens.query.text_filter_fields import FIELDS
from twinlens.store.telemetry.query import SPAN_FIELDS, TRACE_FIELDS, And, Cmp, Expr, HasScore, HasSpan, Not, Or


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", And()),
        ("  ", And()),
        ("user:alice", Cmp("user_id", "=", "alice")),
        ("user=alice", Cmp("user_id", "=", "alice")),
        ('user:"alice b"', Cmp("user_id", "=", "alice b")),
        ('user:"a*"', Cmp("user_id", "=", "a*")),
        ("user!=alice", Not(Cmp("user_id", "=", "alice"))),
        ("-user:alice", Not(Cmp("user_id", "=", "alice"))),
        ("NOT NOT user:alice", Cmp("user_id", "=", "alice")),
        ("user:a,b", Or((Cmp("user_id", "=", "a"), Cmp("user_id", "=", "b")))),
        ("user:*", Cmp("user_id", "is not null")),
        ("name:chat*", Cmp("name", "starts with", "chat")),
        ("name:*chat", Cmp("name", "ends with", "chat")),
        ("name:*chat*", Cmp("name", "contains", "chat")),
        ("name~chat", Cmp("name", "contains", "chat")),
        ("name:a*b_c", Cmp("name", "ilike", "a%b\\_c")),
        ("tag:prod", Cmp("tags", "any of", ["prod"])),
        ("model:gpt-4o", Cmp("models", "any of", ["gpt-4o"])),
        ("model:gpt*", Cmp("models", "ilike", "gpt%")),
        ("cost>0.01", Cmp("total_cost", ">", 0.01)),
        ("cost>=$1.5k", Cmp("total_cost", ">=", 1500.0)),
        ("tokens:1,2", Cmp("total_tokens", "in", [1.0, 2.0])),
        ("latency<200ms", Cmp("latency_ns", "<", 200_000_000)),
        ("latency>1.5", Cmp("latency_ns", ">", 1_500_000_000)),
        ("start>2026-01-01T10:00:00Z", Cmp("start_ns", ">", 1_767_261_600_000_000_000)),
        ("status:Error", Cmp("status", "=", "error")),
        ("status:running", Cmp("status", "=", "unset")),
        ("bookmarked:yes", Cmp("bookmarked", "=", True)),
        ("metadata.a.b:x", Cmp("metadata", "=", "x", "a.b")),
        ("tag.team:x", Cmp("tag", "=", "x", "team")),
        ("score.q>=0.5", Cmp("score", ">=", 0.5, "q")),
        ("score.q:good", HasScore(And((Cmp("name", "=", "q"), Cmp("string_value", "=", "good"))))),
        ("tool:search", HasSpan(Cmp("tool_name", "=", "search"))),
        ("span(tool:search cost>1)", HasSpan(And((Cmp("tool_name", "=", "search"), Cmp("total_cost", ">", 1.0))))),
        ("hello world", And((Cmp("text", "contains", "hello"), Cmp("text", "contains", "world")))),
        ('"hello world"', Cmp("text", "contains", "hello world")),
        (
            "a OR b c",
            Or((Cmp("text", "contains", "a"), And((Cmp("text", "contains", "b"), Cmp("text", "contains", "c"))))),
        ),
        (
            "(a OR b) AND c",
            And((Or((Cmp("text", "contains", "a"), Cmp("text", "contains", "b"))), Cmp("text", "contains", "c"))),
        ),
        ("well-known", Cmp("text", "contains", "well-known")),
        ("env:pre-prod", Cmp("environment", "=", "pre-prod")),
    ],
)
def test_meaning(text: str, expected: Expr) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "suggestion"),
    [
        ("usr:alice", 0, "user"),
        ("a sesion:x", 2, "session"),
        ("status:eror", 7, "error"),
        ("is:bookmaked", 3, "bookmarked"),
        ("cost>abc", 5, None),
        ("latency>fast", 8, None),
        ("start>yesterday", 6, None),
        ("bookmarked:maybe", 11, None),
        ("user>alice", 4, None),
        ("cost~1", 4, None),
        ("user:", 4, None),
        ("(a OR b", 0, None),
        ("a)", 1, None),
        ("a OR", 4, None),
        ("OR a", 0, None),
        ('"open', 0, None),
        ("metadata:x", 0, None),
        ("span(user", 4, None),
    ],
)
def test_mistakes_have_a_place(text: str, position: int, suggestion: str | None) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert (caught.value.position, caught.value.suggestion) == (position, suggestion), caught.value.message


def test_examples_and_targets_are_real() -> None:
    for field in FIELDS:
        parse(field.example)
        assert field.target in (SPAN_FIELDS if field.span else TRACE_FIELDS), field


@given(st.text(alphabet=string.ascii_letters + string.digits + " :=<>!~*\"'(),.-\\$ü\n", max_size=60))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    position = 0
    try:
        parse(text)
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(text)


def test_depth_and_length_are_bounded() -> None:
    for text in ("(" * 1_000, "-" * 3_000 + "a", "a " * 3_000, "(" * 60 + "a" + ")" * 60):
        with contextlib.suppress(FilterError):
            parse(text)
