"""Table and statements of model connections."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.gateway import ModelConnection
from twinlens.store.catalog.engine import metadata

model_connections = sa.Table(
    "model_connections",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("connection_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("provider", sa.Text),
    sa.Column("base_url", sa.Text),
    sa.Column("config", sa.Text, nullable=False),  # JSON
    sa.Column("masked", sa.Text, nullable=False),  # JSON
    sa.Column("models", sa.Text, nullable=False),  # JSON
    sa.Column("with_default_models", sa.Boolean, nullable=False),
    sa.Column("header_names", sa.Text, nullable=False),  # JSON
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_id", "name"),
)
_JSON = ("config", "masked", "models", "header_names")


class ConnectionTable:
    """Reads and writes the connections of one project inside the caller's transaction."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    def find(self, **wanted: str) -> list[ModelConnection]:
        """Those whose columns have these values, oldest first."""
        m = model_connections.c
        where = [m.project_id == self._project_id, *(m[name] == value for name, value in wanted.items())]
        query = sa.select(model_connections).where(*where).order_by(m.created_ns, m.connection_id)
        return [_connection(row) for row in self._c.execute(query).mappings()]

    def add(self, connection: ModelConnection) -> None:
        """Insert."""
        self._c.execute(model_connections.insert().values(project_id=self._project_id, **_columns(connection)))

    def replace(self, connection: ModelConnection) -> None:
        """Overwrite the row of the same id."""
        m = model_connections.c
        mine = (m.project_id == self._project_id, m.connection_id == connection.connection_id)
        self._c.execute(model_connections.update().where(*mine).values(**_columns(connection)))

    def delete(self, connection_id: str) -> int:
        """Remove one; the number of rows that went."""
        m = model_connections.c
        mine = (m.project_id == self._project_id, m.connection_id == connection_id)
        return self._c.execute(model_connections.delete().where(*mine)).rowcount


def _columns(connection: ModelConnection) -> dict[str, Any]:
    values = msgspec.structs.asdict(connection)
    return values | {name: msgspec.json.encode(values[name]).decode() for name in _JSON}


def _connection(row: sa.RowMapping) -> ModelConnection:
    values: dict[str, Any] = {name: row[name] for name in ModelConnection.__struct_fields__}
    return ModelConnection(**values | {name: msgspec.json.decode(values[name]) for name in _JSON})
