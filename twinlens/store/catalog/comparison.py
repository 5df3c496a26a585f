"""Expressions of the query model as SQL over catalog columns, the same on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or

#: PostgreSQL treats a backslash in a pattern as an escape unless another character is named; this one never occurs.
_ESCAPE = "\x01"
_INT64 = 1 << 63


def compile_expr(expr: Expr, leaf: Callable[[Cmp], sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """``expr`` with every comparison translated by ``leaf``."""
    match expr:
        case Cmp():
            return leaf(expr)
        case And():
            return sa.and_(sa.true(), *(compile_expr(item, leaf) for item in expr.items))
        case Or():
            return sa.or_(sa.false(), *(compile_expr(item, leaf) for item in expr.items))
        case Not():
            # A comparison with an absent value is unknown to SQL; here it is false, so its negation is true.
            return sa.not_(sa.func.coalesce(compile_expr(expr.item, leaf), sa.false()))
        case _:
            raise InvalidArgument("spans and scores cannot be searched here")


def comparisons(expr: Expr) -> Iterator[Cmp]:
    """Every comparison in ``expr``."""
    match expr:
        case Cmp():
            yield expr
        case And() | Or():
            for item in expr.items:
                yield from comparisons(item)
        case Not():
            yield from comparisons(expr.item)
        case _:
            return


def told(column: sa.Column[Any], condition: Cmp) -> sa.ColumnElement[Any]:
    """``column`` as MLflow has it: what was left out is an empty text there, which differs from every other one. Only
    comparisons that tell so are turned: others find the column's index."""
    empty = condition.op in ("!=", "not in") or condition.value == ""
    return sa.func.coalesce(column, "") if column.nullable and isinstance(column.type, sa.Text) and empty else column


def compare(column: sa.ColumnElement[Any], condition: Cmp) -> sa.ColumnElement[bool]:
    """``column op value``; NULL satisfies only ``is null``. ``like`` is case-sensitive, ``ilike`` is not, on both engines.

    Raises:
        InvalidArgument: an operator that columns of the catalog do not have, or a value no column can hold.
    """
    op, value = condition.op, condition.value
    for one in value if isinstance(value, (list, tuple)) else (value,):  # pyright: ignore[reportUnknownVariableType]
        if isinstance(one, str) and "\x00" in one:
            raise InvalidArgument(f"the value of '{condition.key or condition.field}' holds a NUL character")
        if isinstance(one, int) and not -_INT64 <= one < _INT64:
            raise InvalidArgument(f"the value of '{condition.key or condition.field}' is out of range: {one}")
    match op:
        case "=":
            return column == value
        case "!=":
            return column != value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case ">=":
            return column >= value
        case "in":
            return column.in_(list(value))
        case "not in":
            return column.not_in(list(value))
        case "is null":
            return column.is_(None)
        case "is not null":
            return column.is_not(None)
        case "like":
            return column.like(value, escape=_ESCAPE)
        case "ilike":
            # SQLite's lower() folds ASCII only, PostgreSQL's all letters; the pattern is folded by the same function.
            return sa.func.lower(column).like(sa.func.lower(value), escape=_ESCAPE)
        case _:
            raise InvalidArgument(f"the operator '{op}' is not supported for '{condition.field}'")
