"""Two reports about one span become one: resends, updates, updates before their create, two exporters.

Rules (sources: Langfuse batch merge, reference ``langfuse.md`` 3.1; MLflow's span upsert, ``mlflow.md`` 2.10):

* The same report twice is one report.
* Nothing said never erases something said. Maps are united, ``metadata`` deeply; input and output are the last truthy.
* An update (``partial``) means only the fields in ``given``; before its create it waits as a partial span, and wins over
  the create for those fields when that arrives, except for fields which updates told with the create gave (its ``given``).
* Start time and environment are immutable once set. An end before the start becomes the start.
* Two exporters of one span: the richer source (``SOURCE_RANK``) wins where both say something, whatever the order.
* Usage and cost are taken whole, never mixed: by source (client over estimated over masked), then by the rule above.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.trace import Scope, Span

#: Which exporter is believed where two say different things about one span.
SOURCE_RANK = {"otlp": 1, "mlflow": 2, "langfuse": 3, "native": 4}
USAGE_RANK = {"none": 0, "masked": 1, "estimated": 2, "client": 3}
COST_RANK = {"none": 0, "computed": 1, "client": 2}

#: Fields that are replaced as a whole, with the value that means "not said".
_SCALARS: tuple[tuple[str, Any], ...] = (
    ("parent_id", None), ("name", ""), ("kind", "span"), ("end_ns", None), ("status", "unset"), ("status_message", ""),
    ("level", "DEFAULT"), ("completion_start_ns", None), ("is_app_root", False), ("model", None), ("provider", None),
    ("input", None), ("output", None), ("prompt_name", None), ("prompt_version", None), ("tool_name", None),
    ("agent_name", None), ("user_id", None), ("session_id", None), ("release", None), ("version", None),
    ("service", None), ("otel_kind", 0), ("trace_state", ""), ("dialect", ""),
)  # fmt: skip
_MAPS = ("model_parameters", "attributes", "resource", "rules")
_COMPARED = tuple(
    f
    for f in Span.__struct_fields__
    if f not in ("created_ns", "updated_ns", "input_preview", "output_preview", "given")
)
_FALSY_IO = frozenset({None, "", "null"})


def merge_span(old: Span, new: Span) -> Span:
    """What is known of a span after ``new`` was said. Returns ``old`` itself when nothing changes."""
    if new.partial:
        merged = _overlay(old, new, new.given or frozenset())
        if old.partial:
            merged.given = (old.given or frozenset()) | (new.given or frozenset())
        merged.partial = old.partial
    elif old.partial:
        waited = old.given or frozenset()
        merged = _overlay(_both(old, new, new_wins=True), old, waited - (new.given or frozenset()))
        if "start_ns" not in waited:
            merged.start_ns = new.start_ns  # what waited had but a guess
        merged.partial = False
        merged.given = None
        merged.source = new.source
    else:
        mine, theirs = SOURCE_RANK.get(old.source, 0), SOURCE_RANK.get(new.source, 0)
        merged = _both(old, new, new_wins=theirs >= mine)
        merged.source = new.source if theirs >= mine else old.source
        merged.given = None
    if merged.end_ns is not None and merged.end_ns < merged.start_ns:
        if merged.partial and "start_ns" not in (merged.given or ()):
            merged.start_ns = merged.end_ns  # its start is a guess
        else:
            merged.end_ns = merged.start_ns
    merged.counted = old.counted
    merged.created_ns = old.created_ns or new.created_ns
    return old if same(old, merged) else merged


def same(a: Span, b: Span) -> bool:
    """Whether two spans say the same (what the store fills in is not looked at)."""
    if a is b:
        return True
    return all(getattr(a, name) == getattr(b, name) for name in _COMPARED) and (not a.partial or a.given == b.given)


def _overlay(base: Span, update: Span, given: frozenset[str]) -> Span:
    """``base`` with the ``given`` fields of ``update`` that are not None."""
    merged = msgspec.structs.replace(base)
    for name in given:
        value = getattr(update, name, None)
        if value is None or (name in ("input", "output") and value in _FALSY_IO):
            continue
        guessed = name == "start_ns" and base.partial and name not in (base.given or ())
        if name in ("start_ns", "environment") and getattr(base, name) and not guessed:
            continue
        if name == "metadata":
            value = deep_union(base.metadata, update.metadata)
        elif name in _MAPS:
            value = {**getattr(base, name), **value}
        elif name in ("events", "links"):
            value = _list_union(getattr(base, name), value)
        elif name in ("usage", "cost"):
            setattr(merged, f"{name}_source", getattr(update, f"{name}_source"))
        setattr(merged, name, value)
    if "cost" in given:
        merged.price_id = update.price_id
    return merged


def _both(old: Span, new: Span, *, new_wins: bool) -> Span:
    """Union of two whole reports."""
    strong, weak = (new, old) if new_wins else (old, new)
    merged = msgspec.structs.replace(strong)
    for name, empty in _SCALARS:
        if getattr(strong, name) == empty:
            setattr(merged, name, getattr(weak, name))
    for name in ("input", "output"):
        if getattr(strong, name) in _FALSY_IO and getattr(weak, name) not in _FALSY_IO:
            setattr(merged, name, getattr(weak, name))
    merged.start_ns = min(filter(None, (old.start_ns, new.start_ns)), default=0)
    merged.environment = old.environment or new.environment
    merged.metadata = deep_union(weak.metadata, strong.metadata)
    for name in _MAPS:
        if getattr(weak, name):
            setattr(merged, name, {**getattr(weak, name), **getattr(strong, name)})
    merged.events = _list_union(weak.events, strong.events)
    merged.links = _list_union(weak.links, strong.links)
    merged.scope = strong.scope if strong.scope != Scope() else weak.scope
    _take_numbers(merged, strong, weak)
    return merged


def _take_numbers(merged: Span, strong: Span, weak: Span) -> None:
    """Usage and cost from the report with the better source."""
    better = USAGE_RANK.get(weak.usage_source, 0) > USAGE_RANK.get(strong.usage_source, 0)
    if weak.usage and (better or not strong.usage):
        merged.usage, merged.usage_source = weak.usage, weak.usage_source
    elif better and not strong.usage:
        merged.usage_source = weak.usage_source
    if not strong.cost or (weak.cost and COST_RANK.get(weak.cost_source, 0) > COST_RANK.get(strong.cost_source, 0)):
        merged.cost, merged.cost_source, merged.price_id = weak.cost, weak.cost_source, weak.price_id


def deep_union(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``old`` overlaid with ``new``, objects inside objects too. Neither argument is changed."""
    if not old:
        return new
    if not new:
        return old
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        merged[key] = deep_union(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _list_union(old: list[Any], new: list[Any]) -> list[Any]:
    if not old or old == new:
        return new
    if not new:
        return old
    return sorted([*old, *(item for item in new if item not in old)], key=lambda i: getattr(i, "time_ns", 0))
