"""What somebody may see, as a condition of a search: so a page is full, and its cursor right, whatever is left out."""

from __future__ import annotations

from twinlens.domain.grant import Visible
from twinlens.store.telemetry.query import And, Cmp, Expr, Or


def score_within(visible: Visible | None) -> Expr:
    """A score belongs to a trace that may be seen, or to none (a session's, a run's) where nothing but exceptions is denied."""
    of_trace = within(visible, "experiment_id")
    return of_trace if visible is None or visible.only is not None else Or((of_trace, Cmp("trace_id", "is null")))


def within(visible: Visible | None, field: str) -> Expr:
    """``field``, which holds an id, is one of those that may be seen. None: everything may."""
    if visible is None:
        return And()
    if visible.only is not None:
        shown = sorted(visible.only - visible.without)
        return Cmp(field, "in", shown) if shown else Or()
    return Cmp(field, "not in", sorted(visible.without)) if visible.without else And()
