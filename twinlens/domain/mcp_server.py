"""Registered MCP servers: versions made from ``server.json`` documents, movable aliases, tags, and the addresses that serve them.

Names, states and their changes follow MLflow's registry (reference: MLflow 3.17, ``entities/mcp_server.py``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.semver import precedence

Status = Literal["draft", "active", "deprecated", "deleted"]
Transport = Literal["streamable-http", "sse"]

LATEST = "latest"  #: the alias that nobody sets: see ``latest``
MAX_ICONS = 100
MAX_TOOLS = 1_000
MAX_NAME = 256
_NEXT: dict[Status, tuple[Status, ...]] = {
    "draft": ("active", "deleted"), "active": ("deprecated", "draft"), "deprecated": ("active", "deleted"), "deleted": (),
}  # fmt: skip
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


def check_first_status(status: Status) -> None:
    """Raise ``InvalidArgument`` unless a version may begin with this status."""
    if status not in ("draft", "active"):
        raise InvalidArgument("Initial MCP server registration status must be 'draft' or 'active'.")


def check_step(current: Status, new: Status) -> None:
    """Raise ``InvalidArgument`` unless a version may go from one status to the other."""
    if new not in _NEXT[current]:
        allowed = sorted(_NEXT[current])
        raise InvalidArgument(f"Invalid status transition from '{current}' to '{new}'. Allowed transitions: {allowed}")


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


def clean_icons(icons: Sequence[Mapping[str, Any]] | None, where: str = "icons") -> list[dict[str, Any]] | None:
    """Icons as they are stored: without what only answers hold.

    Args:
        where: names the list in messages.

    Raises:
        InvalidArgument: too many, no public HTTPS address, no image, or an icon that was resolved from a version.
    """
    if icons is None:
        return None
    if len(icons) > MAX_ICONS:
        raise InvalidArgument(f"Invalid {where}. It must contain at most {MAX_ICONS} items.")
    found: list[dict[str, Any]] = []
    for index, icon in enumerate(icons):
        if icon.get("source") == "version":
            raise InvalidArgument(
                f"Invalid {where}[{index}].source: 'version' is response-only. Omit it, or send 'server' for an icon of the server."
            )
        src, kind = icon.get("src"), icon.get("mimeType")
        if not isinstance(src, str) or not _is_public_https(src):
            raise InvalidArgument(f"Invalid {where}[{index}].src: it must be a public https address.")
        kept = {key: value for key, value in icon.items() if key != "source"}
        if kind is not None:
            kept["mimeType"] = kind.strip().lower() if isinstance(kind, str) else ""
            if not kept["mimeType"].removeprefix("image/") or not kept["mimeType"].startswith("image/"):
                raise InvalidArgument(
                    f"Invalid icon mimeType {kind!r}. Allowed values must use the 'image/*' media type."
                )
        found.append(kept)
    return found


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


def _is_public_https(url: str) -> bool:
    """Whether a browser would load this from the internet. Names are not looked up: the server never calls them."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme != "https" or not host or len(url) > 2_048 or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True
