"""Traces and spans as they were before they had been carried into a system that has no place for all of their fields."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import msgspec

from twinlens.domain.trace import Span, TraceSummary

#: Said once more on the way back, for the spans that had said it may not say it any more.
_SAID = frozenset({"name", "input", "output", "environment", "release", "version", "public", "bookmarked"})
_DEFAULTS = msgspec.structs.asdict(TraceSummary(trace_id=""))


def restore_trace(trace: TraceSummary, carried: dict[str, Any], whole: Iterable[str] = ()) -> None:
    """Give a trace the fields that were carried; those of ``whole`` that are not among them are at their default."""
    for name in {*whole, *(key for key in carried if key in _DEFAULTS)}:
        value: Any = carried.get(name, _DEFAULTS[name])
        setattr(trace, name, frozenset(value) if name == "client_fields" else copy.copy(value))
    trace.client_fields |= {name for name in _SAID if getattr(trace, name) != _DEFAULTS[name]}


def restore_span(span: Span, carried: dict[str, Any], whole: Iterable[str] = ()) -> Span:
    """A span with the fields that were carried; those of ``whole`` that are not among them are at their default."""
    plain: dict[str, Any] = msgspec.to_builtins(span)
    for name in whole:
        plain.pop(name, None)
    return msgspec.convert(plain | carried, Span)
