"""Tables and statements of guardrails and of the endpoints that use them."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.gateway import Guardrail, GuardrailUse
from twinlens.store.catalog.engine import metadata

gateway_guardrails = sa.Table(
    "gateway_guardrails",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("guardrail_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scorer_id", sa.Text, nullable=False),
    sa.Column("scorer_version", sa.Integer, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("action_endpoint_id", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

guardrail_uses = sa.Table(
    "guardrail_uses",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("guardrail_id", sa.Text, primary_key=True),
    sa.Column("execution_order", sa.Integer),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)


class GuardrailTable:
    """Reads and writes guardrails of one project inside the caller's transaction."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def find(self, guardrail_id: str | None = None) -> list[Guardrail]:
        """One, or all, by id."""
        return self._read(Guardrail, gateway_guardrails, guardrail_id=guardrail_id)

    def add(self, guardrail: Guardrail) -> None:
        """Insert."""
        self._insert(gateway_guardrails, guardrail)

    def delete(self, guardrail_id: str) -> int:
        """Remove one from everywhere; the number of guardrails that went."""
        self._delete(guardrail_uses, guardrail_id=guardrail_id)
        return self._delete(gateway_guardrails, guardrail_id=guardrail_id)

    def uses(self, endpoint_id: str, guardrail_id: str | None = None) -> list[GuardrailUse]:
        """What an endpoint uses, in the order of execution."""
        found = self._read(GuardrailUse, guardrail_uses, endpoint_id=endpoint_id, guardrail_id=guardrail_id)
        return sorted(found, key=lambda u: (u.execution_order is None, u.execution_order or 0, u.guardrail_id))

    def add_use(self, use: GuardrailUse) -> None:
        """Insert."""
        self._insert(guardrail_uses, use)

    def set_order(self, endpoint_id: str, guardrail_id: str, order: int | None) -> None:
        """Change when a guardrail runs."""
        mine = self._mine(guardrail_uses, endpoint_id=endpoint_id, guardrail_id=guardrail_id)
        self._c.execute(guardrail_uses.update().where(*mine).values(execution_order=order))

    def delete_use(self, endpoint_id: str, guardrail_id: str | None = None) -> int:
        """Take one guardrail from an endpoint, or all; how many."""
        return self._delete(guardrail_uses, endpoint_id=endpoint_id, guardrail_id=guardrail_id)

    def _mine(self, table: sa.Table, **wanted: str | None) -> list[sa.ColumnElement[bool]]:
        named = [table.c[name] == value for name, value in wanted.items() if value is not None]
        return [table.c.project_id == self._project_id, *named]

    def _read(self, kind: type[Any], table: sa.Table, **wanted: str | None) -> list[Any]:
        query = sa.select(table).where(*self._mine(table, **wanted)).order_by(table.c.guardrail_id)
        rows = self._c.execute(query).mappings()
        return [kind(**{name: row[name] for name in kind.__struct_fields__}) for row in rows]

    def _insert(self, table: sa.Table, row: msgspec.Struct) -> None:
        self._c.execute(table.insert().values(project_id=self._project_id, **msgspec.structs.asdict(row)))

    def _delete(self, table: sa.Table, **wanted: str | None) -> int:
        return self._c.execute(table.delete().where(*self._mine(table, **wanted))).rowcount
