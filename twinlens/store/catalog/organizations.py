"""Organizations."""

from __future__ import annotations

import sqlalchemy as sa

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import InvalidState
from twinlens.domain.project import Organization
from twinlens.store.catalog.engine import Catalog, metadata, upsert

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)


class OrganizationStore:
    """Organizations by id. Global: they stand above projects."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, organization_id: str) -> Organization | None:
        """One organization."""
        with self._catalog.read() as c:
            row = c.execute(sa.select(organizations).where(organizations.c.id == organization_id)).mappings().first()
        return Organization(**row) if row else None

    def list(self) -> list[Organization]:
        """All, oldest first."""
        with self._catalog.read() as c:
            rows = c.execute(sa.select(organizations).order_by(organizations.c.created_ns)).mappings().all()
        return [Organization(**row) for row in rows]

    def put(self, organization_id: str, name: str) -> Organization:
        """Create, or rename what is there."""
        with self._catalog.write() as c:
            statement = upsert(c, organizations).values(id=organization_id, name=name, created_ns=now_ns())
            c.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"name": name}))
        found = self.get(organization_id)
        assert found is not None
        return found

    def delete(self, organization_id: str) -> bool:
        """Remove an organization that has no projects, with its keys and memberships; False when there is none.

        Raises:
            InvalidState: it still has projects, also such that are being deleted.
        """
        tables = metadata.tables
        with self._catalog.write() as c:
            projects = tables["projects"]
            owned = sa.select(projects.c.id).where(projects.c.organization_id == organization_id).limit(1)
            if c.execute(owned).first() is not None:
                raise InvalidState("an organization with projects cannot be deleted: delete its projects first")
            for name in ("api_keys", "memberships"):
                c.execute(tables[name].delete().where(tables[name].c.organization_id == organization_id))
            return c.execute(organizations.delete().where(organizations.c.id == organization_id)).rowcount > 0
