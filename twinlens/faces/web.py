"""Serves the built browser UI from ``twinlens/web``: its pages, its hashed assets, its security headers.

An ASGI wrapper in front of the other faces rather than routes: a page is one set lookup, and everything else passes.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import lru_cache
from pathlib import Path

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

WEB = Path(__file__).resolve().parent.parent / "web"
_PAGES = ("/project/", "/trace/", "/login")
_TEXT = ("text/", "application/javascript", "application/json", "image/svg+xml", "application/manifest+json")
#: Scripts and connections to this server only. Styles are also set inline by the component library.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; "
    "media-src 'self' data: blob: https:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_UNBUILT = b"""<!doctype html><html lang=en><meta charset=utf-8><title>Twinlens</title>
<body style="font:16px system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem">
<h1>Twinlens is running</h1><p>The browser UI has not been built in this checkout: run <code>make ui</code> and reload.
All APIs work.</p>"""


class Web:
    """ASGI wrapper that answers GET and HEAD of UI files and pages and hands on the rest."""

    def __init__(self, app: ASGIApp, folder: Path = WEB) -> None:
        self._app = app
        self._folder = folder
        self._files: dict[str, Path] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == "/" or path.startswith(_PAGES):
            await self._send(scope, send, "/index.html")
        elif path in self._known():
            await self._send(scope, send, path)
        else:
            await self._app(scope, receive, send)

    def _known(self) -> dict[str, Path]:
        if self._files is None or not self._files:
            found = [file for file in self._folder.rglob("*") if file.is_file()] if self._folder.is_dir() else []
            self._files = {"/" + file.relative_to(self._folder).as_posix(): file for file in found}
        return self._files

    async def _send(self, scope: HTTPScope, send: Send, name: str) -> None:
        file = self._known().get(name)
        headers = dict(scope["headers"])
        if file is None:
            body, tag, packed = _UNBUILT, b"", False
        else:
            stat = file.stat()
            packed = b"gzip" in headers.get(b"accept-encoding", b"") and stat.st_size > 500
            body, tag = _load(file, stat.st_mtime_ns, packed and _is_text(file))
            packed = packed and _is_text(file)
        kind = "text/html" if file is None or name == "/index.html" else _type(file)
        answer = [(b"content-type", (kind + ("; charset=utf-8" if kind.startswith("text/") else "")).encode())]
        answer += _PAGE_HEADERS if kind == "text/html" else [(b"x-content-type-options", b"nosniff")]
        # Hashed names never change their content; everything else is asked for again each time.
        fixed = name.startswith("/assets/")
        answer.append((b"cache-control", b"public, max-age=31536000, immutable" if fixed else b"no-cache"))
        answer.append((b"vary", b"accept-encoding"))
        if tag:
            answer.append((b"etag", tag))
        if packed:
            answer.append((b"content-encoding", b"gzip"))
        status = 200
        if tag and headers.get(b"if-none-match") == tag:
            status, body = 304, b""
        else:
            answer.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False}
        )


def _type(file: Path) -> str:
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def _is_text(file: Path) -> bool:
    return _type(file).startswith(_TEXT)


@lru_cache(maxsize=256)
def _load(file: Path, changed_ns: int, packed: bool) -> tuple[bytes, bytes]:
    """Content and entity tag; ``changed_ns`` makes a rebuilt file a new entry."""
    raw = file.read_bytes()
    tag = b'"' + hashlib.blake2b(raw, digest_size=12).hexdigest().encode() + (b'-gz"' if packed else b'"')
    return (gzip.compress(raw, 6) if packed else raw), tag
