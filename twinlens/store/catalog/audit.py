"""The audit log. Rows are only ever added; they stay when their project is deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.audit import Actor, AuditEntry
from twinlens.store.catalog.engine import Catalog, metadata

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("organization_id", sa.Text, nullable=False),
    sa.Column("project_id", sa.Text),
    sa.Column("actor_kind", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text),
    sa.Column("actor_name", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object_type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # JSON object
    sa.Index("ix_audit_log_organization_id_at_ns", "organization_id", "at_ns"),
    sa.Index("ix_audit_log_project_id_at_ns", "project_id", "at_ns"),
    info={"outlives_project": True},
)


class AuditStore:
    """Entries by organization or project."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, entry: AuditEntry) -> None:
        """Keep an entry."""
        row = {name: getattr(entry, name) for name in entry.__struct_fields__ if name not in ("actor", "detail")}
        actor = entry.actor
        with self._catalog.write() as c:
            c.execute(
                audit_log.insert().values(
                    **row,
                    actor_kind=actor.kind,
                    actor_id=actor.id,
                    actor_name=actor.name,
                    detail=msgspec.json.encode(entry.detail).decode(),
                )
            )

    def list(
        self, organization_id: str, project_id: str | None = None, *, before: tuple[int, str] | None = None, limit: int
    ) -> list[AuditEntry]:
        """Newest first; of one project, or all of the organization. ``before`` continues behind (time, id)."""
        query = sa.select(audit_log).where(audit_log.c.organization_id == organization_id)
        if project_id is not None:
            query = query.where(audit_log.c.project_id == project_id)
        if before is not None:
            query = query.where(sa.tuple_(audit_log.c.at_ns, audit_log.c.id) < before)
        query = query.order_by(audit_log.c.at_ns.desc(), audit_log.c.id.desc()).limit(limit)
        with self._catalog.read() as c:
            return [_entry(row) for row in c.execute(query).mappings()]


def _entry(row: sa.RowMapping) -> AuditEntry:
    values: dict[str, Any] = dict(row)  # pyright: ignore[reportAssignmentType]
    actor = Actor(kind=values.pop("actor_kind"), id=values.pop("actor_id"), name=values.pop("actor_name"))
    return AuditEntry(actor=actor, detail=msgspec.json.decode(values.pop("detail")), **values)
