"""What the identifiers of MLflow's grammar mean when issues are searched: ``status`` and ``source_run_id``, joined by AND."""

from __future__ import annotations

from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_filter import Clause, parse_filter
from twinlens.query.mlflow_filter_runs import check_op, text_value
from twinlens.store.telemetry.query import And, Cmp, Expr

_KEYS = ("status", "source_run_id")


def issue_conditions(text: str) -> list[tuple[str, str, str]]:
    """``(field, operator, value)`` of every clause.

    Raises:
        InvalidArgument: the filter cannot be read, or names another field.
    """
    expression = parse_filter(text, _resolve) if text.strip() else None
    parts = expression.items if isinstance(expression, And) else (expression,)
    found: list[tuple[str, str, str]] = []
    for part in parts:
        if part is None:
            continue
        if not isinstance(part, Cmp):
            raise InvalidArgument("issues are searched by clauses joined with AND")
        found.append((part.field, part.op, str(part.value)))
    return found


def _resolve(clause: Clause) -> Expr:
    if clause.entity not in (None, "attribute", "attributes") or clause.key not in _KEYS:
        raise InvalidArgument(f"Invalid attribute key '{clause.key}' specified. Valid keys are '{list(_KEYS)}'")
    return Cmp(clause.key, check_op(clause, {"=", "!="}), text_value(clause, "attributes"))
