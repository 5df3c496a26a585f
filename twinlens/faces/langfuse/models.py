"""``/models``: price rows of the project in Langfuse's form. The bundled price list is not repeated here."""

from __future__ import annotations

from typing import Any

import msgspec

from twinlens.domain.price import DEFAULT_TIER, Comparison, Price, PriceCondition, PriceTier, Unit
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.errors import BadRequest, issue
from twinlens.faces.langfuse.wire import Call, PageQuery, Reply, Result, RouteTable, iso, time_of

routes = RouteTable()


class Condition(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """A tier's condition: counted usage, or a model parameter or metadata key with one of some values."""

    usage_detail_pattern: str | None = None
    operator: str = "gt"
    value: float = 0
    case_sensitive: bool = False
    source: str | None = None
    key: str | None = None
    values: list[str] = []


class Tier(msgspec.Struct, rename="camel", kw_only=True):
    """Prices under conditions."""

    name: str
    is_default: bool = False
    priority: int = 0
    conditions: list[Condition] = []
    prices: dict[str, float]


class ModelBody(msgspec.Struct, rename="camel", kw_only=True):
    """Body of create and replace: flat prices or tiers."""

    model_name: str
    match_pattern: str
    start_date: str | None = None
    unit: Unit = "TOKENS"
    input_price: float | None = None
    output_price: float | None = None
    total_price: float | None = None
    pricing_tiers: list[Tier] | None = None
    tokenizer_id: str | None = None
    tokenizer_config: dict[str, Any] | None = None

    def price(self, id: str) -> Price:
        """The price row this body describes.

        Raises:
            BadRequest: both kinds of prices, or an unknown tokenizer.
        """
        flat = {
            key: usd
            for key, usd in (("input", self.input_price), ("output", self.output_price), ("total", self.total_price))
            if usd is not None
        }
        if flat and self.pricing_tiers:
            raise BadRequest(issue("Give either inputPrice/outputPrice/totalPrice or pricingTiers", "pricingTiers"))
        if self.tokenizer_id not in (None, "openai", "claude"):
            raise BadRequest(issue("tokenizerId must be openai or claude", "tokenizerId"))
        tiers = self.pricing_tiers or [Tier(name=DEFAULT_TIER, is_default=True, prices=flat)]
        return Price(
            id=id, model_name=self.model_name, match_pattern=self.match_pattern, unit=self.unit,
            start_ns=time_of(self.start_date, "startDate"), tokenizer=self.tokenizer_id,
            tokenizer_config=self.tokenizer_config, tiers=tuple(_tier(tier) for tier in tiers),
        )  # fmt: skip


def _tier(tier: Tier) -> PriceTier:
    return PriceTier(
        name=tier.name, prices=tier.prices, is_default=tier.is_default, priority=tier.priority,
        conditions=tuple(_condition(c) for c in tier.conditions),
    )  # fmt: skip


def _condition(condition: Condition) -> PriceCondition:
    if condition.key is not None:
        return PriceCondition(parameter=condition.key, values=tuple(condition.values))
    try:
        operator: Any = msgspec.convert(condition.operator, Comparison)
    except msgspec.ValidationError:
        raise BadRequest(issue(f"Invalid operator '{condition.operator}'", "pricingTiers")) from None
    return PriceCondition(
        usage_pattern=condition.usage_detail_pattern, operator=operator, value=condition.value,
        case_sensitive=condition.case_sensitive,
    )  # fmt: skip


def model_row(price: Price) -> dict[str, Any]:
    """A price row as clients read it."""
    default = next((tier for tier in price.tiers if tier.is_default), price.tiers[-1])
    return {
        "id": price.id,
        "modelName": price.model_name,
        "matchPattern": price.match_pattern,
        "startDate": iso(price.start_ns),
        "unit": price.unit,
        "inputPrice": default.prices.get("input"),
        "outputPrice": default.prices.get("output"),
        "totalPrice": default.prices.get("total"),
        "tokenizerId": price.tokenizer,
        "tokenizerConfig": price.tokenizer_config,
        "isLangfuseManaged": False,
        "createdAt": iso(price.created_ns),
        "prices": {key: {"price": usd} for key, usd in default.prices.items()},
        "pricingTiers": [
            {
                "id": f"{price.id}:{tier.name}",
                "name": tier.name,
                "isDefault": tier.is_default,
                "priority": tier.priority,
                "conditions": [_condition_row(condition) for condition in tier.conditions],
                "prices": tier.prices,
            }
            for tier in price.tiers
        ],
    }


def _condition_row(condition: PriceCondition) -> dict[str, Any]:
    if condition.parameter is not None:
        return {
            "source": "model_parameters",
            "key": condition.parameter,
            "operator": "in",
            "values": list(condition.values),
        }
    return {
        "usageDetailPattern": condition.usage_pattern,
        "operator": condition.operator,
        "value": condition.value,
        "caseSensitive": condition.case_sensitive,
    }


@routes.on("GET", "/models", scope="read")
async def list_models(call: Call) -> Result:
    """A page of the project's rows."""
    query = call.query(PageQuery)
    limit, offset = query.window()
    found = await in_thread(call.services.prices.list, call.project_id)
    return {"data": [model_row(row) for row in found[offset : offset + limit]], "meta": query.meta(len(found))}


@routes.on("POST", "/models", scope="write")
async def create(call: Call) -> Result:
    """A new row; it holds from the next span on."""
    price = (await call.json(ModelBody)).price("")
    return model_row(await in_thread(call.services.prices.create, call.project_id, price))


@routes.on("GET", "/models/{id}", scope="read")
async def get(call: Call) -> Result:
    """One row."""
    return model_row(await in_thread(call.services.prices.get, call.project_id, call.path["id"]))


@routes.on("PUT", "/models/{id}", scope="write")
async def replace(call: Call) -> Result:
    """Replace a row."""
    price = (await call.json(ModelBody)).price(call.path["id"])
    return model_row(await in_thread(call.services.prices.update, call.project_id, price))


@routes.on("DELETE", "/models/{id}", scope="write")
async def delete(call: Call) -> Result:
    """Remove a row; costs it has computed stay."""
    await in_thread(call.services.prices.delete, call.project_id, call.path["id"])
    return Reply(status=204)
