"""Keeps web pages away from an open server, and lets browsers in to a secured one.

Open mode has no login, so two browser attacks must fail: DNS rebinding (a foreign name that resolves to 127.0.0.1; the
``Host`` header gives it away) and cross-origin requests (``Origin`` and ``Sec-Fetch-Site`` give them away). Following a
link to the server is allowed, because that reads nothing. In secured mode credentials protect the data, and the Langfuse
API answers every origin, as browser SDKs need (cookies are never accepted there from another origin).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from twinlens.settings import Settings, is_loopback

_CORS_PATHS = ("/api/public/", "/v1/")
_PREFLIGHT = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization, content-type"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]


class Guard:
    """ASGI wrapper around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, *, secured: bool) -> None:
        self._app = app
        self._secured = secured
        self._hosts = frozenset(h.lower() for h in settings.allowed_hosts)
        self._origins = frozenset(o.rstrip("/").lower() for o in settings.allowed_origins)
        if settings.base_url:
            self._hosts |= {(urlsplit(settings.base_url).hostname or "").lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _pick(scope, (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"cookie"))
        origin = headers.get(b"origin")
        if self._secured:
            foreign = origin is not None and not self._own(origin, headers.get(b"host", ""))
            if not foreign:
                await self._app(scope, receive, send)
            elif not scope["path"].startswith(_CORS_PATHS):
                await _refuse(send, f"The origin {origin} may not call this server.")
            elif scope["method"] == "OPTIONS":
                await send({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                scope["headers"] = [(k, v) for k, v in scope["headers"] if k != b"cookie"]
                await self._app(scope, receive, _with_cors(send))
            return
        reason = self._refusal(scope, headers)
        if reason:
            await _refuse(send, reason)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: HTTPScope, headers: dict[bytes, str]) -> str | None:
        host = headers.get(b"host", "")
        name = _hostname(host)
        if not (is_loopback(name) or name in self._hosts):
            return (
                f"Twinlens runs in open mode and answers to localhost only, not to {name!r}. "
                "Add the name to allowed_hosts (TWINLENS_ALLOWED_HOSTS), or add a user to switch to secured mode."
            )
        origin = headers.get(b"origin")
        if origin is not None:
            if self._own(origin, host):
                return None
            return (
                f"Twinlens runs in open mode and does not answer web pages of {origin}. "
                "Add the origin to allowed_origins (TWINLENS_ALLOWED_ORIGINS) if you trust it."
            )
        if headers.get(b"sec-fetch-site") in ("cross-site", "same-site") and not (
            headers.get(b"sec-fetch-mode") == "navigate" and scope["method"] in ("GET", "HEAD")
        ):
            return "Twinlens runs in open mode and does not answer other web pages."
        return None

    def _own(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin.lower())
        return (parts.netloc == host.lower() and parts.scheme in ("http", "https")) or origin.lower() in self._origins


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _pick(scope: HTTPScope, names: Iterable[bytes]) -> dict[bytes, str]:
    wanted = frozenset(names)
    return {name: value.decode("latin-1") for name, value in scope["headers"] if name in wanted}


def _with_cors(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [pair for pair in message["headers"] if pair[0].lower() != b"access-control-allow-origin"]
            message["headers"] = [*others, (b"access-control-allow-origin", b"*")]
        await send(message)

    return wrapped


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"error_code": "PERMISSION_DENIED", "message": reason, "error": "ForbiddenError"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
