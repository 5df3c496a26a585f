"""Cost: project rows before the bundled list, classes, tiers, dates, and the arithmetic against the library's own."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from twinlens.domain.price import Price, PriceCondition, PriceTier
from twinlens.domain.trace import Span
from twinlens.ingest.bundled_prices import BundledPrices, references
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.pricing import Pricer, cost_by_rows

NOW = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1e9)
BUNDLED = BundledPrices()


def span(model: str | None = "gpt-4o-mini", usage: dict[str, int] | None = None, **fields: Any) -> Span:
    usage = {"input": 1_000_000, "output": 1_000_000, "total": 2_000_000} if usage is None else usage
    defaults: dict[str, Any] = {
        "trace_id": "t", "span_id": "s", "kind": "generation", "start_ns": NOW, "end_ns": NOW + 1,
        "usage_source": "client" if usage else "none",
    }  # fmt: skip
    return Span(model=model, usage=usage, **{**defaults, **fields})


def row(**fields: Any) -> Price:
    prices = fields.pop("prices", {"input": 1e-6, "output": 2e-6})
    defaults: dict[str, Any] = {
        "id": "p1", "model_name": "mine", "match_pattern": "(?i)^(my-model)$",
        "tiers": (PriceTier(name="Standard", is_default=True, prices=prices),),
    }  # fmt: skip
    return Price(**{**defaults, **fields})


def pricer(*rows: Price) -> Pricer:
    return Pricer(lambda project: list(rows) if project == "p" else [])


# --- bundled list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider", "found"),
    [
        ("gpt-4o-mini", None, "openai/gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "openai", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini", None, "openai/gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gcp.vertex.agent", "openai/gpt-4o-mini"),
        ("GPT-4o-Mini", "OpenAI", "openai/gpt-4o-mini"),
        ("gpt-4o-mini", "openai.responses", "openai/gpt-4o-mini"),
        ("gpt-4o", "azure.ai.openai", "azure/gpt-4o"),
        ("claude-sonnet-4-5-20250929", "anthropic", "anthropic/claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4-5", None, "anthropic/claude-sonnet-4-5"),
        ("models/gemini-2.5-flash", "gcp.gemini", "google/gemini-2.5-flash"),
        ("gemini-2.5-flash", "gcp.vertex_ai", "google/gemini-2.5-flash"),
        ("gpt-4o-mini", "some gateway nobody knows", "openai/gpt-4o-mini"),
        ("text-embedding-3-small", None, "openai/text-embedding-3-small"),
    ],
)
def test_models_are_found_as_reported(model: str, provider: str | None, found: str) -> None:
    entry = BUNDLED.find(model, provider)
    assert entry is not None
    assert f"{entry[0].id}/{entry[1].id}" == found


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("llama3.1:8b", "ollama"),
        ("ollama/llama3.1", None),
        ("gpt-4o-mini", "ollama"),
        ("my-own-model", None),
        ("", None),
    ],
)
def test_local_and_unknown_models_have_no_price(model: str, provider: str | None) -> None:
    assert BUNDLED.find(model, provider) is None


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-4o-audio-preview", "o3", "deepseek-chat"],
)
def test_arithmetic_equals_the_library(model: str) -> None:
    rng = random.Random(model)
    for _ in range(20):
        cached, written, plain = rng.randrange(300_000), rng.randrange(20_000), rng.randrange(50_000)
        usage = {
            "input": plain,
            "input_cached_tokens": cached,
            "output": rng.randrange(5_000),
            "output_reasoning_tokens": rng.randrange(5_000),
        }
        if "claude" in model:
            usage["input_cache_creation"] = written
        mine = BUNDLED.quote(span(model, {**usage, "total": sum(usage.values())}))
        assert mine is not None
        theirs = calc_price(
            Usage(
                input_tokens=plain + cached + usage.get("input_cache_creation", 0),
                output_tokens=usage["output"] + usage["output_reasoning_tokens"],
                cache_read_tokens=cached,
                cache_write_tokens=usage.get("input_cache_creation", 0),
            ),
            model,
            genai_request_timestamp=datetime.fromtimestamp(NOW / 1e9, UTC),
        )
        assert mine.cost["total"] == pytest.approx(float(theirs.total_price), rel=1e-9)
        assert mine.cost["total"] == pytest.approx(sum(v for k, v in mine.cost.items() if k != "total"))


def test_context_tiers_are_cliffs() -> None:
    below = BUNDLED.quote(span("gemini-2.5-pro", {"input": 200_000, "total": 200_000}))
    above = BUNDLED.quote(span("gemini-2.5-pro", {"input": 200_001, "total": 200_001}))
    assert below is not None
    assert above is not None
    assert above.cost["input"] / 200_001 == pytest.approx(2 * below.cost["input"] / 200_000)


def test_service_tier_changes_the_price() -> None:
    usual = BUNDLED.quote(span("gpt-5.2"))
    flex = BUNDLED.quote(span("gpt-5.2", model_parameters={"service_tier": "flex"}))
    assert usual is not None
    assert flex is not None
    assert flex.cost["total"] == pytest.approx(usual.cost["total"] / 2)


def test_classes_without_a_price_cost_what_their_side_costs() -> None:
    quote = BUNDLED.quote(
        span("gpt-4o-mini", {"input": 10, "input_image_tokens": 10, "output_reasoning_tokens": 10, "total": 30})
    )
    assert quote is not None
    assert quote.cost["input_image_tokens"] == quote.cost["input"]
    assert quote.cost["output_reasoning_tokens"] == pytest.approx(4 * quote.cost["input"])


def test_spellings_of_clients_are_priced_alike() -> None:
    ours = BUNDLED.quote(
        span("claude-sonnet-4-5", {"input": 10, "input_cached_tokens": 5, "input_cache_creation_1h": 2, "total": 17})
    )
    raw = BUNDLED.quote(
        span(
            "claude-sonnet-4-5",
            {"input": 10, "cache_read_input_tokens": 5, "ephemeral_1h_input_tokens": 2, "total": 17},
        )
    )
    assert ours is not None
    assert raw is not None
    assert ours.cost["total"] == raw.cost["total"]
    assert ours.cost["input_cache_creation_1h"] == pytest.approx(2 * 6e-6)


def test_references_peel_prefixes_and_dates() -> None:
    assert [r for _, r in references("openrouter/openai/gpt-4o-2024-08-06")] == [
        "openrouter/openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06",
        "openrouter/openai/gpt-4o", "openai/gpt-4o", "gpt-4o",
    ]  # fmt: skip


# --- project rows ----------------------------------------------------------------------------------------------------


def test_project_rows_come_before_the_bundled_list() -> None:
    own = pricer(row(match_pattern="gpt-4o-mini", prices={"input": 1.0, "output": 2.0}))
    mine = own.quote(span(usage={"input": 3, "output": 1, "total": 4}), "p")
    assert mine is not None
    assert (mine.cost, mine.price_id) == ({"input": 3.0, "output": 2.0, "total": 5.0}, "p1")
    other = own.quote(span(usage={"input": 3, "output": 1, "total": 4}), "another project")
    assert other is not None
    assert other.price_id == "genai-prices:openai/gpt-4o-mini"


def test_pattern_is_found_in_the_name_also_without_prefix_and_date() -> None:
    assert pricer(row(match_pattern="^my-")).quote(span("my-model-large"), "p") is not None
    assert pricer(row(match_pattern="model$")).quote(span("my-model-large"), "p") is None
    own = pricer(row())
    assert own.quote(span("My-Model"), "p") is not None
    assert own.quote(span("gateway/my-model"), "p") is not None
    assert own.quote(span("my-model-2026-01-01"), "p") is not None
    assert own.quote(span("my-model-large"), "p") is None


def test_newest_start_that_is_not_in_the_future_wins() -> None:
    old = row(id="old", start_ns=None)
    new = row(id="new", start_ns=NOW)
    future = row(id="future", start_ns=NOW + 10)
    own = pricer(old, new, future)
    ids = [own.quote(span("my-model", start_ns=start), "p") for start in (NOW - 1, NOW, NOW + 10)]
    assert [q.price_id for q in ids if q] == ["old", "new", "future"]


def test_provider_limits_a_row() -> None:
    own = pricer(row(provider="azure"))
    assert own.quote(span("my-model", provider="Azure"), "p") is not None
    assert own.quote(span("my-model", provider="openai"), "p") is None


def test_tiers_by_usage_parameter_and_metadata() -> None:
    tiers = (
        PriceTier(name="Standard", is_default=True, prices={"input": 1.0}),
        PriceTier(name="long", priority=2, prices={"input": 10.0}, conditions=(PriceCondition(usage_pattern="^input", operator="gt", value=100),)),
        PriceTier(name="flex", priority=1, prices={"input": 0.5}, conditions=(PriceCondition(parameter="service_tier", values=("flex",)),)),
    )  # fmt: skip
    own = pricer(row(tiers=tiers))

    def tier(**fields: Any) -> str:
        quote = own.quote(span("my-model", **fields), "p")
        assert quote is not None
        return quote.price_id

    assert tier(usage={"input": 100, "total": 100}) == "p1"
    assert tier(usage={"input": 60, "input_cached_tokens": 41, "total": 101}) == "p1#long"
    assert tier(usage={"input": 500, "total": 500}, model_parameters={"service_tier": "FLEX"}) == "p1#flex"
    assert tier(usage={"input": 1, "total": 1}, metadata={"service_tier": "flex"}) == "p1#flex"


@pytest.mark.parametrize(
    ("usage", "prices", "cost"),
    [
        ({"input": 10, "output": 5, "total": 15}, {"input": 1.0, "output": 2.0}, {"input": 10.0, "output": 10.0, "total": 20.0}),
        ({"input": 10, "input_cached_tokens": 4, "total": 14}, {"input": 1.0, "input_cached_tokens": 0.1}, {"input": 10.0, "input_cached_tokens": 0.4, "total": 10.4}),
        ({"input": 10, "input_cached_tokens": 4, "total": 14}, {"input": 1.0}, {"input": 10.0, "total": 10.0}),
        ({"output": 10, "output_reasoning_tokens": 4, "output_audio_tokens": 3, "total": 17}, {"output": 1.0},
         {"output": 10.0, "output_reasoning_tokens": 4.0, "total": 14.0}),
        ({"input_cache_creation_1h": 4, "total": 4}, {"input": 1.0, "input_cache_creation": 2.0}, {"input_cache_creation_1h": 8.0, "total": 8.0}),
        ({"cache_read_input_tokens": 4, "total": 4}, {"input_cached_tokens": 0.5}, {"cache_read_input_tokens": 2.0, "total": 2.0}),
        ({"input": 10, "output": 5, "total": 15}, {"total": 2.0}, {"total": 30.0}),
        ({"custom": 3, "total": 3}, {"custom": 2.0}, {"custom": 6.0, "total": 6.0}),
        ({"custom": 3, "total": 3}, {"input": 2.0}, {}),
        ({"input": 1, "total": 1}, {"input": 1.0, "requests": 0.25}, {"input": 1.0, "requests": 0.25, "total": 1.25}),
    ],
)  # fmt: skip
def test_cost_by_rows(usage: dict[str, int], prices: dict[str, float], cost: dict[str, float]) -> None:
    assert cost_by_rows(usage, prices) == cost


def test_tool_calls_have_prices_of_their_own() -> None:
    own = pricer(row(unit="TOOL_CALLS", match_pattern="web_search", prices={"call": 0.01}))
    tool = span(None, {}, kind="tool", tool_name="web_search")
    Enricher(own).enrich([tool], "p")
    assert (tool.cost, tool.cost_source, tool.price_id) == ({"tool_call": 0.01, "total": 0.01}, "computed", "p1")
    free = span(None, {}, kind="tool", tool_name="calculator")
    Enricher(own).enrich([free], "p")
    assert (free.cost, free.cost_source) == ({}, "none")


def test_changed_rows_hold_from_the_next_span_on() -> None:
    rows = [row()]
    changing = Pricer(lambda _: list(rows))
    first = changing.quote(span("my-model"), "p")
    rows[:] = [row(id="p2", prices={"input": 9.0})]
    again = changing.quote(span("my-model"), "p")
    changing.invalidate("p")
    after = changing.quote(span("my-model"), "p")
    assert [q.price_id for q in (first, again, after) if q] == ["p1", "p1", "p2"]
