"""What the identifiers of MLflow's grammar mean when skills and their versions are searched, and how they are read off one
(reference: MLflow 3.18, ``SearchSkill…Utils``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.skill import Skill, SkillVersion, split_identity
from twinlens.query.mlflow_filter import Clause, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import check_op, number_value, text_value
from twinlens.store.telemetry.query import Cmp, Expr

_ATTRIBUTE = (None, "attribute", "attributes", "attr")
_NUMERIC = {"=", "!=", ">", ">=", "<", "<="}
_TEXTUAL = {"=", "!=", "LIKE", "ILIKE"}
_LISTS = {"IN", "NOT IN"}
_TIMES = {"created_at": _NUMERIC, "last_updated_at": _NUMERIC}
_SKILL = _TIMES | {
    "name": _TEXTUAL, "organization": _TEXTUAL, "description": _TEXTUAL, "search_text": _TEXTUAL, "source_type": _TEXTUAL,
    "status": _TEXTUAL | _LISTS,
}  # fmt: skip
_VERSION = _TIMES | {
    "version": _NUMERIC, "organization": _TEXTUAL, "source_type": _TEXTUAL, "digest": _TEXTUAL, "status": _TEXTUAL | _LISTS,
}  # fmt: skip

#: Field and whether it descends.
Order = Sequence[tuple[str, bool]]


def _clause(clause: Clause, fields: Mapping[str, set[str]]) -> Expr:
    if clause.entity in ("tag", "tags"):
        return Cmp("tag", check_op(clause, _TEXTUAL), text_value(clause, "tag"), clause.key)
    if clause.entity not in _ATTRIBUTE:
        raise InvalidArgument(f"Invalid filter type '{clause.entity}' in: {clause.text}")
    if clause.key not in fields:
        raise InvalidArgument(f"Invalid attribute key '{clause.key}' specified. Valid keys are '{sorted(fields)}'")
    op = check_op(clause, fields[clause.key])
    read = number_value if fields[clause.key] is _NUMERIC else text_value
    return Cmp(clause.key, op, read(clause, clause.key))


def skill_filter(text: str | None) -> Expr:
    """Filter of a search for skills."""
    return parse_filter(text, lambda clause: _clause(clause, _SKILL))


def version_filter(text: str | None) -> Expr:
    """Filter of a search for versions of a skill."""
    return parse_filter(text, lambda clause: _clause(clause, _VERSION))


def _order(items: Sequence[str], fields: Mapping[str, set[str]]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for item in items:
        sort = parse_order_by(item)
        if sort.entity is not None or sort.key not in fields:
            raise InvalidArgument(f"Invalid order_by key '{item}'. Valid keys: {sorted(fields)}")
        if any(sort.key == known for known, _ in found):
            raise InvalidArgument(f"Duplicate order_by field: '{sort.key}'")
        found.append((sort.key, sort.descending))
    return found


def skill_order(items: Sequence[str]) -> Order:
    """Order of a search for skills; by organization and name in the end."""
    return [*_order(items, _SKILL), ("organization", False), ("name", False)]


def version_order(items: Sequence[str]) -> Order:
    """Order of a search for versions; by number in the end."""
    return [*_order(items, _VERSION), ("version", False)]


def read_skill(row: Skill, condition: Cmp) -> Any:
    """The value of a skill that a condition is about; None when it has none."""
    return row.tags.get(condition.key or "") if condition.field == "tag" else skill_value(row, condition.field)


def read_version(row: SkillVersion, condition: Cmp) -> Any:
    """The value of a version that a condition is about; None when it has none."""
    if condition.field == "tag":
        return row.version_tags.get(condition.key or "")
    return version_value(row, condition.field)


def skill_value(row: Skill, field: str) -> Any:
    """A skill's value under this name."""
    match field:
        case "name":
            return split_identity(row.name)[1]
        case "organization":
            return split_identity(row.name)[0]
        case "search_text":
            return " ".join(f"{split_identity(row.name)[1]} {row.description or ''}".split())
        case "description":
            return row.description
        case "status":
            return row.current.status if row.current else None
        case "source_type":
            return row.current.source_type if row.current else None
        case "created_at":
            return row.head.created_ns // 1_000_000
        case _:
            return row.head.updated_ns // 1_000_000


def version_value(row: SkillVersion, field: str) -> Any:
    """A version's value under this name."""
    match field:
        case "organization":
            return split_identity(row.name)[0]
        case "created_at":
            return row.created_ns // 1_000_000
        case "last_updated_at":
            return row.updated_ns // 1_000_000
        case _:
            return getattr(row, field)
