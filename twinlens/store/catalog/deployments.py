"""Tables and statements of deployments: places, their releases, environments."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.deployment import Deployment, DeploymentPage, Environment, Release, ReleasePage
from twinlens.store.catalog.engine import metadata, upsert
from twinlens.store.catalog.keyset import Sort, behind, decode_cursor, encode_cursor, order_by

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("deployment_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("release_number", sa.Integer, nullable=False),
    sa.Column("health", sa.Text, nullable=False),
    sa.Column("health_message", sa.Text, nullable=False),
    sa.Column("health_ns", sa.BigInteger),
    sa.Column("retired", sa.Boolean, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_id", "environment", "name"),
    sa.Index(None, "project_id", "kind", "subject"),
)

deployment_releases = sa.Table(
    "deployment_releases",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("deployment_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("model_uri", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("config", sa.Text, nullable=False),  # JSON
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("until_ns", sa.BigInteger),
    sa.Column("from_environment", sa.Text),
    sa.Column("restores", sa.Integer),
    sa.Index(None, "project_id", "run_id"),
)

environments = sa.Table(
    "deployment_environments",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("config", sa.Text, nullable=False),  # JSON
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

_PLACE = [c.name for c in deployments.c if c.name not in ("project_id", "release_number")]
_RELEASE = [c.name for c in deployment_releases.c if c.name not in ("project_id", "deployment_id")]


class DeploymentTable:
    """Reads and writes the deployments of one project over one connection."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._connection = connection
        self._project = project_id

    # --- places ------------------------------------------------------------------------------------------------
    def get(self, deployment_id: str) -> Deployment | None:
        """One deployment with its current release."""
        row = self._connection.execute(self._select().where(deployments.c.deployment_id == deployment_id)).first()
        return None if row is None else _deployment(row)

    def find(self, environment: str, name: str) -> Deployment | None:
        """The deployment of that name in an environment."""
        d = deployments.c
        row = self._connection.execute(self._select().where(d.environment == environment, d.name == name)).first()
        return None if row is None else _deployment(row)

    def page(
        self, *, environment: str | None = None, kind: str | None = None, subject: str | None = None,
        version: str | None = None, run_id: str | None = None, name: str | None = None, retired: bool = False,
        limit: int = 100, cursor: str | None = None,
    ) -> DeploymentPage:  # fmt: skip
        """By environment and name. Without ``retired`` only what serves.

        Raises:
            InvalidArgument: a cursor of another list.
        """
        d, r = deployments.c, deployment_releases.c
        query = self._select()
        for column, value in (
            (d.environment, environment), (d.kind, kind), (d.subject, subject), (r.version, version),
            (r.run_id, run_id), (d.name, name),
        ):  # fmt: skip
            if value is not None:
                query = query.where(column == value)
        if not retired:
            query = query.where(d.retired.is_(False))
        sorts: list[Sort] = [(d.environment, False), (d.name, False)]
        asked = ["deployments", environment, kind, subject, version, run_id, name, retired]
        if cursor:
            query = query.where(behind(sorts, decode_cursor(cursor, asked, 2)))
        rows = self._connection.execute(query.order_by(*order_by(sorts)).limit(limit + 1)).all()
        found = [_deployment(row) for row in rows[:limit]]
        more = len(rows) > limit
        following = encode_cursor([found[-1].environment, found[-1].name], asked) if more else None
        return DeploymentPage(deployments=found, next_cursor=following)

    def add(self, deployment: Deployment) -> bool:
        """Insert with its first release; False if the environment has a deployment of that name."""
        values = {name: getattr(deployment, name) for name in _PLACE}
        done = self._connection.execute(
            upsert(self._connection, deployments)
            .values(project_id=self._project, release_number=deployment.release.number, **values)
            .on_conflict_do_nothing()
        )
        if not done.rowcount:
            return False
        self._add_release(deployment.deployment_id, deployment.release)
        return True

    def next_number(self, deployment_id: str, now_ns: int) -> int | None:
        """Take the next release number, which makes others wait; None if the deployment does not exist."""
        d = deployments.c
        return self._connection.execute(
            deployments.update()
            .where(d.project_id == self._project, d.deployment_id == deployment_id)
            .values(release_number=d.release_number + 1, updated_ns=now_ns)
            .returning(d.release_number)
        ).scalar()  # fmt: skip

    def release(self, deployment_id: str, release: Release, **changes: Any) -> None:
        """Make ``release``, whose number was taken before, the current one; ``changes`` are columns of the place."""
        d, r = deployments.c, deployment_releases.c
        self._connection.execute(
            deployment_releases.update()
            .where(r.project_id == self._project, r.deployment_id == deployment_id, r.until_ns.is_(None))
            .values(until_ns=release.at_ns)
        )
        self._add_release(deployment_id, release)
        if changes:
            self._connection.execute(
                deployments.update()
                .where(d.project_id == self._project, d.deployment_id == deployment_id)
                .values(**changes)
            )

    def change(self, deployment_id: str, **values: Any) -> bool:
        """Set columns of a place; False if it does not exist."""
        d = deployments.c
        done = self._connection.execute(
            deployments.update().where(d.project_id == self._project, d.deployment_id == deployment_id).values(**values)
        )
        return bool(done.rowcount)

    # --- releases ----------------------------------------------------------------------------------------------
    def history(self, deployment_id: str, limit: int, cursor: str | None = None) -> ReleasePage:
        """Newest first.

        Raises:
            InvalidArgument: a cursor of another list.
        """
        r = deployment_releases.c
        query = sa.select(deployment_releases).where(
            r.project_id == self._project, r.deployment_id == deployment_id
        )  # fmt: skip
        asked = ["releases", deployment_id]
        if cursor:
            query = query.where(r.number < decode_cursor(cursor, asked, 1)[0])
        rows = self._connection.execute(query.order_by(r.number.desc()).limit(limit + 1)).mappings().all()
        found = [_release(row) for row in rows[:limit]]
        return ReleasePage(
            releases=found, next_cursor=encode_cursor([found[-1].number], asked) if len(rows) > limit else None
        )

    def _add_release(self, deployment_id: str, release: Release) -> None:
        values = {name: getattr(release, name) for name in _RELEASE}
        values["config"] = msgspec.json.encode(release.config).decode()
        self._connection.execute(
            deployment_releases.insert().values(project_id=self._project, deployment_id=deployment_id, **values)
        )

    def _select(self) -> sa.Select[Any]:
        d, r = deployments.c, deployment_releases.c
        return (
            sa.select(*(d[name] for name in _PLACE), *(r[name].label(f"release_{name}") for name in _RELEASE))
            .join(
                deployment_releases,
                sa.and_(
                    r.project_id == d.project_id, r.deployment_id == d.deployment_id, r.number == d.release_number
                ),
            )
            .where(d.project_id == self._project)
        )  # fmt: skip

    # --- environments ------------------------------------------------------------------------------------------
    def environments(self) -> list[Environment]:
        """All, by name."""
        e = environments.c
        rows = self._connection.execute(
            sa.select(environments).where(e.project_id == self._project).order_by(e.name)
        ).mappings()  # fmt: skip
        return [
            Environment(
                name=row["name"], config=msgspec.json.decode(row["config"]), created_ns=row["created_ns"],
                updated_ns=row["updated_ns"],
            )
            for row in rows
        ]  # fmt: skip

    def add_environment(self, environment: Environment) -> bool:
        """Insert; False if there is one of that name."""
        done = self._connection.execute(
            upsert(self._connection, environments)
            .values(project_id=self._project, **_environment(environment))
            .on_conflict_do_nothing()
        )
        return bool(done.rowcount)

    def set_environment(self, environment: Environment) -> bool:
        """Overwrite; False if there is none of that name."""
        e = environments.c
        done = self._connection.execute(
            environments.update()
            .where(e.project_id == self._project, e.name == environment.name)
            .values(**_environment(environment))
        )
        return bool(done.rowcount)

    def drop_environment(self, name: str) -> bool:
        """Remove; False if there is none of that name."""
        e = environments.c
        done = self._connection.execute(
            environments.delete().where(e.project_id == self._project, e.name == name)
        )  # fmt: skip
        return bool(done.rowcount)


def _environment(environment: Environment) -> dict[str, Any]:
    return {
        "name": environment.name,
        "config": msgspec.json.encode(environment.config).decode(),
        "created_ns": environment.created_ns,
        "updated_ns": environment.updated_ns,
    }


def _release(row: Any, prefix: str = "") -> Release:
    values = {name: row[prefix + name] for name in _RELEASE}
    values["config"] = msgspec.json.decode(values["config"])
    return Release(**values)


def _deployment(row: sa.Row[Any]) -> Deployment:
    found = row._mapping  # pyright: ignore[reportPrivateUsage] - SQLAlchemy's public name for it
    return Deployment(release=_release(found, "release_"), **{name: found[name] for name in _PLACE})
