"""Tables and statements of budgets, and of what the gateway's calls took: one row per endpoint, caller and minute."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.budget import Budget, Usage
from twinlens.store.catalog.engine import metadata, upsert

gateway_budgets = sa.Table(
    "gateway_budgets",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("budget_id", sa.Text, primary_key=True),
    sa.Column("amount", sa.Float, nullable=False),
    sa.Column("duration_unit", sa.Text, nullable=False),
    sa.Column("duration_value", sa.Integer, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

gateway_usage = sa.Table(
    "gateway_usage",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("minute_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("user", sa.Text, primary_key=True),  # empty when nobody had to sign in
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("errors", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
)
#: What calls under way may cost, until they end or ``expires_ns`` has come.
gateway_reservations = sa.Table(
    "gateway_reservations",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("reservation_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
_COUNTS = ("calls", "errors", "tokens", "cost")


class BudgetTable:
    """Reads and writes budgets and usage of one project inside the caller's transaction."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def find(self, budget_id: str | None = None) -> list[Budget]:
        """One, or all, by id."""
        b = gateway_budgets.c
        where = [b.project_id == self._project_id, *([] if budget_id is None else [b.budget_id == budget_id])]
        rows = self._c.execute(sa.select(gateway_budgets).where(*where).order_by(b.budget_id)).mappings()
        return [Budget(**{name: row[name] for name in Budget.__struct_fields__}) for row in rows]

    def put(self, budget: Budget) -> None:
        """Insert or overwrite."""
        values: dict[str, Any] = msgspec.structs.asdict(budget)
        insert = upsert(self._c, gateway_budgets).values(project_id=self._project_id, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=["project_id", "budget_id"], set_=values))

    def delete(self, budget_id: str) -> int:
        """Remove one; the number of rows that went."""
        b = gateway_budgets.c
        mine = (b.project_id == self._project_id, b.budget_id == budget_id)
        return self._c.execute(gateway_budgets.delete().where(*mine)).rowcount

    def count(self, usage: Usage) -> None:
        """Add to the row of the same minute, endpoint and caller."""
        u = gateway_usage.c
        insert = upsert(self._c, gateway_usage).values(project_id=self._project_id, **msgspec.structs.asdict(usage))
        self._c.execute(
            insert.on_conflict_do_update(
                index_elements=["project_id", "minute_ns", "endpoint_id", "user"],
                set_={name: u[name] + insert.excluded[name] for name in _COUNTS},
            )
        )

    def spent(self, start_ns: int, end_ns: int, *, endpoint_id: str | None = None, user: str | None = None) -> float:
        """USD in a span of time, of all calls or of one endpoint's or caller's."""
        u = gateway_usage.c
        where = [u.project_id == self._project_id, u.minute_ns >= start_ns, u.minute_ns < end_ns]
        where += [] if endpoint_id is None else [u.endpoint_id == endpoint_id]
        where += [] if user is None else [u.user == user]
        return float(self._c.execute(sa.select(sa.func.coalesce(sa.func.sum(u.cost), 0.0)).where(*where)).scalar_one())

    def lock(self) -> None:
        """Make every other transaction wait that locks too, until this one ends. SQLite has one writer anyway."""
        self._c.execute(
            sa.select(gateway_budgets.c.budget_id)
            .where(gateway_budgets.c.project_id == self._project_id)
            .with_for_update()
        )

    def reserve(self, reservation_id: str, endpoint_id: str, user: str, cost: float, expires_ns: int) -> None:
        """Keep USD for a call that begins."""
        values = {"reservation_id": reservation_id, "endpoint_id": endpoint_id, "user": user, "cost": cost}
        self._c.execute(
            gateway_reservations.insert().values(project_id=self._project_id, expires_ns=expires_ns, **values)
        )

    def release(self, reservation_id: str | None, now_ns: int) -> None:
        """Forget a reservation, and those whose time is over."""
        r = gateway_reservations.c
        over = r.expires_ns <= now_ns
        gone = over if reservation_id is None else over | (r.reservation_id == reservation_id)
        self._c.execute(gateway_reservations.delete().where(r.project_id == self._project_id, gone))

    def reserved(self, now_ns: int, *, endpoint_id: str | None = None, user: str | None = None) -> float:
        """USD kept for calls under way, of all or of one endpoint or caller."""
        r = gateway_reservations.c
        where = [r.project_id == self._project_id, r.expires_ns > now_ns]
        where += [] if endpoint_id is None else [r.endpoint_id == endpoint_id]
        where += [] if user is None else [r.user == user]
        return float(self._c.execute(sa.select(sa.func.coalesce(sa.func.sum(r.cost), 0.0)).where(*where)).scalar_one())

    def usage(self, start_ns: int, end_ns: int, bucket_ns: int) -> list[Usage]:
        """Sums by endpoint and span of ``bucket_ns``, oldest first."""
        u = gateway_usage.c
        bucket = (u.minute_ns - u.minute_ns % bucket_ns).label("minute_ns")
        query = (
            sa.select(bucket, u.endpoint_id, *(sa.func.sum(u[name]).label(name) for name in _COUNTS))
            .where(u.project_id == self._project_id, u.minute_ns >= start_ns, u.minute_ns < end_ns)
            .group_by(bucket, u.endpoint_id)
            .order_by(bucket, u.endpoint_id)
        )
        found: list[Usage] = []
        for row in self._c.execute(query).mappings():
            found.append(
                Usage(
                    endpoint_id=row["endpoint_id"], minute_ns=int(row["minute_ns"]), calls=int(row["calls"]),
                    errors=int(row["errors"]), tokens=int(row["tokens"]), cost=float(row["cost"]),
                )
            )  # fmt: skip
        return found
