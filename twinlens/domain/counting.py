"""Which spans' tokens and money count, so that one model call is counted once.

Three reasons not to count a span (sources: ``superoptix.md`` 5.2 (a) and (b), ``langfuse.md`` 3.2 "double counting guard",
MLflow's tree-aware totals):

* **Wrapper.** An agent, workflow, chain, tool or plain span repeats what its children used: it counts only if no
  descendant reports anything.
* **Twin.** Two instrumentations report one call: same model, equal tokens, overlapping times, different scope, one the
  parent of the other or both children of one parent. The better report counts: with the client's own cost, with more
  token classes, the inner one, the earlier one.
* **Estimate.** Tokens that we counted ourselves, because a span said nothing, give way to what a client said of the same
  call: a span below says so, or a model span above (MLflow's tracing of DSPy and of OpenAI's agents SDK do so).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from twinlens.domain.trace import MODEL_KINDS, Span

_DATE = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})$")


def reports(span: Span) -> bool:
    """Whether the span itself says what it used or cost."""
    return bool(span.usage) or bool(span.cost)


def scope_of(span: Span) -> str:
    """Who reported: the instrumentation scope, or the protocol for reports without one."""
    return span.scope.name or span.source


def sides(amounts: Mapping[str, float]) -> tuple[Any, Any]:
    """Sums over all input classes and over all output classes (cached, reasoning, audio … included), of tokens or USD."""
    inputs = outputs = 0
    for key, amount in amounts.items():
        if key[:5] == "input":
            inputs += amount
        elif key[:6] == "output":
            outputs += amount
    return inputs, outputs


def total_tokens(usage: Mapping[str, int]) -> int:
    """``total`` when present, else the sum of the disjoint classes."""
    return usage["total"] if "total" in usage else sum(usage.values())


def uncounted(spans: Iterable[Span]) -> set[str]:
    """Ids of the spans of one whole trace that must not be counted."""
    by_id = {span.span_id: span for span in spans}
    reporting = [span for span in by_id.values() if reports(span)]
    if len(reporting) < 2:
        return set()
    hidden = _estimates(reporting, by_id)
    reporting = [span for span in reporting if span.span_id not in hidden]
    hidden |= _wrappers(reporting, by_id)
    hidden |= _twins([s for s in reporting if s.kind in MODEL_KINDS], by_id)
    return hidden


def _above(spans: Iterable[Span], by_id: Mapping[str, Span]) -> set[str]:
    """Ids of all spans that have one of these below them."""
    above: set[str] = set()
    for span in spans:
        parent = span.parent_id
        while parent is not None and parent not in above and (found := by_id.get(parent)) is not None:
            above.add(parent)
            parent = found.parent_id
    return above


def _estimates(reporting: list[Span], by_id: Mapping[str, Span]) -> set[str]:
    """Estimated spans of which a span above or below knows better."""
    guessed = [span for span in reporting if span.usage_source == "estimated"]
    said = {span.span_id: span for span in reporting if span.usage_source != "estimated"}
    if not guessed or not said:
        return set()
    above = _above(said.values(), by_id)
    hidden: set[str] = set()
    for span in guessed:
        seen: set[str] = set()
        parent = span.parent_id
        while parent is not None and parent not in seen and (found := by_id.get(parent)) is not None:
            if parent in said and found.kind in MODEL_KINDS:
                hidden.add(span.span_id)
                break
            seen.add(parent)
            parent = found.parent_id
        if span.span_id in above:
            hidden.add(span.span_id)
    return hidden


def _wrappers(reporting: list[Span], by_id: Mapping[str, Span]) -> set[str]:
    """Non-model spans with a reporting descendant."""
    above = _above(reporting, by_id)
    return {s.span_id for s in reporting if s.span_id in above and s.kind not in MODEL_KINDS}


def _model_key(span: Span) -> tuple[str, int, int]:
    """Model without provider prefix and date suffix, with the inclusive token counts."""
    model = _DATE.sub("", (span.model or "").lower().rsplit("/", 1)[-1])
    inputs, outputs = sides(span.usage)
    return model, inputs, outputs


def _twins(spans: list[Span], by_id: Mapping[str, Span]) -> set[str]:
    """Greedy one-to-one pairing inside groups of equal reports; the result does not depend on the order given."""
    if len({scope_of(s) for s in spans}) < 2:
        return set()
    groups: dict[tuple[str, int, int], list[Span]] = {}
    for span in spans:
        if span.usage:
            groups.setdefault(_model_key(span), []).append(span)
    hidden: set[str] = set()
    for group in groups.values():
        if len(group) > 1:
            hidden |= _pair(group, by_id)
    return hidden


def _pair(group: list[Span], by_id: Mapping[str, Span]) -> set[str]:
    inner = {s.parent_id for s in group}  # ids of those that have a member of the group below them
    ranked = sorted(
        group,
        key=lambda s: (
            s.cost_source != "client",
            -len(s.usage),
            s.span_id in inner,
            scope_of(s),
            s.start_ns,
            s.span_id,
        ),
    )
    kept: list[tuple[Span, set[str]]] = []  # with the scopes whose twin they already have
    hidden: set[str] = set()
    for span in ranked:
        scope = scope_of(span)
        for other, taken in kept:
            if scope not in taken and _one_call(span, other):
                taken.add(scope)
                hidden.add(span.span_id)
                break
        else:
            kept.append((span, {scope}))
    return hidden


def _one_call(a: Span, b: Span) -> bool:
    """Related in the tree and overlapping in time."""
    related = a.parent_id == b.span_id or b.parent_id == a.span_id or a.parent_id == b.parent_id
    a_end = a.end_ns if a.end_ns is not None else a.start_ns
    b_end = b.end_ns if b.end_ns is not None else b.start_ns
    return related and a.start_ns <= b_end and b.start_ns <= a_end
