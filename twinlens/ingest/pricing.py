"""What a span's usage costs. Order of trust: the client's own figure, the project's price rows, ``genai-prices``, nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence

from twinlens.domain.price import TIER_MARK, Price, PriceCondition, PriceTier
from twinlens.domain.trace import Span
from twinlens.ingest.bundled_prices import BundledPrices, Quote, references
from twinlens.ingest.usage import CANONICAL, SPELLINGS

#: Where the price of a class comes from when it has none of its own: tokens that every provider charges as these.
_FALLBACK = {
    "input_cache_creation_5m": "input_cache_creation",
    "input_cache_creation_1h": "input_cache_creation",
    "output_reasoning_tokens": "output",
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b, "eq": lambda a, b: a == b, "neq": lambda a, b: a != b,
}  # fmt: skip


class _Row:
    """A project's price row, compiled."""

    def __init__(self, price: Price) -> None:
        self.price = price
        self.pattern = re.compile(price.match_pattern)
        self.default = next((t for t in price.tiers if t.is_default), price.tiers[-1] if price.tiers else None)
        self.others = sorted((t for t in price.tiers if t is not self.default), key=lambda t: (t.priority, t.name))

    def matches(self, model: str, provider: str | None) -> bool:
        wanted = self.price.provider
        if wanted is not None and wanted.lower() != (provider or "").lower():
            return False
        find = self.pattern.fullmatch if self.price.unit == "TOOL_CALLS" else self.pattern.search
        return find(model) is not None

    def tier(self, span: Span) -> PriceTier | None:
        for tier in self.others:
            if tier.conditions and all(_holds(c, span) for c in tier.conditions):
                return tier
        return self.default


def _holds(condition: PriceCondition, span: Span) -> bool:
    if condition.parameter is not None:
        value = span.model_parameters.get(condition.parameter)
        if value is None:
            value = span.metadata.get(condition.parameter)
        return value is not None and str(value).lower() in {v.lower() for v in condition.values}
    pattern = re.compile(condition.usage_pattern or "", 0 if condition.case_sensitive else re.IGNORECASE)
    counted = sum(n for key, n in span.usage.items() if key != "total" and pattern.search(key))
    return _COMPARE[condition.operator](counted, condition.value)


class _Table:
    """The rows of one project, with what has been looked up in them."""

    def __init__(self, prices: Sequence[Price]) -> None:
        rows = [_Row(p) for p in prices]
        rows.sort(key=lambda r: (r.price.start_ns or 0, r.price.created_ns), reverse=True)
        self.models = [r for r in rows if r.price.unit != "TOOL_CALLS"]
        self.tools = [r for r in rows if r.price.unit == "TOOL_CALLS"]
        self._found: dict[tuple[str, str | None, bool], list[_Row]] = {}

    def row(self, name: str, provider: str | None, start_ns: int, *, tool: bool = False) -> _Row | None:
        """The matching row with the newest start that is not after ``start_ns``."""
        key = (name, provider, tool)
        matching = self._found.get(key)
        if matching is None:
            if len(self._found) > 4_096:
                self._found.clear()
            rows = self.tools if tool else self.models
            names = [name] if tool else list(dict.fromkeys(reference for _, reference in references(name)))
            matching = next((m for m in ([r for r in rows if r.matches(n, provider)] for n in names) if m), [])
            self._found[key] = matching
        return next((r for r in matching if (r.price.start_ns or 0) <= start_ns), None)


class Pricer:
    """Prices spans of any project. Thread-safe; tables are compiled once and kept until ``invalidate``.

    Args:
        load: the price rows of a project (``store.catalog.prices.PriceRows.list``).
    """

    def __init__(self, load: Callable[[str], list[Price]]) -> None:
        self._load = load
        self._tables: dict[str, _Table] = {}
        self._generation = 0
        self._lock = threading.Lock()
        self._bundled = BundledPrices()

    def invalidate(self, project_id: str) -> None:
        """Forget a project's table after its rows have changed."""
        with self._lock:
            self._generation += 1
            self._tables.pop(project_id, None)

    @property
    def ready(self) -> bool:
        """Whether the bundled prices are loaded."""
        return self._bundled.ready

    def warm(self) -> None:
        """Load the bundled prices now instead of at the first model span."""
        self._bundled.warm()

    def _table(self, project_id: str) -> _Table:
        table = self._tables.get(project_id)
        if table is None:
            generation = self._generation
            table = _Table(self._load(project_id))
            with self._lock:
                if (
                    generation == self._generation
                ):  # else a row changed while we read: use it once, read again next time
                    self._tables[project_id] = table
        return table

    def prices_tools(self, project_id: str) -> bool:
        """Whether the project has prices for tool calls."""
        return bool(self._table(project_id).tools)

    def knows(self, span: Span, project_id: str) -> bool:
        """Whether there is a price for the span's model."""
        if span.model is None:
            return False
        if self._table(project_id).row(span.model, span.provider, span.start_ns) is not None:
            return True
        return self._bundled.find(span.model, span.provider) is not None

    def tokenizer(self, span: Span, project_id: str) -> str | None:
        """The tokenizer that the project's row names for the span's model."""
        row = self._table(project_id).row(span.model or "", span.provider, span.start_ns)
        return row.price.tokenizer if row else None

    def quote(self, span: Span, project_id: str) -> Quote | None:
        """The computed cost of a model span's usage, or of a tool call; None when there is no price."""
        table = self._table(project_id)
        if span.kind == "tool":
            row = table.row(span.tool_name or span.name, span.provider, span.start_ns, tool=True)
            tier = row.tier(span) if row else None
            if row is None or tier is None:
                return None
            usd = sum(tier.prices.values())
            return Quote({"tool_call": usd, "total": usd}, _price_id(row, tier))
        if span.model is None or not span.usage:
            return None
        row = table.row(span.model, span.provider, span.start_ns)
        if row is not None:
            tier = row.tier(span)
            cost = cost_by_rows(span.usage, tier.prices) if tier else {}
            return Quote(cost, _price_id(row, tier)) if tier and cost else None
        return self._bundled.quote(span)


def _price_id(row: _Row, tier: PriceTier) -> str:
    return row.price.id if tier is row.default else f"{row.price.id}{TIER_MARK}{tier.name}"


def cost_by_rows(usage: Mapping[str, int], prices: Mapping[str, float]) -> dict[str, float]:
    """Cost of each usage key that has a price, and their total; empty when none has.

    A key is priced by its own name or another spelling of it, and, when only the whole was counted or only ``total`` has a
    price, by that. Reasoning is output, and so costs what output costs. Cached tokens, audio and images without a price of
    their own cost nothing, as with Langfuse (it multiplies equal keys): nobody knows what they cost, but not what text does.
    """
    cost: dict[str, float] = {}
    for key, count in usage.items():
        if key == "total":
            continue
        unit = _unit_price(key, prices)
        if unit is not None:
            cost[key] = count * unit
    if "requests" in prices:
        cost["requests"] = prices["requests"]
    if not cost and "total" in prices and "total" in usage:
        return {"total": usage["total"] * prices["total"]}
    if cost:
        cost["total"] = sum(cost.values())
    return cost


def _unit_price(key: str, prices: Mapping[str, float]) -> float | None:
    if key in prices:
        return prices[key]
    name: str | None = CANONICAL.get(key, key)
    while name is not None:
        for spelling in SPELLINGS.get(name, (name,)):
            if spelling in prices:
                return prices[spelling]
        name = _FALLBACK.get(name)
    return None
