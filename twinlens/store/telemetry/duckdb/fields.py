"""What the fields of ``query.py`` are in DuckDB: an expression and a type per view."""

from __future__ import annotations

import difflib
from typing import Literal

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.query import SCORE_FIELDS, SPAN_FIELDS, TRACE_FIELDS

FieldType = Literal[
    "text", "number", "bool", "list", "json", "search", "score", "trace", "span", "inherited", "count", "by_type"
]


class Field(msgspec.Struct, frozen=True):
    """``expr`` uses the view's alias: ``t`` traces, ``s`` spans, ``c`` scores.

    ``trace`` and ``span`` are a field of the row's owner, ``inherited`` is the row's own or else its trace's, ``count``
    a subquery with places for the project's scope, ``by_type`` a JSON object of amounts.
    """

    expr: str
    type: FieldType
    parts: tuple[str, ...] = ()  #: ``search``: the texts it looks through; ``by_type``: list of types, and total


ALIAS = {"traces": "t", "spans": "s", "scores": "c"}
#: The columns that name a row, in the order in which they break ties.
IDS = {"traces": ("trace_id",), "spans": ("trace_id", "span_id"), "scores": ("score_id",)}
DEFAULT_ORDER = {"traces": "start_ns", "spans": "start_ns", "scores": "timestamp_ns"}

_NUMBERS = {
    "start_ns", "end_ns", "input_tokens", "output_tokens", "total_tokens", "input_cost", "output_cost", "total_cost",
    "span_count", "error_count", "warning_count", "model_call_count", "created_ns", "updated_ns", "prompt_version",
    "value", "timestamp_ns",
}  # fmt: skip
_BOOLS = {"public", "bookmarked", "is_app_root", "counted", "valid"}
_LISTS = {"tags", "models", "run_ids", "prompts"}


def _view(alias: str, names: frozenset[str], special: dict[str, Field]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for name in names:
        if name in special:
            fields[name] = special[name]
        else:
            kind: FieldType = (
                "number" if name in _NUMBERS else "bool" if name in _BOOLS else "list" if name in _LISTS else "text"
            )
            fields[name] = Field(f'{alias}."{name}"', kind)
    return fields


def _search(alias: str) -> Field:
    return Field("", "search", tuple(f"{alias}.{c}" for c in ("name", "input_preview", "output_preview")))


#: Fields of the trace a span or score belongs to; ``expr`` is the trace's field.
_OF_TRACE = {
    "trace_name": Field("name", "trace"),
    "tags": Field("tags", "trace"),
    "trace_user_id": Field("user_id", "trace"),
    "trace_session_id": Field("session_id", "trace"),
    "trace_release": Field("release", "trace"),
    "trace_version": Field("version", "trace"),
    "experiment_id": Field("experiment_id", "trace"),
}
#: Fields of the span a score belongs to; ``expr`` is the span's field.
_OF_SPAN = {f"span_{name}": Field(name, "span") for name in ("name", "model", "prompt_name", "prompt_version")}


def _rate(tokens: str, since: str) -> Field:
    return Field(f"(s.{tokens} * 1e9 / nullif(s.end_ns - s.{since}, 0))", "number")


def _types(column: str) -> Field:
    keys = f"json_keys(s.{column})"
    return Field(
        f"(CASE WHEN len({keys}) > 1 THEN list_filter({keys}, lambda k : k <> 'total') ELSE {keys} END)", "list"
    )


#: Names of the tools that a model called (``ingest.tools``).
_CALLED = """coalesce(json_extract_string(s.attributes, '$."twinlens.tools.called"[*]'), [])"""

VIEWS: dict[str, dict[str, Field]] = {
    "traces": _view("t", TRACE_FIELDS, {
        "latency_ns": Field("(t.end_ns - t.start_ns)", "number"),
        "state": Field(
            "(CASE WHEN t.status = 'error' THEN 'error' WHEN t.status = 'ok' OR t.end_ns IS NOT NULL THEN 'ok' "
            "ELSE 'in_progress' END)",
            "text",
        ),
        "text": _search("t"),
        "metadata": Field("t.metadata", "json"),
        "tag": Field("t.tag_values", "json"),
        "score": Field("", "score"),
        "score_count": Field("SELECT count(*) FROM scores c WHERE {scores} AND c.valid AND c.tkey = t.tkey", "count"),
        "level_count": Field(
            "SELECT count(*) FROM spans s WHERE {spans} AND s.tkey = t.tkey AND s.level = {key}", "count"
        ),
    }),
    "spans": _view("s", SPAN_FIELDS, {
        "environment": Field("coalesce(s.environment, 'default')", "text"),  # as Langfuse calls what names none
        "latency_ns": Field("(s.end_ns - s.start_ns)", "number"),
        "ttft_ns": Field("(s.first_token_ns - s.start_ns)", "number"),
        "is_root": Field("(s.parent_id IS NULL)", "bool"),
        "is_any_root": Field("(s.parent_id IS NULL OR coalesce(s.is_app_root, false))", "bool"),
        "stream_ns": Field("(s.end_ns - s.first_token_ns)", "number"),
        "output_rate": _rate("output_tokens", "start_ns"),
        "output_stream_rate": _rate("output_tokens", "first_token_ns"),
        "total_rate": _rate("total_tokens", "start_ns"),
        "tools_offered": Field(
            """coalesce(try_cast(json_extract_string(s.attributes, '$."twinlens.tools.offered"') AS INTEGER), 0)""", "number"
        ),
        "tool_call_count": Field(f"len({_CALLED})", "number"),
        "called_tools": Field(_CALLED, "list"),
        "score_count": Field(
            "SELECT count(*) FROM scores c WHERE {scores} AND c.valid AND c.tkey = s.tkey AND c.span_id = s.span_id",
            "count",
        ),
        "usage_type": _types("usage"),
        "cost_type": _types("cost"),
        "usage_by_type": Field("usage", "by_type", ("usage_type", "total_tokens")),
        "cost_by_type": Field("cost", "by_type", ("cost_type", "total_cost")),
        "owner_user_id": Field("user_id", "inherited"),
        "owner_session_id": Field("session_id", "inherited"),
        "owner_release": Field("release", "inherited"),
        "text": _search("s"),
        **_OF_TRACE,
        "metadata": Field("s.metadata", "json"),
        "attribute": Field("s.attributes", "json"),
        "score": Field("", "score"),
    }),
    "scores": _view("c", SCORE_FIELDS, {**_OF_TRACE, **_OF_SPAN, "metadata": Field("c.metadata", "json")}),
}  # fmt: skip


def alias_of(view: str) -> str:
    """The alias of a view.

    Raises:
        InvalidArgument: there is no such view.
    """
    if view not in ALIAS:
        raise InvalidArgument(f"unknown view {view!r}; known are traces, spans and scores")
    return ALIAS[view]


def field(view: str, name: str) -> Field:
    """The field of a view.

    Raises:
        InvalidArgument: unknown; the message names the nearest known one.
    """
    alias_of(view)
    fields = VIEWS[view]
    found = fields.get(name)
    if found is None:
        near = difflib.get_close_matches(name, fields, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(fields))}"
        raise InvalidArgument(f"unknown field {name!r} of {view}{hint}")
    return found
