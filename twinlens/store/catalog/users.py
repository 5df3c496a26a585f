"""Users, their memberships and browser sessions. Passwords are argon2 hashes made by ``features.access``."""

from __future__ import annotations

import sqlalchemy as sa

from twinlens.domain.clock import now_ns
from twinlens.domain.project import Member, User
from twinlens.store.catalog.engine import Catalog, metadata, upsert

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),  # lower case
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("organization_id", sa.Text, sa.ForeignKey("organizations.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),  # OWNER | ADMIN | MEMBER | VIEWER | NONE
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)

#: Roles that replace the organization's in one project.
project_memberships = sa.Table(
    "project_memberships",
    metadata,
    sa.Column("project_id", sa.Text, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)

user_sessions = sa.Table(
    "user_sessions",
    metadata,
    sa.Column("token_hash", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False, index=True),
)
_SHOWN = [users.c.id, users.c.email, users.c.name, users.c.created_ns]


class UserStore:
    """People who sign in. Global: a user may belong to several organizations."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def by_email(self, email: str) -> tuple[User, str | None] | None:
        """The user and the password hash."""
        query = sa.select(*_SHOWN, users.c.password_hash).where(users.c.email == email.strip().lower())
        with self._catalog.read() as c:
            row = c.execute(query).mappings().first()
        if row is None:
            return None
        values = dict(row)
        password_hash: str | None = values.pop("password_hash")
        return User(**values), password_hash

    def put(self, user: User, password_hash: str | None) -> User:
        """Create, or change name and password of the user with this address (its id stays)."""
        email = user.email.strip().lower()
        with self._catalog.write() as c:
            statement = upsert(c, users).values(
                id=user.id, email=email, name=user.name, password_hash=password_hash, created_ns=now_ns()
            )
            changed = {"name": user.name, "password_hash": password_hash}
            c.execute(statement.on_conflict_do_update(index_elements=["email"], set_=changed))
            return User(**c.execute(sa.select(*_SHOWN).where(users.c.email == email)).mappings().one())

    def any(self) -> bool:
        """Whether a user with a password exists."""
        with self._catalog.read() as c:
            return (
                c.execute(sa.select(users.c.id).where(users.c.password_hash.is_not(None)).limit(1)).first() is not None
            )

    def get(self, user_id: str) -> User | None:
        """One user."""
        with self._catalog.read() as c:
            row = c.execute(sa.select(*_SHOWN).where(users.c.id == user_id)).mappings().first()
        return User(**row) if row else None

    def add(self, user: User, password_hash: str | None) -> bool:
        """Create a user; False when the address is taken."""
        row = {"id": user.id, "email": user.email.strip().lower(), "name": user.name, "created_ns": user.created_ns}
        with self._catalog.write() as c:
            statement = upsert(c, users).values(**row, password_hash=password_hash)
            return c.execute(statement.on_conflict_do_nothing(index_elements=["email"])).rowcount > 0

    def change(self, user_id: str, *, name: str | None = None, password_hash: str | None = None) -> None:
        """Set what is given. A new password ends the user's browser sessions."""
        values = {"name": name, "password_hash": password_hash}
        values = {column: value for column, value in values.items() if value is not None}
        if not values:
            return
        with self._catalog.write() as c:
            c.execute(users.update().where(users.c.id == user_id).values(**values))
            if password_hash is not None:
                c.execute(user_sessions.delete().where(user_sessions.c.user_id == user_id))

    def delete(self, user_id: str) -> bool:
        """Remove a user with all memberships and sessions; False when there is none."""
        with self._catalog.write() as c:
            for table in (memberships, project_memberships, user_sessions):
                c.execute(table.delete().where(table.c.user_id == user_id))
            return c.execute(users.delete().where(users.c.id == user_id)).rowcount > 0

    # --- members -----------------------------------------------------------------------------------------------
    def join(self, organization_id: str, user_id: str, role: str) -> None:
        """Make a user a member, or change the role."""
        keys = {"organization_id": organization_id, "user_id": user_id}
        with self._catalog.write() as c:
            statement = upsert(c, memberships).values(role=role, created_ns=now_ns(), **keys)
            c.execute(statement.on_conflict_do_update(index_elements=list(keys), set_={"role": role}))

    def join_project(self, project_id: str, user_id: str, role: str) -> None:
        """Give a user a role of its own in one project, or change it."""
        keys = {"project_id": project_id, "user_id": user_id}
        with self._catalog.write() as c:
            statement = upsert(c, project_memberships).values(role=role, created_ns=now_ns(), **keys)
            c.execute(statement.on_conflict_do_update(index_elements=list(keys), set_={"role": role}))

    def leave(self, organization_id: str, user_id: str) -> bool:
        """Remove a member, also from the organization's projects; False when it was none."""
        with self._catalog.write() as c:
            projects = metadata.tables["projects"]
            owned = sa.select(projects.c.id).where(projects.c.organization_id == organization_id)
            mine = project_memberships.c.user_id == user_id
            c.execute(project_memberships.delete().where(mine & project_memberships.c.project_id.in_(owned)))
            where = (memberships.c.organization_id == organization_id) & (memberships.c.user_id == user_id)
            return c.execute(memberships.delete().where(where)).rowcount > 0

    def leave_project(self, project_id: str, user_id: str) -> bool:
        """Take a user's own role in a project away; False when there was none."""
        where = (project_memberships.c.project_id == project_id) & (project_memberships.c.user_id == user_id)
        with self._catalog.write() as c:
            return c.execute(project_memberships.delete().where(where)).rowcount > 0

    def members(self, organization_id: str) -> list[Member]:
        """Members of an organization, longest first."""
        return self._members(memberships, memberships.c.organization_id == organization_id)

    def project_members(self, project_id: str) -> list[Member]:
        """Users with a role of their own in a project, longest first."""
        return self._members(project_memberships, project_memberships.c.project_id == project_id)

    def roles(self, user_id: str) -> dict[str, str]:
        """Role by organization id."""
        query = sa.select(memberships.c.organization_id, memberships.c.role).where(memberships.c.user_id == user_id)
        with self._catalog.read() as c:
            return {row.organization_id: row.role for row in c.execute(query.order_by(memberships.c.created_ns))}

    def project_roles(self, user_id: str) -> dict[str, str]:
        """Own role by project id."""
        table = project_memberships.c
        with self._catalog.read() as c:
            query = sa.select(table.project_id, table.role).where(table.user_id == user_id)
            return {row.project_id: row.role for row in c.execute(query.order_by(table.created_ns))}

    def _members(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[Member]:
        query = sa.select(*_SHOWN, table.c.role).join(table, table.c.user_id == users.c.id).where(condition)
        with self._catalog.read() as c:
            rows = c.execute(query.order_by(table.c.created_ns, users.c.email)).mappings().all()
        return [Member(user=User(**{f: row[f] for f in User.__struct_fields__}), role=row["role"]) for row in rows]

    # --- sessions ----------------------------------------------------------------------------------------------
    def open_session(self, token_hash: str, user_id: str, expires_ns: int) -> None:
        """Remember a browser session and forget those that have expired."""
        now = now_ns()
        with self._catalog.write() as c:
            c.execute(user_sessions.delete().where(user_sessions.c.expires_ns < now))
            c.execute(
                user_sessions.insert().values(
                    token_hash=token_hash, user_id=user_id, created_ns=now, expires_ns=expires_ns
                )
            )

    def session_user(self, token_hash: str) -> User | None:
        """The user of a session that has not expired."""
        query = (
            sa.select(*_SHOWN)
            .join(user_sessions, user_sessions.c.user_id == users.c.id)
            .where(user_sessions.c.token_hash == token_hash, user_sessions.c.expires_ns > now_ns())
        )
        with self._catalog.read() as c:
            row = c.execute(query).mappings().first()
        return User(**row) if row else None

    def close_session(self, token_hash: str) -> None:
        """Forget a session."""
        with self._catalog.write() as c:
            c.execute(user_sessions.delete().where(user_sessions.c.token_hash == token_hash))
