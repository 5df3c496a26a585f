"""What the identifiers of MLflow's grammar mean when evaluation datasets are searched, and how they are read off one."""

from __future__ import annotations

from typing import Any

from twinlens.domain.dataset import Dataset, tags_of
from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_filter import Clause, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import check_op, number_value, text_value
from twinlens.store.telemetry.query import Cmp, Expr

_TEXTS = {"name", "created_by", "last_updated_by"}
_NUMBERS = {"created_time": "created_ms", "last_update_time": "updated_ms"}
_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "LIKE", "ILIKE"}


def _resolve(clause: Clause) -> Expr:
    if clause.entity in ("tag", "tags"):
        return Cmp("tag", check_op(clause, _TEXTUAL), text_value(clause, "tag"), clause.key)
    if clause.entity not in (None, "attribute", "attributes"):
        raise InvalidArgument(f"Invalid identifier token '{clause.entity}' specified. Valid are 'tags' and attributes")
    if clause.key in _NUMBERS:
        return Cmp(_NUMBERS[clause.key], check_op(clause, _NUMERIC), number_value(clause, clause.key))
    if clause.key not in _TEXTS:
        valid = sorted(_TEXTS | _NUMBERS.keys())
        raise InvalidArgument(f"Invalid attribute key '{clause.key}' specified. Valid keys are: {valid}")
    allowed = _TEXTUAL | {"IN", "NOT IN"} if clause.key == "name" else _TEXTUAL
    return Cmp(clause.key, check_op(clause, allowed), text_value(clause, clause.key))


def dataset_filter(text: str | None) -> Expr:
    """Filter of ``datasets/search``."""
    return parse_filter(text, _resolve)


def dataset_order(items: list[str]) -> list[tuple[str, bool]]:
    """Order of ``datasets/search`` as (field, descending).

    Raises:
        InvalidArgument: not one of the sortable fields.
    """
    known = {"name": "name", **_NUMBERS}
    found: list[tuple[str, bool]] = []
    for item in items:
        sort = parse_order_by(item)
        if sort.entity not in (None, "attribute", "attributes") or sort.key not in known:
            raise InvalidArgument(f"Invalid attribute key '{sort.key}' specified. Valid keys are: {sorted(known)}")
        found.append((known[sort.key], sort.descending))
    return found


def read_field(dataset: Dataset, condition: Cmp) -> Any:
    """The value of a dataset that a condition is about; None when it has none."""
    match condition.field:
        case "tag":
            return tags_of(dataset.metadata).get(condition.key or "")
        case "created_ms":
            return dataset.created_ns // 1_000_000
        case "updated_ms":
            return dataset.updated_ns // 1_000_000
        case "last_updated_by":
            return dataset.updated_by
        case field:
            return getattr(dataset, field)
