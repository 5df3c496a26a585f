"""``/media``: announce, upload to this origin, report, read."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from twinlens.domain.clock import iso_ms
from twinlens.domain.errors import PermissionDenied
from twinlens.domain.ids import canonical_trace_id
from twinlens.domain.media import Media, MediaLink
from twinlens.faces.http import in_thread
from twinlens.faces.langfuse.wire import Call, Reply, Result, RouteTable, iso, time_of

routes = RouteTable()

#: Shown in the page; anything else is a download, so that an uploaded page cannot run as ours.
_INLINE = re.compile(r"(image/(?!svg)|audio/|video/|application/pdf|text/plain)")
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'",
    "Cache-Control": "private, max-age=3600",
    "Accept-Ranges": "bytes",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class Announce(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``POST /media``."""

    content_type: str
    content_length: int
    sha256_hash: str = msgspec.field(name="sha256Hash")
    field: str
    trace_id: str | None = None
    observation_id: str | None = None
    dataset_id: str | None = None
    dataset_item_id: str | None = None


def content_url(call: Call, media_id: str, action: Any) -> tuple[str, str]:
    """Signed address of the bytes on this server, and its end as ISO time."""
    signed = call.services.media.sign(call.project_id, media_id, action)
    return f"{call.url}/api/public/media/{media_id}/content?{signed.query}", iso_ms(signed.expires_ns)


def media_row(call: Call, row: Media) -> dict[str, Any]:
    """A file as clients read it."""
    url, expiry = content_url(call, row.media_id, "get")
    return {
        "mediaId": row.media_id,
        "contentType": row.content_type,
        "contentLength": row.content_length,
        "url": url,
        "urlExpiry": expiry,
        "uploadedAt": iso(row.uploaded_ns),
    }


@routes.on("POST", "/media", scope="ingest")
async def announce(call: Call) -> Result:
    """Where to send the bytes; ``uploadUrl`` is null when they are here already."""
    body = await call.json(Announce)
    link = MediaLink(
        field=body.field, trace_id=canonical_trace_id(body.trace_id) if body.trace_id else None,
        observation_id=body.observation_id, dataset_id=body.dataset_id, dataset_item_id=body.dataset_item_id,
    )  # fmt: skip
    row = await in_thread(
        call.services.media.announce, call.project_id, body.sha256_hash, body.content_type, body.content_length, link
    )
    url = None if row.uploaded_ns is not None else content_url(call, row.media_id, "put")[0]
    return Reply({"mediaId": row.media_id, "uploadUrl": url}, 201)


class Uploaded(msgspec.Struct, rename="camel", kw_only=True):
    """Body of ``PATCH /media/{id}``."""

    uploaded_at: str
    upload_http_status: int
    upload_http_error: str | None = None
    upload_time_ms: int | None = None


@routes.on("PATCH", "/media/{id}", scope="ingest")
async def report(call: Call) -> Result:
    """What became of the upload, as the client saw it."""
    body = await call.json(Uploaded)
    time_of(body.uploaded_at, "uploadedAt")
    await in_thread(
        call.services.media.report, call.project_id, call.path["id"], body.upload_http_status, body.upload_http_error,
        body.upload_time_ms,
    )  # fmt: skip
    return Reply(status=204)


@routes.on("GET", "/media/{id}", scope="read")
async def get(call: Call) -> Result:
    """The record with a signed address of the bytes."""
    return media_row(call, await in_thread(call.services.media.get, call.project_id, call.path["id"]))


class Signed(msgspec.Struct, rename="camel", kw_only=True):
    """What ``MediaLibrary.sign`` put into the address."""

    project: str = ""
    expires: int = 0
    signature: str = ""


def _signed(call: Call, action: Any) -> str:
    query = call.query(Signed)
    if not query.signature:
        raise PermissionDenied("This media address is not signed")
    call.services.media.check(query.project, call.path["id"], action, query.expires, query.signature)
    return query.project


@routes.on("PUT", "/media/{id}/content", scope=None, public=True)
async def upload(call: Call) -> Result:
    """Take the bytes. The address is the permission."""
    project = _signed(call, "put")
    await call.services.media.store(project, call.path["id"], call.chunks(), in_thread)
    return Reply(status=200)


@routes.on("GET", "/media/{id}/content", scope=None, public=True)
async def download(call: Call) -> Result:
    """The bytes, or a range of them (players seek). The address is the permission."""
    project = _signed(call, "get")
    row = await in_thread(call.services.media.get, project, call.path["id"])
    headers = {**_SAFE, "Content-Disposition": "inline" if _INLINE.match(row.content_type) else "attachment"}
    size, status, start, end = row.content_length, 200, 0, row.content_length
    match = _RANGE.match(call.request.headers.get("range", ""))
    if match and (match[1] or match[2]):
        start = int(match[1]) if match[1] else max(0, size - int(match[2]))
        end = min(size, int(match[2]) + 1) if match[1] and match[2] else size
        if start >= end:
            return Reply(status=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    stream = call.services.media.read(project, row.media_id, start, end)
    return Reply(None, status, headers, row.content_type, stream)
