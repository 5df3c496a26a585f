"""Streams an artifact over HTTP: ranges, a safe file name, nothing a browser would run."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING
from urllib.parse import quote

from twinlens.features.artifacts import Artifact

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


def download(artifact: Artifact, range_header: str | None = None, *, attachment: bool = True) -> ASGIApp:
    """An ASGI response that streams ``artifact`` with constant memory.

    Args:
        range_header: the request's ``Range``; one range is served (206, or 416 when it lies outside), several are not (200).
        attachment: False lets a browser show it; scripts in it still do not run (sandbox).
    """
    start, end, status = 0, artifact.size, 200
    if range_header:
        wanted = _wanted(range_header.strip(), artifact.size)
        if wanted is not None:
            start, end = wanted
            status = 206 if start < end else 416
    place = "attachment" if attachment else "inline"
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", artifact.media_type.encode()),
        (b"content-disposition", _disposition(place, artifact.name)),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"),
        (b"accept-ranges", b"bytes"),
    ]
    if status == 416:
        start = end = 0
        headers.append((b"content-range", f"bytes */{artifact.size}".encode()))
    elif status == 206:
        headers.append((b"content-range", f"bytes {start}-{end - 1}/{artifact.size}".encode()))
    headers.append((b"content-length", str(end - start).encode()))

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if start < end:
            async with aclosing(artifact.read(start, end)) as chunks:  # pyright: ignore[reportArgumentType]
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app


def _wanted(header: str, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a single range; equal when it cannot be satisfied; None when it is not understood."""
    match = _RANGE.match(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    start = int(first)
    if last and int(last) < start:
        return None
    return (start, min(size, int(last) + 1) if last else size) if start < size else (size, size)


def _disposition(place: str, name: str) -> bytes:
    """A Content-Disposition that old clients read too: the name in ASCII first, then exactly (RFC 6266)."""
    plain = re.sub(r'[^\x20-\x7e]|["\\]', "_", name)
    return f"{place}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()
