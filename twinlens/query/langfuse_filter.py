"""Langfuse's ``filter`` parameter and simple list parameters → query expressions.

The parameter is a JSON array of ``{type, column, operator, value, key?}`` (server v4.16). Which column is which field of ours, and
how its values are converted, is a table per view; operators are checked against the declared type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from twinlens.domain.clock import parse_iso
from twinlens.domain.errors import InvalidArgument
from twinlens.ingest.langfuse_fields import storable_time
from twinlens.store.telemetry.query import And, Cmp, Expr, HasScore, Not, Op, Or

OPERATORS: dict[str, frozenset[str]] = {
    "datetime": frozenset({">", "<", ">=", "<="}),
    "string": frozenset({"=", "contains", "does not contain", "starts with", "ends with", "matches"}),
    "stringObject": frozenset(
        {"=", "contains", "does not contain", "starts with", "ends with", "matches", "is set", "is not set"}
    ),
    "stringOptions": frozenset({"any of", "none of"}),
    "categoryOptions": frozenset({"any of", "none of"}),
    "arrayOptions": frozenset({"any of", "none of", "all of"}),
    "number": frozenset({"=", ">", "<", ">=", "<="}),
    "numberObject": frozenset({"=", ">", "<", ">=", "<="}),
    "boolean": frozenset({"=", "<>"}),
    "booleanObject": frozenset({"=", "<>"}),
    "null": frozenset({"is null", "is not null"}),
}
_OPS: dict[str, Op] = {
    "does not contain": "not contains", "matches": "contains", "<>": "!=", "is set": "is not null",
    "is not set": "is null",
}  # fmt: skip
_MAX_SECONDS = 9e9  # in nanoseconds still a 64-bit number
_LISTS = frozenset({"tags", "models", "run_ids", "prompts"})
_KEYED = frozenset({"metadata", "score"})
_OBJECTS = frozenset({"stringObject", "categoryOptions", "numberObject", "booleanObject"})


class Item(msgspec.Struct, kw_only=True):
    """One condition as the client sends it."""

    type: str
    column: str
    operator: str
    value: Any = None
    key: str | None = None


Convert = Callable[[Any], Any]
Build = Callable[[Item, Op, Any], Expr]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """How a column is asked for: a field with a value conversion, or a function for everything that is not one field."""

    field: str = ""
    convert: Convert | None = None
    build: Build | None = None


def _field(name: str, convert: Convert | None = None) -> Column:
    return Column(field=name, convert=convert)


def time_value(value: Any) -> int:
    """The nanoseconds of a datetime condition.

    Raises:
        InvalidArgument: not a time.
    """
    if not isinstance(value, str):
        raise InvalidArgument("filter: a datetime value must be an ISO-8601 text")
    try:
        return storable_time(parse_iso(value))
    except (ValueError, OverflowError):
        raise InvalidArgument(f"filter: '{value}' is not an ISO-8601 time") from None


def _nanoseconds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_SECONDS:
        raise InvalidArgument("filter: a duration is a number of seconds")
    return round(value * 1_000_000_000)


def _upper(value: Any) -> Any:
    return [_upper(v) for v in value] if isinstance(value, list) else value.upper() if isinstance(value, str) else value


def _is_scored(item: Item, op: Op) -> Expr | None:
    """Whether there is a score of that name at all, where that is asked."""
    if op not in ("is null", "is not null"):
        return None
    named = HasScore(Cmp("name", "=", item.key))
    return named if op == "is not null" else Not(named)


def _category(item: Item, op: Op, value: Any) -> Expr:
    if (asked := _is_scored(item, op)) is not None:
        return asked
    here = Cmp("string_value", "in" if op in ("any of", "none of") else op, value)
    found = HasScore(And((Cmp("name", "=", item.key), here)))
    return Not(found) if op == "none of" else found


def _boolean_score(item: Item, op: Op, value: Any) -> Expr:
    if (asked := _is_scored(item, op)) is not None:
        return asked
    if not isinstance(value, bool):
        raise InvalidArgument(f"filter: '{item.column}' is true or false, type {item.type} does not fit")
    wanted = value == (op == "=")
    return HasScore(
        And((Cmp("name", "=", item.key), Cmp("data_type", "=", "BOOLEAN"), Cmp("value", "=", float(wanted))))
    )


def _level_count(level: str) -> Column:
    """Counts by level that summaries do not keep."""
    return Column(build=lambda item, op, value: Cmp("level_count", op, value, level))


def of_span_or_trace(field: str, op: Op, value: Any) -> Expr:
    """A user, session or release of a span, or of its trace: SDK 2 says it of the trace only, later ones on every span."""
    trace_field = f"trace_{field}"
    if op == "is null":
        return And((Cmp(field, op), Cmp(trace_field, op)))
    return Or((Cmp(field, op, value), And((Cmp(field, "is null"), Cmp(trace_field, op, value)))))


def _inherited(field: str) -> Column:
    def build(item: Item, op: Op, value: Any) -> Expr:
        if op == "all of":
            raise InvalidArgument(f"filter: '{item.column}' is no list, 'all of' does not apply")
        scalar: Op = {"any of": "in", "none of": "not in"}.get(op, op)  # type: ignore[assignment]
        return of_span_or_trace(field, scalar, value)

    return Column(build=build)


def _is_root(item: Item, op: Op, value: Any) -> Expr:
    return Cmp("is_any_root", op, value)


#: Observation type (server v4.16: ten) -> our kinds.
KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "SPAN": ("span", "parser", "memory", "task", "unknown"), "GENERATION": ("generation",), "EVENT": ("event",),
    "AGENT": ("agent",), "TOOL": ("tool",), "CHAIN": ("chain", "workflow"), "RETRIEVER": ("retriever", "reranker"),
    "EVALUATOR": ("evaluator",), "EMBEDDING": ("embedding",), "GUARDRAIL": ("guardrail",),
}  # fmt: skip
#: Our kind -> observation type.
TYPE_OF: Mapping[str, str] = {kind: name for name, kinds in KINDS_OF.items() for kind in kinds}
#: Score source -> ours.
SOURCES_OF: Mapping[str, tuple[str, ...]] = {
    "API": ("api",), "ANNOTATION": ("annotation", "human"), "EVAL": ("judge", "code"),
}  # fmt: skip


def _enumerated(field: str, known: Mapping[str, tuple[str, ...]]) -> Column:
    def build(item: Item, op: Op, value: Any) -> Expr:
        if op in ("is null", "is not null"):
            return Cmp(field, op)
        wanted: Any = [value] if isinstance(value, str) else value
        if op == "=" or (isinstance(wanted, list) and op in ("any of", "none of")):
            return one_of(field, known, wanted, negative=op == "none of")
        if isinstance(value, str):  # part of a name
            parts = {"contains": str.__contains__, "starts with": str.startswith, "ends with": str.endswith}
            fits = parts.get(op.removeprefix("not "))
            if fits is not None:
                named = [name for name in known if fits(name, value.upper())]
                return one_of(field, known, named, negative=op.startswith("not "))
        raise InvalidArgument(f"filter: operator '{item.operator}' of type {item.type} does not fit '{item.column}'")

    return Column(build=build)


def one_of(field: str, known: Mapping[str, tuple[str, ...]], wanted: list[str], *, negative: bool = False) -> Expr:
    """``field`` is one of our spellings of Langfuse's names.

    Raises:
        InvalidArgument: an unknown name.
    """
    ours: list[str] = []
    for name in wanted:
        if name not in known:
            raise InvalidArgument(f"'{name}' is not one of {', '.join(known)}")
        ours += known[name]
    return Cmp(field, "not in" if negative else "in", ours)


_NUMBERS = {
    "inputTokens": _field("input_tokens"), "outputTokens": _field("output_tokens"),
    "totalTokens": _field("total_tokens"), "inputCost": _field("input_cost"), "outputCost": _field("output_cost"),
    "totalCost": _field("total_cost"), "latency": _field("latency_ns", _nanoseconds),
}  # fmt: skip
_SCORES = {
    "scores_avg": _field("score"), "score_categories": Column(build=_category),
    "score_booleans": Column(build=_boolean_score),
}  # fmt: skip

TRACES: Mapping[str, Column] = {
    **_NUMBERS, **_SCORES,
    "id": _field("trace_id"), "name": _field("name"), "timestamp": _field("start_ns", time_value),
    "userId": _field("user_id"), "sessionId": _field("session_id"), "environment": _field("environment"),
    "version": _field("version"), "release": _field("release"), "tags": _field("tags"),
    "bookmarked": _field("bookmarked"), "metadata": _field("metadata"), "level": _field("level", _upper),
    "errorCount": _field("error_count"), "warningCount": _field("warning_count"),
    "debugCount": _level_count("DEBUG"), "defaultCount": _level_count("DEFAULT"),
}  # fmt: skip

OBSERVATIONS: Mapping[str, Column] = {
    **_NUMBERS, **_SCORES,
    "id": _field("span_id"), "type": _enumerated("kind", KINDS_OF), "name": _field("name"),
    "traceId": _field("trace_id"), "startTime": _field("start_ns", time_value), "endTime": _field("end_ns", time_value),
    "environment": _field("environment"), "traceEnvironment": _field("environment"), "version": _field("version"),
    "level": _field("level", _upper), "statusMessage": _field("status_message"), "userId": _inherited("user_id"),
    "sessionId": _inherited("session_id"), "traceName": _field("trace_name"), "traceTags": _field("tags"),
    "tags": _field("tags"), "metadata": _field("metadata"), "timeToFirstToken": _field("ttft_ns", _nanoseconds),
    "model": _field("model"), "providedModelName": _field("model"), "promptName": _field("prompt_name"),
    "promptVersion": _field("prompt_version"), "input": _field("input_preview"), "output": _field("output_preview"),
    "parentObservationId": _field("parent_id"), "release": _inherited("release"),
    "isRootObservation": Column(build=_is_root), "tokensPerSecond": _field("output_rate"),
    "traceRelease": _field("trace_release"), "traceVersion": _field("trace_version"),
}  # fmt: skip

SCORES: Mapping[str, Column] = {
    "id": _field("score_id"), "name": _field("name"), "value": _field("value"),
    "stringValue": _field("string_value"), "dataType": _field("data_type"),
    "source": _enumerated("source", SOURCES_OF), "timestamp": _field("timestamp_ns", time_value),
    "comment": _field("comment"), "traceId": _field("trace_id"), "observationId": _field("span_id"),
    "sessionId": _field("session_id"), "datasetRunId": _field("dataset_run_id"),
    "environment": _field("environment"), "configId": _field("config_id"), "queueId": _field("queue_id"),
    "authorUserId": _field("author_user_id"), "metadata": _field("metadata"), "userId": _field("trace_user_id"),
    "traceName": _field("trace_name"), "traceTags": _field("tags"), "tags": _field("tags"),
}  # fmt: skip

_items = msgspec.json.Decoder(list[Item])


def parse(text: str, columns: Mapping[str, Column]) -> Expr:
    """The expression of a ``filter`` parameter.

    Args:
        text: the JSON array.
        columns: ``TRACES``, ``OBSERVATIONS`` or ``SCORES``.

    Raises:
        InvalidArgument: not such an array, an unknown column, an operator or value that does not fit its type.
    """
    return build(decode_items(text), columns)


def decode_items(text: str) -> list[Item]:
    """The conditions of a ``filter`` parameter.

    Raises:
        InvalidArgument: not such an array.
    """
    try:
        return _items.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"filter: {error}") from None


def build(items: list[Item], columns: Mapping[str, Column]) -> Expr:
    """All of ``items``."""
    return And(tuple(_condition(item, columns) for item in items))


def _condition(item: Item, columns: Mapping[str, Column]) -> Expr:
    allowed = OPERATORS.get(item.type)
    if allowed is None:
        raise InvalidArgument(f"filter: unknown type '{item.type}', known are {', '.join(OPERATORS)}")
    if item.operator not in allowed:
        raise InvalidArgument(f"filter: operator '{item.operator}' does not exist for type {item.type}")
    column = columns.get(item.column)
    if column is None:
        raise InvalidArgument(f"filter: unknown column '{item.column}', known are {', '.join(sorted(columns))}")
    if item.type in _OBJECTS and not item.key:
        raise InvalidArgument(f"filter: type {item.type} needs a key")
    op: Op = _OPS.get(item.operator, item.operator)  # type: ignore[assignment]
    value = None if op in ("is null", "is not null") else typed_value(item)
    if column.build is not None:
        return column.build(item, op, value)
    if value is not None and column.convert is not None:
        value = column.convert(value)
    if item.type in ("stringOptions", "arrayOptions") and column.field not in _LISTS:
        if op == "all of":
            raise InvalidArgument(f"filter: '{item.column}' is no list, 'all of' does not apply")
        op = "in" if op == "any of" else "not in"
    elif column.field in _LISTS and op == "=":
        op, value = "any of", [value]
    keyed = item.type in _OBJECTS or column.field in _KEYED
    return Cmp(column.field, op, value, item.key if keyed else None)


def typed_value(item: Item) -> Any:
    """The value of a condition.

    Raises:
        InvalidArgument: not of the declared type.
    """
    value, kind = item.value, item.type
    if kind == "datetime":
        fits = isinstance(value, str)
    elif kind in ("stringOptions", "categoryOptions", "arrayOptions"):
        fits = isinstance(value, list) and all(isinstance(v, str) for v in value)
    elif kind in ("number", "numberObject"):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind in ("boolean", "booleanObject"):
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise InvalidArgument(f"filter: the value of '{item.column}' does not fit type {kind}")
    return value
