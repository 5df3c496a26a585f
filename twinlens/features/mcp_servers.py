"""The MCP server registry: servers, their versions, aliases, tags, and the addresses where they are reached.

A project has some hundred servers with a few versions each: searches read their short columns and decide in memory, and
only what is shown is read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from twinlens.domain import mcp_server as rules
from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import AlreadyExists, InvalidArgument, NotFound
from twinlens.domain.icon import clean_icons
from twinlens.domain.ids import new_hex
from twinlens.domain.lifecycle import Status, check_first_status, check_step
from twinlens.domain.mcp_server import LATEST, McpContent, McpEndpoint, McpServer, McpVersion, Transport
from twinlens.domain.semver import precedence
from twinlens.features.audit import Audit
from twinlens.query import mlflow_filter_mcp as language
from twinlens.query.evaluate import holds
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.mcp_servers import McpTable
from twinlens.store.telemetry.query import Cmp, Expr

Row = TypeVar("Row", McpServer, McpVersion, McpEndpoint)


class McpSearch(msgspec.Struct, frozen=True, kw_only=True):
    """What a search asks for.

    Attributes:
        filter: MLflow's grammar; see ``query.mlflow_filter_mcp``.
        order: ``field [ASC|DESC]`` each.
    """

    filter: str | None = None
    order: Sequence[str] = ()
    limit: int = 100
    offset: int = 0


class McpServers:
    """All methods block. ``user`` is the name of who changes something, None when nobody had to sign in."""

    def __init__(self, catalog: Catalog, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._audit = Audit(catalog)
        self._clock = clock

    # --- servers ----------------------------------------------------------------------------------------------------
    def create(self, project_id: str, server: McpServer, user: str | None = None) -> McpServer:
        """Add a server without versions.

        Raises:
            InvalidArgument: a name or icon that breaks a rule.
            AlreadyExists: the name is taken.
        """
        rules.check_name(server.name)
        now = self._clock()
        made = msgspec.structs.replace(
            server, icons=clean_icons(server.icons), created_by=user, updated_by=user, created_ns=now, updated_ns=now
        )  # fmt: skip
        with self._catalog.write() as connection:
            if not McpTable(connection, project_id).add_server(made):
                raise AlreadyExists(f"MCP server with name '{server.name}' already exists")
            self._audit.record("create", "mcp_server", server.name, project_id=project_id)
        return made

    def get(self, project_id: str, name: str) -> McpServer:
        """One server with what it resolves to.

        Raises:
            NotFound: no such server.
        """
        with self._catalog.read() as connection:
            return _server(McpTable(connection, project_id), name)

    def search(self, project_id: str, search: McpSearch) -> tuple[list[McpServer], int]:
        """A page of servers, and how many match.

        Raises:
            InvalidArgument: the filter or order cannot be read.
        """
        expr, order = language.server_filter(search.filter), language.server_order(search.order)
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            found = _chosen(list(_resolved(table).values()), expr, language.read_server, order)
            page = found[search.offset : search.offset + search.limit]
            _fill_servers(table, page)
        return page, len(found)

    def update(self, project_id: str, name: str, user: str | None = None, **changes: Any) -> McpServer:
        """Change ``description``, ``display_name`` or ``icons``; None empties one.

        Raises:
            InvalidArgument: an icon that breaks a rule.
            NotFound: no such server.
        """
        shown = dict(changes)
        if "icons" in changes:
            changes["icons"] = clean_icons(changes["icons"])
            shown["icons"] = len(changes["icons"] or ())
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _hold(table, name)
            row = table.servers(name)[name]
            table.replace_server(msgspec.structs.replace(row, **changes, updated_by=user, updated_ns=self._clock()))
            made = _server(table, name)
            self._audit.record("update", "mcp_server", name, project_id=project_id, **shown)
        return made

    def delete(self, project_id: str, name: str) -> None:
        """Remove a server with all that belongs to it.

        Raises:
            InvalidArgument: a version is active.
            NotFound: no such server.
        """
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _hold(table, name)
            active = next((row.version for row in table.versions(name) if row.status == "active"), None)
            if active is not None:
                raise InvalidArgument(
                    f"Cannot delete MCP server '{name}' while it still has an active version ('{active}')."
                    " Delete or deactivate the active version first."
                )
            table.drop_server(name)
            self._audit.record("delete", "mcp_server", name, project_id=project_id)

    # --- versions ---------------------------------------------------------------------------------------------------
    def create_version(
        self, project_id: str, content: McpContent, status: Status = "draft", user: str | None = None
    ) -> McpVersion:
        """Add the version that ``server.json`` names, and the server if it is new.

        Raises:
            InvalidArgument: a name, version, status, tool or icon that breaks a rule.
            AlreadyExists: the version is there, or was and is deleted.
        """
        document = content.server_json
        name, version = rules.check_name(document["name"]), document["version"]
        precedence(version)
        check_first_status(status, "MCP server")
        if "icons" in document:
            document = document | {"icons": clean_icons(document["icons"], "server_json.icons")}
        now = self._clock()
        stamps: dict[str, Any] = {"created_by": user, "updated_by": user, "created_ns": now, "updated_ns": now}
        kept = msgspec.structs.replace(content, server_json=document, tools=rules.clean_tools(content.tools))
        made = McpVersion(name=name, version=version, status=status, content=kept, **stamps)
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            table.add_server(McpServer(name=name, **stamps))
            _hold(table, name)
            if not table.add_version(made):
                raise AlreadyExists(f"MCP server version '{name}' version '{version}' already exists")
            self._audit.record(
                "create", "mcp_server_version", f"{name}/{version}", project_id=project_id, status=status
            )
        return made

    def version(self, project_id: str, name: str, version: str) -> McpVersion:
        """One version.

        Raises:
            NotFound: no such version.
        """
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            return _filled(table, _version(table, name, version))

    def version_by_alias(self, project_id: str, name: str, alias: str) -> McpVersion:
        """The version that an alias points to; ``latest`` is found by ``domain.mcp_server.newest``.

        Raises:
            NotFound: no such server or alias, or no version to be the latest.
        """
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            return _filled(table, _target(table, name, alias))

    def search_versions(self, project_id: str, name: str, search: McpSearch) -> tuple[list[McpVersion], int]:
        """A page of a server's versions, and how many match.

        Raises:
            InvalidArgument: the filter or order cannot be read.
        """
        expr, order = language.version_filter(search.filter), language.version_order(search.order)
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            alive = [row for row in table.versions(name) if row.status != "deleted"]
            found = _chosen(alive, expr, language.read_version, order)
            page = found[search.offset : search.offset + search.limit]
            table.fill(page)
        return page, len(found)

    def update_version(
        self, project_id: str, name: str, version: str, user: str | None = None, *, status: Status | None = None, **changes: Any
    ) -> McpVersion:  # fmt: skip
        """Change the status (None leaves it), ``tools`` or ``connect_options``.

        Raises:
            InvalidArgument: the status cannot follow the present one, or a tool breaks a rule.
            NotFound: no such version.
        """
        if "tools" in changes:
            changes["tools"] = rules.clean_tools(changes["tools"])
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            made = self._change(table, name, version, user, status, **changes)
            self._audit.record(
                "update", "mcp_server_version", f"{name}/{version}", project_id=project_id, status=status,
                changed=sorted(changes) or None,
            )  # fmt: skip
        return made

    def delete_version(self, project_id: str, name: str, version: str, user: str | None = None) -> None:
        """Mark a version as deleted; its aliases go, and the endpoints that serve it.

        Raises:
            InvalidArgument: it is active.
            NotFound: no such version.
        """
        with self._catalog.write() as connection:
            self._change(McpTable(connection, project_id), name, version, user, "deleted")
            self._audit.record("delete", "mcp_server_version", f"{name}/{version}", project_id=project_id)

    def _change(
        self, table: McpTable, name: str, version: str, user: str | None, status: Status | None, **changes: Any
    ) -> McpVersion:
        table.hold(name)
        row = _filled(table, _version(table, name, version))
        if status is not None:
            check_step(row.status, status)
        made = msgspec.structs.replace(
            row, status=status or row.status, content=msgspec.structs.replace(row.content, **changes), updated_by=user,
            updated_ns=self._clock(),
        )  # fmt: skip
        table.replace_version(made)
        if status == "deleted":
            for alias in row.aliases:
                table.drop_alias(name, alias)
            made.aliases = []
            table.drop_endpoints(name, version=version)
            if rules.newest(table.versions(name)) is None:
                table.drop_endpoints(name, alias=LATEST)
        return made

    # --- tags and aliases -------------------------------------------------------------------------------------------
    def set_tag(self, project_id: str, name: str, key: str, value: str, version: str | None = None) -> None:
        """Put or change a tag of a server, or of a version.

        Raises:
            InvalidArgument: too long.
            NotFound: no such server or version.
        """
        rules.check_tag(key, value)
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _owner(table, name, version)
            table.put_tag(name, version or "", key, value)

    def delete_tag(self, project_id: str, name: str, key: str, version: str | None = None) -> None:
        """Remove a tag of a server, or of a version.

        Raises:
            NotFound: no such server, version or tag.
        """
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _owner(table, name, version)
            if not table.drop_tag(name, version or "", key):
                place = (
                    f"MCP server '{name}'" if version is None else f"MCP server version '{name}' version '{version}'"
                )
                raise NotFound(f"Tag '{key}' not found on {place}")

    def set_alias(self, project_id: str, name: str, alias: str, version: str) -> None:
        """Put or move an alias.

        Raises:
            InvalidArgument: a name that no alias may have.
            NotFound: no such server or version.
        """
        rules.check_alias(alias)
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _owner(table, name, version)
            table.put_alias(name, alias, version)
            self._audit.record("update", "mcp_server", name, project_id=project_id, alias=alias, version=version)

    def delete_alias(self, project_id: str, name: str, alias: str) -> None:
        """Remove an alias and the endpoints that follow it.

        Raises:
            NotFound: no such server or alias.
        """
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _hold(table, name)
            if alias == LATEST or not table.drop_alias(name, alias):
                raise NotFound(f"Alias '{alias}' not found on MCP server '{name}'")
            self._audit.record("delete", "mcp_server_alias", f"{name}/{alias}", project_id=project_id)

    # --- endpoints --------------------------------------------------------------------------------------------------
    def create_endpoint(self, project_id: str, endpoint: McpEndpoint, user: str | None = None) -> McpEndpoint:
        """Add an address under a new id.

        Raises:
            InvalidArgument: no address, or not one target.
            NotFound: no such server, version or alias.
        """
        rules.check_target(endpoint.server_version, endpoint.server_alias)
        rules.check_url(endpoint.url)
        now = self._clock()
        made = msgspec.structs.replace(
            endpoint, endpoint_id="ae-" + new_hex(), created_by=user, updated_by=user, created_ns=now, updated_ns=now
        )
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _hold(table, made.server_name)
            made.resolved = _filled(table, _served(table, made))
            table.put_endpoint(made)
            self._audit.record("create", "mcp_access_endpoint", made.endpoint_id, project_id=project_id, url=made.url)
        return made

    def endpoint(self, project_id: str, name: str, endpoint_id: str) -> McpEndpoint:
        """One address of a server.

        Raises:
            NotFound: it has no such one.
        """
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            found = _endpoint(table, name, endpoint_id)
            found.resolved = _filled(table, _served(table, found))
            return found

    def search_endpoints(
        self, project_id: str, search: McpSearch, *, name: str | None = None, version: str | None = None,
        alias: str | None = None,
    ) -> tuple[list[McpEndpoint], int]:  # fmt: skip
        """A page of addresses of a server, or of all, and how many match.

        Args:
            version: only those that name this version; ``alias`` alike.

        Raises:
            InvalidArgument: the filter or order cannot be read.
        """
        expr, order = language.endpoint_filter(search.filter), language.endpoint_order(search.order)
        with self._catalog.read() as connection:
            table = McpTable(connection, project_id)
            rows = [
                row
                for server in _resolved(table, name).values()
                for row in server.endpoints
                if version in (None, row.server_version) and alias in (None, row.server_alias)
            ]
            found = _chosen(rows, expr, language.read_endpoint, order)
            page = found[search.offset : search.offset + search.limit]
            table.fill([row.resolved for row in page if row.resolved])
        return page, len(found)

    def update_endpoint(
        self, project_id: str, name: str, endpoint_id: str, user: str | None = None, *, version: str | None = None,
        alias: str | None = None, url: str | None = None, transport_type: Transport | None = None,
    ) -> McpEndpoint:  # fmt: skip
        """Change what is not None; a version takes the alias's place and the other way round.

        Raises:
            InvalidArgument: both a version and an alias, or no address.
            NotFound: no such endpoint, version or alias.
        """
        if version is not None and alias is not None:
            raise InvalidArgument("Cannot set both server_version and server_alias in a single update")
        changes: dict[str, Any] = {}
        if version is not None or alias is not None:
            changes |= {"server_version": version, "server_alias": alias}
        if url is not None:
            changes["url"] = rules.check_url(url)
        if transport_type is not None:
            changes["transport_type"] = transport_type
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            table.hold(name)
            row = _endpoint(table, name, endpoint_id)
            made = msgspec.structs.replace(row, **changes, updated_by=user, updated_ns=self._clock())
            made.resolved = _filled(table, _served(table, made))
            table.put_endpoint(made)
            self._audit.record("update", "mcp_access_endpoint", endpoint_id, project_id=project_id, **changes)
        return made

    def delete_endpoint(self, project_id: str, name: str, endpoint_id: str) -> None:
        """Remove an address.

        Raises:
            NotFound: the server has no such one.
        """
        with self._catalog.write() as connection:
            table = McpTable(connection, project_id)
            _endpoint(table, name, endpoint_id)
            table.drop_endpoint(endpoint_id)
            self._audit.record("delete", "mcp_access_endpoint", endpoint_id, project_id=project_id)


def _hold(table: McpTable, name: str) -> None:
    if not table.hold(name):
        raise NotFound(f"MCP server '{name}' not found")


def _owner(table: McpTable, name: str, version: str | None) -> None:
    """Hold the server, and see that the version is there if one is named."""
    _hold(table, name)
    if version is not None:
        _version(table, name, version)


def _resolved(table: McpTable, name: str | None = None) -> dict[str, McpServer]:
    """Servers with their latest versions and their endpoints; versions without content."""
    servers = table.servers(name)
    versions: dict[str, dict[str, McpVersion]] = {}
    for row in table.versions(name):
        versions.setdefault(row.name, {})[row.version] = row
    for server in servers.values():
        server.latest = rules.newest(versions.get(server.name, {}).values())
    for endpoint in table.endpoints(name):
        server = servers[endpoint.server_name]
        if endpoint.server_alias == LATEST:
            endpoint.resolved = server.latest
        else:
            wanted = endpoint.server_version or server.aliases.get(endpoint.server_alias or "", "")
            endpoint.resolved = versions.get(server.name, {}).get(wanted)
        if endpoint.resolved is not None and endpoint.resolved.status != "deleted":
            server.endpoints.append(endpoint)
    return servers


def _server(table: McpTable, name: str) -> McpServer:
    found = _resolved(table, name).get(name)
    if found is None:
        raise NotFound(f"MCP server '{name}' not found")
    _fill_servers(table, [found])
    return found


def _fill_servers(table: McpTable, servers: Sequence[McpServer]) -> None:
    shown = [row for server in servers for row in (server.latest, *(each.resolved for each in server.endpoints))]
    table.fill([row for row in shown if row is not None])


def _version(table: McpTable, name: str, version: str) -> McpVersion:
    for row in table.versions(name):
        if row.version == version and row.status != "deleted":
            return row
    raise NotFound(f"MCP server version '{name}' version '{version}' not found")


def _target(table: McpTable, name: str, alias: str) -> McpVersion:
    """The version that an alias points to."""
    server = _resolved(table, name).get(name)
    if server is None:
        raise NotFound(f"MCP server '{name}' not found")
    if alias == LATEST:
        if server.latest is None:
            raise NotFound(f"No resolved latest version found for MCP server '{name}'")
        return server.latest
    if alias not in server.aliases:
        raise NotFound(f"Alias '{alias}' not found for MCP server '{name}'")
    return _version(table, name, server.aliases[alias])


def _served(table: McpTable, endpoint: McpEndpoint) -> McpVersion:
    if endpoint.server_version is not None:
        return _version(table, endpoint.server_name, endpoint.server_version)
    return _target(table, endpoint.server_name, endpoint.server_alias or "")


def _endpoint(table: McpTable, name: str, endpoint_id: str) -> McpEndpoint:
    for row in table.endpoints(name):
        if row.endpoint_id == endpoint_id:
            return row
    raise NotFound(f"MCPAccessEndpoint {endpoint_id} not found on MCP server '{name}'")


def _filled(table: McpTable, row: McpVersion) -> McpVersion:
    table.fill([row])
    return row


def _chosen(
    rows: list[Row], expr: Expr, read: Callable[[Row, Cmp], Any], order: language.Order
) -> list[Row]:  # fmt: skip
    """Those that match, in order."""
    found = [row for row in rows if holds(expr, lambda condition, row=row: read(row, condition))]
    for field, descending in reversed(order):
        found.sort(key=lambda row: language.sort_value(row, field), reverse=descending)
    return found
