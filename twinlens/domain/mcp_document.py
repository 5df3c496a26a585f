"""``server.json``: how a registered MCP server describes itself (reference: MLflow 3.17, ``server/mcp_server_api.py``)."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from twinlens.domain.errors import InvalidArgument


class Icon(msgspec.Struct):
    """An icon, or whatever an icon may hold besides."""

    src: str
    sizes: list[str] | None = None
    mimeType: str | None = None
    theme: str | None = None


class _Variable(msgspec.Struct):
    name: str
    description: str | None = None
    isRequired: bool | None = None
    isSecret: bool | None = None


class _Package(msgspec.Struct):
    registryType: str
    identifier: str
    transport: Any
    registryBaseUrl: str | None = None
    version: str | None = None
    environmentVariables: list[_Variable] | None = None


class _Remote(msgspec.Struct):
    type: str | None = None
    url: str | None = None


class _Repository(msgspec.Struct):
    url: str
    source: str
    id: str | None = None
    subfolder: str | None = None


class _ServerJson(msgspec.Struct):
    """What of a ``server.json`` has to have its type; the rest is kept as it is."""

    name: str
    version: str
    title: str | None = None
    description: str | None = None
    icons: list[Icon] | None = None
    packages: list[_Package] | None = None
    remotes: list[_Remote] | None = None
    repository: _Repository | None = None
    websiteUrl: str | None = None
    meta: dict[str, Any] | None = msgspec.field(default=None, name="_meta")


def server_document(sent: dict[str, Any]) -> dict[str, Any]:
    """A ``server.json``, taken out of the envelope in which registries hand it out.

    Raises:
        InvalidArgument: a field that is needed is missing, or one has the wrong type.
    """
    inner = sent.get("server")
    if not {"name", "version"} <= sent.keys() and isinstance(inner, dict):
        sent = cast("dict[str, Any]", inner)
    try:
        msgspec.convert(sent, type=_ServerJson)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"Invalid request: server_json: {error}") from None
    return sent
