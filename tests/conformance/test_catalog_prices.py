"""Price rows in the catalog, on both engines, and what ``features.prices`` makes of them."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.price import Price, PriceCondition, PriceTier
from twinlens.domain.trace import Span
from twinlens.features.audit import Audit
from twinlens.features.prices import Prices
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.pricing import Pricer
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.prices import PriceRows

TIERS = (
    PriceTier(name="Standard", is_default=True, prices={"input": 1e-6, "output": 2.5e-6}),
    PriceTier(
        name="long", priority=1, prices={"input": 2e-6},
        conditions=(PriceCondition(usage_pattern="^input", operator="gte", value=100_000), PriceCondition(parameter="tier", values=("a",))),
    ),
)  # fmt: skip


def price(**fields: Any) -> Price:
    return Price(**{"id": "", "model_name": "mine", "match_pattern": "(?i)^mine$", "tiers": TIERS, **fields})


@pytest.fixture
def prices(catalog: Catalog) -> Prices:
    rows = PriceRows(catalog)
    nothing = cast("Any", None)
    return Prices(rows, Enricher(Pricer(rows.list)), nothing, nothing, Audit(catalog), clock=lambda: 42)


def cost_of(prices: Prices, project_id: str, model: str = "mine") -> float:
    usage = {"input": 1_000_000, "total": 1_000_000}
    span = Span(trace_id="t", span_id="s", kind="generation", model=model, usage=usage, usage_source="client")
    prices.enrich(project_id, [span])
    return span.total_cost


def test_a_row_comes_back_as_it_was_stored(prices: Prices) -> None:
    full = price(id="p1", provider="openai", start_ns=7, unit="IMAGES", tokenizer="openai", tokenizer_config={"a": [1]})
    made = prices.create("a", full)
    assert made == msgspec.structs.replace(full, created_ns=42, updated_ns=42)
    assert prices.get("a", "p1") == made
    assert prices.list("a") == [made]


def test_rows_belong_to_one_project(prices: Prices) -> None:
    made = prices.create("a", price())
    assert prices.list("b") == []
    for call in (
        lambda: prices.get("b", made.id),
        lambda: prices.delete("b", made.id),
        lambda: prices.update("b", made),
    ):
        with pytest.raises(NotFound):
            call()
    assert cost_of(prices, "a") == pytest.approx(1.0)
    assert cost_of(prices, "b") == 0


def test_the_same_id_may_exist_in_two_projects(prices: Prices) -> None:
    prices.create("a", price(id="x"))
    prices.create("b", price(id="x"))
    with pytest.raises(InvalidArgument):
        prices.create("a", price(id="x"))


def test_changes_hold_from_the_next_span_on(prices: Prices) -> None:
    assert cost_of(prices, "a") == 0
    made = prices.create("a", price())
    assert cost_of(prices, "a") == pytest.approx(1.0)
    prices.update(
        "a", msgspec.structs.replace(made, tiers=(PriceTier(name="S", is_default=True, prices={"input": 3e-6}),))
    )
    assert cost_of(prices, "a") == pytest.approx(3.0)
    prices.delete("a", made.id)
    assert cost_of(prices, "a") == 0


def test_newest_start_comes_first_in_lists(prices: Prices) -> None:
    for name, start in (("b", None), ("b", 5), ("a", 1)):
        prices.create("p", price(model_name=name, start_ns=start))
    assert [(p.model_name, p.start_ns) for p in prices.list("p")] == [("a", 1), ("b", 5), ("b", None)]


@pytest.mark.parametrize(
    "fields",
    [
        {"match_pattern": "("},
        {"match_pattern": ""},
        {"model_name": " "},
        {"tiers": ()},
        {"tiers": (PriceTier(name="x", prices={}),)},
        {"tiers": (PriceTier(name="x", prices={"input": -1.0}),)},
        {"tiers": (PriceTier(name="x", prices={"input": float("nan")}),)},
        {"tiers": (TIERS[0], msgspec.structs.replace(TIERS[0], name="again"))},
        {"tiers": (PriceTier(name="x", prices={"input": 1.0}, conditions=(PriceCondition(),)),)},
        {"id": "line\nbreak"},
    ],
)
def test_unusable_rows_are_refused(prices: Prices, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        prices.create("a", price(**fields))
    assert prices.list("a") == []
