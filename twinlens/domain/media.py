"""Media: images, audio and documents that traces and dataset items refer to by token instead of carrying them inline."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from twinlens.domain.errors import InvalidArgument

#: Largest file (Langfuse's default for self-hosting).
MAX_BYTES = 1_000_000_000
FIELDS = frozenset({"input", "output", "metadata", "expectedOutput"})
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+\-]*/[a-z0-9][a-z0-9!#$&^_.+\-]*\Z")
_REFERENCE = re.compile(r"@@@langfuseMedia:type=([^|@]+)\|id=([A-Za-z0-9_\-]+)\|source=([^|@]+)@@@")


class Media(msgspec.Struct, kw_only=True):
    """One file. ``uploaded_ns`` is None until its bytes have arrived and been checked."""

    media_id: str
    sha256: str  #: base64
    content_type: str
    content_length: int
    created_ns: int = 0
    uploaded_ns: int | None = None
    upload_http_status: int | None = None
    upload_http_error: str | None = None
    upload_time_ms: int | None = None


class MediaLink(msgspec.Struct, kw_only=True, frozen=True):
    """Where a file is used."""

    field: str
    trace_id: str | None = None
    observation_id: str | None = None
    dataset_id: str | None = None
    dataset_item_id: str | None = None


class MediaReference(msgspec.Struct, frozen=True):
    """A token found inside a value."""

    text: str
    media_id: str


def media_id_of(sha256: str) -> str:
    """The id of a file: the first 22 characters of its SHA-256 in base64url. Clients compute the same and compare.

    Raises:
        InvalidArgument: not the base64 of 32 bytes.
    """
    try:
        digest = base64.b64decode(sha256, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise InvalidArgument("sha256Hash must be the base64 of a SHA-256 hash (44 characters)")
    return base64.urlsafe_b64encode(digest).decode()[:22]


def check_content(content_type: str, content_length: int) -> None:
    """Raise ``InvalidArgument`` for a malformed type or a size outside 1 … ``MAX_BYTES``."""
    if not _TYPE.match(content_type.lower()):
        raise InvalidArgument(f"contentType '{content_type}' is not a media type")
    if not 1 <= content_length <= MAX_BYTES:
        raise InvalidArgument(f"contentLength must be 1 to {MAX_BYTES} bytes")


def references(text: str) -> list[MediaReference]:
    """Media tokens in a text, in order."""
    return [MediaReference(match[0], match[2]) for match in _REFERENCE.finditer(text)]
