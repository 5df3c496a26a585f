"""Reads the multipart body with which MLflow's client sends a skill: what it is about, and an archive, which goes to a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any, BinaryIO, cast

from twinlens.domain.errors import TooLarge
from twinlens.domain.skill import MAX_BYTES
from twinlens.faces.mlflow.errors import invalid

MIB = 1024 * 1024
#: Content that does not shrink becomes a little larger in an archive.
MAX_ARCHIVE = MAX_BYTES + MIB
MAX_METADATA = MIB
_MAX_BODY = MAX_ARCHIVE + 2 * MIB
_IN_MEMORY = MIB  #: bytes of an archive that need no file


async def read_upload(content_type: str, length: str | None, stream: AsyncIterator[bytes]) -> tuple[bytes, BinaryIO]:
    """The two parts: ``metadata``, and ``content`` as an open temporary file, which the caller closes.

    Args:
        content_type: the header, with its boundary.
        length: the header ``Content-Length``.

    Raises:
        MlflowError: not these two parts.
        TooLarge: a part is larger than any that is taken.
    """
    too_large = TooLarge(f"The multipart request body exceeds the maximum allowed size of {_MAX_BODY} bytes.")
    if length is not None and length.isdecimal() and int(length) > _MAX_BODY:
        raise too_large
    # two packages have this name, and type checkers see the other; imported here, as a start need not wait for it
    multipart: Any = import_module("multipart")
    boundary = multipart.parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        raise invalid("The multipart request names no boundary.")
    archive = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
    try:
        metadata = await _read(multipart, boundary, stream, archive, too_large)
        archive.seek(0)
    except BaseException:
        archive.close()
        raise
    return metadata, archive


async def _read(
    multipart: Any, boundary: str, stream: AsyncIterator[bytes], archive: BinaryIO, too_large: TooLarge
) -> bytes:
    metadata = bytearray()
    seen: list[str] = []
    size = 0
    try:
        with multipart.PushMultipartParser(boundary, max_segment_size=MAX_ARCHIVE, max_segment_count=2) as parser:
            async for chunk in stream:
                size += len(chunk)
                if size > _MAX_BODY:
                    raise too_large
                for event in parser.parse(chunk):
                    if isinstance(event, multipart.MultipartSegment):
                        seen.append(event.name)
                    elif event and seen[-1] == "metadata":
                        metadata += event
                    elif event:
                        archive.write(event)
                if len(metadata) > MAX_METADATA:
                    raise TooLarge(
                        f"The registration metadata exceeds the maximum allowed size of {MAX_METADATA} bytes."
                    )
    except multipart.ParserLimitReached as error:
        raise TooLarge(f"The multipart request is larger than what is taken: {error}") from None
    except multipart.MultipartError as error:
        raise invalid(f"The multipart request cannot be read: {error}") from None
    if sorted(seen) != ["content", "metadata"]:
        raise invalid("Multipart registration requires exactly one 'metadata' part and one 'content' part.")
    return bytes(metadata)
