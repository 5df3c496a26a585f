"""MLflow's trace filters as expressions."""

from __future__ import annotations

import pytest

from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_trace_filter import trace_filter, trace_order
from twinlens.store.telemetry.query import And, Cmp, Expr, HasScore, HasSpan, Not, Or, Order


@pytest.mark.parametrize(("text", "expected"), [
    (None, And()),
    ("name = 'a'", Cmp("name", "=", "a")),
    ("trace.name ILIKE '%a%'", Cmp("name", "ilike", "%a%")),
    ("timestamp_ms = 5", And((Cmp("start_ns", ">=", 5_000_000), Cmp("start_ns", "<", 6_000_000)))),
    ("timestamp_ms > 5", Cmp("start_ns", ">=", 6_000_000)),
    ("timestamp_ms >= 5", Cmp("start_ns", ">=", 5_000_000)),
    ("timestamp_ms < 5", Cmp("start_ns", "<", 5_000_000)),
    ("execution_time_ms <= 5", Cmp("latency_ns", "<", 6_000_000)),
    ("status = 'ERROR'", Cmp("status", "=", "error")),
    ("status != 'error'", Not(Cmp("status", "=", "error"))),
    ("run_id = 'r'", Cmp("run_ids", "any of", ["r"])),
    ("metadata.`mlflow.sourceRun` = 'r'", Cmp("run_ids", "any of", ["r"])),
    ("metadata.`mlflow.trace.session` = 's'", Cmp("session_id", "=", "s")),
    ("request_metadata.plan = 'x'", Cmp("metadata", "=", "x", "plan")),
    ("prompt = 'p/3'", Cmp("prompts", "any of", ["p/3"])),
    ("tag.a = 'b'", Cmp("tag", "=", "b", "a")),
    ("tag.a = 'true'", Or((Cmp("tag", "=", "true", "a"), Cmp("tags", "any of", ["a"])))),
    ("tag.a != 'x'", Or((Cmp("tag", "!=", "x", "a"), Cmp("tags", "any of", ["a"])))),
    ("tag.a IS NULL", And((Cmp("tag", "is null", None, "a"), Not(Cmp("tags", "any of", ["a"]))))),
    ("tags.mlflow.traceName = 'n'", Cmp("name", "=", "n")),
    ("span.type = 'CHAT_MODEL'", HasSpan(Cmp("kind", "in", ["generation"]))),
    ("span.type LIKE 'R%'", HasSpan(Cmp("kind", "in", ["retriever", "reranker"]))),
    ("span.content LIKE '%x%'", HasSpan(Cmp("text", "contains", "x"))),
    ("feedback.a > 1", HasScore(And((Cmp("name", "=", "a"), Cmp("kind", "=", "feedback"), Cmp("valid", "=", True), Cmp("value", ">", 1.0))))),
    ("request_id = 'tr-00000000000000000000000000000ABC'", Cmp("trace_id", "in", ["00000000000000000000000000000abc"])),
    ("request_id = 'tr-mine'", Cmp("trace_id", "in", ["tr-mine", "mine"])),
])  # fmt: skip
def test_meaning(text: str | None, expected: Expr) -> None:
    assert trace_filter(text) == expected


def test_span_clauses_of_a_conjunction_hold_on_one_span() -> None:
    name, status = Cmp("name", "=", "a"), Cmp("status", "=", "ok")
    assert trace_filter("span.name = 'a' AND name = 'n' AND span.status = 'OK'") == And(
        (Cmp("name", "=", "n"), HasSpan(And((name, status))))
    )
    assert trace_filter("span.name = 'a' OR span.status = 'OK'") == Or((HasSpan(name), HasSpan(status)))


def test_order() -> None:
    assert trace_order(["timestamp_ms DESC", "tag.a"]) == (Order("start_ns"), Order("tag", False, "a"))


@pytest.mark.parametrize("text", [
    "nope = 'a'", "foo.a = 'b'", "status = 'MAYBE'", "status > 'OK'", "timestamp_ms = 'x'", "timestamp_ms = 1e300", "prompt = 'a'",
    "prompt != 'a/1'", "tag.a > 'b'", "span.nope = 'a'", "span.content = 'a'", "issue.id != 'x'", "feedback.a > 'x'",
    "span.type RLIKE '('",
])  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        trace_filter(text)


@pytest.mark.parametrize("items", [["nope"], ["name", "name DESC"], ["span.name"], [""]])
def test_refused_orders(items: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        trace_order(items)
