"""Webhooks (API 2.0)."""

from __future__ import annotations

from typing import Any

from twinlens.domain.webhook import STATUSES, Webhook
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.params import Params, missing
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable, present
from twinlens.features.webhook_client import Answer

rpcs = RpcTable()

_ALL = "/mlflow/webhooks"
_ONE = _ALL + "/{webhook_id}"
_MS = 1_000_000
#: In the order of their protobuf numbers (``webhooks.proto``, MLflow 3.17).
_ENTITIES = (
    "REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_TAG", "MODEL_VERSION_ALIAS", "PROMPT", "PROMPT_VERSION",
    "PROMPT_TAG", "PROMPT_VERSION_TAG", "PROMPT_ALIAS", "BUDGET_POLICY",
)  # fmt: skip
_ACTIONS = ("CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED")


def _event(params: Params) -> str:
    entity, action = params.enum("entity", _ENTITIES), params.enum("action", _ACTIONS)
    if entity is None or action is None:
        raise missing("events.entity" if entity is None else "events.action")
    return f"{entity}.{action}".lower()


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """A webhook on the wire; the secret never goes out."""
    events = [event.upper().split(".") for event in webhook.events]
    return present(
        webhook_id=webhook.webhook_id, name=webhook.name, description=webhook.description or None, url=webhook.url,
        events=[{"entity": entity, "action": action} for entity, action in events], status=webhook.status,
        creation_timestamp=webhook.created_ns // _MS, last_updated_timestamp=webhook.updated_ns // _MS,
    )  # fmt: skip


@rpcs.rpc("POST", "2.0", _ALL, scope="manage")
def create(call: Call) -> Reply:
    """Add a webhook."""
    params = call.params
    webhook = Webhook(
        webhook_id="", name=params.required("name"), url=params.required("url"),
        events=[_event(each) for each in params.objects("events")], description=params.text("description") or None,
        status=_status(params) or "ACTIVE",
    )  # fmt: skip
    return {"webhook": webhook_json(call.services.webhooks.create(call.project_id, webhook, params.text("secret")))}


@rpcs.rpc("GET", "2.0", _ALL, scope="manage")
def list_webhooks(call: Call) -> Reply:
    """A page of webhooks, newest first."""
    params = call.params
    limit, offset = params.max_results(100, 1_000), offset_of(params.text("page_token"))
    found = call.services.webhooks.list(call.project_id)
    shown = found[offset : offset + limit]
    return present(
        webhooks=[webhook_json(each) for each in shown] or None,
        next_page_token=token_behind(offset, len(shown), len(found)),
    )


@rpcs.rpc("GET", "2.0", _ONE, scope="manage")
def get(call: Call) -> Reply:
    """One webhook."""
    return {"webhook": webhook_json(call.services.webhooks.get(call.project_id, call.path["webhook_id"]))}


@rpcs.rpc("PATCH", "2.0", _ONE, scope="manage")
def update(call: Call) -> Reply:
    """Change what is sent."""
    params = call.params
    changes: dict[str, Any] = {name: value for name in ("name", "url") if (value := params.text(name))}
    if params.has("description"):
        changes["description"] = params.text("description") or None
    if params.objects("events"):
        changes["events"] = [_event(each) for each in params.objects("events")]
    if status := _status(params):
        changes["status"] = status
    secret = params.text("secret") if params.has("secret") else None
    made = call.services.webhooks.update(call.project_id, call.path["webhook_id"], secret, **changes)
    return {"webhook": webhook_json(made)}


@rpcs.rpc("DELETE", "2.0", _ONE, scope="manage")
def delete(call: Call) -> Reply:
    """Remove a webhook."""
    call.services.webhooks.delete(call.project_id, call.path["webhook_id"])
    return None


@rpcs.rpc("POST", "2.0", _ONE + "/test", scope="manage")
def test(call: Call) -> Reply:
    """Send an example and tell what the receiver said."""
    event = call.params.object("event")
    result = call.services.webhooks.test(
        call.project_id, call.path["webhook_id"], None if event is None else _event(event)
    )
    if isinstance(result, Answer):
        return {
            "result": {
                "success": 200 <= result.status < 300, "response_status": result.status, "response_body": result.body,
            }
        }  # fmt: skip
    return {"result": {"success": False, "error_message": result}}


def _status(params: Params) -> Any:
    found = params.enum("status", STATUSES)
    if params.has("status") and found is None:
        raise invalid(f"Webhook status must be one of {', '.join(STATUSES)}.")
    return found
