"""Artifacts of a run: list, preview, the file itself.

Whatever a run uploaded is somebody's file, not ours: it is served with ``nosniff`` and a sandboxing content policy, types
that a browser would run as ours are downgraded, and pickles are never opened.
"""

from __future__ import annotations

import posixpath
from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import quote

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from twinlens.faces.http import AnyRequest, in_thread, services
from twinlens.faces.native import run_schemas as rs
from twinlens.faces.native.reply import reading, whole_id
from twinlens.features.artifacts import Artifact

PREVIEW_BYTES = 256 * 1024
Kind = Literal["text", "json", "csv", "markdown", "image", "html", "pdf", "binary"]

_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"}
_KINDS: dict[str, Kind] = {
    "application/json": "json", "text/csv": "csv", "text/tab-separated-values": "csv", "text/markdown": "markdown",
    "text/html": "html", "application/xhtml+xml": "html", "application/pdf": "pdf",
}  # fmt: skip
#: Text although the registered type does not say so.
_TEXTS = {
    "application/yaml", "application/x-yaml", "application/toml", "application/xml", "application/jsonl",
    "application/x-sh", "application/javascript", "application/sql", "application/x-ndjson",
}  # fmt: skip
#: No script, no forms, no same origin, nothing from elsewhere, wherever the file is opened.
_POLICY = "sandbox; default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; font-src data:"
#: A framed report may run its own scripts, in an origin of its own that can reach nothing.
_HTML_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)

PathText = Annotated[str, QueryParameter(name="path", description="Path below the run's artifact root.")]


@get("/projects/{project_id:str}/runs/{run_id:str}/artifacts", summary="List artifacts")
async def list_artifacts(
    request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str], path_text: PathText = ""
) -> rs.ArtifactList:
    """Direct children of a folder; folders first."""
    allowed, uri = await _root(request, project_id, run_id)
    found = await services(request).artifacts.list_at(allowed, uri, path_text)
    entries = [
        rs.ArtifactRow(path=info.path, name=posixpath.basename(info.path), is_dir=info.is_dir, size=info.size)
        for info in found
    ]
    return rs.ArtifactList(path=path_text, entries=sorted(entries, key=lambda e: (not e.is_dir, e.name)))


@get("/projects/{project_id:str}/runs/{run_id:str}/artifacts/preview", summary="Preview an artifact")
async def preview_artifact(
    request: AnyRequest, project_id: FromPath[str], run_id: FromPath[str], path_text: PathText
) -> rs.ArtifactPreview:
    """The first 256 KiB of text, or where to show the file from."""
    allowed, uri = await _root(request, project_id, run_id)
    artifact = await services(request).artifacts.open_at(allowed, uri, path_text)
    kind = kind_of(artifact.media_type)
    base = f"/api/twinlens/v1/projects/{quote(allowed, safe='')}/runs/{quote(run_id, safe='')}/artifacts/file"
    preview = rs.ArtifactPreview(
        path=path_text,
        kind=kind,
        size=artifact.size,
        content_type=artifact.media_type,
        url=f"{base}?path={quote(path_text, safe='')}",
    )
    if kind in ("text", "json", "csv", "markdown"):
        start = await _start(artifact)
        try:
            preview.text = start.decode("utf-8", "strict" if len(start) == artifact.size else "ignore")
        except UnicodeDecodeError:
            preview.kind = "binary"
        else:
            preview.truncated = artifact.size > len(start)
            if "\x00" in preview.text:
                preview.kind, preview.text, preview.truncated = "binary", None, False
    return preview


@get(
    "/projects/{project_id:str}/runs/{run_id:str}/artifacts/file",
    summary="An artifact's bytes",
    media_type="application/octet-stream",
)
async def artifact_file(
    request: AnyRequest,
    project_id: FromPath[str],
    run_id: FromPath[str],
    path_text: PathText,
    download: Annotated[bool, QueryParameter(description="Offer it as a download instead of showing it.")] = False,
) -> Stream:
    """Streams; safe to open in a browser whatever it holds."""
    allowed, uri = await _root(request, project_id, run_id)
    artifact = await services(request).artifacts.open_at(allowed, uri, path_text)
    kind = kind_of(artifact.media_type)
    shown = artifact.media_type if kind in ("image", "html", "pdf") else "application/octet-stream"
    if kind in ("text", "json", "csv", "markdown"):
        shown = "text/plain; charset=utf-8"
    inline = kind != "binary" and not download
    name = quote(artifact.name, safe="")
    headers = {
        "Content-Length": str(artifact.size),
        "Content-Type": shown,  # as a header: the handler's own media type, for the document, would win otherwise
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{name}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _HTML_POLICY if kind == "html" else _POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }
    return Stream(artifact.read(), media_type=shown, headers=headers)


def kind_of(media_type: str) -> Kind:
    """How an artifact of this type is shown."""
    if media_type in _KINDS:
        return _KINDS[media_type]
    if media_type in _IMAGES:
        return "image"
    return "text" if media_type.startswith("text/") or media_type in _TEXTS else "binary"


async def _root(request: AnyRequest, project_id: str, run_id: str) -> tuple[str, str]:
    allowed = await reading(request, whole_id(project_id))
    run = await in_thread(services(request).runs.get, allowed, run_id)
    return allowed, run.artifact_uri


async def _start(artifact: Artifact) -> bytes:
    parts: list[bytes] = []
    size = 0
    chunks: AsyncIterator[bytes] = artifact.read(0, min(artifact.size, PREVIEW_BYTES))
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= PREVIEW_BYTES:
            break
    return b"".join(parts)[:PREVIEW_BYTES]


HANDLERS = [list_artifacts, preview_artifact, artifact_file]
