"""Prices of the project, and the cost of what is already stored."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody

from twinlens.domain.price import Price, PriceTier, Unit
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.reply import ns, reading, whole_id, writing


class PriceRow(msgspec.Struct, kw_only=True):
    """One price row. USD per single unit (not per thousand or million), by usage key."""

    id: str
    model_name: str
    match_pattern: str  #: regular expression, found anywhere in the model name; for unit TOOL_CALLS it is the whole of the tool's name
    provider: str | None
    start_ms: float | None  #: holds for spans that start then or later
    unit: Unit
    tokenizer: str | None
    tokenizer_config: dict[str, Any] | None
    tiers: list[PriceTier]
    created_ms: float
    updated_ms: float


class PriceList(msgspec.Struct, kw_only=True):
    """The project's own rows; ``genai-prices`` stands behind them."""

    prices: list[PriceRow]


class NewPrice(msgspec.Struct, kw_only=True):
    """A row to add, or what takes the place of one. Without tiers ``prices`` are those of the only tier."""

    model_name: str
    match_pattern: str
    prices: dict[str, float] | None = None
    tiers: list[PriceTier] = []
    provider: str | None = None
    start_ms: float | None = None
    unit: Unit = "TOKENS"
    tokenizer: str | None = None
    tokenizer_config: dict[str, Any] | None = None


class RepriceRequest(msgspec.Struct, kw_only=True):
    """Which spans to price again; all without limits."""

    from_ms: float | None = None
    to_ms: float | None = None
    model: str | None = None
    dry_run: bool = True


class RepriceResult(msgspec.Struct, kw_only=True):
    """What changed, or would change. Money is USD."""

    spans_seen: int
    spans_changed: int
    cost_before: float
    cost_after: float
    dry_run: bool


@get("/projects/{project_id:str}/prices", summary="List price rows")
async def list_prices(request: AnyRequest, project_id: FromPath[str]) -> PriceList:
    """By model name, newest start first."""
    allowed = await reading(request, whole_id(project_id))
    found = await in_thread(services(request).prices.list, allowed)
    return PriceList(prices=[_row(price) for price in found])


@post("/projects/{project_id:str}/prices", summary="Add a price row")
async def add_price(request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewPrice]) -> PriceRow:
    """It holds from the next span on; what is stored keeps its cost until it is priced again."""
    allowed = await writing(request, whole_id(project_id))
    return _row(await in_thread(services(request).prices.create, allowed, _price("", data)))


@put("/projects/{project_id:str}/prices/{price_id:str}", summary="Replace a price row")
async def edit_price(
    request: AnyRequest, project_id: FromPath[str], price_id: FromPath[str], data: JSONBody[NewPrice]
) -> PriceRow:
    """The whole row is replaced."""
    allowed = await writing(request, whole_id(project_id))
    return _row(await in_thread(services(request).prices.update, allowed, _price(whole_id(price_id), data)))


@delete("/projects/{project_id:str}/prices/{price_id:str}", summary="Delete a price row")
async def delete_price(request: AnyRequest, project_id: FromPath[str], price_id: FromPath[str]) -> None:
    """What it has priced keeps its cost until it is priced again."""
    allowed = await writing(request, whole_id(project_id))
    await in_thread(services(request).prices.delete, allowed, whole_id(price_id))


@post("/projects/{project_id:str}/prices/reprice", status_code=200, summary="Price stored spans again")
async def reprice(request: AnyRequest, project_id: FromPath[str], data: JSONBody[RepriceRequest]) -> RepriceResult:
    """With today's rows. Costs that clients sent are never touched. ``dry_run`` (the default) only counts. Large projects take a
    while: limit the time range, and repeat the call if the connection ends; what is done stays done."""
    allowed = await writing(request, whole_id(project_id))
    report = await in_thread(
        services(request).prices.reprice,
        allowed,
        start_ns=None if data.from_ms is None else ns(data.from_ms),
        end_ns=None if data.to_ms is None else ns(data.to_ms),
        model=data.model,
        dry_run=data.dry_run,
    )
    return RepriceResult(dry_run=data.dry_run, **msgspec.structs.asdict(report))


def _row(price: Price) -> PriceRow:
    return PriceRow(
        id=price.id,
        model_name=price.model_name,
        match_pattern=price.match_pattern,
        provider=price.provider,
        start_ms=None if price.start_ns is None else price.start_ns / 1e6,
        unit=price.unit,
        tokenizer=price.tokenizer,
        tokenizer_config=price.tokenizer_config,
        tiers=list(price.tiers),
        created_ms=price.created_ns / 1e6,
        updated_ms=price.updated_ns / 1e6,
    )


def _price(price_id: str, data: NewPrice) -> Price:
    tiers = tuple(data.tiers) or (PriceTier(name="Standard", is_default=True, prices=data.prices or {}),)
    return Price(
        id=price_id,
        model_name=data.model_name,
        match_pattern=data.match_pattern,
        tiers=tiers,
        provider=data.provider,
        start_ns=None if data.start_ms is None else ns(data.start_ms),
        unit=data.unit,
        tokenizer=data.tokenizer,
        tokenizer_config=data.tokenizer_config,
    )


HANDLERS = [list_prices, add_price, edit_price, delete_price, reprice]
