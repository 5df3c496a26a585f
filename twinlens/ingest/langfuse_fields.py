"""Single fields of Langfuse's ingestion bodies, brought to the canonical form. Rules from Langfuse server v4.16."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twinlens.ingest import usage as shapes

DEFAULT_ENVIRONMENT = "default"
_ENVIRONMENT = re.compile(r"[a-z0-9_\-]{1,40}\Z")

#: Langfuse 2's usage object: the counts, and the costs beside them.
_LEGACY_COUNTS = ("input", "output", "total", "promptTokens", "completionTokens", "totalTokens")
_LEGACY_COSTS = ("inputCost", "outputCost", "totalCost")


def environment(text: str | None) -> str | None:
    """The stored environment: lower case, at most 40 of ``a-z 0-9 - _``, not starting with ``langfuse``; else ``default``."""
    if text is None:
        return None
    name = text.strip().lower()
    if name.startswith("langfuse"):
        name = name.removeprefix("langfuse").lstrip("-_")
    return name if _ENVIRONMENT.match(name) else DEFAULT_ENVIRONMENT


def storable_time(ns: int) -> int:
    """``ns`` if it is a time that nanoseconds in 64 bits can say (the years 1677 to 2262).

    Raises:
        OverflowError: it is not.
    """
    if not -(1 << 63) <= ns < 1 << 63:
        raise OverflowError("time out of range")
    return ns


def as_object(value: Any) -> dict[str, Any] | None:
    """Metadata is an object; anything else is wrapped under the key ``metadata``."""
    if value is None or isinstance(value, dict):
        return value
    return {"metadata": value}


def merge_objects(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge: objects are merged, everything else of ``new`` replaces; None does not erase."""
    merged = dict(old)
    for key, value in new.items():
        there = merged.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merged[key] = merge_objects(there, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def usage(details: Mapping[str, Any] | None, legacy: Mapping[str, Any] | None) -> dict[str, int]:
    """Disjoint token counts from ``usageDetails``, or from ``usage`` when there are none.

    Langfuse takes flat keys as disjoint. Some clients (LiteLLM among them) send inclusive sums with them all the same, which
    Langfuse then counts twice (its issue 12306); ``total == input + output`` beside further keys gives them away.
    """
    if details:
        counts = shapes.from_mapping(details)
    elif legacy and any(key in legacy for key in _LEGACY_COUNTS):
        counts = shapes.from_mapping({key: legacy[key] for key in _LEGACY_COUNTS if key in legacy})
    else:
        counts = shapes.from_mapping(legacy or {})
    further = counts.keys() - {"input", "output", "total"}
    if any(counts[key] for key in further) and counts["total"] == counts.get("input", 0) + counts.get("output", 0):
        return shapes.disjoint(counts)
    return counts


def cost(details: Mapping[str, Any] | None, legacy: Mapping[str, Any] | None) -> dict[str, float]:
    """USD by usage key as the client reports it, from ``costDetails`` or the legacy usage object."""
    if details:
        return shapes.cost_from_mapping(details)
    return shapes.cost_from_mapping({key: legacy[key] for key in _LEGACY_COSTS if key in legacy} if legacy else {})
