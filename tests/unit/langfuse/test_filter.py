"""Langfuse's ``filter`` parameter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinlens.domain.errors import InvalidArgument
from twinlens.query.langfuse_filter import OBSERVATIONS, OPERATORS, SCORES, TRACES, parse
from twinlens.store.telemetry.query import (
    SCORE_FIELDS,
    SPAN_FIELDS,
    TRACE_FIELDS,
    And,
    Cmp,
    Expr,
    HasScore,
    HasSpan,
    Or,
)


def one(columns: Any, type: str, column: str, operator: str, value: Any, key: str | None = None) -> Expr:
    item = {"type": type, "column": column, "operator": operator, "value": value, "key": key}
    whole = parse(json.dumps([item]), columns)
    assert isinstance(whole, And)
    return whole.items[0]


VALUES: dict[str, Any] = {
    "datetime": "2026-11-23T10:00:00Z", "string": "x", "stringObject": "x", "stringOptions": ["x"],
    "categoryOptions": ["x"], "arrayOptions": ["x"], "number": 0.5, "numberObject": 2, "boolean": True,
    "booleanObject": False, "null": "",
}  # fmt: skip
COLUMN = {
    "datetime": ("timestamp", None), "string": ("name", None), "stringObject": ("metadata", "k"),
    "stringOptions": ("name", None), "categoryOptions": ("score_categories", "s"), "arrayOptions": ("tags", None),
    "number": ("latency", None), "numberObject": ("scores_avg", "s"), "boolean": ("bookmarked", None),
    "booleanObject": ("score_booleans", "s"), "null": ("userId", None),
}  # fmt: skip


@pytest.mark.parametrize(("type", "operator"), [(t, o) for t, ops in OPERATORS.items() for o in sorted(ops)])
def test_every_operator_of_every_type_is_understood(type: str, operator: str) -> None:
    column, key = COLUMN[type]
    one(TRACES, type, column, operator, VALUES[type], key)


def _fields(expr: Expr) -> set[str]:
    if isinstance(expr, Cmp):
        return {expr.field}
    if isinstance(expr, And | Or):
        return set[str]().union(*(_fields(item) for item in expr.items))
    return set() if isinstance(expr, HasSpan | HasScore) else _fields(expr.item)


@pytest.mark.parametrize(
    ("columns", "known"), [(TRACES, TRACE_FIELDS), (OBSERVATIONS, SPAN_FIELDS), (SCORES, SCORE_FIELDS)]
)
def test_every_column_names_fields_of_its_view(columns: Any, known: frozenset[str]) -> None:
    for name, column in columns.items():
        if column.field:
            assert column.field in known, name
    for name in ("userId", "sessionId", "type", "isRootObservation"):
        if columns is OBSERVATIONS:
            kind, value = ("boolean", True) if name.startswith("is") else ("stringOptions", ["SPAN"])
            operator = "=" if kind == "boolean" else "any of"
            assert _fields(one(columns, kind, name, operator, value)) <= known


def test_values_are_converted() -> None:
    assert one(TRACES, "number", "latency", ">", 1.5) == Cmp("latency_ns", ">", 1_500_000_000)
    assert one(TRACES, "datetime", "timestamp", "<", "1970-01-01T00:00:01Z") == Cmp("start_ns", "<", 1_000_000_000)
    assert one(TRACES, "stringOptions", "name", "none of", ["a"]) == Cmp("name", "not in", ["a"])
    assert one(TRACES, "arrayOptions", "tags", "all of", ["a"]) == Cmp("tags", "all of", ["a"])
    assert one(TRACES, "null", "name", "is null", "") == Cmp("name", "is null")
    assert one(TRACES, "stringObject", "metadata", "=", "v", "k") == Cmp("metadata", "=", "v", "k")
    assert one(OBSERVATIONS, "stringOptions", "type", "any of", ["CHAIN"]) == Cmp("kind", "in", ["chain", "workflow"])
    assert one(TRACES, "number", "debugCount", ">", 2) == Cmp("level_count", ">", 2, "DEBUG")
    assert one(OBSERVATIONS, "string", "type", "contains", "generat") == Cmp("kind", "in", ["generation"])


def test_a_span_without_a_user_has_its_traces() -> None:
    expected = Or((Cmp("user_id", "=", "u"), And((Cmp("user_id", "is null"), Cmp("trace_user_id", "=", "u")))))
    assert one(OBSERVATIONS, "string", "userId", "=", "u") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "filter"),
        ("{}", "filter"),
        ('[{"type":"string"}]', "column"),
        ('[{"type":"nope","column":"name","operator":"=","value":"x"}]', "unknown type 'nope'"),
        ('[{"type":"string","column":"nope","operator":"=","value":"x"}]', "unknown column 'nope'"),
        ('[{"type":"string","column":"name","operator":">","value":"x"}]', "operator '>'"),
        ('[{"type":"number","column":"latency","operator":">","value":"x"}]', "does not fit"),
        ('[{"type":"string","column":"name","operator":"=","value":null}]', "does not fit"),
        ('[{"type":"datetime","column":"timestamp","operator":">","value":"soon"}]', "not an ISO-8601 time"),
        ('[{"type":"stringObject","column":"metadata","operator":"=","value":"x"}]', "needs a key"),
        ('[{"type":"arrayOptions","column":"name","operator":"all of","value":["x"]}]', "no list"),
        ('[{"type":"string","column":"score_booleans","operator":"=","value":"x"}]', "true or false"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(text, TRACES)
