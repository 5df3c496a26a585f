"""Media files: announced by a client, uploaded to this server's own origin, checked, linked, read.

A client announces a file with its hash and gets a signed address to send the bytes to; equal bytes are stored once per project.
No other storage has to be reachable for that (the most frequent complaint about media in self-hosted Langfuse). Addresses
are signed with the instance's key and expire, so they work in ``<img>`` and in clients that send no credentials with them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, NotFound, PermissionDenied
from twinlens.domain.media import FIELDS, Media, MediaLink, check_content, media_id_of
from twinlens.features.secrets import Hasher
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.media import MediaTable

#: How long an address stays valid.
EXPIRY_S = 3_600
Action = Literal["get", "put"]


class SignedPath(msgspec.Struct, frozen=True):
    """Query string of an address and when it ends."""

    query: str
    expires_ns: int


class MediaLibrary:
    """Records in the catalog, bytes in the blob store. Methods without ``async`` block."""

    def __init__(self, catalog: Catalog, blobs: BlobStore, hasher: Hasher, clock: Clock = now_ns) -> None:
        self._table = MediaTable(catalog)
        self._blobs = blobs
        self._hasher = hasher
        self._clock = clock

    def announce(self, project_id: str, sha256: str, content_type: str, content_length: int, link: MediaLink) -> Media:
        """Register a file and where it is used. Its bytes are there already if ``uploaded_ns`` is set.

        Raises:
            InvalidArgument: bad hash, type, size, field, or no place of use.
        """
        check_content(content_type, content_length)
        if link.field not in FIELDS:
            raise InvalidArgument(f"field must be one of {', '.join(sorted(FIELDS))}")
        if link.trace_id is None and link.dataset_id is None:
            raise InvalidArgument("Provide traceId (with or without observationId), or datasetId")
        row = Media(
            media_id=media_id_of(sha256), sha256=sha256, content_type=content_type.lower(),
            content_length=content_length, created_ns=self._clock(),
        )  # fmt: skip
        return self._table.announce(project_id, row, link)

    def report(self, project_id: str, media_id: str, status: int, error: str | None, time_ms: int | None) -> None:
        """What the client says about its upload. Whether the bytes are there is known better here.

        Raises:
            NotFound: no such file.
        """
        changed = self._table.set(
            project_id, media_id, upload_http_status=status, upload_http_error=error or None, upload_time_ms=time_ms
        )
        if not changed:
            raise NotFound(f"Media asset {media_id} not found in project")

    def get(self, project_id: str, media_id: str) -> Media:
        """One uploaded file.

        Raises:
            NotFound: no such file, or its bytes have not arrived.
        """
        found = self._table.get(project_id, [media_id]).get(media_id)
        if found is None or found.uploaded_ns is None:
            raise NotFound(f"Media asset {media_id} not found or not uploaded in project")
        return found

    def many(self, project_id: str, media_ids: Sequence[str]) -> dict[str, Media]:
        """Uploaded files by id; others are left out."""
        found = self._table.get(project_id, media_ids)
        return {media_id: row for media_id, row in found.items() if row.uploaded_ns is not None}

    def of_trace(self, project_id: str, trace_id: str) -> list[tuple[Media, MediaLink]]:
        """Files a trace uses, with where."""
        return self._table.of_trace(project_id, trace_id)

    # --- addresses ---------------------------------------------------------------------------------------------
    def sign(self, project_id: str, media_id: str, action: Action) -> SignedPath:
        """The query string that lets its bearer read or send the bytes for an hour."""
        expires = self._clock() // 1_000_000_000 + EXPIRY_S
        signature = self._signature(project_id, media_id, action, expires)
        query = urlencode({"project": project_id, "expires": expires, "signature": signature}, quote_via=quote)
        return SignedPath(query, expires * 1_000_000_000)

    def check(self, project_id: str, media_id: str, action: Action, expires: int, signature: str) -> None:
        """Raise ``PermissionDenied`` unless ``sign`` made this for the same action and it has not expired."""
        wanted = self._signature(project_id, media_id, action, expires)
        if not hmac.compare_digest(wanted.encode(), signature.encode()):
            raise PermissionDenied("This media address is not signed for this")
        if expires * 1_000_000_000 <= self._clock():
            raise PermissionDenied("This media address has expired, ask for a new one")

    def _signature(self, project_id: str, media_id: str, action: str, expires: int) -> str:
        said = msgspec.json.encode(["media", action, project_id, media_id, expires])
        return self._hasher.hash(said.decode())[:43]

    # --- bytes -------------------------------------------------------------------------------------------------
    async def store(self, project_id: str, media_id: str, chunks: AsyncIterable[bytes], in_thread: Any) -> None:
        """Take the bytes of an announced file; kept only if length and hash are the announced ones.

        Args:
            in_thread: runs a blocking call off the event loop.

        Raises:
            NotFound: never announced.
            InvalidArgument: other bytes than announced.
        """
        row = (await in_thread(self._table.get, project_id, [media_id])).get(media_id)
        if row is None:
            raise NotFound(f"Media asset {media_id} not found in project")
        await self._blobs.write(_key(project_id, media_id), _checked(row, chunks))
        await in_thread(self._table.set, project_id, media_id, uploaded_ns=self._clock())

    def read(self, project_id: str, media_id: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``."""
        return self._blobs.read(_key(project_id, media_id), start, end)


def media_folder(project_id: str) -> str:
    """The folder of the blob store that holds a project's media."""
    return f"media/p-{quote(project_id, safe='')}"


def _key(project_id: str, media_id: str) -> str:
    return f"{media_folder(project_id)}/{media_id[:2]}/{media_id}"


async def _checked(row: Media, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The chunks; raises at the end (or as soon as there are too many), so that nothing is kept of a wrong file."""
    digest = hashlib.sha256()
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > row.content_length:
            break
        digest.update(chunk)
        yield chunk
    if size != row.content_length:
        raise InvalidArgument(f"the file does not have the announced length of {row.content_length} bytes")
    if base64.b64encode(digest.digest()).decode() != row.sha256:
        raise InvalidArgument("the file does not have the announced SHA-256 hash")
