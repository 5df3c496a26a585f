"""What a span's usage costs. Order of trust: the client's own figure, the project's price rows, ``genai-prices``, nothing.

``genai-prices`` is used with the data of its wheel; nothing here goes to the network. Its matching (names, providers,
start dates, times of day, service tiers, context tiers) is the library's; the arithmetic is ours, because we need the cost
of each usage key and have disjoint counts already. Each class of tokens that has no price of its own costs what its side
(input or output) costs: a missing cached-input price must not make cached tokens free.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from twinlens.domain.price import Price, PriceCondition, PriceTier
from twinlens.domain.trace import Span

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

#: Spellings of usage keys that mean the same class; the first is canonical.
_ALIASES: tuple[tuple[str, ...], ...] = (
    ("input", "input_tokens", "prompt_tokens", "input_text_tokens", "input_text"),
    ("output", "output_tokens", "completion_tokens", "output_text_tokens", "output_text"),
    ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens", "cache_read"),
    ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write", "cache_creation", "cache_write"),
    ("input_cache_creation_5m", "input_cache_creation_5m_tokens", "cache_creation_5m_input_tokens", "ephemeral_5m_input_tokens"),
    ("input_cache_creation_1h", "input_cache_creation_1h_tokens", "cache_creation_1h_input_tokens", "ephemeral_1h_input_tokens"),
    ("input_audio_tokens", "input_audio"), ("input_image_tokens", "input_image"), ("input_video_tokens", "input_video"),
    ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens", "reasoning"),
    ("output_audio_tokens", "output_audio"), ("output_image_tokens", "output_image"),
    ("web_searches", "web_search_requests", "web_search"),
)  # fmt: skip
CANONICAL = {alias: names[0] for names in _ALIASES for alias in names}
_SPELLINGS = {names[0]: names for names in _ALIASES}
#: Where the price of a class comes from when it has none of its own.
_FALLBACK = {
    "input_cache_creation_5m": "input_cache_creation",
    "input_cache_creation_1h": "input_cache_creation",
}
#: genai-prices' price keys by canonical usage key, best first; USD per million.
_GENAI_KEYS: dict[str, tuple[str, ...]] = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "input_cached_tokens": ("cache_read_mtok", "input_mtok"),
    "input_cache_creation": ("cache_write_mtok", "cache_write_5m_mtok", "input_mtok"),
    "input_cache_creation_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "input_cache_creation_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "input_audio_tokens": ("input_audio_mtok", "input_mtok"),
    "input_image_tokens": ("input_image_mtok", "input_mtok"),
    "input_video_tokens": ("input_video_mtok", "input_mtok"),
    "output_reasoning_tokens": ("output_reasoning_mtok", "output_mtok"),
    "output_audio_tokens": ("output_audio_mtok", "output_mtok"),
    "output_image_tokens": ("output_image_mtok", "output_mtok"),
    "output_video_tokens": ("output_video_mtok", "output_mtok"),
}
#: Providers that run on the user's own machine: a paid provider's price for the same model name would be wrong.
_LOCAL = frozenset({"ollama", "ollama_chat", "lmstudio", "lm_studio", "vllm", "llama.cpp", "llamacpp", "llamafile", "local",
                    "mlx", "sglang", "tgi", "hosted_vllm"})  # fmt: skip
#: OTel provider names whose spelling genai-prices does not know.
_PROVIDERS = {
    "aws.bedrock": "aws", "aws_bedrock": "aws", "bedrock": "aws", "bedrock_converse": "aws", "amazon": "aws",
    "azure.ai.openai": "azure", "azure.ai.inference": "azure", "az.ai.openai": "azure", "az.ai.inference": "azure",
    "azure_ai": "azure", "azure_openai": "azure", "gcp.gemini": "google", "gcp.vertex_ai": "google", "gcp.gen_ai": "google",
    "gemini": "google", "vertex_ai": "google", "vertexai": "google", "google_genai": "google", "google_vertexai": "google",
    "mistral_ai": "mistral", "mistralai": "mistral", "x_ai": "x-ai", "xai": "x-ai", "moonshot_ai": "moonshotai",
    "fireworks_ai": "fireworks", "together_ai": "together", "openai.responses": "openai", "openai.chat": "openai",
    "anthropic.messages": "anthropic", "google.generative-ai": "google", "google.vertex": "google",
}  # fmt: skip
#: Where to look for a model whose provider nobody named and whose name gives no provider away: those who make models.
_MAKERS = ("openai", "anthropic", "google", "mistral", "cohere", "voyageai", "deepseek", "x-ai", "perplexity", "moonshotai",
           "zai", "minimax")  # fmt: skip
_DATE = re.compile(r"[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6})(?=$|[-:])")
MAX_MODEL_NAME = 300
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b, "eq": lambda a, b: a == b, "neq": lambda a, b: a != b,
}  # fmt: skip


class Quote(NamedTuple):
    """A cost and where it comes from."""

    cost: dict[str, float]
    price_id: str


def references(model: str) -> list[tuple[str | None, str]]:
    """What to look up for a reported model name, best first: (provider said by a prefix, model reference).

    ``openrouter/openai/gpt-4o-2024-08-06`` is tried whole, without each prefix, and then without its date.
    """
    name = model.strip()[:MAX_MODEL_NAME]
    tried: list[tuple[str | None, str]] = [(None, name)]
    parts = name.split("/")
    for i in range(1, len(parts)):
        tried.append((parts[i - 1].lower(), "/".join(parts[i:])))
    if name.startswith("models/"):
        tried.append((None, name.removeprefix("models/")))
    for provider, reference in list(tried):
        bare = _DATE.sub("", reference)
        if bare != reference:
            tried.append((provider, bare))
        if bare.endswith((":latest", "-latest")):
            tried.append((provider, bare[:-7]))
    return tried


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
        return self.pattern.fullmatch(model) is not None

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
        self._builtin = BuiltinPrices()

    def invalidate(self, project_id: str) -> None:
        """Forget a project's table after its rows have changed."""
        with self._lock:
            self._generation += 1
            self._tables.pop(project_id, None)

    @property
    def ready(self) -> bool:
        """Whether the bundled prices are loaded."""
        return self._builtin.ready

    def warm(self) -> None:
        """Load the bundled prices now instead of at the first model span."""
        self._builtin.warm()

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
        return self._builtin.find(span.model, span.provider) is not None

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
        return self._builtin.quote(span)


def _price_id(row: _Row, tier: PriceTier) -> str:
    return row.price.id if tier is row.default else f"{row.price.id}#{tier.name}"


def cost_by_rows(usage: Mapping[str, int], prices: Mapping[str, float]) -> dict[str, float]:
    """Cost of each usage key that has a price, and their total; empty when none has.

    A key is priced by its own name, by another spelling of it, by its side's price, and, when only the whole was counted
    or only ``total`` has a price, by that.
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
        for spelling in _SPELLINGS.get(name, (name,)):
            if spelling in prices:
                return prices[spelling]
        side = "input" if name.startswith("input_") else "output" if name.startswith("output_") else None
        name = _FALLBACK.get(name, side)
    return None


class BuiltinPrices:
    """``genai-prices`` behind a cache. The library is imported at the first use: it takes half a second and 40 MB."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], tuple[Provider, ModelInfo] | None] = {}
        self._lock = threading.Lock()
        self._snapshot: Any = None

    @property
    def ready(self) -> bool:
        """Whether the library is imported."""
        return self._snapshot is not None

    def warm(self) -> None:
        """Import the library and its data."""
        with self._lock:
            if self._snapshot is None:
                from genai_prices.data import providers
                from genai_prices.data_snapshot import DataSnapshot

                self._snapshot = DataSnapshot(providers=providers, from_auto_update=False)

    def find(self, model: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
        """The library's entry for a reported model, or None."""
        key = (model, provider)
        try:
            return self._found[key]
        except KeyError:
            pass
        if self._snapshot is None:
            self.warm()
        found = self._search(model, provider)
        if len(self._found) > 4_096:  # names come from clients
            self._found.clear()
        self._found[key] = found
        return found

    def _search(self, model: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
        said = provider.strip().lower() if provider else None
        if said in _LOCAL or model.split("/", 1)[0].lower() in _LOCAL:
            return None
        for prefix, reference in references(model):
            for hint in dict.fromkeys((_PROVIDERS.get(prefix or "", prefix), _PROVIDERS.get(said or "", said))):
                found = self._ask(reference, hint) if hint else None
                if found is not None:
                    return found
        for _, reference in references(model):
            for hint in (None, *_MAKERS):
                found = self._ask(reference, hint)
                if found is not None:
                    return found
        return None

    def _ask(self, reference: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
        with self._lock:
            try:
                return self._snapshot.find_provider_model(reference, None, provider, None)
            except LookupError:
                return None

    def quote(self, span: Span) -> Quote | None:
        """The cost of a span's usage at its start time, by context and service tier."""
        found = self.find(span.model or "", span.provider)
        if found is None:
            return None
        provider, model = found
        prices = model.get_prices(datetime.fromtimestamp(span.start_ns / 1e9, UTC), _context(span))
        cost = _cost_by_library(span.usage, prices)
        return Quote(cost, f"genai-prices:{provider.id}/{model.id}") if cost else None


def _context(span: Span) -> dict[str, str] | None:
    """What the request said that decides between price variants."""
    tier = span.model_parameters.get("service_tier")
    if not isinstance(tier, str) or tier in ("auto", "default", "standard", "on_demand"):
        return None
    return {"processing": "batch"} if tier == "batch" else {"service_tier": tier, "speed": tier}


def _cost_by_library(usage: Mapping[str, int], prices: ModelPrice) -> dict[str, float]:
    context = sum(n for key, n in usage.items() if CANONICAL.get(key, key).startswith("input"))
    cost: dict[str, float] = {}
    for key, count in usage.items():
        if key == "total":
            continue
        name = CANONICAL.get(key, key)
        if name == "web_searches":
            unit = _usd(getattr(prices, "web_searches_kcount", None), context, 1_000)
        else:
            sides = (
                ("input_mtok",) if name.startswith("input") else ("output_mtok",) if name.startswith("output") else ()
            )
            unit = next(
                (
                    u
                    for u in (_usd(getattr(prices, k, None), context) for k in _GENAI_KEYS.get(name, sides))
                    if u is not None
                ),
                None,
            )
        if unit is not None:
            cost[key] = count * unit
    per_request = _usd(getattr(prices, "requests_kcount", None), context, 1_000)
    if per_request:
        cost["requests"] = per_request
    if cost:
        cost["total"] = sum(cost.values())
    return cost


def _usd(price: Any, context: int, per: int = 1_000_000) -> float | None:
    """USD per single unit. Tiers are cliffs: above a threshold of input tokens its price holds for all tokens."""
    if price is None:
        return None
    if not isinstance(price, Decimal):
        applicable = price.base
        for tier in price.tiers:  # ascending
            if context > tier.start:
                applicable = tier.price
        price = applicable
    return float(price) / per
