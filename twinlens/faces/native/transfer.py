"""Bulk reads and writes for archives and migrations. Described in ``docs/archive.md``, not in the OpenAPI document: its
bodies are the records of ``twinlens.domain.record``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from twinlens.domain.errors import InvalidArgument
from twinlens.domain.record import AnyRecord, ArtifactRecord
from twinlens.faces.http import AnyRequest, check_nesting, chunks, in_thread, read_body, services
from twinlens.faces.native.reply import Cursor, Limit, reader, reading, whole_id, writer, writing
from twinlens.features.record_reader import Scope

_JSON = "application/json"
_BYTES = "application/octet-stream"
_RECORD = msgspec.json.Decoder(AnyRecord)
PathText = Annotated[str, QueryParameter(name="path")]


class Files(msgspec.Struct, kw_only=True):
    """Files of a run or logged model; ``stay``: they lie where this server does not read."""

    files: list[ArtifactRecord]
    stay: bool = False


@get("/projects/{project_id:str}/records/{kind:str}", include_in_schema=False)
async def read_records(
    request: AnyRequest, project_id: FromPath[str], kind: FromPath[str], cursor: Cursor = None, limit: Limit = 100,
    experiment_id: str | None = None, trace_id: str | None = None,
) -> Response[bytes]:  # fmt: skip
    """A page of records of one kind; kind ``spans`` pages through the spans of one long trace."""
    who = await reader(request, whole_id(project_id))
    transfer = services(request).transfer
    if kind == "spans":
        page = await in_thread(transfer.spans, who.project_id, trace_id or "", cursor=cursor, limit=limit)
    else:
        scope = Scope(
            project_id=who.project_id, experiment_id=experiment_id, trace_id=trace_id, administers=who.administers
        )  # fmt: skip
        page = await in_thread(transfer.read, scope, kind, cursor=cursor, limit=limit)
    return Response(await in_thread(msgspec.json.encode, page), media_type=_JSON)


@get("/projects/{project_id:str}/records/{kind:str}/count", include_in_schema=False)
async def count_records(request: AnyRequest, project_id: FromPath[str], kind: FromPath[str]) -> Response[bytes]:
    """How many traces, scores or metrics of runs there are."""
    allowed = await reading(request, whole_id(project_id))
    count = await in_thread(services(request).transfer.count, allowed, kind)
    return Response(msgspec.json.encode({"count": count}), media_type=_JSON)


@post("/projects/{project_id:str}/records", status_code=200, include_in_schema=False)
async def write_records(request: AnyRequest, project_id: FromPath[str], derive: bool = False) -> Response[bytes]:
    """Store records, one JSON object per line."""
    who = await writer(request, whole_id(project_id))
    body = await read_body(request)
    records = await in_thread(_decode, body, services(request).settings.max_nesting)
    write = services(request).transfer.write
    written = await in_thread(write, who.project_id, records, derive=derive, administers=who.administers)
    return Response(msgspec.json.encode(written), media_type=_JSON)


def _decode(body: bytes, nesting: int) -> list[AnyRecord]:
    check_nesting(body, nesting + 10)
    records: list[AnyRecord] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                records.append(_RECORD.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InvalidArgument(f"line {number} is not a record: {error}") from error
    return records


@get("/projects/{project_id:str}/files/{owner:str}/{owner_id:str}", include_in_schema=False)
async def list_files(
    request: AnyRequest, project_id: FromPath[str], owner: FromPath[str], owner_id: FromPath[str]
) -> Response[bytes]:
    """All files of a run or logged model."""
    allowed = await reading(request, whole_id(project_id))
    transfer = services(request).transfer
    uri = await in_thread(transfer.root, allowed, owner, whole_id(owner_id))
    found = await transfer.files(allowed, owner, whole_id(owner_id), uri)
    return Response(msgspec.json.encode(Files(files=found or [], stay=found is None)), media_type=_JSON)


@get("/projects/{project_id:str}/files/{owner:str}/{owner_id:str}/content", include_in_schema=False)
async def read_file(
    request: AnyRequest, project_id: FromPath[str], owner: FromPath[str], owner_id: FromPath[str], path_text: PathText
) -> Stream:
    """The bytes of one file."""
    allowed = await reading(request, whole_id(project_id))
    transfer = services(request).transfer
    uri = await in_thread(transfer.root, allowed, owner, whole_id(owner_id))
    artifact = await transfer.open(allowed, uri, path_text)
    return Stream(artifact.read(), media_type=_BYTES, headers={"Content-Length": str(artifact.size)})


@put("/projects/{project_id:str}/files/{owner:str}/{owner_id:str}/content", include_in_schema=False)
async def write_file(
    request: AnyRequest, project_id: FromPath[str], owner: FromPath[str], owner_id: FromPath[str], path_text: PathText
) -> dict[str, int]:
    """Store the bytes of one file."""
    allowed = await writing(request, whole_id(project_id))
    transfer = services(request).transfer
    uri = await in_thread(transfer.root, allowed, owner, whole_id(owner_id))
    return {"size": await transfer.store(allowed, uri, path_text, chunks(request))}


@get("/projects/{project_id:str}/media/{media_id:str}/content", include_in_schema=False)
async def read_media(request: AnyRequest, project_id: FromPath[str], media_id: FromPath[str]) -> Stream:
    """The bytes of a media file."""
    allowed = await reading(request, whole_id(project_id))
    library = services(request).media
    row = await in_thread(library.get, allowed, media_id)
    headers = {"Content-Length": str(row.content_length)}
    return Stream(library.read(allowed, media_id), media_type=_BYTES, headers=headers)


@put("/projects/{project_id:str}/media/{media_id:str}/content", include_in_schema=False)
async def write_media(request: AnyRequest, project_id: FromPath[str], media_id: FromPath[str]) -> dict[str, str]:
    """Store the bytes of a media file whose record is there; refused unless length and hash are those of the record."""
    allowed = await writing(request, whole_id(project_id))
    await services(request).media.store(allowed, media_id, chunks(request), in_thread)
    return {"media_id": media_id}


HANDLERS = [read_records, count_records, write_records, list_files, read_file, write_file, read_media, write_media]
