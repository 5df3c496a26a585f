"""The MCP server registry (API 3.0).

Names of servers hold a slash. The client encodes it, MLflow's page too, and a bare one is understood as well: so the order of
the routes counts, what is deeper comes first.
"""

from __future__ import annotations

from msgspec import UNSET

from twinlens.domain.mcp_document import server_document
from twinlens.domain.mcp_server import McpContent, McpEndpoint, McpServer
from twinlens.faces.mlflow import mcp_json as wire
from twinlens.faces.mlflow.errors import invalid
from twinlens.faces.mlflow.pages import offset_of, token_behind
from twinlens.faces.mlflow.wire import Call, Reply, RpcTable
from twinlens.faces.mlflow.workspaces import workspace_name
from twinlens.features.mcp_servers import McpSearch

rpcs = RpcTable()

_ALL = "/mlflow/mcp-servers"
_ONE = _ALL + "/{name:path}"
_VERSIONS = _ONE + "/versions"
_VERSION = _VERSIONS + "/{version:path}"
_ENDPOINTS = _ONE + "/endpoints"
_ENDPOINT = _ENDPOINTS + "/{endpoint_id}"
_ALIAS = _ONE + "/aliases/{alias:path}"
_MAX_SERVERS = 1_000
_MAX_ROWS = 50_000


def _search(call: Call, most: int) -> McpSearch:
    params = call.params
    return McpSearch(
        filter=params.text("filter_string"), order=params.texts("order_by"), limit=params.max_results(100, most),
        offset=offset_of(params.text("page_token")),
    )  # fmt: skip


def _page(field: str, rows: list[dict[str, object]], search: McpSearch, total: int) -> Reply:
    return {field: rows, "next_page_token": token_behind(search.offset, len(rows), total)}


def _workspace(call: Call) -> str:
    return workspace_name(call, call.project_id)


# --- versions -------------------------------------------------------------------------------------------------------
@rpcs.rpc("POST", "3.0", _VERSION + "/tags", body="bytes")
def set_version_tag(call: Call) -> Reply:
    """Put or change a tag of a version."""
    tag = wire.read(call.body, wire.NewTag)
    call.services.mcp_servers.set_tag(call.project_id, call.path["name"], tag.key, tag.value, call.path["version"])
    return None


@rpcs.rpc("DELETE", "3.0", _VERSION + "/tags/{key:path}")
def delete_version_tag(call: Call) -> Reply:
    """Remove a tag of a version."""
    path = call.path
    call.services.mcp_servers.delete_tag(call.project_id, path["name"], path["key"], path["version"])
    return None


@rpcs.rpc("GET", "3.0", _VERSION)
def get_version(call: Call) -> Reply:
    """One version."""
    row = call.services.mcp_servers.version(call.project_id, call.path["name"], call.path["version"])
    return wire.version_json(row, _workspace(call))


@rpcs.rpc("PATCH", "3.0", _VERSION, body="bytes")
def update_version(call: Call) -> Reply:
    """Change what is sent."""
    body = wire.read(call.body, wire.VersionChange)
    changes = wire.given(tools=body.tools, connect_options=body.connect_options)
    if "tools" in changes:
        changes["tools"] = wire.tools_of(changes["tools"])
    if "connect_options" in changes:
        changes["connect_options"] = wire.options_of(changes["connect_options"])
    row = call.services.mcp_servers.update_version(
        call.project_id, call.path["name"], call.path["version"], call.user or None,
        **wire.given(status=body.status), **changes,
    )  # fmt: skip
    return wire.version_json(row, _workspace(call))


@rpcs.rpc("DELETE", "3.0", _VERSION)
def delete_version(call: Call) -> Reply:
    """Mark a version as deleted."""
    call.services.mcp_servers.delete_version(
        call.project_id, call.path["name"], call.path["version"], call.user or None
    )
    return None


@rpcs.rpc("POST", "3.0", _VERSIONS, body="bytes")
def create_version(call: Call) -> Reply:
    """Add a version, and the server if it is new."""
    body = wire.read(call.body, wire.NewVersion)
    document, name = server_document(body.server_json), call.path["name"]
    if document["name"] != name:
        raise invalid(f"server_json.name '{document['name']}' does not match path parameter '{name}'")
    content = McpContent(
        server_json=document, tools=wire.tools_of(body.tools), source=body.source,
        connect_options=wire.options_of(body.connect_options),
    )  # fmt: skip
    row = call.services.mcp_servers.create_version(call.project_id, content, body.status, call.user or None)
    return wire.version_json(row, _workspace(call))


@rpcs.rpc("GET", "3.0", _VERSIONS)
def search_versions(call: Call) -> Reply:
    """A page of a server's versions."""
    search = _search(call, _MAX_ROWS)
    found, total = call.services.mcp_servers.search_versions(call.project_id, call.path["name"], search)
    workspace = _workspace(call)
    return _page("mcp_server_versions", [wire.version_json(row, workspace) for row in found], search, total)


# --- endpoints ------------------------------------------------------------------------------------------------------
@rpcs.rpc("POST", "3.0", _ENDPOINTS, body="bytes")
def create_endpoint(call: Call) -> Reply:
    """Add an address."""
    body = wire.read(call.body, wire.NewEndpoint)
    endpoint = McpEndpoint(
        endpoint_id="", server_name=call.path["name"], url=body.url, transport_type=body.transport_type,
        server_version=body.server_version, server_alias=body.server_alias,
    )  # fmt: skip
    made = call.services.mcp_servers.create_endpoint(call.project_id, endpoint, call.user or None)
    return wire.endpoint_json(made, _workspace(call))


@rpcs.rpc("GET", "3.0", _ENDPOINT)
def get_endpoint(call: Call) -> Reply:
    """One address."""
    row = call.services.mcp_servers.endpoint(call.project_id, call.path["name"], call.path["endpoint_id"])
    return wire.endpoint_json(row, _workspace(call))


@rpcs.rpc("PATCH", "3.0", _ENDPOINT, body="bytes")
def update_endpoint(call: Call) -> Reply:
    """Change what is sent."""
    body = wire.read(call.body, wire.EndpointChange)
    row = call.services.mcp_servers.update_endpoint(
        call.project_id, call.path["name"], call.path["endpoint_id"], call.user or None, version=body.server_version,
        alias=body.server_alias, transport_type=body.transport_type, **wire.given(url=body.url),
    )  # fmt: skip
    return wire.endpoint_json(row, _workspace(call))


@rpcs.rpc("DELETE", "3.0", _ENDPOINT)
def delete_endpoint(call: Call) -> Reply:
    """Remove an address."""
    call.services.mcp_servers.delete_endpoint(call.project_id, call.path["name"], call.path["endpoint_id"])
    return None


@rpcs.rpc("GET", "3.0", _ALL + "/endpoints")
@rpcs.rpc("GET", "3.0", _ENDPOINTS)
def search_endpoints(call: Call) -> Reply:
    """A page of addresses, of one server or of all."""
    search = _search(call, _MAX_ROWS)
    found, total = call.services.mcp_servers.search_endpoints(
        call.project_id, search, name=call.path.get("name"), version=call.params.text("server_version"),
        alias=call.params.text("server_alias"),
    )  # fmt: skip
    workspace = _workspace(call)
    return _page("mcp_access_endpoints", [wire.endpoint_json(row, workspace) for row in found], search, total)


# --- tags and aliases -----------------------------------------------------------------------------------------------
@rpcs.rpc("POST", "3.0", _ONE + "/tags", body="bytes")
def set_tag(call: Call) -> Reply:
    """Put or change a tag of a server."""
    tag = wire.read(call.body, wire.NewTag)
    call.services.mcp_servers.set_tag(call.project_id, call.path["name"], tag.key, tag.value)
    return None


@rpcs.rpc("DELETE", "3.0", _ONE + "/tags/{key:path}")
def delete_tag(call: Call) -> Reply:
    """Remove a tag of a server."""
    call.services.mcp_servers.delete_tag(call.project_id, call.path["name"], call.path["key"])
    return None


@rpcs.rpc("POST", "3.0", _ONE + "/aliases", body="bytes")
def set_alias(call: Call) -> Reply:
    """Put or move an alias."""
    body = wire.read(call.body, wire.NewAlias)
    call.services.mcp_servers.set_alias(call.project_id, call.path["name"], body.alias, body.version)
    return None


@rpcs.rpc("GET", "3.0", _ALIAS)
def get_version_by_alias(call: Call) -> Reply:
    """The version that an alias, or ``latest``, points to."""
    row = call.services.mcp_servers.version_by_alias(call.project_id, call.path["name"], call.path["alias"])
    return wire.version_json(row, _workspace(call))


@rpcs.rpc("DELETE", "3.0", _ALIAS)
def delete_alias(call: Call) -> Reply:
    """Remove an alias and the addresses that follow it."""
    call.services.mcp_servers.delete_alias(call.project_id, call.path["name"], call.path["alias"])
    return None


# --- servers --------------------------------------------------------------------------------------------------------
@rpcs.rpc("POST", "3.0", _ALL, body="bytes")
def create(call: Call) -> Reply:
    """Add a server without versions."""
    body = wire.read(call.body, wire.NewServer)
    server = McpServer(name=body.name, description=body.description, icons=body.icons)
    made = call.services.mcp_servers.create(call.project_id, server, call.user or None)
    return wire.server_json(made, _workspace(call))


@rpcs.rpc("GET", "3.0", _ALL)
def search(call: Call) -> Reply:
    """A page of servers."""
    wanted = _search(call, _MAX_SERVERS)
    found, total = call.services.mcp_servers.search(call.project_id, wanted)
    workspace = _workspace(call)
    return _page("mcp_servers", [wire.server_json(row, workspace) for row in found], wanted, total)


@rpcs.rpc("GET", "3.0", _ONE)
def get(call: Call) -> Reply:
    """One server."""
    return wire.server_json(call.services.mcp_servers.get(call.project_id, call.path["name"]), _workspace(call))


@rpcs.rpc("PATCH", "3.0", _ONE, body="bytes")
def update(call: Call) -> Reply:
    """Change what is sent."""
    body = wire.read(call.body, wire.ServerChange)
    if body.latest_version is not UNSET:
        raise invalid(
            "Invalid request: latest_version is read-only; it is resolved automatically from semantic-version ordering"
        )
    changes = wire.given(display_name=body.display_name, description=body.description, icons=body.icons)
    made = call.services.mcp_servers.update(call.project_id, call.path["name"], call.user or None, **changes)
    return wire.server_json(made, _workspace(call))


@rpcs.rpc("DELETE", "3.0", _ONE)
def delete(call: Call) -> Reply:
    """Remove a server with all that belongs to it."""
    call.services.mcp_servers.delete(call.project_id, call.path["name"])
    return None
