"""Table and statements of observed versions: what traces say served, hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.deployment import ObservedHour, ObservedVersion
from twinlens.store.catalog.engine import metadata, upsert

observed_versions = sa.Table(
    "observed_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("hour_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("errors", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Double, nullable=False),
    sa.Column("latency_ns", sa.Double, nullable=False),  # sum
    sa.Column("ended", sa.BigInteger, nullable=False),  # calls that the sum is over
    sa.Column("first_ns", sa.BigInteger, nullable=False),
    sa.Column("last_ns", sa.BigInteger, nullable=False),
)

observed_marks = sa.Table(
    "observed_marks",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("upto_ns", sa.BigInteger, nullable=False),
)

_KEY = ("kind", "environment", "subject", "version")


class ObservedTable:
    """Reads and writes what was observed in one project, over one connection."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._connection = connection
        self._project = project_id

    def mark(self) -> int:
        """Commit time up to which traces have been looked at; 0 at first."""
        m = observed_marks.c
        query = sa.select(m.upto_ns).where(m.project_id == self._project)
        return self._connection.execute(query).scalar() or 0

    def set_mark(self, upto_ns: int) -> None:
        """Remember how far we are."""
        statement = upsert(self._connection, observed_marks).values(project_id=self._project, upto_ns=upto_ns)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["project_id"], set_={"upto_ns": upto_ns})
        )

    def hours(self, kind: str, hours: Sequence[int]) -> list[ObservedHour]:
        """The stored rows of some hours."""
        o = observed_versions.c
        rows = self._connection.execute(
            sa.select(observed_versions).where(o.project_id == self._project, o.hour_ns.in_(hours), o.kind == kind)
        ).mappings()  # fmt: skip
        return [ObservedHour(**{name: row[name] for name in ObservedHour.__struct_fields__}) for row in rows]

    def replace(self, kind: str, hours: Sequence[int], rows: Iterable[ObservedHour]) -> None:
        """Let ``rows`` be all there is about one kind in these hours."""
        o = observed_versions.c
        self._connection.execute(
            observed_versions.delete().where(o.project_id == self._project, o.hour_ns.in_(hours), o.kind == kind)
        )
        values = [{"project_id": self._project, **msgspec.structs.asdict(row)} for row in rows]
        if values:
            self._connection.execute(observed_versions.insert(), values)

    def totals(
        self, *, since_ns: int = 0, environment: str | None = None, kind: str | None = None, limit: int = 1_000
    ) -> list[ObservedVersion]:
        """Sums over hours that start at or after ``since_ns``, the latest seen first."""
        o = observed_versions.c
        query = (
            sa.select(
                *(o[name] for name in _KEY), sa.func.sum(o.calls), sa.func.sum(o.errors), sa.func.sum(o.tokens),
                sa.func.sum(o.cost), sa.func.sum(o.latency_ns), sa.func.sum(o.ended), sa.func.min(o.first_ns),
                sa.func.max(o.last_ns),
            )
            .where(*self._conditions(since_ns, environment, kind))
            .group_by(*(o[name] for name in _KEY))
            .order_by(sa.func.max(o.last_ns).desc(), *(o[name] for name in _KEY))
            .limit(limit)
        )  # fmt: skip
        return [_version(row) for row in self._connection.execute(query)]

    def timeline(self, *, since_ns: int, environment: str, kind: str, limit: int = 20_000) -> list[ObservedHour]:
        """The rows of hours that start at or after ``since_ns``, oldest first."""
        o = observed_versions.c
        query = sa.select(observed_versions).where(*self._conditions(since_ns, environment, kind))
        rows = self._connection.execute(query.order_by(o.hour_ns, o.version).limit(limit)).mappings()
        return [ObservedHour(**{name: row[name] for name in ObservedHour.__struct_fields__}) for row in rows]

    def _conditions(self, since_ns: int, environment: str | None, kind: str | None) -> list[sa.ColumnElement[bool]]:
        o = observed_versions.c
        found: list[sa.ColumnElement[bool]] = [o.project_id == self._project, o.hour_ns >= since_ns]
        if environment is not None:
            found.append(o.environment == environment)
        if kind is not None:
            found.append(o.kind == kind)
        return found


def _version(row: sa.Row[Any]) -> ObservedVersion:
    kind, environment, subject, version, calls, errors, tokens, cost, latency, ended, first, last = tuple(row)
    return ObservedVersion(
        kind=kind, environment=environment, subject=subject, version=version, calls=int(calls), errors=int(errors),
        tokens=int(tokens), cost=float(cost), latency_ns=int(latency / int(ended)) if ended else None, first_ns=first,
        last_ns=last,
    )  # fmt: skip
