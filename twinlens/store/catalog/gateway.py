"""Tables and statements of the gateway: model definitions, endpoints with their models, tags and bindings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.gateway import Binding, Endpoint, Fallback, ModelDefinition, ModelMapping
from twinlens.store.catalog.connections import model_connections
from twinlens.store.catalog.engine import metadata, upsert

gateway_models = sa.Table(
    "gateway_models",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("model_definition_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("connection_id", sa.Text),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_id", "name"),
)

gateway_endpoints = sa.Table(
    "gateway_endpoints",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("routing_strategy", sa.Text),
    sa.Column("fallback", sa.Text),  # JSON of domain.gateway.Fallback
    sa.Column("experiment_id", sa.Text),
    sa.Column("usage_tracking", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("project_id", "name"),
)

gateway_mappings = sa.Table(
    "gateway_mappings",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("mapping_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("model_definition_id", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("linkage", sa.Text, nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("fallback_order", sa.Integer),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint(
        "project_id", "endpoint_id", "model_definition_id", "linkage", name="uq_gateway_mappings_endpoint_model"
    ),
)

gateway_tags = sa.Table(
    "gateway_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

gateway_bindings = sa.Table(
    "gateway_bindings",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("resource_type", sa.Text, primary_key=True),
    sa.Column("resource_id", sa.Text, primary_key=True),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

_OF_ENDPOINT = (
    "endpoint_id", "name", "routing_strategy", "experiment_id", "usage_tracking", "created_by", "updated_by", "created_ns",
    "updated_ns",
)  # fmt: skip


class GatewayTable:
    """Reads and writes the gateway's rows of one project inside the caller's transaction."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project_id = project_id

    # --- model definitions -------------------------------------------------------------------------------------
    def models(self, **wanted: str) -> list[ModelDefinition]:
        """Those whose columns have these values, oldest first, with the names of their connections."""
        g = gateway_models.c
        return self._models([g[name] == value for name, value in wanted.items()])

    def _models(self, where: Sequence[sa.ColumnElement[bool]]) -> list[ModelDefinition]:
        g, m = gateway_models.c, model_connections.c
        joined = gateway_models.outerjoin(
            model_connections, sa.and_(m.project_id == g.project_id, m.connection_id == g.connection_id)
        )
        query = (
            sa.select(gateway_models, m.name.label("connection_name"))
            .select_from(joined)
            .where(g.project_id == self._project_id, *where)
            .order_by(g.created_ns, g.model_definition_id)
        )
        return [_read(ModelDefinition, row) for row in self._c.execute(query).mappings()]

    def add_model(self, model: ModelDefinition) -> None:
        """Insert."""
        self._insert(gateway_models, _columns(model, "connection_name"))

    def replace_model(self, model: ModelDefinition) -> None:
        """Overwrite the row of the same id."""
        self._c.execute(
            gateway_models.update()
            .where(*self._mine(gateway_models, model_definition_id=model.model_definition_id))
            .values(**_columns(model, "connection_name"))
        )  # fmt: skip

    def delete_model(self, model_definition_id: str) -> None:
        """Remove one."""
        self._delete(gateway_models, model_definition_id=model_definition_id)

    def orphan_models(self, connection_id: str) -> None:
        """Let models go on without a connection that is deleted."""
        mine = self._mine(gateway_models, connection_id=connection_id)
        self._c.execute(gateway_models.update().where(*mine).values(connection_id=None))

    # --- endpoints ---------------------------------------------------------------------------------------------
    def endpoints(self, **wanted: str) -> list[Endpoint]:
        """Those whose columns have these values, oldest first, with models and tags."""
        e = gateway_endpoints.c
        query = sa.select(gateway_endpoints).where(*self._mine(gateway_endpoints, **wanted))
        rows = self._c.execute(query.order_by(e.created_ns, e.endpoint_id)).mappings().all()
        found = {row["endpoint_id"]: _endpoint(row) for row in rows}
        if not found:
            return []
        one = next(iter(found)) if len(found) == 1 else None
        only = {} if one is None else {"endpoint_id": one}
        mappings = list(self._mappings(**only))
        models = {m.model_definition_id: m for m in self._models_of([m for _, m in mappings])}
        for endpoint_id, mapping in mappings:
            mapping.definition = models.get(mapping.model_definition_id)
            found[endpoint_id].mappings.append(mapping)
        tags = sa.select(gateway_tags).where(*self._mine(gateway_tags, **only)).order_by(gateway_tags.c.key)
        for row in self._c.execute(tags).mappings():
            found[row["endpoint_id"]].tags[row["key"]] = row["value"]
        return list(found.values())

    def _models_of(self, mappings: Sequence[ModelMapping]) -> list[ModelDefinition]:
        ids = {m.model_definition_id for m in mappings}
        return self._models([gateway_models.c.model_definition_id.in_(ids)]) if ids else []

    def _mappings(self, **wanted: str) -> list[tuple[str, ModelMapping]]:
        g = gateway_mappings.c
        query = sa.select(gateway_mappings).where(*self._mine(gateway_mappings, **wanted))
        rows = self._c.execute(query.order_by(g.created_ns, g.position)).mappings()
        names = [name for name in ModelMapping.__struct_fields__ if name != "definition"]
        return [(row["endpoint_id"], ModelMapping(**{name: row[name] for name in names})) for row in rows]

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Insert, with its models."""
        self._insert(gateway_endpoints, _endpoint_columns(endpoint))
        self.add_mappings(endpoint.endpoint_id, endpoint.mappings)

    def replace_endpoint(self, endpoint: Endpoint) -> None:
        """Overwrite the row of the same id, but not its models and tags."""
        mine = self._mine(gateway_endpoints, endpoint_id=endpoint.endpoint_id)
        self._c.execute(gateway_endpoints.update().where(*mine).values(**_endpoint_columns(endpoint)))

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Remove one with everything that hangs on it."""
        for table in (gateway_bindings, gateway_tags, gateway_mappings, gateway_endpoints):
            self._delete(table, endpoint_id=endpoint_id)

    def add_mappings(self, endpoint_id: str, mappings: Sequence[ModelMapping]) -> None:
        """Let an endpoint use models."""
        for position, mapping in enumerate(mappings):
            values = _columns(mapping, "definition") | {"endpoint_id": endpoint_id, "position": position}
            self._insert(gateway_mappings, values)

    def delete_mappings(self, endpoint_id: str, mapping_id: str | None = None) -> None:
        """Take one model from an endpoint, or all."""
        wanted = {"endpoint_id": endpoint_id} | ({} if mapping_id is None else {"mapping_id": mapping_id})
        self._delete(gateway_mappings, **wanted)

    def in_use(self, model_definition_id: str) -> bool:
        """Whether an endpoint uses a model."""
        return bool(self._mappings(model_definition_id=model_definition_id))

    def set_tag(self, endpoint_id: str, key: str, value: str) -> None:
        """Write a tag."""
        row = {"project_id": self._project_id, "endpoint_id": endpoint_id, "key": key, "value": value}
        insert = upsert(self._c, gateway_tags).values(row)
        self._c.execute(
            insert.on_conflict_do_update(index_elements=["project_id", "endpoint_id", "key"], set_={"value": value})
        )

    def delete_tag(self, endpoint_id: str, key: str) -> None:
        """Remove a tag if it is there."""
        self._delete(gateway_tags, endpoint_id=endpoint_id, key=key)

    # --- bindings ----------------------------------------------------------------------------------------------
    def bindings(self, **wanted: str) -> list[Binding]:
        """Those whose columns have these values, oldest first."""
        query = sa.select(gateway_bindings).where(*self._mine(gateway_bindings, **wanted))
        b = gateway_bindings.c
        rows = self._c.execute(query.order_by(b.created_ns, b.endpoint_id, b.resource_id)).mappings()
        return [_read(Binding, row) for row in rows]

    def add_binding(self, binding: Binding) -> None:
        """Insert."""
        self._insert(gateway_bindings, _columns(binding))

    def delete_binding(self, endpoint_id: str, resource_type: str, resource_id: str) -> int:
        """Remove one; the number of rows that went."""
        named = {"endpoint_id": endpoint_id, "resource_type": resource_type, "resource_id": resource_id}
        return self._delete(gateway_bindings, **named)

    # --- all of them -------------------------------------------------------------------------------------------
    def _mine(self, table: sa.Table, **wanted: str) -> list[sa.ColumnElement[bool]]:
        return [table.c.project_id == self._project_id, *(table.c[name] == value for name, value in wanted.items())]

    def _insert(self, table: sa.Table, values: dict[str, Any]) -> None:
        self._c.execute(table.insert().values(project_id=self._project_id, **values))

    def _delete(self, table: sa.Table, **wanted: str) -> int:
        return self._c.execute(table.delete().where(*self._mine(table, **wanted))).rowcount


def _columns(row: msgspec.Struct, *without: str) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name not in without}


def _read(kind: type[Any], row: sa.RowMapping) -> Any:
    return kind(**{name: row[name] for name in kind.__struct_fields__})


def _endpoint(row: sa.RowMapping) -> Endpoint:
    fallback = None if row["fallback"] is None else msgspec.json.decode(row["fallback"], type=Fallback)
    return Endpoint(fallback=fallback, mappings=[], tags={}, **{name: row[name] for name in _OF_ENDPOINT})


def _endpoint_columns(endpoint: Endpoint) -> dict[str, Any]:
    values = {name: getattr(endpoint, name) for name in _OF_ENDPOINT}
    return values | {"fallback": None if endpoint.fallback is None else msgspec.json.encode(endpoint.fallback).decode()}
