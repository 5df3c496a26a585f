"""Usage and cost as additive deltas by hour, so that totals survive the payloads and spans they came from."""

from __future__ import annotations

import msgspec

from twinlens.domain.counting import reports, sides, total_tokens
from twinlens.domain.trace import Span

HOUR_NS = 3_600_000_000_000


class UsageKey(msgspec.Struct, frozen=True, kw_only=True):
    """What usage is added up by. ``hour_ns`` is the start of the UTC hour in which the span started."""

    hour_ns: int
    environment: str = "default"
    kind: str = "span"
    name: str = ""
    model: str = ""
    provider: str = ""
    user_id: str = ""
    prompt_name: str = ""
    prompt_version: int = -1


class UsageSum(msgspec.Struct, kw_only=True):
    """Sums; negative where a replaced span is taken back. Tokens are inclusive per side, money is USD."""

    spans: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_cost: float = 0.0
    output_cost: float = 0.0
    total_cost: float = 0.0


def usage_key(span: Span) -> UsageKey:
    """The cell a span belongs to."""
    return UsageKey(
        hour_ns=span.start_ns // HOUR_NS * HOUR_NS,
        environment=span.environment or "default",
        kind=span.kind,
        name=span.name,
        model=span.model or "",
        provider=span.provider or "",
        user_id=span.user_id or "",
        prompt_name=span.prompt_name or "",
        prompt_version=-1 if span.prompt_version is None else span.prompt_version,
    )


def add_usage(deltas: dict[UsageKey, UsageSum], span: Span, sign: int) -> None:
    """Add (+1) or take back (-1) what a counted span reports. Spans that report nothing leave no trace here."""
    if not span.counted or not reports(span):
        return
    key = usage_key(span)
    found = deltas.get(key)
    if found is None:
        found = deltas[key] = UsageSum()
    found.spans += sign
    found.errors += sign * (span.status == "error")
    if span.usage:
        inputs, outputs = sides(span.usage)
        found.input_tokens += sign * inputs
        found.output_tokens += sign * outputs
        found.total_tokens += sign * total_tokens(span.usage)
    if span.cost:
        paid_in, paid_out = sides(span.cost)
        found.input_cost += sign * paid_in
        found.output_cost += sign * paid_out
        found.total_cost += sign * span.total_cost
