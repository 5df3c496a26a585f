"""What the identifiers of MLflow's grammar mean when traces are searched.

Reference: ``SearchTraceUtils`` of MLflow 3.18. Several span clauses that are joined by ``AND`` must hold on the same span.
MLflow counts whole milliseconds where nanoseconds are stored, so ``timestamp_ms = 5`` means the millisecond, not the
instant. Tags of Langfuse are plain words; they answer as tags with the value ``true``.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from math import floor
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.ids import possible_trace_ids
from twinlens.query.evaluate import like_pattern
from twinlens.query.mlflow_filter import Clause, SortKey, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import check_op, number_value, text_value
from twinlens.store.telemetry.query import And, Cmp, Expr, HasScore, HasSpan, Not, Op, Or, Order

MS = 1_000_000
_MAX_MS = 9_000_000_000_000
#: Value under which a plain word shows as a key-value tag.
WORD_TAG = "true"
#: Metadata that names the run a trace was made in; a trace linked to a run later has it too.
SOURCE_RUN = "mlflow.sourceRun"

_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "IN", "NOT IN", "LIKE", "ILIKE", "RLIKE"}
_NULLS = {"IS NULL", "IS NOT NULL"}
_CONTENT = {"LIKE", "ILIKE"}

#: Span types of MLflow -> kinds.
SPAN_KINDS: dict[str, list[str]] = {
    "LLM": ["generation"], "CHAT_MODEL": ["generation"], "CHAIN": ["chain"], "AGENT": ["agent"], "TOOL": ["tool"],
    "RETRIEVER": ["retriever"], "PARSER": ["parser"], "EMBEDDING": ["embedding"], "RERANKER": ["reranker"],
    "MEMORY": ["memory"], "WORKFLOW": ["workflow"], "TASK": ["task"], "GUARDRAIL": ["guardrail"],
    "EVALUATOR": ["evaluator"], "UNKNOWN": ["unknown", "span", "event"],
}  # fmt: skip

_TIMES = {
    "timestamp": "start_ns", "timestamp_ms": "start_ns", "request_time": "start_ns", "end_time": "end_ns",
    "end_time_ms": "end_ns", "execution_time": "latency_ns", "execution_time_ms": "latency_ns",
    "execution_duration": "latency_ns",
}  # fmt: skip
_TEXTS = {"name": "name", "client_request_id": "client_request_id", "experiment_id": "experiment_id"}
#: Metadata keys whose values have columns of their own.
_METADATA = {"mlflow.trace.session": "session_id", "mlflow.trace.user": "user_id"}
_SPAN_ATTRIBUTES = {
    "mlflow.spanInputs": "input_preview", "mlflow.spanOutputs": "output_preview", "mlflow.llm.model": "model",
    "mlflow.llm.provider": "provider",
}  # fmt: skip
_ATTRIBUTES = {None, "attribute", "attributes", "attr", "trace", "request"}
_SPAN_STATUSES = ("OK", "ERROR", "UNSET")
_STATES = {"OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED", "TRACE_STATUS_UNSPECIFIED"}


def trace_filter(text: str | None) -> Expr:
    """Filter of ``traces/search``."""
    return _joined(parse_filter(text, _resolve))


def trace_order(items: list[str]) -> tuple[Order, ...]:
    """Order of ``traces/search``; empty means newest first, and so do equal
    values. The store appends the id."""
    orders: list[Order] = []
    for item in items:
        sort = parse_order_by(item)
        field: str | None = None
        if sort.entity in _ATTRIBUTES:
            known = (
                _TIMES
                | _TEXTS
                | {"status": "state", "state": "state", "request_id": "trace_id", "trace_id": "trace_id"}
            )
            field = known.get(sort.key)
            if sort.key == "run_id":
                field, sort = "metadata", SortKey("metadata", SOURCE_RUN, sort.descending)
        elif sort.entity in ("tag", "tags"):
            field = "name" if sort.key == "mlflow.traceName" else "tag"
        elif sort.entity in ("metadata", "request_metadata", "trace_metadata"):
            field = _METADATA.get(sort.key, "metadata")
        if field is None:
            valid = sorted({*_TIMES, *_TEXTS, "status", "request_id", "run_id"})
            raise InvalidArgument(
                f"Invalid attribute key '{sort.key}' specified. Valid keys are '{valid}' in order_by: {item}"
            )
        orders.append(Order(field, sort.descending, sort.key if field in ("tag", "metadata") else None))
    if len({(order.field, order.key) for order in orders}) != len(orders):
        raise InvalidArgument(f"`order_by` contains duplicate fields: {items}")
    if orders and not any(order.field == "start_ns" for order in orders):
        orders.append(Order("start_ns", True))
    return tuple(orders)


def _resolve(clause: Clause) -> Expr:
    match clause.entity:
        case "tag" | "tags":
            return _tag(clause)
        case "metadata" | "request_metadata" | "trace_metadata":
            return _metadata(clause)
        case "span" | "spans":
            return HasSpan(_span(clause))
        case "feedback" | "expectation":
            return _assessment(clause, clause.entity)
        case "issue":
            if clause.key != "id" or clause.op != "=":
                raise InvalidArgument(f"Only issue.id = '…' is supported, not: {clause.text}")
            value = text_value(clause, "issue.id")
            same = Or((Cmp("name", "=", value), Cmp("score_id", "=", value)))
            return HasScore(And((Cmp("kind", "=", "issue"), Cmp("valid", "=", True), same)))
        case _ if clause.entity in _ATTRIBUTES:
            return _attribute(clause)
        case _:
            raise InvalidArgument(
                f"Invalid entity type '{clause.entity}'. Valid values are ['attribute', 'expectation', 'feedback', "
                "'issue', 'metadata', 'span', 'tag']"
            )


def _attribute(clause: Clause) -> Expr:
    key = clause.key
    if key in _TIMES:
        op = check_op(clause, _NUMERIC)
        return _milliseconds(_TIMES[key], op, number_value(clause, key))
    if key in ("status", "state"):
        op = check_op(clause, {"=", "!=", "IN", "NOT IN"})
        return _states(clause, op)
    if key in ("request_id", "trace_id"):
        op = check_op(clause, _TEXTUAL)
        value = text_value(clause, key)
        if op in ("=", "!=", "in", "not in"):
            named = value if isinstance(value, list) else [value]
            ids = [form for each in named for form in possible_trace_ids(each)]
            return Cmp("trace_id", "in" if op in ("=", "in") else "not in", ids)
        prefix = "^tr-" if op == "regex" else "tr-"  # which ids of OpenTelemetry are stored without
        plain = Cmp("trace_id", op, value)
        bare = Cmp("trace_id", op, prefix[:-3] + str(value).removeprefix(prefix))
        return Or((plain, bare)) if str(value).startswith(prefix) else plain
    if key == "run_id":
        return _member("run_ids", clause)
    if key == "prompt":
        if clause.op != "=":
            raise InvalidArgument(
                f"Invalid comparator '{clause.op}' for prompts filter. Only '=' is supported with format: "
                'prompt = "name/version"'
            )
        value = text_value(clause, "prompt")
        if value.count("/") != 1:
            raise InvalidArgument(f"Invalid prompts filter value '{value}'. Expected format: prompt = \"name/version\"")
        return Cmp("prompts", "any of", [value])
    if key == "text":
        op = check_op(clause, _CONTENT | {"=", "RLIKE"})
        content = _content(op, text_value(clause, "text"))
        return Or((content, HasSpan(content)))
    if key in _TEXTS:
        return Cmp(_TEXTS[key], check_op(clause, _TEXTUAL | _NULLS), text_value(clause, key))
    valid = sorted({*_TIMES, *_TEXTS, "status", "request_id", "run_id", "prompt", "text"})
    raise InvalidArgument(f"Invalid attribute key '{key}' specified. Valid keys are '{valid}'")


def _milliseconds(field: str, op: Op, value: float) -> Expr:
    """Compare a nanosecond field by whole milliseconds."""
    if abs(value) > 1e19:
        raise InvalidArgument(f"the time {value} is out of range: milliseconds are expected")
    value = max(-_MAX_MS, min(_MAX_MS, value))  # so that the greatest integer may stand for "any time"
    start = floor(value) * MS
    end = start + MS
    match op:
        case "=":
            return And((Cmp(field, ">=", start), Cmp(field, "<", end)))
        case "!=":
            return Or((Cmp(field, "<", start), Cmp(field, ">=", end)))
        case "<" if value != int(value):
            return Cmp(field, "<", end)
        case "<":
            return Cmp(field, "<", start)
        case "<=":
            return Cmp(field, "<", end)
        case ">":
            return Cmp(field, ">=", end)
        case _ if value != int(value):
            return Cmp(field, ">=", end)
        case _:
            return Cmp(field, ">=", start)


def _states(clause: Clause, op: Op) -> Expr:
    value = text_value(clause, "status")
    found: list[Expr] = []
    for name in value if isinstance(value, list) else [value]:
        state = str(name).upper()
        if state not in _STATES:
            raise InvalidArgument(f"Invalid status '{name}'. Valid values are {sorted(_STATES)}")
        match state:
            case "OK":
                ended = And((Cmp("status", "=", "unset"), Cmp("end_ns", "is not null")))
                found.append(Or((Cmp("status", "=", "ok"), ended)))
            case "ERROR":
                found.append(Cmp("status", "=", "error"))
            case "IN_PROGRESS":
                found.append(And((Cmp("status", "=", "unset"), Cmp("end_ns", "is null"))))
            case _:
                found.append(Or())
    any_of = found[0] if len(found) == 1 else Or(tuple(found))
    return Not(any_of) if op in ("!=", "not in") else any_of


def _member(field: str, clause: Clause) -> Expr:
    """Comparison with a list field: equal means contained, and unequal that it holds others alone."""
    op = check_op(clause, _TEXTUAL | _NULLS)
    value = text_value(clause, clause.key)
    values = value if isinstance(value, list) else [value]
    match op:
        case "=" | "in":
            return Cmp(field, "any of", values)
        case "!=" | "not in":
            return And((Cmp(field, "is not null"), Cmp(field, "none of", values)))
        case _:
            return Cmp(field, op, value)


def _tag(clause: Clause) -> Expr:
    op = check_op(clause, _TEXTUAL | _NULLS)
    value = text_value(clause, "tag")
    if clause.key == "mlflow.traceName":
        return Cmp("name", op, value)
    stored = Cmp("tag", op, value, clause.key)
    word = Cmp("tags", "any of", [clause.key])
    match op:
        case "is null":
            return And((stored, Not(word)))
        case "is not null":
            return Or((stored, word))
        case _:
            return Or((stored, word)) if _word_matches(op, value) else stored


def _word_matches(op: Op, value: Any) -> bool:
    """Whether a plain word, read as a tag with the value ``true``, satisfies the comparison."""
    match op:
        case "=":
            return value == WORD_TAG
        case "!=":
            return value != WORD_TAG
        case "in":
            return WORD_TAG in value
        case "not in":
            return WORD_TAG not in value
        case "like" | "ilike":
            return re.match(like_pattern(value), WORD_TAG, re.IGNORECASE if op == "ilike" else 0) is not None
        case _:
            return False


def _metadata(clause: Clause) -> Expr:
    if clause.key == SOURCE_RUN:
        return _member("run_ids", clause)
    op = check_op(clause, _TEXTUAL | _NULLS)
    value = text_value(clause, "metadata")
    column = _METADATA.get(clause.key)
    return Cmp(column, op, value) if column else Cmp("metadata", op, value, clause.key)


def _span(clause: Clause) -> Expr:
    key = clause.key
    if key == "name":
        return Cmp("name", check_op(clause, _TEXTUAL), text_value(clause, "span.name"))
    if key == "type":
        return _span_type(clause)
    if key == "status":
        op = check_op(clause, _TEXTUAL)
        value = text_value(clause, "span.status")
        if op in ("like", "ilike", "regex"):
            return Cmp("status", "in", [name.lower() for name in _SPAN_STATUSES if _matches(op, value, name)])
        value = [v.lower() for v in value] if isinstance(value, list) else value.lower()
        return Cmp("status", op, value)
    if key == "content":
        return _content(check_op(clause, _CONTENT), text_value(clause, "span.content"))
    if key.startswith("attributes."):
        return _span_attribute(clause, key.removeprefix("attributes."))
    raise InvalidArgument(
        f"Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>."
    )


def _span_type(clause: Clause) -> Expr:
    op = check_op(clause, _TEXTUAL)
    value = text_value(clause, "span.type")
    if op in ("=", "!=", "in", "not in"):
        names = value if isinstance(value, list) else [value]
        kinds = [kind for name in names for kind in SPAN_KINDS.get(str(name).upper(), [str(name).lower()])]
        return Cmp("kind", "in" if op in ("=", "in") else "not in", kinds)
    return Cmp(
        "kind", "in", [kind for name, kinds in SPAN_KINDS.items() if _matches(op, value, name) for kind in kinds]
    )


def _matches(op: Op, pattern: str, name: str) -> bool:
    """Whether one of MLflow's own names fits a pattern: it means these, not the words that are stored for them."""
    if op != "regex":
        return re.match(like_pattern(pattern), name, re.IGNORECASE if op == "ilike" else 0) is not None
    try:
        return re.search(pattern, name) is not None
    except re.error as error:
        raise InvalidArgument(f"Invalid regular expression '{pattern}': {error}") from None


def _span_attribute(clause: Clause, key: str) -> Expr:
    op = check_op(clause, _TEXTUAL | _NULLS)
    value = text_value(clause, f"span.attributes.{key}")
    if key == "mlflow.spanType":
        return _span_type(Clause(clause.entity, "type", clause.op, clause.value, clause.text))
    if key in _SPAN_ATTRIBUTES:
        return Cmp(_SPAN_ATTRIBUTES[key], op, value)
    plain = Cmp("attribute", op, value, key)
    # MLflow's SDK writes attribute values as JSON, so a text is stored with its quotes.
    if op == "=":
        return Or((plain, Cmp("attribute", op, json.dumps(value, ensure_ascii=False), key)))
    if op == "in":
        return Cmp("attribute", op, [*value, *(json.dumps(v, ensure_ascii=False) for v in value)], key)
    if op == "!=":
        return And((plain, Cmp("attribute", op, json.dumps(value, ensure_ascii=False), key)))
    return plain


def _content(op: Op, value: str) -> Expr:
    """Text search. ``%word%`` is a substring search, which stores answer fastest; case does not matter to it."""
    if op == "=":
        return Cmp("text", "contains", value)
    if op in ("like", "ilike") and re.fullmatch(r"%[^%_]+%", value):
        return Cmp("text", "contains", value[1:-1])
    return Cmp("text", op, value)


def _assessment(clause: Clause, kind: str) -> Expr:
    named = (Cmp("name", "=", clause.key), Cmp("kind", "=", kind), Cmp("valid", "=", True))
    op = check_op(clause, _NUMERIC | _TEXTUAL | _NULLS)
    match op:
        case "is null":
            return Not(HasScore(And(named)))
        case "is not null":
            return HasScore(And(named))
        case "<" | "<=" | ">" | ">=":
            return HasScore(And((*named, Cmp("value", op, _as_number(clause)))))
        case "=":
            return HasScore(And((*named, _equals(clause.value))))
        case "!=":
            return HasScore(And((*named, Not(_equals(clause.value)))))
        case "in" | "not in":
            values = clause.value if isinstance(clause.value, list) else [clause.value]
            any_of = Or(tuple(_equals(value) for value in values))
            return HasScore(And((*named, any_of if op == "in" else Not(any_of))))
        case _:
            value = text_value(clause, kind)
            return HasScore(And((*named, Or((Cmp("string_value", op, value), Cmp("json_value", op, value))))))


def _as_number(clause: Clause) -> float:
    try:
        return float(clause.value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise InvalidArgument(f"Expected a number in: {clause.text}") from None


def _equals(value: Any) -> Expr:
    """A score whose value is ``value``, also when the filter spells a number or truth value as text."""
    text = str(value)
    found: list[Expr] = [Cmp("string_value", "=", text), Cmp("json_value", "=", text)]
    if text.lower() in ("true", "false"):
        same = Cmp("value", "=", 1.0 if text.lower() == "true" else 0.0)
        found.append(And((Cmp("data_type", "=", "BOOLEAN"), same)))
    elif len(text) > 1 and text[0] == text[-1] == '"':
        found.append(Cmp("string_value", "=", text[1:-1]))
    else:
        with suppress(ValueError):
            found.append(And((Cmp("data_type", "=", "NUMERIC"), Cmp("value", "=", float(text)))))
    return Or(tuple(found))


def _joined(expr: Expr) -> Expr:
    """``expr`` with the span conditions of every conjunction moved onto one span."""
    match expr:
        case And():
            items = [_joined(item) for item in expr.items]
            spans = [item.where for item in items if isinstance(item, HasSpan)]
            rest = [item for item in items if not isinstance(item, HasSpan)]
            if len(spans) > 1:
                return And((*rest, HasSpan(And(tuple(spans)))))
            return And(tuple(items))
        case Or():
            return Or(tuple(_joined(item) for item in expr.items))
        case Not():
            return Not(_joined(expr.item))
        case _:
            return expr
