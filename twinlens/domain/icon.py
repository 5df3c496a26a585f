"""Icons of things in MLflow's newer registries: plain addresses of images that browsers load."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from twinlens.domain.errors import InvalidArgument

MAX_ICONS = 100


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
