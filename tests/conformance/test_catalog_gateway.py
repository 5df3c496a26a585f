"""Model connections, the gateway's rows, budgets and usage on every catalog engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlens.domain.budget import MINUTE_NS, Budget
from twinlens.domain.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from twinlens.domain.gateway import Endpoint, Fallback, ModelConnection, ModelDefinition, ModelMapping
from twinlens.features.budgets import LONGEST_CALL_NS, BudgetExceeded, Budgets
from twinlens.features.connections import ModelConnections
from twinlens.features.evaluators import Evaluators
from twinlens.features.experiments import Experiments
from twinlens.features.gateway import Gateway
from twinlens.features.live import LiveBus
from twinlens.features.webhooks import Webhooks
from twinlens.store.catalog.engine import Catalog
from twinlens.store.secrets import Sealer

P, OTHER = "project", "other"
NOON = int(datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC).timestamp()) * 1_000_000_000  # a Wednesday


@pytest.fixture
def connections(catalog: Catalog) -> ModelConnections:
    return ModelConnections(catalog, Sealer("key"), Evaluators(catalog))


@pytest.fixture
def gateway(catalog: Catalog) -> Gateway:
    class Scores:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    return Gateway(catalog, Experiments(catalog, LiveBus(), Scores()))  # type: ignore[arg-type]


class Time:
    now = NOON

    def __call__(self) -> int:
        return self.now


def connection(name: str = "c", **more: Any) -> ModelConnection:
    return ModelConnection(connection_id="", name=name, **more)


def test_secrets_open_only_where_they_were_sealed(catalog: Catalog, connections: ModelConnections) -> None:
    made = connections.create(P, connection(models=["m"]), {"api_key": "sk-123456789"}, {"X-A": "b"})
    assert "sk-123456789" not in made.sealed
    opened = connections.open(connections.get(P, made.connection_id))
    assert (opened.api_key, opened.headers, repr(opened)) == ("sk-123456789", {"X-A": "b"}, "Credentials(…)")
    with pytest.raises(InvalidState, match="does not open"):
        ModelConnections(catalog, Sealer("other key"), Evaluators(catalog)).open(made)
    kept = connections.update(P, made.connection_id, headers={}, base_url="https://x.example/v1")
    assert (connections.open(kept).api_key, kept.header_names, kept.masked) == (
        "sk-123456789",
        [],
        {"api_key": "sk-...6789"},
    )
    with pytest.raises(AlreadyExists):
        connections.create(P, connection(), {"api_key": "x"})
    assert connections.create(OTHER, connection(), {"api_key": "x"}).name == "c"
    with pytest.raises(NotFound):
        connections.get(OTHER, made.connection_id)
    assert [len(connections.list(project)) for project in (P, OTHER)] == [1, 1]
    for bad in ("ftp://x", "http://u:p@x", "http://", "http://x/?q=1", "http://[::1", "http://x y"):
        with pytest.raises(InvalidArgument):
            connections.update(P, made.connection_id, base_url=bad)


def test_endpoints_keep_their_models_in_order(connections: ModelConnections, gateway: Gateway) -> None:
    secret = connections.create(P, connection(), {"api_key": "x"})
    models = [gateway.define(P, secret.connection_id, name) for name in ("a", "b", "c")]
    assert gateway.define(P, secret.connection_id, "a") == models[0]
    mappings = [ModelMapping(model_definition_id=models[0].model_definition_id, weight=2.5)]
    mappings += [
        ModelMapping(model_definition_id=model.model_definition_id, linkage="FALLBACK", fallback_order=order)
        for order, model in enumerate(models[1:])
    ]
    made = gateway.create_endpoint(P, Endpoint(endpoint_id="", name="e", mappings=mappings, usage_tracking=False))
    assert [(m.definition and m.definition.model_name, m.linkage, m.weight) for m in made.mappings] == [
        ("a", "PRIMARY", 2.5), ("b", "FALLBACK", 1.0), ("c", "FALLBACK", 1.0),
    ]  # fmt: skip
    assert (made.fallback, made.experiment_id) == (Fallback(), None)
    for key, value in (("team", "x"), ("team", "y"), ("kind", "z")):
        gateway.set_tag(P, made.endpoint_id, key, value)
    found = gateway.endpoint(P, name="e")
    assert (found.tags, found.mappings) == ({"kind": "z", "team": "y"}, made.mappings)
    bound = gateway.bind(P, made.endpoint_id, "scorer", "s")
    assert gateway.bind(P, made.endpoint_id, "scorer", "s") == bound
    assert gateway.endpoints(OTHER) == []
    with pytest.raises(NotFound):
        gateway.endpoint(OTHER, made.endpoint_id)
    with pytest.raises(NotFound):
        gateway.create_endpoint(OTHER, Endpoint(endpoint_id="", name="e", mappings=mappings))
    with pytest.raises(NotFound):
        gateway.create_model(
            OTHER,
            ModelDefinition(
                model_definition_id="", name="m", connection_id=secret.connection_id, provider="p", model_name="m"
            ),
        )
    connections.delete(P, secret.connection_id)
    left = gateway.endpoint(P, name="e").mappings[0].definition
    assert left is not None
    assert (left.connection_id, left.connection_name) == (None, None)
    gateway.delete_endpoint(P, made.endpoint_id)
    assert (gateway.endpoints(P), gateway.bindings(P)) == ([], [])
    gateway.delete_model(P, models[0].model_definition_id)


def test_budgets_count_what_was_spent_in_their_window(catalog: Catalog) -> None:
    clock = Time()
    budgets = Budgets(catalog, Webhooks(catalog, Sealer("key")), secured=True, clock=clock)

    def spend(cost: float, endpoint: str = "e", user: str = "ann", project: str = P) -> None:
        budgets.count(project, endpoint, user, cost=cost, tokens=10, failed=cost == 0)

    spend(1.0)
    spend(0.5)
    spend(0.25, user="bob")
    spend(100.0, project=OTHER)
    hour = budgets.create(
        P, Budget(budget_id="", amount=2, duration_unit="HOURS", duration_value=1, scope="GLOBAL", action="REJECT")
    )
    mine = budgets.create(
        P,
        Budget(
            budget_id="",
            amount=1.5,
            duration_unit="DAYS",
            duration_value=1,
            scope="USER",
            action="REJECT",
            target="ann",
        ),
    )
    spent = {window.budget.budget_id: window.spent for window in budgets.windows(P)}
    assert spent == {hour.budget_id: pytest.approx(1.75), mine.budget_id: pytest.approx(1.5)}
    budgets.reserve(P, "e", "bob", lambda: 0.0)
    with pytest.raises(BudgetExceeded, match=r"Limit: \$1\.50 USD per 1 day\. Budget resets at 2026-03-05T00:00:00Z"):
        budgets.reserve(P, "e", "ann", lambda: 0.0)
    spend(0.25, user="bob")
    with pytest.raises(BudgetExceeded, match=r"per 1 hour\. Budget resets at 2026-03-04T13:00:00Z") as refused:
        budgets.reserve(P, "f", "bob", lambda: 0.0)
    assert refused.value.retry_after == pytest.approx(59.5 * 60)
    clock.now += 60 * MINUTE_NS
    budgets.reserve(P, "f", "bob", lambda: 0.0)
    spend(0.0)
    rows = budgets.usage(P, NOON - 30 * MINUTE_NS, clock.now + MINUTE_NS, 60 * MINUTE_NS)
    assert [(row.calls, row.errors, row.tokens, row.cost) for row in rows] == [(4, 0, 40, 2.0), (1, 1, 10, 0.0)]
    with pytest.raises(NotFound):
        budgets.get(OTHER, mine.budget_id)
    with pytest.raises(NotFound):
        budgets.create(
            P,
            Budget(
                budget_id="",
                amount=1,
                duration_unit="DAYS",
                duration_value=1,
                scope="ENDPOINT",
                action="ALERT",
                target="none",
            ),
        )


@pytest.mark.parametrize(
    ("unit", "value", "start", "end"),
    [
        ("MINUTES", 7, "2026-03-04T11:59:00", "2026-03-04T12:06:00"),
        ("HOURS", 5, "2026-03-04T11:00:00", "2026-03-04T16:00:00"),
        ("DAYS", 1, "2026-03-04T00:00:00", "2026-03-05T00:00:00"),
        ("WEEKS", 1, "2026-03-01T00:00:00", "2026-03-08T00:00:00"),
        ("MONTHS", 1, "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
        ("MONTHS", 3, "2026-01-01T00:00:00", "2026-04-01T00:00:00"),
    ],
)
def test_windows_are_aligned_as_mlflow_aligns_them(unit: str, value: int, start: str, end: str) -> None:
    budget = Budget(budget_id="", amount=1, duration_unit=unit, duration_value=value, scope="GLOBAL", action="ALERT")
    shown = [datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S") for at in budget.window(NOON)]
    assert shown == [start, end]


def test_calls_that_begin_together_share_what_is_left(catalog: Catalog) -> None:
    clock = Time()
    budgets = Budgets(catalog, Webhooks(catalog, Sealer("key")), secured=True, clock=clock)
    assert budgets.reserve(P, "e", "ann", lambda: 1.0) is None  # no budget, nothing to keep
    draft = Budget(budget_id="", amount=1, duration_unit="DAYS", duration_value=1, scope="GLOBAL", action="REJECT")
    budgets.create(P, draft)

    def begin(_: int) -> str | None:
        try:
            return budgets.reserve(P, "e", "ann", lambda: 0.25)
        except BudgetExceeded:
            return None

    with ThreadPoolExecutor(8) as pool:
        admitted = [made for made in pool.map(begin, range(12)) if made]
    assert len(admitted) == 4
    budgets.count(P, "e", "ann", cost=0.1, tokens=1, failed=False, reservation=admitted[0])
    assert [(w.spent, w.reserved) for w in budgets.windows(P)] == [(0.1, 0.75)]
    last = begin(0)
    assert last
    with pytest.raises(BudgetExceeded) as refused:
        budgets.reserve(P, "e", "ann", lambda: 0.25)
    assert refused.value.retry_after == 1.0  # what is only reserved may soon be free
    for each in [*admitted[1:], last]:
        budgets.count(P, "e", "ann", cost=0.0, tokens=0, failed=True, reservation=each)
    assert [(w.spent, w.reserved) for w in budgets.windows(P)] == [(0.1, 0.0)]
    assert begin(0)
    clock.now += LONGEST_CALL_NS  # its end is never told
    assert [w.reserved for w in budgets.windows(P)] == [0.0]
