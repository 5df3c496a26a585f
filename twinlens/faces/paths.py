"""Ids are free strings, so they may hold slashes. Servers decode a path before it is routed, which would tear such an id
apart; here a path of the native API is decoded segment by segment and an encoded slash stays ``%2F``."""

from __future__ import annotations

from urllib.parse import unquote

from litestar.types import ASGIApp, Receive, Scope, Send


class KeepSlashes:
    """ASGI wrapper; touches only paths below ``prefix`` that hold an encoded slash."""

    def __init__(self, app: ASGIApp, prefix: bytes) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite ``scope["path"]`` where needed."""
        if scope["type"] == "http":
            raw = scope.get("raw_path") or b""
            if raw.startswith(self._prefix) and (b"%2F" in raw or b"%2f" in raw):
                segments = raw.partition(b"?")[0].decode("latin-1").split("/")
                scope["path"] = "/".join(unquote(segment).replace("/", "%2F") for segment in segments)
        await self._app(scope, receive, send)
