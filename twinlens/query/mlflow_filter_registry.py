"""What the identifiers of MLflow's grammar mean when registered models, versions or logged models are searched.

Prompts are registered models to MLflow, told apart by the tag ``mlflow.prompt.is_prompt``; here they are stored apart. So
that tag is taken out of a filter and becomes the choice of what is searched. Models lack the tag, yet ``!= 'true'`` and
``= 'false'`` select them (clients append such a clause to every search).
"""

from __future__ import annotations

import re
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.logged_model import ModelOrder
from twinlens.query.mlflow_filter import Clause, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import check_op, number_value, text_value
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or

IS_PROMPT = "mlflow.prompt.is_prompt"

_ATTRIBUTE = {None, "attribute", "attributes", "attr"}
_TAG = {"tag", "tags"}
_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "LIKE", "ILIKE"}
_LISTS = {"IN", "NOT IN"}

_VERSION_TEXTS = {"name": "name", "run_id": "run_id", "source_path": "source"}
_VERSION_ORDER = {
    "name": "name", "version_number": "version", "creation_timestamp": "created_ms",
    "last_updated_timestamp": "updated_ms",
}  # fmt: skip
_MODEL_ORDER = {"name": "name", "timestamp": "updated_ms", "last_updated_timestamp": "updated_ms"}

_LOGGED_TEXTS = {
    "name": "name", "model_id": "model_id", "model_type": "model_type", "status": "status",
    "source_run_id": "source_run_id", "experiment_id": "experiment_id", "artifact_location": "artifact_uri",
}  # fmt: skip
_LOGGED_NUMBERS = {
    "creation_timestamp": "created_ms", "creation_timestamp_ms": "created_ms", "creation_time": "created_ms",
    "last_updated_timestamp": "updated_ms", "last_updated_timestamp_ms": "updated_ms",
}  # fmt: skip


def _unknown(clause: Clause, valid: list[str]) -> InvalidArgument:
    return InvalidArgument(f"Invalid attribute key '{clause.key}' specified. Valid keys are '{valid}'")


def _tag(clause: Clause) -> Cmp:
    return Cmp("tag", check_op(clause, _TEXTUAL), text_value(clause, "tag"), clause.key)


def _resolve_model(clause: Clause) -> Expr:
    if clause.entity in _TAG:
        return _tag(clause)
    if clause.entity not in _ATTRIBUTE or clause.key != "name":
        raise _unknown(clause, ["name"])
    return Cmp("name", check_op(clause, _TEXTUAL | _LISTS), text_value(clause, "attributes"))


def _resolve_version(clause: Clause) -> Expr:
    if clause.entity in _TAG:
        return _tag(clause)
    if clause.entity in _ATTRIBUTE:
        if clause.key == "version_number":
            return Cmp("version", check_op(clause, _NUMERIC), _version(clause))
        if clause.key in _VERSION_TEXTS:
            allowed = _TEXTUAL | _LISTS if clause.key in ("name", "run_id") else _TEXTUAL
            return Cmp(_VERSION_TEXTS[clause.key], check_op(clause, allowed), text_value(clause, "attributes"))
    raise _unknown(clause, [*sorted(_VERSION_TEXTS), "version_number"])


def _version(clause: Clause) -> int:
    """The number of a version, which may stand in quotes."""
    if isinstance(clause.value, str) and re.fullmatch(r"\d{1,18}", clause.value):
        return int(clause.value)
    return int(number_value(clause, "version_number"))


def _resolve_logged(clause: Clause) -> Expr:
    match clause.entity:
        case None | "attributes" | "attribute":
            if clause.key in _LOGGED_NUMBERS:
                value = number_value(clause, clause.key)
                return Cmp(_LOGGED_NUMBERS[clause.key], check_op(clause, _NUMERIC), value)
            if clause.key in _LOGGED_TEXTS:
                value = _plain(clause)
                if clause.key == "status":
                    value = _statuses(value)
                return Cmp(_LOGGED_TEXTS[clause.key], check_op(clause, _TEXTUAL | _LISTS), value)
            raise _unknown(clause, sorted(_LOGGED_TEXTS | _LOGGED_NUMBERS))
        case "metrics" | "metric":
            return Cmp("metric", check_op(clause, _NUMERIC), float(number_value(clause, "metric")), clause.key)
        case "params" | "param":
            return Cmp("param", check_op(clause, _TEXTUAL | _LISTS), _plain(clause), clause.key)
        case "tags" | "tag":
            return Cmp("tag", check_op(clause, _TEXTUAL | _LISTS), _plain(clause), clause.key)
        case _:
            raise InvalidArgument(
                f"Invalid entity type: '{clause.entity}'. Expected one of ['attributes', 'metrics', 'params', 'tags']."
            )


def _plain(clause: Clause) -> Any:
    """The clause's text; of logged models a bare number is text too, as written: ``params.lr = 0.01``."""
    if isinstance(clause.value, int | float):
        return re.split(r"[\s=<>]", clause.text)[-1]
    return text_value(clause, "attributes")


def _statuses(value: Any) -> Any:
    """The wire's enum names (``LOGGED_MODEL_READY``) mean the same as ours."""
    if isinstance(value, list):
        return [_statuses(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return str(value).upper().removeprefix("LOGGED_MODEL_")


def model_filter(text: str | None) -> tuple[bool, Expr]:
    """Filter of ``registered-models/search``: whether prompts are meant, and the conditions on them or on models."""
    return _prompts(parse_filter(text, _resolve_model))


def version_filter(text: str | None) -> tuple[bool, Expr]:
    """Filter of ``model-versions/search``: whether prompts are meant, and the conditions on them or on versions."""
    return _prompts(parse_filter(text, _resolve_version))


def logged_model_filter(text: str | None) -> Expr:
    """Filter of ``logged-models/search``."""
    return parse_filter(text, _resolve_logged)


def _wants_prompts(condition: Cmp) -> bool:
    value = str(condition.value).lower()
    return (condition.op == "=" and value == "true") or (condition.op == "!=" and value == "false")


def _prompts(expr: Expr) -> tuple[bool, Expr]:
    items = expr.items if isinstance(expr, And) else (expr,)
    flags = [item for item in items if isinstance(item, Cmp) and item.key == IS_PROMPT and item.field == "tag"]
    wanted = bool(flags) and _wants_prompts(flags[0])
    return wanted, _without(expr, wanted)


def _without(expr: Expr, prompts: bool) -> Expr:
    """``expr`` with every condition on the prompt tag decided."""
    match expr:
        case Cmp(field="tag", key="mlflow.prompt.is_prompt"):
            return And() if _wants_prompts(expr) == prompts else Or()
        case And():
            return And(tuple(_without(item, prompts) for item in expr.items))
        case Or():
            return Or(tuple(_without(item, prompts) for item in expr.items))
        case Not():
            return Not(_without(expr.item, prompts))
        case _:
            return expr


def _orders(items: list[str], valid: dict[str, str]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for item in items:
        sort = parse_order_by(item)
        if sort.entity not in _ATTRIBUTE or sort.key not in valid:
            raise InvalidArgument(f"Invalid order by key '{sort.key}' specified. Valid keys are '{sorted(valid)}'")
        found.append((valid[sort.key], sort.descending))
    if len({field for field, _ in found}) != len(found):
        raise InvalidArgument(f"`order_by` contains duplicate fields: {items}")
    return found


def model_order(items: list[str]) -> list[tuple[str, bool]]:
    """Order of ``registered-models/search`` as (field, descending); the store appends the name."""
    return _orders(items, _MODEL_ORDER)


def version_order(items: list[str]) -> list[tuple[str, bool]]:
    """Order of ``model-versions/search`` as (field, descending), by default what changed last comes first; the store appends
    name and newest version."""
    return _orders(items or ["last_updated_timestamp DESC"], _VERSION_ORDER)


def logged_model_order(
    field: str, *, ascending: bool = True, dataset_name: str | None = None, dataset_digest: str | None = None
) -> ModelOrder:
    """One order object of ``logged-models/search``.

    Raises:
        InvalidArgument: unknown field, or a data set named without a metric.
    """
    entity, dot, key = field.partition(".")
    key = re.sub(r"^([`\"])(.*)\1$", r"\2", key)
    if dot and entity in ("metrics", "metric", "params", "param") and key:
        kind = entity.rstrip("s") + "s"
        if kind == "params" and dataset_name:
            raise InvalidArgument("`dataset_name` in `order_by` can only be used for ordering by metrics.")
        return ModelOrder(f"{kind}.{key}", ascending, dataset_name, dataset_digest)
    name = key if dot and entity in ("attributes", "attribute") else field
    known = _LOGGED_TEXTS | _LOGGED_NUMBERS
    if name not in known:
        raise InvalidArgument(f"Invalid order by field name: {field}")
    if dataset_name:
        raise InvalidArgument("`dataset_name` in `order_by` can only be used for ordering by metrics.")
    if dataset_digest:
        raise InvalidArgument("`dataset_digest` can only be specified if `dataset_name` is also specified.")
    return ModelOrder(known[name], ascending)
