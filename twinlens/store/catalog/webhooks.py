"""Tables and statements of webhooks and their deliveries."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.webhook import Delivery, Webhook
from twinlens.store.catalog.engine import metadata

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("events", sa.Text, nullable=False),  # JSON
    sa.Column("description", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)
deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("delivery_id", sa.Text, primary_key=True),
    sa.Column("webhook_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_ns", sa.BigInteger, nullable=False),
    sa.Column("response_status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "webhook_id", "created_ns"),
    sa.Index(None, "status"),
)


class WebhookTable:
    """Webhooks of one project, on an open connection."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def _one(self, webhook_id: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
        return webhooks.c.project_id == self._project_id, webhooks.c.webhook_id == webhook_id

    def add(self, webhook: Webhook) -> None:
        """Insert."""
        self._c.execute(webhooks.insert().values(project_id=self._project_id, **_columns(webhook)))

    def replace(self, webhook: Webhook) -> None:
        """Overwrite the row of the same id."""
        self._c.execute(webhooks.update().where(*self._one(webhook.webhook_id)).values(**_columns(webhook)))

    def drop(self, webhook_id: str) -> bool:
        """Delete a webhook with its deliveries; False when there is none."""
        d = deliveries.c
        self._c.execute(deliveries.delete().where(d.project_id == self._project_id, d.webhook_id == webhook_id))
        return self._c.execute(webhooks.delete().where(*self._one(webhook_id))).rowcount > 0

    def get(self, webhook_id: str) -> Webhook | None:
        """One webhook."""
        row = self._c.execute(sa.select(webhooks).where(*self._one(webhook_id))).mappings().first()
        return None if row is None else _webhook(row)

    def all(self) -> list[Webhook]:
        """Newest first."""
        w = webhooks.c
        query = sa.select(webhooks).where(w.project_id == self._project_id)
        rows = self._c.execute(query.order_by(w.created_ns.desc(), w.webhook_id)).mappings()
        return [_webhook(row) for row in rows]

    # --- deliveries ---------------------------------------------------------------------------------------------
    def add_deliveries(self, rows: list[Delivery]) -> None:
        """Insert."""
        if rows:
            values = [{"project_id": self._project_id, **msgspec.structs.asdict(row)} for row in rows]
            self._c.execute(deliveries.insert(), values)

    def put_delivery(self, row: Delivery) -> None:
        """Overwrite the row of the same id; nothing happens when its webhook was deleted meanwhile."""
        d = deliveries.c
        self._c.execute(
            deliveries.update()
            .where(d.project_id == self._project_id, d.delivery_id == row.delivery_id)
            .values(**msgspec.structs.asdict(row))
        )  # fmt: skip

    def delivery(self, delivery_id: str) -> Delivery | None:
        """One delivery."""
        d = deliveries.c
        query = sa.select(deliveries).where(d.project_id == self._project_id, d.delivery_id == delivery_id)
        row = self._c.execute(query).mappings().first()
        return None if row is None else _delivery(row)

    def deliveries(self, webhook_id: str, limit: int) -> list[Delivery]:
        """The newest of a webhook."""
        d = deliveries.c
        query = sa.select(deliveries).where(d.project_id == self._project_id, d.webhook_id == webhook_id)
        rows = self._c.execute(query.order_by(d.created_ns.desc(), d.delivery_id.desc()).limit(limit)).mappings()
        return [_delivery(row) for row in rows]

    def oldest(self, webhook_id: str) -> Delivery | None:
        """The oldest delivery of a webhook that waits."""
        d = deliveries.c
        query = sa.select(deliveries).where(
            d.project_id == self._project_id, d.webhook_id == webhook_id, d.status == "pending"
        )
        row = self._c.execute(query.order_by(d.created_ns, d.delivery_id).limit(1)).mappings().first()
        return None if row is None else _delivery(row)

    def prune(self, webhook_id: str, keep: int) -> None:
        """Forget what is done or failed, but for the newest."""
        d = deliveries.c
        mine = (d.project_id == self._project_id, d.webhook_id == webhook_id, d.status != "pending")
        newest = sa.select(d.created_ns).where(*mine).order_by(d.created_ns.desc()).offset(keep).limit(1)
        oldest = self._c.execute(newest).scalar()
        if oldest is not None:
            self._c.execute(deliveries.delete().where(*mine, d.created_ns <= oldest))


def all_waiting(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Project, webhook and due time of the oldest delivery that waits for each active webhook. Server-wide, for the worker."""
    d, w = deliveries.c, webhooks.c
    place = sa.func.row_number().over(
        partition_by=(d.project_id, d.webhook_id), order_by=(d.created_ns, d.delivery_id)
    )  # fmt: skip
    ranked = (
        sa.select(d.project_id, d.webhook_id, d.due_ns, place.label("place"))
        .join(webhooks, sa.and_(w.project_id == d.project_id, w.webhook_id == d.webhook_id))
        .where(d.status == "pending", w.status == "ACTIVE")
        .subquery()
    )
    found = sa.select(ranked.c.project_id, ranked.c.webhook_id, ranked.c.due_ns).where(ranked.c.place == 1)
    return [(project_id, webhook_id, due) for project_id, webhook_id, due in connection.execute(found)]


def _columns(webhook: Webhook) -> dict[str, Any]:
    return msgspec.structs.asdict(webhook) | {"events": msgspec.json.encode(webhook.events).decode()}


def _webhook(row: sa.RowMapping) -> Webhook:
    values: dict[str, Any] = {name: row[name] for name in Webhook.__struct_fields__}
    values["events"] = msgspec.json.decode(row["events"], type=list[str])
    return Webhook(**values)


def _delivery(row: sa.RowMapping) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__struct_fields__})
