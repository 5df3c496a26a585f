"""Webhooks: add, change, delete, test; and the events that features tell them.

An event is written down for every webhook that asked for it inside the transaction that makes the change, so there is no change
without its event and no event without its change. ``webhook_worker`` sends them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain import webhook as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound, TwinlensError
from twinlens.domain.ids import new_hex, new_uuid
from twinlens.domain.webhook import Delivery, Webhook
from twinlens.features.audit import Audit
from twinlens.features.webhook_client import Answer, check_target, post
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.webhooks import WebhookTable
from twinlens.store.secrets import Sealer

MAX_WEBHOOKS = 100  #: of one project
_S = 1_000_000_000


class Webhooks:
    """See the module's text. All methods block.

    Args:
        anywhere: webhooks may call private addresses and plain HTTP.
    """

    def __init__(self, catalog: Catalog, sealer: Sealer, *, anywhere: bool = False, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._sealer = sealer
        self._anywhere = anywhere
        self._audit = Audit(catalog)
        self._clock = clock
        self.wake = threading.Event()  #: set when there may be something to deliver

    # --- what features tell -----------------------------------------------------------------------------------------
    def fire(self, connection: sa.Connection, project_id: str, event: str, data: Mapping[str, Any]) -> None:
        """Write an event down for the webhooks that asked for it, in the caller's transaction. Call ``committed`` after it.

        Args:
            event: one of ``domain.webhook.EVENTS``.
            data: what receivers find under ``data``.
        """
        table = WebhookTable(connection, project_id)
        wanted = [each for each in table.all() if each.status == "ACTIVE" and event in each.events]
        if wanted:
            now = self._clock()
            payload = _payload(project_id, event, data, now)
            table.add_deliveries(
                [
                    Delivery(
                        delivery_id=new_uuid(), webhook_id=each.webhook_id, event=event, payload=payload, due_ns=now,
                        created_ns=now, updated_ns=now,
                    )
                    for each in wanted
                ]
            )  # fmt: skip

    def committed(self) -> None:
        """What was fired can be read now."""
        self.wake.set()

    # --- management -------------------------------------------------------------------------------------------------
    def create(self, project_id: str, webhook: Webhook, secret: str | None) -> Webhook:
        """Store a new webhook under a new id.

        Args:
            secret: signs each delivery; None leaves them unsigned.

        Raises:
            InvalidArgument: a rule is broken, or the address is not public.
        """
        webhook.check()
        check_target(webhook.url, anywhere=self._anywhere)
        now, webhook_id = self._clock(), new_hex()
        made = msgspec.structs.replace(
            webhook, webhook_id=webhook_id, events=list(dict.fromkeys(webhook.events)), created_ns=now, updated_ns=now,
            sealed=self._seal(project_id, webhook_id, secret),
        )  # fmt: skip
        with self._catalog.write() as connection:
            table = WebhookTable(connection, project_id)
            if len(table.all()) >= MAX_WEBHOOKS:
                raise InvalidArgument(f"A project has at most {MAX_WEBHOOKS} webhooks: delete one first.")
            table.add(made)
            self._audit.record("create", "webhook", webhook_id, project_id=project_id, name=made.name, url=made.url)
        return made

    def get(self, project_id: str, webhook_id: str) -> Webhook:
        """One webhook.

        Raises:
            NotFound: no such webhook.
        """
        with self._catalog.read() as connection:
            return _found(WebhookTable(connection, project_id).get(webhook_id), webhook_id)

    def list(self, project_id: str) -> list[Webhook]:
        """All, newest first."""
        with self._catalog.read() as connection:
            return WebhookTable(connection, project_id).all()

    def update(self, project_id: str, webhook_id: str, secret: str | None = None, **changes: Any) -> Webhook:
        """Change fields of a webhook; an empty ``secret`` removes it, None leaves it. What waits is sent when it is active again.

        Raises:
            NotFound: no such webhook.
            InvalidArgument: as ``create``.
        """
        if secret is not None:
            changes["sealed"] = self._seal(project_id, webhook_id, secret)
        if "url" in changes:
            check_target(changes["url"], anywhere=self._anywhere)
        with self._catalog.write() as connection:
            table = WebhookTable(connection, project_id)
            before = _found(table.get(webhook_id), webhook_id)
            made = msgspec.structs.replace(before, **changes, updated_ns=self._clock())
            made.check()
            table.replace(made)
            shown = {name: value for name, value in changes.items() if name != "sealed"}
            self._audit.record("update", "webhook", webhook_id, project_id=project_id, **shown)
        self.wake.set()
        return made

    def delete(self, project_id: str, webhook_id: str) -> None:
        """Remove a webhook; what waits for it is not sent any more.

        Raises:
            NotFound: no such webhook.
        """
        with self._catalog.write() as connection:
            if not WebhookTable(connection, project_id).drop(webhook_id):
                raise _unknown(webhook_id)
            self._audit.record("delete", "webhook", webhook_id, project_id=project_id)

    def test(self, project_id: str, webhook_id: str, event: str | None = None) -> Answer | str:
        """Send an example of an event (the webhook's first unless one is named) once, now: the answer, or why there is none.

        Raises:
            NotFound: no such webhook.
            InvalidArgument: no such event.
        """
        webhook = self.get(project_id, webhook_id)
        chosen = event or webhook.events[0]
        rules.check_events([chosen])
        payload = _payload(project_id, chosen, rules.EVENTS[chosen], self._clock())
        try:
            return self.send(project_id, webhook, new_uuid(), payload)
        except (OSError, TwinlensError) as error:
            return f"Failed to test webhook: {error}"

    # --- deliveries -------------------------------------------------------------------------------------------------
    def deliveries(self, project_id: str, webhook_id: str, limit: int = 50) -> list[Delivery]:
        """The newest deliveries of a webhook.

        Raises:
            NotFound: no such webhook.
        """
        with self._catalog.read() as connection:
            table = WebhookTable(connection, project_id)
            _found(table.get(webhook_id), webhook_id)
            return table.deliveries(webhook_id, limit)

    def redeliver(self, project_id: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery once more, under the same id.

        Raises:
            NotFound: no such delivery.
        """
        with self._catalog.write() as connection:
            table = WebhookTable(connection, project_id)
            row = table.delivery(delivery_id)
            if row is None or row.webhook_id != webhook_id:
                raise NotFound(f"Delivery with ID {delivery_id} not found.")
            again = msgspec.structs.replace(row, status="pending", attempts=0, due_ns=self._clock(), error=None)
            table.put_delivery(again)
        self.wake.set()
        return again

    def send(self, project_id: str, webhook: Webhook, delivery_id: str, payload: str) -> Answer:
        """Make one request. The signed time is that of this attempt, so that a late repeat is not taken for a replay.

        Raises:
            OSError: the receiver cannot be reached or does not answer in time.
            InvalidState: the secret does not open with this instance's key.
            NotPublic: the address is private.
        """
        at = str(self._clock() // _S)
        headers = {
            "Content-Type": "application/json", "User-Agent": "Twinlens-Webhook/1",
            rules.DELIVERY_HEADER: delivery_id, rules.TIMESTAMP_HEADER: at,
        }  # fmt: skip
        if webhook.sealed is not None:
            secret = self._sealer.open(webhook.sealed, _place(project_id, webhook.webhook_id))
            headers[rules.SIGNATURE_HEADER] = rules.signature(secret, delivery_id, at, payload)
        return post(webhook.url, payload.encode(), headers, anywhere=self._anywhere)

    def _seal(self, project_id: str, webhook_id: str, secret: str | None) -> str | None:
        if not secret:
            return None
        return self._sealer.seal(secret, _place(project_id, webhook_id))


def _place(project_id: str, webhook_id: str) -> str:
    return f"webhook/{project_id}/{webhook_id}"


def _payload(project_id: str, event: str, data: Mapping[str, Any], now: int) -> str:
    entity, _, action = event.partition(".")
    body = {
        "entity": entity, "action": action, "timestamp": datetime.fromtimestamp(now / _S, UTC).isoformat(),
        "workspace": project_id, "data": data,
    }  # fmt: skip
    return msgspec.json.encode(body).decode()


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"Webhook with ID {webhook_id} not found.")


def _found(webhook: Webhook | None, webhook_id: str) -> Webhook:
    if webhook is None:
        raise _unknown(webhook_id)
    return webhook
