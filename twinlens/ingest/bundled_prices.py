"""The price list that comes with the ``genai-prices`` wheel.

Nothing here goes to the network. Matching (names, providers, start dates, times of day, service tiers, context tiers) is the
library's; the arithmetic is ours, because cost is stored per usage key and our counts are disjoint already. A class of tokens
without a price of its own costs what its side (input or output) costs: a missing price must not make tokens free.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from twinlens.domain.trace import Span
from twinlens.ingest.usage import CANONICAL

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

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


class BundledPrices:
    """``genai-prices`` behind a cache. The library is imported at the first use: it takes half a second and 40 MB."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], tuple[Provider, ModelInfo] | None] = {}
        self._rates: dict[int, _Rates | None] = {}
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
                from genai_prices.data_snapshot import get_snapshot

                self._snapshot = get_snapshot()

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
        context = _context(span)
        rates = self._rates_of(model) if context is None else None
        if rates is not None:
            cost = rates.cost(span.usage)
        else:
            prices = model.get_prices(datetime.fromtimestamp(span.start_ns / 1e9, UTC), context)
            cost = _cost_by_library(span.usage, prices)
        return Quote(cost, f"genai-prices:{provider.id}/{model.id}") if cost else None

    def _rates_of(self, model: ModelInfo) -> _Rates | None:
        """The model's prices as plain numbers, where they depend on neither time nor size; None where they do."""
        try:
            return self._rates[id(model)]  # models live as long as the library
        except KeyError:
            prices = model.prices
            flat = not isinstance(prices, list) and all(
                p is None or isinstance(p, Decimal) for p in prices.__dict__.values()
            )
            rates = self._rates[id(model)] = _Rates(prices) if flat else None  # pyright: ignore[reportArgumentType]
            return rates


class _Rates:
    """``_cost_by_library`` for prices that are plain numbers: each usage key is looked up once."""

    __slots__ = ("_per_request", "_prices", "_units")

    def __init__(self, prices: ModelPrice) -> None:
        self._prices = prices
        self._units: dict[str, float | None] = {}
        self._per_request = _usd(getattr(prices, "requests_kcount", None), 0, 1_000)

    def cost(self, usage: Mapping[str, int]) -> dict[str, float]:
        cost: dict[str, float] = {}
        units = self._units
        for key, count in usage.items():
            if key == "total":
                continue
            try:
                unit = units[key]
            except KeyError:
                unit = _unit(self._prices, CANONICAL.get(key, key), 0)
                if len(units) < 64:  # keys come from clients
                    units[key] = unit
            if unit is not None:
                cost[key] = count * unit
        if self._per_request:
            cost["requests"] = self._per_request
        if cost:
            cost["total"] = sum(cost.values())
        return cost


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
        unit = _unit(prices, CANONICAL.get(key, key), context)
        if unit is not None:
            cost[key] = count * unit
    per_request = _usd(getattr(prices, "requests_kcount", None), context, 1_000)
    if per_request:
        cost["requests"] = per_request
    if cost:
        cost["total"] = sum(cost.values())
    return cost


def _unit(prices: ModelPrice, name: str, context: int) -> float | None:
    """USD per unit of a canonical usage key; ``context`` is the number of input tokens, for prices with tiers."""
    if name == "web_searches":
        return _usd(getattr(prices, "web_searches_kcount", None), context, 1_000)
    sides = ("input_mtok",) if name.startswith("input") else ("output_mtok",) if name.startswith("output") else ()
    for key in _GENAI_KEYS.get(name, sides):
        unit = _usd(getattr(prices, key, None), context)
        if unit is not None:
            return unit
    return None


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
