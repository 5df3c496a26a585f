"""Roles that grant single resources of a project (an experiment, a registered model …), and who has them.

They add to, and with ``DENY`` take away from, what a member's role in the organization or project permits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from twinlens.domain.errors import AlreadyExists
from twinlens.domain.grant import Assignment, Grant, GrantRole
from twinlens.store.catalog.engine import Catalog, metadata, upsert
from twinlens.store.catalog.runs import Serial

grant_roles = sa.Table(
    "grant_roles",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.UniqueConstraint("project_id", "name"),
)
grants = sa.Table(
    "grants",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("role_id", sa.BigInteger, sa.ForeignKey("grant_roles.id", ondelete="CASCADE"), nullable=False),
    sa.Column("resource_type", sa.Text, nullable=False),
    sa.Column("resource_pattern", sa.Text, nullable=False),  # an id, or * for all of the type
    sa.Column("permission", sa.Text, nullable=False),
    sa.UniqueConstraint("role_id", "resource_type", "resource_pattern"),
)
grant_members = sa.Table(
    "grant_members",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("role_id", sa.BigInteger, sa.ForeignKey("grant_roles.id", ondelete="CASCADE"), nullable=False),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.UniqueConstraint("role_id", "user_id"),
)


class GrantStore:
    """Roles, their grants and their members, by project."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    # --- where an id belongs (ids are unique over all projects) ----------------------------------------------------
    def project_of_role(self, role_id: int) -> str | None:
        """The project of a role."""
        return self._scalar(sa.select(grant_roles.c.project_id).where(grant_roles.c.id == role_id))

    def project_of_grant(self, grant_id: int) -> str | None:
        """The project of a grant."""
        return self._scalar(sa.select(grants.c.project_id).where(grants.c.id == grant_id))

    # --- roles -----------------------------------------------------------------------------------------------------
    def add_role(self, project_id: str, name: str, description: str | None) -> GrantRole:
        """A new role.

        Raises:
            AlreadyExists: the project has one of this name.
        """
        values: dict[str, Any] = {"project_id": project_id, "name": name, "description": description}
        try:
            with self._catalog.write() as c:
                made = c.execute(grant_roles.insert().values(**values).returning(grant_roles.c.id)).scalar_one()
        except IntegrityError as error:
            raise AlreadyExists(f"a role named {name!r} exists already in this workspace") from error
        return GrantRole(id=made, **values)

    def roles(self, project_id: str) -> list[GrantRole]:
        """All roles of a project, oldest first, with their grants."""
        return self._roles(grant_roles.c.project_id == project_id)

    def role(self, project_id: str, role_id: int) -> GrantRole | None:
        """One role with its grants."""
        found = self._roles(sa.and_(grant_roles.c.project_id == project_id, grant_roles.c.id == role_id))
        return found[0] if found else None

    def role_named(self, project_id: str, name: str) -> GrantRole | None:
        """One role with its grants."""
        found = self._roles(sa.and_(grant_roles.c.project_id == project_id, grant_roles.c.name == name))
        return found[0] if found else None

    def roles_of(self, user_id: str, project_id: str | None = None) -> list[GrantRole]:
        """Roles that a user has, in one project or in all, with their grants."""
        mine = sa.select(grant_members.c.role_id).where(grant_members.c.user_id == user_id)
        condition = grant_roles.c.id.in_(mine)
        return self._roles(condition if project_id is None else condition & (grant_roles.c.project_id == project_id))

    def change_role(self, project_id: str, role_id: int, name: str, description: str | None) -> None:
        """Set name and description.

        Raises:
            AlreadyExists: another role has the name.
        """
        where = (grant_roles.c.project_id == project_id) & (grant_roles.c.id == role_id)
        try:
            with self._catalog.write() as c:
                c.execute(grant_roles.update().where(where).values(name=name, description=description))
        except IntegrityError as error:
            raise AlreadyExists(f"a role named {name!r} exists already in this workspace") from error

    def delete_role(self, project_id: str, role_id: int) -> bool:
        """Remove a role with its grants and assignments; False when it was not there."""
        where = (grant_roles.c.project_id == project_id) & (grant_roles.c.id == role_id)
        with self._catalog.write() as c:
            return c.execute(grant_roles.delete().where(where)).rowcount > 0

    # --- grants ----------------------------------------------------------------------------------------------------
    def put_grant(
        self, project_id: str, role_id: int, resource_type: str, resource_pattern: str, permission: str
    ) -> Grant:
        """Add a grant to a role, or change what it permits."""
        where: dict[str, Any] = {
            "role_id": role_id,
            "resource_type": resource_type,
            "resource_pattern": resource_pattern,
        }
        with self._catalog.write() as c:
            statement = upsert(c, grants).values(project_id=project_id, permission=permission, **where)
            statement = statement.on_conflict_do_update(index_elements=list(where), set_={"permission": permission})
            made = c.execute(statement.returning(grants.c.id)).scalar_one()
        return Grant(id=made, permission=permission, **where)

    def grant(self, project_id: str, grant_id: int) -> Grant | None:
        """One grant."""
        query = sa.select(grants).where(grants.c.project_id == project_id, grants.c.id == grant_id)
        with self._catalog.read() as c:
            row = c.execute(query).mappings().first()
        return _grant(row) if row else None

    def delete_grant(self, project_id: str, grant_id: int) -> bool:
        """Remove a grant; False when it was not there."""
        with self._catalog.write() as c:
            where = (grants.c.project_id == project_id) & (grants.c.id == grant_id)
            return c.execute(grants.delete().where(where)).rowcount > 0

    # --- members ---------------------------------------------------------------------------------------------------
    def assign(self, project_id: str, role_id: int, user_id: str) -> Assignment:
        """Give a role to a user; again changes nothing."""
        with self._catalog.write() as c:
            statement = upsert(c, grant_members).values(project_id=project_id, role_id=role_id, user_id=user_id)
            c.execute(statement.on_conflict_do_nothing())
            where = (grant_members.c.role_id == role_id) & (grant_members.c.user_id == user_id)
            found = c.execute(sa.select(grant_members.c.id).where(where)).scalar_one()
        return Assignment(id=found, user_id=user_id, role_id=role_id)

    def unassign(self, project_id: str, role_id: int, user_id: str) -> bool:
        """Take a role away; False when the user did not have it."""
        where = (
            (grant_members.c.project_id == project_id)
            & (grant_members.c.role_id == role_id)
            & (grant_members.c.user_id == user_id)
        )
        with self._catalog.write() as c:
            return c.execute(grant_members.delete().where(where)).rowcount > 0

    def members(self, project_id: str, role_id: int) -> list[Assignment]:
        """Who has a role."""
        query = sa.select(grant_members.c.id, grant_members.c.user_id, grant_members.c.role_id).where(
            grant_members.c.project_id == project_id, grant_members.c.role_id == role_id
        )
        with self._catalog.read() as c:
            return [Assignment(**row) for row in c.execute(query.order_by(grant_members.c.id)).mappings()]

    def _roles(self, condition: sa.ColumnElement[bool]) -> list[GrantRole]:
        with self._catalog.read() as c:
            rows = c.execute(sa.select(grant_roles).where(condition).order_by(grant_roles.c.id)).mappings().all()
            ids = [row["id"] for row in rows]
            found: dict[int, list[Grant]] = {}
            for row in c.execute(sa.select(grants).where(grants.c.role_id.in_(ids)).order_by(grants.c.id)).mappings():
                found.setdefault(row["role_id"], []).append(_grant(row))
        return [GrantRole(**row, grants=found.get(row["id"], [])) for row in rows]

    def _scalar(self, query: sa.Select[Any]) -> str | None:
        with self._catalog.read() as c:
            return c.execute(query).scalar_one_or_none()


def move_grants(
    connection: sa.Connection, project_id: str, resource_types: Sequence[str], old: str, new: str | None
) -> None:
    """Grants on a resource follow it to its new id; they go when there is none."""
    where = (
        (grants.c.project_id == project_id)
        & grants.c.resource_type.in_(resource_types)
        & (grants.c.resource_pattern == old)
    )
    if new is None:
        connection.execute(grants.delete().where(where))
    else:
        connection.execute(grants.update().where(where).values(resource_pattern=new))


def _grant(row: sa.RowMapping) -> Grant:
    return Grant(**{name: row[name] for name in Grant.__struct_fields__})
