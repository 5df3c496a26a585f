"""The MCP server registry: servers, versions with their tools, aliases, tags, and the addresses that serve them.

Names of servers hold a slash, which paths carry as ``%2F``.
"""

from __future__ import annotations

from typing import Any

from litestar import delete, get, patch, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from twinlens.domain.lifecycle import Status
from twinlens.domain.mcp_document import server_document
from twinlens.domain.mcp_server import McpContent, McpEndpoint, McpServer, McpVersion, Transport
from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native.guard import shown
from twinlens.faces.native.reply import reading, whole_id, writer
from twinlens.faces.native.rows import ms
from twinlens.features.mcp_servers import McpSearch

_ALL = "/projects/{project_id:str}/mcp-servers"
_ONE = _ALL + "/{name:str}"
_VERSIONS = _ONE + "/versions"
_VERSION = _VERSIONS + "/{version:str}"
_ALIAS = _ONE + "/aliases/{alias:str}"
_TAG = _ONE + "/tags/{key:str}"
_ENDPOINTS = _ONE + "/endpoints"
_MOST = 1_000


class McpServerRow(Struct, kw_only=True):
    """A server as its latest version describes it; ``status`` is that version's."""

    name: str
    title: str | None
    description: str | None
    status: Status | None
    latest_version: str | None
    aliases: dict[str, str]  #: alias -> version
    tags: dict[str, str]
    tools: int | None  #: of the latest version; None when nobody said
    endpoints: int
    created_by: str | None
    created_ms: float
    updated_ms: float


class McpServerList(Struct, kw_only=True):
    """By name."""

    servers: list[McpServerRow]


class McpVersionRow(Struct, kw_only=True):
    """One version. ``tools`` are as the server lists them; None when nobody said."""

    version: str
    status: Status
    server_json: dict[str, Any]
    tools: list[dict[str, Any]] | None
    source: str | None
    aliases: list[str]
    tags: dict[str, str]
    created_by: str | None
    created_ms: float
    updated_ms: float


class McpEndpointRow(Struct, kw_only=True):
    """An address, for one version or for the one that an alias points to; ``resolved_version`` is what it serves now."""

    endpoint_id: str
    url: str
    transport_type: Transport
    version: str | None
    alias: str | None
    resolved_version: str | None
    updated_ms: float


class McpServerDetail(Struct, kw_only=True):
    """Versions newest first."""

    server: McpServerRow
    versions: list[McpVersionRow]
    endpoints: list[McpEndpointRow]


class NewMcpVersion(Struct, kw_only=True):
    """``POST /mcp-servers``: a version as its ``server.json`` says, and the server if it is new."""

    server_json: dict[str, Any]
    tools: list[dict[str, Any]] | None = None
    status: Status = "draft"
    source: str | None = None


class McpVersionChange(Struct, kw_only=True):
    """``PATCH …/versions/{version}``: drafts become active, active ones deprecated or drafts again."""

    status: Status


class McpAliasTarget(Struct, kw_only=True):
    """``PUT …/aliases/{alias}``."""

    version: str


class McpTagValue(Struct, kw_only=True):
    """``PUT …/tags/{key}``."""

    value: str


class NewMcpEndpoint(Struct, kw_only=True):
    """``POST …/endpoints``: with a version or an alias."""

    url: str
    transport_type: Transport = "streamable-http"
    version: str | None = None
    alias: str | None = None


def _server(server: McpServer) -> McpServerRow:
    latest = server.latest
    tools = latest.content.tools if latest else None
    return McpServerRow(
        name=server.name, title=server.display_name or (latest.content.server_json.get("title") if latest else None),
        description=server.shown_description, status=latest.status if latest else None,
        latest_version=latest.version if latest else None, aliases=server.aliases, tags=server.tags,
        tools=None if tools is None else len(tools), endpoints=len(server.endpoints), created_by=server.created_by,
        created_ms=ms(server.created_ns), updated_ms=ms(max(server.updated_ns, latest.updated_ns if latest else 0)),
    )  # fmt: skip


def _version(row: McpVersion) -> McpVersionRow:
    return McpVersionRow(
        version=row.version, status=row.status, server_json=row.content.server_json, tools=row.content.tools,
        source=row.content.source, aliases=row.aliases, tags=row.tags, created_by=row.created_by,
        created_ms=ms(row.created_ns), updated_ms=ms(row.updated_ns),
    )  # fmt: skip


def _endpoint(row: McpEndpoint) -> McpEndpointRow:
    return McpEndpointRow(
        endpoint_id=row.endpoint_id, url=row.url, transport_type=row.transport_type, version=row.server_version,
        alias=row.server_alias, resolved_version=row.resolved.version if row.resolved else None,
        updated_ms=ms(row.updated_ns),
    )  # fmt: skip


@get(_ALL, summary="List MCP servers")
async def list_mcp_servers(request: AnyRequest, project_id: FromPath[str]) -> McpServerList:
    """By name."""
    allowed = await reading(request, whole_id(project_id))
    found, _ = await in_thread(services(request).mcp_servers.search, allowed, McpSearch(order=["name"], limit=_MOST))
    may_see = shown(request, "mcp_server")
    return McpServerList(servers=[_server(server) for server in found if may_see(server.name)])


@post(_ALL, summary="Register a version of an MCP server")
async def add_mcp_version(
    request: AnyRequest, project_id: FromPath[str], data: JSONBody[NewMcpVersion]
) -> McpVersionRow:
    """And the server if it is new."""
    who = await writer(request, whole_id(project_id))
    content = McpContent(server_json=server_document(data.server_json), tools=data.tools, source=data.source)
    create = services(request).mcp_servers.create_version
    return _version(await in_thread(create, who.project_id, content, data.status, who.user_name))


@get(_ONE, summary="One MCP server")
async def get_mcp_server(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> McpServerDetail:
    """With its versions, newest first, and its addresses."""
    allowed = await reading(request, whole_id(project_id))
    servers, wanted = services(request).mcp_servers, whole_id(name)

    def read() -> McpServerDetail:
        server = servers.get(allowed, wanted)
        versions, _ = servers.search_versions(allowed, wanted, McpSearch(order=["version DESC"], limit=_MOST))
        endpoints, _ = servers.search_endpoints(allowed, McpSearch(limit=_MOST), name=wanted)
        return McpServerDetail(
            server=_server(server), versions=[_version(row) for row in versions],
            endpoints=[_endpoint(row) for row in endpoints],
        )  # fmt: skip

    return await in_thread(read)


@delete(_ONE, summary="Delete an MCP server")
async def delete_mcp_server(request: AnyRequest, project_id: FromPath[str], name: FromPath[str]) -> None:
    """Refused while a version is active."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).mcp_servers.delete, who.project_id, whole_id(name))


@patch(_VERSION, summary="Change the status of an MCP server's version")
async def edit_mcp_version(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[str],
    data: JSONBody[McpVersionChange],
) -> McpVersionRow:  # fmt: skip
    """400 names the steps that are allowed."""
    who = await writer(request, whole_id(project_id))
    servers = services(request).mcp_servers

    def change() -> McpVersionRow:
        wanted = whole_id(version)
        return _version(
            servers.update_version(who.project_id, whole_id(name), wanted, who.user_name, status=data.status)
        )

    return await in_thread(change)


@delete(_VERSION, summary="Delete a version of an MCP server")
async def delete_mcp_version(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], version: FromPath[str]
) -> None:
    """Not an active one; its number is not used again."""
    who = await writer(request, whole_id(project_id))
    await in_thread(
        services(request).mcp_servers.delete_version, who.project_id, whole_id(name), whole_id(version), who.user_name
    )


@put(_ALIAS, summary="Put or move an alias of an MCP server", status_code=204)
async def set_mcp_alias(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], alias: FromPath[str],
    data: JSONBody[McpAliasTarget],
) -> None:  # fmt: skip
    """Addresses that follow it serve the new version at once."""
    who = await writer(request, whole_id(project_id))
    await in_thread(
        services(request).mcp_servers.set_alias, who.project_id, whole_id(name), whole_id(alias), data.version
    )


@delete(_ALIAS, summary="Remove an alias of an MCP server")
async def delete_mcp_alias(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], alias: FromPath[str]
) -> None:
    """With the addresses that follow it."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).mcp_servers.delete_alias, who.project_id, whole_id(name), whole_id(alias))


@put(_TAG, summary="Put or change a tag of an MCP server", status_code=204)
async def set_mcp_tag(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], key: FromPath[str], data: JSONBody[McpTagValue]
) -> None:
    """Of the server, not of a version."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).mcp_servers.set_tag, who.project_id, whole_id(name), whole_id(key), data.value)


@delete(_TAG, summary="Remove a tag of an MCP server")
async def delete_mcp_tag(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], key: FromPath[str]
) -> None:  # fmt: skip
    """Of the server, not of a version."""
    who = await writer(request, whole_id(project_id))
    await in_thread(services(request).mcp_servers.delete_tag, who.project_id, whole_id(name), whole_id(key))


@post(_ENDPOINTS, summary="Add an address of an MCP server")
async def add_mcp_endpoint(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], data: JSONBody[NewMcpEndpoint]
) -> McpEndpointRow:
    """It is told to clients and never called from here."""
    who = await writer(request, whole_id(project_id))
    endpoint = McpEndpoint(
        endpoint_id="", server_name=whole_id(name), url=data.url, transport_type=data.transport_type,
        server_version=data.version, server_alias=data.alias,
    )  # fmt: skip
    create = services(request).mcp_servers.create_endpoint
    return _endpoint(await in_thread(create, who.project_id, endpoint, who.user_name))


@delete(_ENDPOINTS + "/{endpoint_id:str}", summary="Remove an address of an MCP server")
async def delete_mcp_endpoint(
    request: AnyRequest, project_id: FromPath[str], name: FromPath[str], endpoint_id: FromPath[str]
) -> None:
    """Gone at once."""
    who = await writer(request, whole_id(project_id))
    remove = services(request).mcp_servers.delete_endpoint
    await in_thread(remove, who.project_id, whole_id(name), whole_id(endpoint_id))


HANDLERS = [
    list_mcp_servers, add_mcp_version, get_mcp_server, delete_mcp_server, edit_mcp_version, delete_mcp_version,
    set_mcp_alias, delete_mcp_alias, set_mcp_tag, delete_mcp_tag, add_mcp_endpoint, delete_mcp_endpoint,
]  # fmt: skip
