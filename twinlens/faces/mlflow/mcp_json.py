"""Bodies of MLflow's MCP server registry. Unlike elsewhere in this face, unset fields are null in answers: the reference
(MLflow 3.17, ``server/mcp_server_api.py``) is another framework there."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from twinlens.domain.lifecycle import Status
from twinlens.domain.mcp_server import McpEndpoint, McpServer, McpVersion, Transport
from twinlens.faces.mlflow.errors import invalid

Shape = TypeVar("Shape", bound=msgspec.Struct)

_TOOL = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "execution")


class Tool(msgspec.Struct):
    """A tool as a server lists it; what else it says is not kept."""

    name: str
    title: str | None = None
    description: str | None = None
    inputSchema: dict[str, Any] | None = None
    outputSchema: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    icons: list[dict[str, Any]] | None = None
    execution: dict[str, Any] | None = None


class Option(msgspec.Struct):
    """How pages treat one way to connect."""

    hidden: bool = False


class NewServer(msgspec.Struct):
    """Body of ``createMcpServer``."""

    name: str
    description: str | None = None
    icons: list[dict[str, Any]] | None = None


class ServerChange(msgspec.Struct):
    """Body of ``updateMcpServer``."""

    display_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    icons: list[dict[str, Any]] | UnsetType | None = UNSET
    latest_version: Any = UNSET


class NewVersion(msgspec.Struct):
    """Body of ``createMcpServerVersion``."""

    server_json: dict[str, Any]
    status: Status = "draft"
    source: str | None = None
    tools: list[Tool] | None = None
    connect_options: dict[str, Option] | None = None


class VersionChange(msgspec.Struct):
    """Body of ``updateMcpServerVersion``."""

    status: Status | UnsetType = UNSET
    tools: list[Tool] | UnsetType | None = UNSET
    connect_options: dict[str, Option] | UnsetType | None = UNSET


class NewEndpoint(msgspec.Struct):
    """Body of ``createMcpAccessEndpoint``."""

    url: str
    server_version: str | None = None
    server_alias: str | None = None
    transport_type: Transport = "streamable-http"


class EndpointChange(msgspec.Struct):
    """Body of ``updateMcpAccessEndpoint``."""

    server_version: str | None = None
    server_alias: str | None = None
    url: str | UnsetType = UNSET
    transport_type: Transport | None = None


class NewAlias(msgspec.Struct):
    """Body of ``setMcpServerAlias``."""

    alias: str
    version: str


class NewTag(msgspec.Struct):
    """Body of the calls that set tags."""

    key: str
    value: str


def read(body: bytes, shape: type[Shape]) -> Shape:
    """A request's body.

    Raises:
        MlflowError: not of this shape.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"Invalid request: {error}") from None


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were sent."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def tools_of(tools: list[Tool] | None) -> list[dict[str, Any]] | None:
    """Tools as plain values."""
    return None if tools is None else [msgspec.structs.asdict(tool) for tool in tools]


def options_of(options: dict[str, Option] | None) -> dict[str, bool]:
    """Connect options as ``domain.mcp_server.McpContent`` has them."""
    return {name: option.hidden for name, option in (options or {}).items()}


def server_json(server: McpServer, workspace: str) -> dict[str, Any]:
    """A server on the wire."""
    latest = server.latest
    return {
        "name": server.name, "display_name": server.display_name, "description": server.shown_description,
        "icons": server.shown_icons, "workspace": workspace, "status": latest.status if latest else None,
        "access_endpoints": [_endpoint(each, workspace) for each in server.endpoints],
        "latest_version": latest.version if latest else None,
        "aliases": [{"alias": alias, "version": version} for alias, version in server.aliases.items()],
        "tags": server.tags, **_stamps(server),
    }  # fmt: skip


def version_json(row: McpVersion, workspace: str) -> dict[str, Any]:
    """A version on the wire."""
    content = row.content
    return {
        "name": row.name, "version": row.version, "server_json": content.server_json, "workspace": workspace,
        "status": row.status, "tools": _tools(row) or [], "aliases": row.aliases, "tags": row.tags,
        "connect_options": {name: {"hidden": hidden} for name, hidden in content.connect_options.items()},
        "source": content.source, **_stamps(row),
    }  # fmt: skip


def endpoint_json(row: McpEndpoint, workspace: str) -> dict[str, Any]:
    """An endpoint on the wire, with the tools of the version it serves."""
    return _endpoint(row, workspace) | {"tools": _tools(row.resolved) if row.resolved else None}


def _endpoint(row: McpEndpoint, workspace: str) -> dict[str, Any]:
    return {
        "id": row.endpoint_id, "server_name": row.server_name, "url": row.url, "transport_type": row.transport_type,
        "workspace": workspace, "server_version": row.server_version, "server_alias": row.server_alias,
        "resolved_version": version_json(row.resolved, workspace) if row.resolved else None, **_stamps(row),
    }  # fmt: skip


def _tools(row: McpVersion) -> list[dict[str, Any]] | None:
    tools = row.content.tools
    return None if tools is None else [{field: tool.get(field) for field in _TOOL} for tool in tools]


def _stamps(row: McpServer | McpVersion | McpEndpoint) -> dict[str, Any]:
    return {
        "created_by": row.created_by, "last_updated_by": row.updated_by,
        "creation_timestamp": row.created_ns // 1_000_000, "last_updated_timestamp": row.updated_ns // 1_000_000,
    }  # fmt: skip
