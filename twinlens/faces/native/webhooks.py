"""Webhooks of a project: who is told of which event, and what became of each delivery."""

from __future__ import annotations

from typing import Literal

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType

from twinlens.domain.webhook import EVENTS, Delivery, Webhook
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.administration import managing
from twinlens.faces.native.reply import Limit, whole_id
from twinlens.faces.native.rows import ms
from twinlens.features.webhook_client import Answer

_ALL = "/projects/{project_id:str}/webhooks"
_ONE = _ALL + "/{webhook_id:str}"
Status = Literal["ACTIVE", "DISABLED"]


class WebhookRow(Struct, kw_only=True):
    """One webhook. Its secret is never shown."""

    id: str
    name: str
    url: str
    events: list[str]
    description: str | None
    status: Status
    signed: bool
    created_ms: float
    updated_ms: float


class WebhookList(Struct, kw_only=True):
    """Newest first, and the names of all events there are."""

    webhooks: list[WebhookRow]
    events: list[str]


class NewWebhook(Struct, kw_only=True):
    """``POST /webhooks``. With a secret each delivery is signed."""

    name: str
    url: str
    events: list[str]
    description: str | None = None
    secret: str | None = None
    status: Status = "ACTIVE"


class WebhookChange(Struct, kw_only=True):
    """``PATCH /webhooks/{webhook_id}``: what is given. An empty secret removes it."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    secret: str | None = None


class WebhookTest(Struct, kw_only=True):
    """``POST /webhooks/{webhook_id}/test``: by default its first event."""

    event: str | None = None


class WebhookTestResult(Struct, kw_only=True):
    """What the receiver said, or why nothing could be sent."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None


class DeliveryRow(Struct, kw_only=True):
    """One event on its way to one webhook; ``status`` is pending, done or failed."""

    id: str
    event: str
    status: str
    attempts: int
    response_status: int | None
    error: str | None
    payload: str
    due_ms: float
    created_ms: float
    updated_ms: float


class DeliveryList(Struct, kw_only=True):
    """Newest first."""

    deliveries: list[DeliveryRow]


def _row(webhook: Webhook) -> WebhookRow:
    return WebhookRow(
        id=webhook.webhook_id, name=webhook.name, url=webhook.url, events=webhook.events,
        description=webhook.description, status=webhook.status, signed=webhook.sealed is not None,
        created_ms=ms(webhook.created_ns), updated_ms=ms(webhook.updated_ns),
    )  # fmt: skip


def _delivery(row: Delivery) -> DeliveryRow:
    return DeliveryRow(
        id=row.delivery_id, event=row.event, status=row.status, attempts=row.attempts,
        response_status=row.response_status, error=row.error, payload=row.payload, due_ms=ms(row.due_ns),
        created_ms=ms(row.created_ns), updated_ms=ms(row.updated_ns),
    )  # fmt: skip


@get(_ALL, summary="List webhooks")
async def list_webhooks(request: AnyRequest, project_id: FromPath[str]) -> WebhookList:
    """Newest first."""
    who = await managing(request, project_id)
    found = await in_thread(services(request).webhooks.list, who.project_id)
    return WebhookList(webhooks=[_row(each) for each in found], events=list(EVENTS))


@post(_ALL, summary="Add a webhook", status_code=201)
async def create_webhook(request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewWebhook]) -> WebhookRow:
    """Its address must be public unless the server allows any."""
    who = await managing(request, project_id)
    webhook = Webhook(
        webhook_id="", name=data.name, url=data.url, events=data.events, description=data.description or None,
        status=data.status,
    )  # fmt: skip
    return _row(await in_thread(services(request).webhooks.create, who.project_id, webhook, data.secret))


@patch(_ONE, summary="Change a webhook")
async def edit_webhook(
    request: AnyRequest, project_id: FromPath[str], webhook_id: FromPath[str], data: JSONBody[WebhookChange]
) -> WebhookRow:
    """What waits for a disabled webhook is sent when it is active again."""
    who = await managing(request, project_id)
    given = {"name": data.name, "url": data.url, "events": data.events, "description": data.description}
    given["status"] = data.status
    changes = {name: value for name, value in given.items() if not isinstance(value, UnsetType)}
    webhooks = services(request).webhooks
    made = await in_thread(lambda: webhooks.update(who.project_id, whole_id(webhook_id), data.secret, **changes))
    return _row(made)


@delete(_ONE, summary="Delete a webhook")
async def delete_webhook(request: AnyRequest, project_id: FromPath[str], webhook_id: FromPath[str]) -> None:
    """What waits for it is not sent any more."""
    who = await managing(request, project_id)
    await in_thread(services(request).webhooks.delete, who.project_id, whole_id(webhook_id))


@post(_ONE + "/test", summary="Send an example to a webhook", status_code=200)
async def test_webhook(
    request: AnyRequest, project_id: FromPath[str], webhook_id: FromPath[str], data: JSONBody[WebhookTest]
) -> WebhookTestResult:
    """Once, now; it does not count as a delivery."""
    who = await managing(request, project_id)
    result = await in_thread(services(request).webhooks.test, who.project_id, whole_id(webhook_id), data.event)
    if isinstance(result, Answer):
        good = 200 <= result.status < 300
        return WebhookTestResult(success=good, response_status=result.status, response_body=result.body)
    return WebhookTestResult(success=False, error=result)


@get(_ONE + "/deliveries", summary="Last deliveries of a webhook")
async def list_deliveries(
    request: AnyRequest, project_id: FromPath[str], webhook_id: FromPath[str], limit: Limit = 50
) -> DeliveryList:
    """Newest first; one that failed says why."""
    who = await managing(request, project_id)
    found = await in_thread(services(request).webhooks.deliveries, who.project_id, whole_id(webhook_id), limit)
    return DeliveryList(deliveries=[_delivery(row) for row in found])


@post(_ONE + "/deliveries/{delivery_id:str}/retry", summary="Send a delivery again", status_code=200)
async def retry_delivery(
    request: AnyRequest, project_id: FromPath[str], webhook_id: FromPath[str], delivery_id: FromPath[str]
) -> DeliveryRow:
    """Under the same id."""
    who = await managing(request, project_id)
    webhooks = services(request).webhooks
    found = await in_thread(
        webhooks.redeliver, who.project_id, whole_id(webhook_id), whole_id(delivery_id)
    )  # fmt: skip
    return _delivery(found)


HANDLERS = [
    list_webhooks, create_webhook, edit_webhook, delete_webhook, test_webhook, list_deliveries, retry_delivery,
]  # fmt: skip
