"""Stored spans get today's prices: only computed costs change, page by page, and trace totals follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from twinlens.domain.price import Price, PriceTier
from twinlens.domain.trace import Span
from twinlens.features import prices as prices_module
from twinlens.features.audit import Audit
from twinlens.features.prices import Prices
from twinlens.ingest.batch import Batch
from twinlens.ingest.enrich import Enricher
from twinlens.ingest.logs import apply_logs
from twinlens.ingest.pricing import Pricer
from twinlens.ingest.writer import Writer
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.prices import PriceRows
from twinlens.store.telemetry.duckdb.store import DuckDBTelemetry

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000


class World:
    """Catalog, store, writer and prices as the server builds them."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        rows = PriceRows(catalog)
        enricher = Enricher(Pricer(rows.list))
        self.store = DuckDBTelemetry.open(folder / "t.duckdb", "256MB", 1)
        self.writer = Writer(self.store, apply_logs=apply_logs, reprice=enricher.reprice)
        self.writer.start()
        self.prices = Prices(rows, enricher, self.writer, self.store, Audit(catalog))

    def add(self, project_id: str, *spans: Span) -> None:
        self.prices.enrich(project_id, spans)
        self.writer.submit_sync(Batch(project_id=project_id, spans=list(spans)))

    def cost(self, project_id: str, trace_id: str) -> float:
        summary = self.store.trace(project_id, trace_id)
        assert summary is not None
        return summary.total_cost

    def close(self) -> None:
        self.writer.close()
        self.store.close()


@pytest.fixture
def world(catalog: Catalog, tmp_path: Path) -> Iterator[World]:
    made = World(catalog, tmp_path)
    yield made
    made.close()


def call(n: int, trace: str = "t", model: str = "mine", **fields: object) -> Span:
    usage = {"input": 1_000, "output": 500, "total": 1_500}
    return Span(
        trace_id=trace, span_id=f"s{n}", name="call", kind="generation", model=model, start_ns=START + n * SECOND,
        end_ns=START + n * SECOND + 5, **{"usage": usage, "usage_source": "client", "input": '"hi"', **fields},  # type: ignore[arg-type]
    )  # fmt: skip


def price(usd: float, **fields: object) -> Price:
    tiers = (PriceTier(name="S", is_default=True, prices={"input": usd, "output": 2 * usd}),)
    return Price(id="p", model_name="mine", match_pattern="mine", tiers=tiers, **fields)  # type: ignore[arg-type]


def test_reprice_changes_what_was_computed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices_module, "PAGE", 3)  # several pages
    world.add(
        "a", *(call(i) for i in range(8)), call(8, cost={"total": 5.0}, cost_source="client"), call(9, model="other")
    )
    world.add("b", call(1))
    assert world.cost("a", "t") == 5.0
    world.prices.create("a", price(0.001))
    dry = world.prices.reprice("a", dry_run=True)
    assert (dry.spans_seen, dry.spans_changed, dry.cost_before) == (9, 8, 0)
    assert world.cost("a", "t") == 5.0
    report = world.prices.reprice("a")
    assert (report.spans_changed, report.cost_after) == (8, pytest.approx(16.0))
    assert world.cost("a", "t") == pytest.approx(21.0)
    assert world.cost("b", "t") == 0
    span = world.store.span("a", "t", "s1")
    assert span is not None
    assert (span.cost, span.price_id, span.cost_source) == (
        {"input": 1.0, "output": 1.0, "total": 2.0},
        "p",
        "computed",
    )
    assert (span.name, span.input, span.usage["total"]) == ("call", '"hi"', 1_500)
    assert world.prices.reprice("a").spans_changed == 0


def test_a_removed_price_takes_its_costs_along(world: World) -> None:
    world.prices.create("a", price(0.001))
    world.add("a", call(1))
    assert world.cost("a", "t") == pytest.approx(2.0)
    world.prices.delete("a", "p")
    assert world.prices.reprice("a").spans_changed == 1
    assert world.cost("a", "t") == 0
    span = world.store.span("a", "t", "s1")
    assert span is not None
    assert (span.cost, span.cost_source, span.price_id) == ({}, "none", None)


def test_reprice_within_limits(world: World) -> None:
    world.add("a", *(call(i, trace=f"t{i}") for i in range(4)), call(5, trace="t5", model="Mine"))
    world.prices.create("a", price(0.001))
    assert (
        world.prices.reprice("a", start_ns=START + SECOND, end_ns=START + 3 * SECOND, model="mine").spans_changed == 2
    )
    assert [world.cost("a", f"t{i}") > 0 for i in range(4)] == [False, True, True, False]
