"""Model connections, and the gateway's endpoints with what they cost and what they may cost."""

from __future__ import annotations

import time
from typing import Any, Literal

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType

from twinlens.domain.budget import Budget, Usage, Window
from twinlens.domain.errors import InvalidArgument, TwinlensError
from twinlens.domain.gateway import Endpoint, ModelConnection, ModelMapping
from twinlens.domain.project import Principal
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.reply import FromMs, ToMs, reading, time_range, whole_id, writer
from twinlens.faces.native.rows import ms
from twinlens.features.gateway_providers import PROVIDERS

_CONNECTIONS = "/projects/{project_id:str}/connections"
_CONNECTION = _CONNECTIONS + "/{connection_id:str}"
_GATEWAY = "/projects/{project_id:str}/gateway"
_DAY_NS = 86_400_000_000_000
_MONTH_HOURS = 30 * 24


class ProviderRow(Struct, kw_only=True):
    """A kind of provider; without ``base_url`` the connection has to give one."""

    name: str
    base_url: str | None
    needs_key: bool


class ConnectionRow(Struct, kw_only=True):
    """An account at a provider. ``key`` is what may be shown of its key; ``endpoints`` are those that use it."""

    id: str
    name: str
    provider: str | None
    base_url: str | None
    key: str | None
    models: list[str]
    header_names: list[str]
    endpoints: list[str]
    created_by: str | None
    updated_ms: float


class ConnectionList(Struct, kw_only=True):
    """Oldest first, and the kinds of providers there are."""

    connections: list[ConnectionRow]
    providers: list[ProviderRow]


class NewConnection(Struct, kw_only=True):
    """``POST /connections``."""

    name: str
    provider: str
    api_key: str = ""
    base_url: str | None = None
    models: list[str] = []


class ConnectionChange(Struct, kw_only=True):
    """``PATCH /connections/{connection_id}``: what is given."""

    api_key: str | UnsetType = UNSET
    base_url: str | UnsetType | None = UNSET
    models: list[str] | UnsetType = UNSET


class ConnectionTest(Struct, kw_only=True):
    """``POST /connections/{connection_id}/test``: which model to ask one short question."""

    model: str


class ConnectionTestResult(Struct, kw_only=True):
    """What the model said, or why it could not be asked."""

    success: bool
    answer: str | None = None
    error: str | None = None
    latency_ms: float = 0.0


class EndpointModel(Struct, kw_only=True):
    """A model of an endpoint; ``linkage`` is PRIMARY or FALLBACK. Without ``connection`` it cannot be called."""

    model: str
    provider: str
    connection: str | None
    linkage: str
    weight: float


class EndpointRow(Struct, kw_only=True):
    """One endpoint with what its calls took in the time asked for."""

    id: str
    name: str
    models: list[EndpointModel]
    experiment_id: str | None
    usage_tracking: bool
    calls: int
    errors: int
    tokens: int
    cost: float
    updated_ms: float


class BudgetRow(Struct, kw_only=True):
    """One budget with its running window; ``target_name`` is an endpoint's name or a user's."""

    id: str
    amount: float
    spent: float
    exceeded: bool
    scope: str
    target_name: str | None
    action: str
    duration_unit: str
    duration_value: int
    window_start_ms: float
    window_end_ms: float


class UsageDay(Struct, kw_only=True):
    """What all calls took in one day (UTC)."""

    start_ms: float
    calls: int
    errors: int
    cost: float


class GatewayOverview(Struct, kw_only=True):
    """``GET /gateway``."""

    endpoints: list[EndpointRow]
    budgets: list[BudgetRow]
    days: list[UsageDay]


class EndpointTarget(Struct, kw_only=True):
    """A model behind a connection."""

    connection_id: str
    model: str


class NewEndpoint(Struct, kw_only=True):
    """``POST /gateway/endpoints``: the first target is called, the others are its fallbacks in order."""

    name: str
    targets: list[EndpointTarget]
    usage_tracking: bool = True


class NewBudget(Struct, kw_only=True):
    """``POST /gateway/budgets``: ``target`` is an endpoint's id or a user's name, as ``scope`` says."""

    amount: float
    duration_unit: Literal["MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS"] = "MONTHS"
    duration_value: int = 1
    scope: Literal["WORKSPACE", "ENDPOINT", "USER"] = "WORKSPACE"
    target: str | None = None
    action: Literal["ALERT", "REJECT"] = "REJECT"


# --- connections -------------------------------------------------------------------------------------------------
async def _administrator(request: AnyRequest, project_id: str) -> Principal:
    who = await writer(request, whole_id(project_id))
    who.require_administrator()
    return who


def _connection(found: ModelConnection, endpoints: list[Endpoint]) -> ConnectionRow:
    used = [
        endpoint.name
        for endpoint in endpoints
        if any(m.definition and m.definition.connection_id == found.connection_id for m in endpoint.mappings)
    ]
    return ConnectionRow(
        id=found.connection_id, name=found.name, provider=found.provider, base_url=found.base_url,
        key="enter it again" if found.waits else next(iter(found.masked.values()), None), models=found.models, header_names=found.header_names, endpoints=used,
        created_by=found.created_by, updated_ms=ms(found.updated_ns),
    )  # fmt: skip


@get(_CONNECTIONS, summary="List model connections")
async def list_connections(request: AnyRequest, project_id: FromPath[str]) -> ConnectionList:
    """Without their secrets."""
    allowed, s = await reading(request, whole_id(project_id)), services(request)

    def read() -> ConnectionList:
        endpoints = s.gateway.endpoints(allowed)
        rows = [_connection(each, endpoints) for each in s.connections.list(allowed)]
        kinds = [
            ProviderRow(name=name, base_url=each.base_url, needs_key=each.needs_key) for name, each in PROVIDERS.items()
        ]
        return ConnectionList(connections=rows, providers=kinds)

    return await in_thread(read)


@post(_CONNECTIONS, summary="Add a model connection", status_code=201)
async def create_connection(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewConnection]
) -> ConnectionRow:
    """The key is sealed and never answered again."""
    who = await _administrator(request, project_id)
    known = PROVIDERS.get(data.provider)
    if known is not None and known.needs_key and not data.api_key.strip():
        raise InvalidArgument(f"api_key: a connection to {data.provider} needs a key")
    if known is not None and known.base_url is None and not data.base_url:
        raise InvalidArgument(f"base_url: say where {data.provider} answers, for example https://llm.example/v1")
    draft = ModelConnection(
        connection_id="", name=data.name.strip(), provider=data.provider, base_url=data.base_url or None,
        models=data.models, created_by=who.user_name, updated_by=who.user_name,
    )  # fmt: skip
    secret = {"api_key": data.api_key.strip()} if data.api_key.strip() else {}
    return _connection(await in_thread(services(request).connections.create, who.project_id, draft, secret), [])


@patch(_CONNECTION, summary="Change a model connection")
async def edit_connection(
    request: AnyRequest, project_id: FromPath[str], connection_id: FromPath[str], data: JSONBody[ConnectionChange]
) -> ConnectionRow:
    """Another key, address or list of models."""
    who = await _administrator(request, project_id)
    s = services(request)
    said = {"base_url": data.base_url, "models": data.models}
    changes: dict[str, Any] = {name: value for name, value in said.items() if not isinstance(value, UnsetType)}
    secret = None if isinstance(data.api_key, UnsetType) else {"api_key": data.api_key.strip()}

    def write() -> ConnectionRow:
        changed = s.connections.update(
            who.project_id, whole_id(connection_id), secret=secret, updated_by=who.user_name, **changes
        )
        return _connection(changed, s.gateway.endpoints(who.project_id))

    return await in_thread(write)


@delete(_CONNECTION, summary="Delete a model connection")
async def delete_connection(request: AnyRequest, project_id: FromPath[str], connection_id: FromPath[str]) -> None:
    """Endpoints that use it fail until their model gets another one; evaluators that name it are paused."""
    who = await _administrator(request, project_id)
    await in_thread(services(request).connections.delete, who.project_id, whole_id(connection_id))


@post(_CONNECTION + "/test", summary="Ask a model behind a connection", status_code=200)
async def test_connection(
    request: AnyRequest, project_id: FromPath[str], connection_id: FromPath[str], data: JSONBody[ConnectionTest]
) -> ConnectionTestResult:
    """One short question, once, now: it costs a few tokens."""
    who = await _administrator(request, project_id)
    s, began = services(request), time.perf_counter()
    found = await in_thread(s.connections.get, who.project_id, whole_id(connection_id))
    body = {"messages": [{"role": "user", "content": "Answer with the word OK."}], "max_tokens": 16}
    try:
        target = await in_thread(s.gateway_calls.connected, who.project_id, found.name, data.model.strip())
        if target is None:
            raise InvalidArgument("the connection was deleted meanwhile")
        answer = await s.gateway_calls.ask(who.project_id, target, body)
        said = str(answer["choices"][0]["message"].get("content") or "")
    except TwinlensError as error:
        return ConnectionTestResult(success=False, error=error.message)
    except (KeyError, IndexError, TypeError, AttributeError):
        return ConnectionTestResult(success=False, error="the answer is no chat completion: is the base URL right?")
    took = (time.perf_counter() - began) * 1_000
    return ConnectionTestResult(success=True, answer=said[:200], latency_ms=took)


# --- the gateway -------------------------------------------------------------------------------------------------
def _endpoint(endpoint: Endpoint, used: list[Usage]) -> EndpointRow:
    models = [
        EndpointModel(
            model=model.model_name if model else mapping.model_definition_id, provider=model.provider if model else "",
            connection=model.connection_name if model else None, linkage=mapping.linkage, weight=mapping.weight,
        )
        for mapping in endpoint.mappings
        for model in [mapping.definition]
    ]  # fmt: skip
    mine = [usage for usage in used if usage.endpoint_id == endpoint.endpoint_id]
    return EndpointRow(
        id=endpoint.endpoint_id, name=endpoint.name, models=models, experiment_id=endpoint.experiment_id,
        usage_tracking=endpoint.usage_tracking, calls=sum(u.calls for u in mine), errors=sum(u.errors for u in mine),
        tokens=sum(u.tokens for u in mine), cost=sum(u.cost for u in mine), updated_ms=ms(endpoint.updated_ns),
    )  # fmt: skip


def _budget(window: Window, endpoints: list[Endpoint]) -> BudgetRow:
    budget = window.budget
    names = {endpoint.endpoint_id: endpoint.name for endpoint in endpoints}
    return BudgetRow(
        id=budget.budget_id, amount=budget.amount, spent=window.spent, exceeded=window.exceeded, scope=budget.scope,
        target_name=names.get(budget.target or "", budget.target), action=budget.action,
        duration_unit=budget.duration_unit, duration_value=budget.duration_value, window_start_ms=ms(window.start_ns),
        window_end_ms=ms(window.end_ns),
    )  # fmt: skip


@get(_GATEWAY, summary="Endpoints, budgets and usage of the gateway")
async def gateway_overview(
    request: AnyRequest, project_id: FromPath[str], from_ms: FromMs = None, to_ms: ToMs = None
) -> GatewayOverview:
    """Usage of the last 30 days unless a time is named; days without a call are left out."""
    allowed, s = await reading(request, whole_id(project_id)), services(request)
    start, end = time_range(from_ms, to_ms, default_hours=_MONTH_HOURS)

    def read() -> GatewayOverview:
        endpoints, used = s.gateway.endpoints(allowed), s.budgets.usage(allowed, start, end, _DAY_NS)
        days = [
            UsageDay(
                start_ms=ms(day), calls=sum(u.calls for u in mine), errors=sum(u.errors for u in mine),
                cost=sum(u.cost for u in mine),
            )
            for day in sorted({usage.minute_ns for usage in used})
            for mine in [[usage for usage in used if usage.minute_ns == day]]
        ]  # fmt: skip
        budgets = [_budget(window, endpoints) for window in s.budgets.windows(allowed)]
        return GatewayOverview(endpoints=[_endpoint(e, used) for e in endpoints], budgets=budgets, days=days)

    return await in_thread(read)


@post(_GATEWAY + "/endpoints", summary="Add an endpoint", status_code=201)
async def create_endpoint(request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewEndpoint]) -> EndpointRow:
    """Programs call it at ``/gateway/mlflow/v1`` with its name as model."""
    who, gateway = await writer(request, whole_id(project_id)), services(request).gateway

    def write() -> EndpointRow:
        mappings: list[ModelMapping] = []
        for order, each in enumerate(data.targets):
            model = gateway.define(who.project_id, each.connection_id, each.model.strip(), who.user_name)
            linkage = "FALLBACK" if order else "PRIMARY"
            position = order - 1 if order else None
            mappings.append(
                ModelMapping(
                    model_definition_id=model.model_definition_id, linkage=linkage, fallback_order=position
                )
            )  # fmt: skip
        draft = Endpoint(
            endpoint_id="", name=data.name.strip(), mappings=mappings, usage_tracking=data.usage_tracking,
            created_by=who.user_name, updated_by=who.user_name,
        )  # fmt: skip
        return _endpoint(gateway.create_endpoint(who.project_id, draft), [])

    return await in_thread(write)


@delete(_GATEWAY + "/endpoints/{endpoint_id:str}", summary="Delete an endpoint")
async def delete_endpoint(request: AnyRequest, project_id: FromPath[str], endpoint_id: FromPath[str]) -> None:
    """Its traces and usage stay."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).gateway.delete_endpoint, who.project_id, whole_id(endpoint_id))


@post(_GATEWAY + "/budgets", summary="Add a budget", status_code=201)
async def create_budget(request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewBudget]) -> BudgetRow:
    """What was spent in the running window before counts."""
    who, s = await _administrator(request, project_id), services(request)
    draft = Budget(
        budget_id="", amount=data.amount, duration_unit=data.duration_unit, duration_value=data.duration_value,
        scope=data.scope, action=data.action, target=data.target or None, created_by=who.user_name,
        updated_by=who.user_name,
    )  # fmt: skip

    def write() -> BudgetRow:
        made = s.budgets.create(who.project_id, draft)
        windows = [w for w in s.budgets.windows(who.project_id) if w.budget.budget_id == made.budget_id]
        return _budget(windows[0], s.gateway.endpoints(who.project_id))

    return await in_thread(write)


@delete(_GATEWAY + "/budgets/{budget_id:str}", summary="Delete a budget")
async def delete_budget(request: AnyRequest, project_id: FromPath[str], budget_id: FromPath[str]) -> None:
    """Nothing is refused because of it any more."""
    who = await _administrator(request, project_id)
    await in_thread(services(request).budgets.delete, who.project_id, whole_id(budget_id))


HANDLERS = [
    list_connections, create_connection, edit_connection, delete_connection, test_connection, gateway_overview,
    create_endpoint, delete_endpoint, create_budget, delete_budget,
]  # fmt: skip
