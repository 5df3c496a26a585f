"""Tables and statements of the MCP server registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from twinlens.domain.mcp_server import McpContent, McpEndpoint, McpServer, McpVersion
from twinlens.store.catalog.engine import metadata, upsert

mcp_servers = sa.Table(
    "mcp_servers",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("display_name", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("icons", sa.Text),  # JSON list
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

mcp_versions = sa.Table(
    "mcp_versions",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON of McpContent
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)

mcp_aliases = sa.Table(
    "mcp_aliases",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
)

mcp_tags = sa.Table(
    "mcp_tags",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),  # empty: of the server
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

mcp_endpoints = sa.Table(
    "mcp_endpoints",
    metadata,
    sa.Column("project_id", sa.Text, primary_key=True),
    sa.Column("endpoint_id", sa.Text, primary_key=True),
    sa.Column("server_name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("transport_type", sa.Text, nullable=False),
    sa.Column("server_version", sa.Text),
    sa.Column("server_alias", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
    sa.Index(None, "project_id", "server_name"),
)
_CHUNK = 500


class McpTable:
    """Statements over one connection. Every method's scope is one project."""

    def __init__(self, connection: sa.Connection, project_id: str) -> None:
        self._c = connection
        self._project = project_id

    def _mine(self, table: sa.Table, name: str | None = None, **keys: str) -> sa.ColumnElement[bool]:
        own = [table.c.project_id == self._project, *(table.c[key] == value for key, value in keys.items())]
        if name is not None:
            own.append(table.c[_OWNER.get(table.name, "name")] == name)
        return sa.and_(*own)

    def hold(self, name: str) -> bool:
        """Whether a server is there; until the transaction ends nobody else changes it or what belongs to it."""
        query = sa.select(mcp_servers.c.name).where(self._mine(mcp_servers, name)).with_for_update()
        return self._c.execute(query).first() is not None

    # --- servers ----------------------------------------------------------------------------------------------------
    def add_server(self, row: McpServer) -> bool:
        """Insert; False when the name is taken."""
        insert = upsert(self._c, mcp_servers).values(project_id=self._project, name=row.name, **_server_columns(row))
        return self._c.execute(insert.on_conflict_do_nothing().returning(mcp_servers.c.name)).first() is not None

    def replace_server(self, row: McpServer) -> None:
        """Overwrite the row of the same name."""
        self._c.execute(mcp_servers.update().where(self._mine(mcp_servers, row.name)).values(**_server_columns(row)))

    def drop_server(self, name: str) -> None:
        """Remove a server with all that belongs to it."""
        for table in (mcp_endpoints, mcp_tags, mcp_aliases, mcp_versions, mcp_servers):
            self._c.execute(table.delete().where(self._mine(table, name)))

    def servers(self, name: str | None = None) -> dict[str, McpServer]:
        """All, or the one of this name, with tags and aliases."""
        found: dict[str, McpServer] = {}
        for row in self._c.execute(sa.select(mcp_servers).where(self._mine(mcp_servers, name))).mappings():
            values = {key: row[key] for key in ("name", *_SERVER)}
            icons = None if row["icons"] is None else msgspec.json.decode(row["icons"], type=list[dict[str, Any]])
            found[row["name"]] = McpServer(**values, icons=icons)
        t = mcp_tags.c
        query = sa.select(t.name, t.key, t.value).where(self._mine(mcp_tags, name, version="")).order_by(t.key)
        for owner, key, value in self._c.execute(query):
            found[owner].tags[key] = value
        a = mcp_aliases.c
        query = sa.select(a.name, a.alias, a.version).where(self._mine(mcp_aliases, name)).order_by(a.alias)
        for owner, alias, version in self._c.execute(query):
            found[owner].aliases[alias] = version
        return found

    # --- versions ---------------------------------------------------------------------------------------------------
    def add_version(self, row: McpVersion) -> bool:
        """Insert; False when the number is taken."""
        keys = {"project_id": self._project, "name": row.name, "version": row.version}
        insert = upsert(self._c, mcp_versions).values(**keys, **_version_columns(row), content=_json(row.content))
        return self._c.execute(insert.on_conflict_do_nothing().returning(mcp_versions.c.version)).first() is not None

    def replace_version(self, row: McpVersion) -> None:
        """Overwrite the row of the same number; tags and aliases stay."""
        where = self._mine(mcp_versions, row.name, version=row.version)
        self._c.execute(mcp_versions.update().where(where).values(**_version_columns(row), content=_json(row.content)))

    def versions(self, name: str | None = None) -> list[McpVersion]:
        """All versions, also deleted ones, with tags and aliases but without content."""
        v, t, a = mcp_versions.c, mcp_tags.c, mcp_aliases.c
        columns = [v.name, v.version, *(v[key] for key in _VERSION)]
        rows = self._c.execute(sa.select(*columns).where(self._mine(mcp_versions, name))).mappings()
        found = {(row["name"], row["version"]): McpVersion(**dict(row)) for row in rows}  # pyright: ignore[reportCallIssue, reportArgumentType]
        query = sa.select(t.name, t.version, t.key, t.value).where(self._mine(mcp_tags, name), t.version != "")
        for owner, version, key, value in self._c.execute(query.order_by(t.key)):
            found[owner, version].tags[key] = value
        query = sa.select(a.name, a.version, a.alias).where(self._mine(mcp_aliases, name)).order_by(a.alias)
        for owner, version, alias in self._c.execute(query):
            found[owner, version].aliases.append(alias)
        return list(found.values())

    def fill(self, versions: Sequence[McpVersion]) -> None:
        """Read the content of these versions."""
        v = mcp_versions.c
        wanted = {(row.name, row.version): row for row in versions}
        keys = list(wanted)
        for start in range(0, len(keys), _CHUNK):
            chosen = sa.tuple_(v.name, v.version).in_(keys[start : start + _CHUNK])
            query = sa.select(v.name, v.version, v.content).where(v.project_id == self._project, chosen)
            for name, version, content in self._c.execute(query):
                wanted[name, version].content = msgspec.json.decode(content, type=McpContent)
        for row in versions:
            row.content = wanted[row.name, row.version].content

    # --- tags and aliases -------------------------------------------------------------------------------------------
    def put_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Put or change a tag; of the server when ``version`` is empty."""
        keys = {"project_id": self._project, "name": name, "version": version, "key": key}
        insert = upsert(self._c, mcp_tags).values(**keys, value=value)
        self._c.execute(insert.on_conflict_do_update(index_elements=list(keys), set_={"value": value}))

    def drop_tag(self, name: str, version: str, key: str) -> bool:
        """Remove a tag; False when there is none."""
        where = self._mine(mcp_tags, name, version=version, key=key)
        return self._c.execute(mcp_tags.delete().where(where)).rowcount > 0

    def put_alias(self, name: str, alias: str, version: str) -> None:
        """Put or move an alias."""
        keys = {"project_id": self._project, "name": name, "alias": alias}
        insert = upsert(self._c, mcp_aliases).values(**keys, version=version)
        self._c.execute(insert.on_conflict_do_update(index_elements=list(keys), set_={"version": version}))

    def drop_alias(self, name: str, alias: str) -> bool:
        """Remove an alias with the endpoints that follow it; False when there is none."""
        self._c.execute(mcp_endpoints.delete().where(self._mine(mcp_endpoints, name, server_alias=alias)))
        return self._c.execute(mcp_aliases.delete().where(self._mine(mcp_aliases, name, alias=alias))).rowcount > 0

    # --- endpoints --------------------------------------------------------------------------------------------------
    def put_endpoint(self, row: McpEndpoint) -> None:
        """Insert, or overwrite the row of the same id."""
        keys = {"project_id": self._project, "endpoint_id": row.endpoint_id}
        values = {key: getattr(row, key) for key in _ENDPOINT}
        insert = upsert(self._c, mcp_endpoints).values(**keys, **values)
        self._c.execute(insert.on_conflict_do_update(index_elements=list(keys), set_=values))

    def endpoints(self, name: str | None = None) -> list[McpEndpoint]:
        """Those of a server, or all, oldest first."""
        e = mcp_endpoints.c
        query = sa.select(e.endpoint_id, *(e[key] for key in _ENDPOINT)).where(self._mine(mcp_endpoints, name))
        rows = self._c.execute(query.order_by(e.created_ns, e.endpoint_id)).mappings()
        return [McpEndpoint(**dict(row)) for row in rows]  # pyright: ignore[reportCallIssue, reportArgumentType]

    def drop_endpoint(self, endpoint_id: str) -> None:
        """Remove one."""
        self._c.execute(mcp_endpoints.delete().where(self._mine(mcp_endpoints, endpoint_id=endpoint_id)))

    def drop_endpoints(self, name: str, *, version: str | None = None, alias: str | None = None) -> None:
        """Remove a server's endpoints with this target."""
        target = {"server_version": version} if version is not None else {"server_alias": alias or ""}
        self._c.execute(mcp_endpoints.delete().where(self._mine(mcp_endpoints, name, **target)))


_OWNER = {"mcp_endpoints": "server_name"}  #: the column of the server's name, where it is not ``name``
_STAMPS = ("created_by", "updated_by", "created_ns", "updated_ns")
_SERVER = ("display_name", "description", *_STAMPS)
_VERSION = ("status", *_STAMPS)
_ENDPOINT = ("server_name", "url", "transport_type", "server_version", "server_alias", *_STAMPS)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _server_columns(row: McpServer) -> dict[str, Any]:
    icons = None if row.icons is None else _json(row.icons)
    return {key: getattr(row, key) for key in _SERVER} | {"icons": icons}


def _version_columns(row: McpVersion) -> dict[str, Any]:
    return {key: getattr(row, key) for key in _VERSION}
