"""Price rows: what one unit of a model's usage costs, from when, in which tier. Money is USD.

The shape is Langfuse's model definition (``langfuse.md`` 3.4) plus a provider, so that every face can read and write it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Comparison = Literal["gt", "gte", "lt", "lte", "eq", "neq"]
#: What is counted: ``TOKENS`` (also characters, images …: whatever the usage keys count), or calls of a tool.
Unit = Literal["TOKENS", "CHARACTERS", "MILLISECONDS", "SECONDS", "IMAGES", "REQUESTS", "TOOL_CALLS"]


class PriceCondition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition of a tier. Either a comparison of counted usage, or a model parameter or metadata key.

    ``usage_pattern`` is a regular expression over usage keys; the counts of matching keys (``total`` never) are added up
    and compared with ``value``. ``parameter`` names a model parameter, or else a metadata key, whose text must be in
    ``values``.
    """

    usage_pattern: str | None = None
    operator: Comparison = "gt"
    value: float = 0
    case_sensitive: bool = False
    parameter: str | None = None
    values: tuple[str, ...] = ()


class PriceTier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices that hold when all conditions do. ``prices``: usage key to USD per single unit."""

    name: str
    prices: dict[str, float]
    is_default: bool = False
    priority: int = 0  #: lower is tried first; the default tier comes last
    conditions: tuple[PriceCondition, ...] = ()


#: What the tier without conditions is called where its row does not say.
DEFAULT_TIER = "Standard"
#: Between a row's id and the name of the tier that priced a span, in ``Span.price_id``; the default tier is left out.
TIER_MARK = "#"


def row_and_tier(price_id: str | None) -> tuple[str | None, str | None]:
    """The price row that ``Span.price_id`` names, and its tier; None for the row's default tier."""
    row, _, tier = (price_id or "").partition(TIER_MARK)
    return row or None, tier or None


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price row of a project.

    ``match_pattern`` is a regular expression that is found somewhere in the model name, as Langfuse does (for
    ``TOOL_CALLS``: that is the whole name of the tool).
    """

    id: str
    model_name: str
    match_pattern: str
    tiers: tuple[PriceTier, ...]
    provider: str | None = None  #: only for spans of this provider
    start_ns: int | None = None  #: holds for spans that start at or after; None: always
    unit: Unit = "TOKENS"
    tokenizer: str | None = None  #: ``openai`` or ``claude``; None: counted as OpenAI's newest
    tokenizer_config: dict[str, Any] | None = None
    created_ns: int = 0
    updated_ns: int = 0
