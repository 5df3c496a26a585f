"""Webhooks: which event of a project is told to which address, and what became of each delivery.

Names, actions and the fields of each event are MLflow's (3.18), so that its receivers understand ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.errors import InvalidArgument

#: Every event with an example of its data, which is what a test sends.
EVENTS: dict[str, dict[str, Any]] = {
    "registered_model.created": {"name": "a-model", "tags": {"team": "search"}, "description": "An example"},
    "model_version.created": {
        "name": "a-model", "version": "1", "source": "models:/m-0123", "run_id": "0123456789abcdef", "tags": {},
        "description": "An example",
    },
    "model_version_tag.set": {"name": "a-model", "version": "1", "key": "checked", "value": "yes"},
    "model_version_tag.deleted": {"name": "a-model", "version": "1", "key": "checked"},
    "model_version_alias.created": {"name": "a-model", "alias": "champion", "version": "1"},
    "model_version_alias.deleted": {"name": "a-model", "alias": "champion"},
    "prompt.created": {"name": "a-prompt", "tags": {"team": "search"}, "description": "An example"},
    "prompt_version.created": {
        "name": "a-prompt", "version": "1", "template": "Hello {{name}}!", "tags": {}, "description": "An example",
    },
    "prompt_tag.set": {"name": "a-prompt", "key": "team", "value": "search"},
    "prompt_tag.deleted": {"name": "a-prompt", "key": "team"},
    "prompt_version_tag.set": {"name": "a-prompt", "version": "1", "key": "checked", "value": "yes"},
    "prompt_version_tag.deleted": {"name": "a-prompt", "version": "1", "key": "checked"},
    "prompt_alias.created": {"name": "a-prompt", "alias": "production", "version": "1"},
    "prompt_alias.deleted": {"name": "a-prompt", "alias": "production"},
    "budget_policy.exceeded": {
        "budget_policy_id": "bp-0123", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5,
        "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "WORKSPACE", "workspace": "default",
        "target_value": None, "window_start": 1_767_225_600_000,
    },
}  # fmt: skip

SIGNATURE_HEADER = "X-MLflow-Signature"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
DELIVERY_HEADER = "X-MLflow-Delivery-Id"

WebhookStatus = Literal["ACTIVE", "DISABLED"]
DeliveryStatus = Literal["pending", "done", "failed"]
STATUSES: tuple[WebhookStatus, ...] = ("ACTIVE", "DISABLED")

_NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9._-]*[a-z0-9])?\Z", re.IGNORECASE)
_MAX_URL = 500
_MAX_TEXT = 1_000


class Webhook(msgspec.Struct, kw_only=True):
    """One webhook of a project. ``sealed`` is the signing secret as ``store.secrets`` keeps it."""

    webhook_id: str
    name: str
    url: str
    events: list[str]
    description: str | None = None
    status: WebhookStatus = "ACTIVE"
    sealed: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    def check(self) -> None:
        """Raise ``InvalidArgument`` for what no webhook can have. Where the address leads is not looked at here."""
        if not _NAME.match(self.name):
            raise InvalidArgument(
                f"Webhook name '{self.name[:100]}' is invalid. It must start and end with a letter or digit, have at most "
                "63 characters, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
            )
        check_events(self.events)
        if self.status not in STATUSES:
            raise InvalidArgument(f"Webhook status must be one of {', '.join(STATUSES)}; got '{self.status}'.")
        if self.description is not None and len(self.description) > _MAX_TEXT:
            raise InvalidArgument(f"Webhook description must have at most {_MAX_TEXT} characters.")
        check_url(self.url)


class Delivery(msgspec.Struct, kw_only=True):
    """One event on its way to one webhook. Its id stays the same over all attempts, so that receivers can tell repeats."""

    delivery_id: str
    webhook_id: str
    event: str
    payload: str  #: the body as it is sent and signed
    status: DeliveryStatus = "pending"
    attempts: int = 0
    due_ns: int = 0
    response_status: int | None = None
    error: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


def check_events(events: list[str]) -> None:
    """Raise ``InvalidArgument`` unless these are known events, at least one."""
    if not events:
        raise InvalidArgument(f"Webhook events must be a non-empty list of: {', '.join(EVENTS)}.")
    for event in events:
        if event not in EVENTS:
            entity = event.partition(".")[0]
            near = [known for known in EVENTS if known.startswith(entity + ".")] or list(EVENTS)
            raise InvalidArgument(f"Invalid webhook event '{event[:100]}'. Known here: {', '.join(near)}.")


def check_url(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address that a webhook may have.

    Raises:
        InvalidArgument: not such an address.
    """
    if not url.strip() or len(url) > _MAX_URL or not url.isascii() or any(c.isspace() or c < " " for c in url):
        raise InvalidArgument(f"Webhook URL must have 1 to {_MAX_URL} ASCII characters without spaces: '{url[:100]}'.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidArgument(f"Invalid webhook URL '{url}': {error}.") from None
    if parts.scheme not in ("https", "http"):
        raise InvalidArgument(f"Invalid webhook URL scheme: '{parts.scheme}'. Allowed schemes are: https, http.")
    if not host:
        raise InvalidArgument(f"Webhook URL must include a hostname: '{url}'.")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("Webhook URL must not contain credentials: use the secret, which signs each delivery.")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def signature(secret: str, delivery_id: str, timestamp: str, payload: str) -> str:
    """What ``X-MLflow-Signature`` holds (MLflow 3.18, after Standard Webhooks): HMAC-SHA256 over id, time and body.

    Args:
        timestamp: whole seconds since 1970, as in ``X-MLflow-Timestamp``.
    """
    signed = hmac.new(secret.encode(), f"{delivery_id}.{timestamp}.{payload}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()
