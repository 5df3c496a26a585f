"""Decides an expression over values in memory, by the same rules as the stores do over rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twinlens.domain.errors import InvalidArgument
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or


def holds(expr: Expr, read: Callable[[Cmp], Any]) -> bool:
    """Whether ``expr`` holds, where ``read`` gives the value that a comparison is about (None when it is absent)."""
    match expr:
        case Cmp():
            return compare(read(expr), expr)
        case And():
            return all(holds(item, read) for item in expr.items)
        case Or():
            return any(holds(item, read) for item in expr.items)
        case Not():
            return not holds(expr.item, read)
        case _:
            raise InvalidArgument("spans and scores cannot be searched here")


def compare(found: Any, condition: Cmp) -> bool:
    """Whether one value satisfies a comparison; an absent one satisfies only ``is null``."""
    op, value = condition.op, condition.value
    if found is None or op in ("is null", "is not null"):
        return (op == "is null") == (found is None) and op in ("is null", "is not null")
    match op:
        case "=":
            return found == value
        case "!=":
            return found != value
        case "in":
            return found in value
        case "not in":
            return found not in value
        case "like" | "ilike":
            return re.match(like_pattern(value), found, re.DOTALL | (re.IGNORECASE if op == "ilike" else 0)) is not None
        case "<":
            return found < value
        case "<=":
            return found <= value
        case ">":
            return found > value
        case ">=":
            return found >= value
        case _:
            raise InvalidArgument(f"the operator '{op}' is not supported for '{condition.field}'")


def like_pattern(pattern: str) -> str:
    """A LIKE pattern as a regular expression for ``re.match``."""
    wild = {"%": ".*", "_": "."}
    return "".join(wild[c] if c in wild else re.escape(c) for c in pattern) + r"\Z"
