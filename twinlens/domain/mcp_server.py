"""Registered MCP servers: versions made from ``server.json`` documents, movable aliases, tags, and the addresses that serve them.

Names, states and their changes follow MLflow's registry (reference: MLflow 3.17, ``entities/mcp_server.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.icon import clean_icons
from twinlens.domain.lifecycle import Status
from twinlens.domain.semver import precedence

Transport = Literal["streamable-http", "sse"]

LATEST = "latest"  #: the alias that nobody sets: see ``latest``
MAX_TOOLS = 1_000
MAX_NAME = 256
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9]/([a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9])")
_RESERVED = ("aliases", "endpoints", "tags", "versions")


class McpContent(msgspec.Struct, kw_only=True):
    """What a version holds; a list of versions can do without it.

    Attributes:
        server_json: the document as it was sent.
        tools: as the server lists them; None when nobody said.
        connect_options: option -> whether pages hide it.
    """

    server_json: dict[str, Any] = {}
    tools: list[dict[str, Any]] | None = None
    connect_options: dict[str, bool] = {}
    source: str | None = None


class McpVersion(msgspec.Struct, kw_only=True):
    """One version of a server. A deleted one keeps its row, so that its number is never given to something else."""

    name: str
    version: str
    status: Status = "draft"
    content: McpContent = msgspec.field(default_factory=McpContent)
    tags: dict[str, str] = {}
    aliases: list[str] = []
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class McpEndpoint(msgspec.Struct, kw_only=True):
    """An address where a server is reached, for one version or for the one that an alias points to."""

    endpoint_id: str
    server_name: str
    url: str
    transport_type: Transport = "streamable-http"
    server_version: str | None = None
    server_alias: str | None = None
    resolved: McpVersion | None = None  #: the version it serves; not stored
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0


class McpServer(msgspec.Struct, kw_only=True):
    """A server; ``latest`` and ``endpoints`` are read from its versions and addresses, not stored with it."""

    name: str
    display_name: str | None = None
    description: str | None = None
    icons: list[dict[str, Any]] | None = None
    tags: dict[str, str] = {}
    aliases: dict[str, str] = {}
    latest: McpVersion | None = None
    endpoints: list[McpEndpoint] = []
    created_by: str | None = None
    updated_by: str | None = None
    created_ns: int = 0
    updated_ns: int = 0

    @property
    def shown_description(self) -> str | None:
        """Its own text, else that of its latest version."""
        if self.description is not None or self.latest is None:
            return self.description
        return self.latest.content.server_json.get("description")

    @property
    def shown_icons(self) -> list[dict[str, Any]] | None:
        """Its own icons, and for themes that it has none for those of its latest version; each says where it is from."""
        if self.icons == []:
            return []
        own = [icon | {"source": "server"} for icon in self.icons or ()]
        themes = {icon.get("theme") for icon in own}
        theirs = (self.latest.content.server_json.get("icons") if self.latest else None) or ()
        return own + [i | {"source": "version"} for i in theirs if i.get("theme") not in themes] or None


def check_name(name: str) -> str:
    """``name`` if a server may have it.

    Raises:
        InvalidArgument: not ``<reverse-dns namespace>/<slug>``.
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] in _RESERVED or len(name) > MAX_NAME:
        raise InvalidArgument(
            "Invalid MCP server name. Expected '<reverse-dns namespace>/<server slug>' such as 'com.example/server-name'."
        )
    return name


def check_alias(alias: str) -> None:
    """Raise ``InvalidArgument`` unless an alias may have this name."""
    if alias == LATEST:
        raise InvalidArgument(f"The alias name '{LATEST}' is reserved for automatic resolution")
    if not 1 <= len(alias) <= MAX_NAME:
        raise InvalidArgument(f"An alias has 1 to {MAX_NAME} characters")


def check_tag(key: str, value: str) -> None:
    """Raise ``InvalidArgument`` unless this may be a tag."""
    if not 1 <= len(key) <= 250 or len(value) > 5_000:
        raise InvalidArgument("A tag's key has 1 to 250 characters and its value at most 5000")


def check_target(version: str | None, alias: str | None) -> None:
    """Raise ``InvalidArgument`` unless an endpoint names one target."""
    if (version is None) == (alias is None):
        raise InvalidArgument("Exactly one of server_version or server_alias must be provided")


def check_url(url: str) -> str:
    """``url`` if a server may be reached there. It is told to clients and never called from here.

    Raises:
        InvalidArgument: empty or far too long.
    """
    if not url.strip() or len(url) > 2_048:
        raise InvalidArgument(
            f"MCP access endpoint url must have 1 to 2048 characters that are not all spaces: '{url[:100]}'"
        )
    return url


def clean_tools(tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Tools as they are stored: without empty fields.

    Raises:
        InvalidArgument: too many, or an icon that breaks a rule.
    """
    if tools is None:
        return None
    if len(tools) > MAX_TOOLS:
        raise InvalidArgument(f"Invalid tools. It must contain at most {MAX_TOOLS} items.")
    found: list[dict[str, Any]] = []
    for index, tool in enumerate(tools):
        kept = {key: value for key, value in tool.items() if value is not None}
        if "icons" in kept:
            kept["icons"] = clean_icons(kept["icons"], f"tools[{index}].icons")
        found.append(kept)
    return found


def newest(versions: Iterable[McpVersion]) -> McpVersion | None:
    """What ``latest`` means: the highest active version, else the highest that is not deleted."""
    alive = [row for row in versions if row.status != "deleted"]
    return max(alive, key=lambda row: (row.status == "active", *place(row)), default=None)


def place(row: McpVersion) -> tuple[Any, ...]:
    """The order of versions; of two that differ in build metadata only, the later one is higher."""
    return precedence(row.version), row.created_ns, row.version
