"""Projects, the unit of tenancy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.clock import now_ns
from twinlens.domain.project import Project
from twinlens.store.catalog.engine import Catalog, metadata, upsert

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),  # JSON object
    sa.Column("retention_days", sa.Integer),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Column("deleted_ns", sa.BigInteger),  # set: gone for everybody, its rows are being removed
)
#: Tables of what belongs to a project from the start, or says who may use it.
_SETTINGS = frozenset({"api_keys", "project_memberships", "grant_roles", "grants", "grant_members", "prices"})
_SHOWN = [column for column in projects.c if column.name != "deleted_ns"]


class ProjectStore:
    """Projects by id."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, project_id: str) -> Project | None:
        """One project."""
        query = sa.select(*_SHOWN).where(projects.c.id == project_id, projects.c.deleted_ns.is_(None))
        with self._catalog.read() as c:
            row = c.execute(query).mappings().first()
        return _project(row) if row else None

    def list(self, organization_id: str | None = None) -> list[Project]:
        """All projects (of one organization), oldest first."""
        query = sa.select(*_SHOWN).where(projects.c.deleted_ns.is_(None))
        query = query.order_by(projects.c.created_ns, projects.c.id)
        if organization_id is not None:
            query = query.where(projects.c.organization_id == organization_id)
        with self._catalog.read() as c:
            return [_project(row) for row in c.execute(query).mappings()]

    def put(
        self,
        project_id: str,
        organization_id: str,
        name: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        retention_days: int | None = None,
    ) -> Project:
        """Create, or change name, metadata and retention of what is there (the organization stays)."""
        now = now_ns()
        changed = {
            "name": name,
            "metadata": msgspec.json.encode(dict(metadata or {})).decode(),
            "retention_days": retention_days,
            "updated_ns": now,
        }
        with self._catalog.write() as c:
            statement = upsert(c, projects).values(
                id=project_id, organization_id=organization_id, created_ns=now, **changed
            )
            c.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
            row = c.execute(sa.select(*_SHOWN).where(projects.c.id == project_id)).mappings().one()
            return _project(row)

    def mark_deleted(self, project_id: str) -> bool:
        """Hide a project from now on and remove its keys; False when there is none."""
        keys = metadata.tables["api_keys"]
        with self._catalog.write() as c:
            where = (projects.c.id == project_id) & projects.c.deleted_ns.is_(None)
            found = c.execute(projects.update().where(where).values(deleted_ns=now_ns())).rowcount > 0
            if found:
                c.execute(keys.delete().where(keys.c.project_id == project_id))
        return found

    def holds_rows(self, project_id: str) -> bool:
        """Whether anything but settings, members, keys and the default experiment is stored for a project."""
        with self._catalog.read() as c:
            for table in metadata.sorted_tables:
                if "project_id" not in table.c or table.info.get("outlives_project") or table.name in _SETTINGS:
                    continue
                query = sa.select(sa.literal(1)).select_from(table).where(table.c.project_id == project_id)
                if table.name == "experiments":
                    query = query.where(table.c.experiment_id != 0)
                if c.execute(query.limit(1)).first() is not None:
                    return True
        return False

    def deleted(self) -> list[str]:
        """Projects that are marked and not erased yet, oldest mark first."""
        query = sa.select(projects.c.id).where(projects.c.deleted_ns.is_not(None)).order_by(projects.c.deleted_ns)
        with self._catalog.read() as c:
            return list(c.execute(query).scalars())

    def erase(self, project_id: str) -> None:
        """Remove every row of a project but the marked one itself, table by table, each in its own transaction."""
        for table in reversed(metadata.sorted_tables):
            if "project_id" in table.c and not table.info.get("outlives_project"):
                with self._catalog.write() as c:
                    c.execute(table.delete().where(table.c.project_id == project_id))

    def unmark(self, project_id: str) -> None:
        """Remove the last row of a deleted project."""
        with self._catalog.write() as c:
            c.execute(projects.delete().where(projects.c.id == project_id, projects.c.deleted_ns.is_not(None)))


def _project(row: sa.RowMapping) -> Project:
    values: dict[str, Any] = dict(row)  # pyright: ignore[reportAssignmentType]
    return Project(**(values | {"metadata": msgspec.json.decode(values["metadata"])}))
