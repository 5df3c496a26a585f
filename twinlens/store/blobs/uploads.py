"""Uploads in parts: what every engine that takes them has in common, and the folder's way."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound, TooLarge
from twinlens.store.blobs.folder import CHUNK, FolderBlobStore, in_blob_thread
from twinlens.store.blobs.interface import BlobStore

ABANDONED_S = 24 * 3_600  #: after so long without a new part an unfinished upload is removed
MAX_PARTS = 10_000  #: S3's limit
_ID = re.compile(r"[0-9a-f]{32}\Z")
_ETAG = re.compile(r"[0-9a-f]{32}\Z")


class Part(msgspec.Struct, frozen=True):
    """A part that has arrived: its number from 1, and what the store said of its content."""

    number: int
    etag: str


class Uploads(Protocol):
    """Uploads in parts. Nothing of an upload shows before ``finish``, and nothing is left of it after ``abort``.

    ``part_url`` says where a part goes; None: parts come through this server, to ``write_part``.
    """

    async def begin(self, key: str) -> str:
        """Start; the store's id of the upload."""
        ...

    def part_url(self, key: str, upload_id: str, number: int, seconds: int) -> str | None:
        """The address that takes one part by PUT, signed for so long."""
        ...

    async def write_part(self, upload_id: str, number: int, chunks: AsyncIterable[bytes]) -> str:
        """Store one part; its etag. Sent again it replaces the one before.

        Raises:
            NotFound: no such upload.
        """
        ...

    async def finish(self, key: str, upload_id: str, parts: Sequence[Part], most: int | None = None) -> None:
        """Put the parts together under the key.

        Args:
            most: bytes of the whole; not looked at by stores that take the parts themselves.

        Raises:
            TooLarge: more than ``most``.
            NotFound: no such upload.
            InvalidArgument: a part that never arrived, or not as it is named.
        """
        ...

    async def abort(self, key: str, upload_id: str) -> None:
        """Remove all parts. Nothing happens when there is no such upload."""
        ...


async def uploads_of(store: BlobStore) -> Uploads | None:
    """How a store takes uploads in parts; None when it does not."""
    if isinstance(store, FolderBlobStore):
        return FolderUploads(store)
    from twinlens.store.blobs.object import ObjectBlobStore
    from twinlens.store.blobs.s3_uploads import s3_uploads

    return await s3_uploads(store) if isinstance(store, ObjectBlobStore) else None


class FolderUploads:
    """Parts are files below the store's folder for unfinished writes, so a restart removes what was not finished."""

    def __init__(self, store: FolderBlobStore) -> None:
        self._store = store

    async def begin(self, key: str) -> str:
        """Start; also removes what was abandoned."""
        upload_id = uuid.uuid4().hex
        await in_blob_thread(self._begin, upload_id)
        return upload_id

    def _begin(self, upload_id: str) -> None:
        for old in self._store.temp.glob("parts-*"):
            if time.time() - old.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(old, ignore_errors=True)
        self._folder(upload_id).mkdir()

    def part_url(self, key: str, upload_id: str, number: int, seconds: int) -> None:
        """Parts come through the server."""
        del key, upload_id, number, seconds

    async def write_part(self, upload_id: str, number: int, chunks: AsyncIterable[bytes]) -> str:
        """Store one part under its number and etag."""
        folder = self._folder(upload_id)
        if not await in_blob_thread(folder.is_dir):
            raise NotFound("No such upload: it was finished, aborted or given up")
        temp = folder / uuid.uuid4().hex
        digest = hashlib.blake2b(digest_size=16)
        try:
            with temp.open("xb", buffering=0) as file:
                async for piece in _gathered(chunks):
                    await in_blob_thread(_write, file.fileno(), digest, piece)
            etag = digest.hexdigest()
            await in_blob_thread(temp.rename, folder / f"{number}.{etag}")
        finally:
            temp.unlink(missing_ok=True)
        return etag

    async def finish(self, key: str, upload_id: str, parts: Sequence[Part], most: int | None = None) -> None:
        """Write the parts one after another as one object."""
        folder = self._folder(upload_id)
        files = [folder / f"{part.number}.{part.etag.strip(chr(34))}" for part in parts]
        if not await in_blob_thread(folder.is_dir):
            raise NotFound("No such upload: it was finished, aborted or given up")
        for part, file in zip(parts, files, strict=True):
            if not _ETAG.match(part.etag.strip('"')) or not await in_blob_thread(file.is_file):
                raise InvalidArgument(f"Part {part.number} has not arrived with the etag '{part.etag[:100]}'")
        if most is not None and sum([file.stat().st_size for file in files]) > most:
            raise TooLarge(f"the artifact is larger than {most} bytes, the largest that is taken here")
        await self._store.write(key, _contents(files))
        await self.abort(key, upload_id)

    async def abort(self, key: str, upload_id: str) -> None:
        """Remove the folder of the parts."""
        await in_blob_thread(shutil.rmtree, self._folder(upload_id), ignore_errors=True)

    def _folder(self, upload_id: str) -> Path:
        if not _ID.match(upload_id):
            raise NotFound("No such upload")
        return self._store.temp / f"parts-{upload_id}"


async def _gathered(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Pieces of about a megabyte, so that few calls leave the event loop."""
    buffer: list[bytes] = []
    held = 0
    async for chunk in chunks:
        buffer.append(chunk)
        held += len(chunk)
        if held >= CHUNK:
            yield b"".join(buffer)
            buffer, held = [], 0
    yield b"".join(buffer)


def _write(handle: int, digest: hashlib.blake2b, piece: bytes) -> None:
    digest.update(piece)
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


async def _contents(files: Sequence[Path]) -> AsyncIterator[bytes]:
    for path in files:
        with path.open("rb", buffering=0) as file:
            while chunk := await in_blob_thread(file.read, CHUNK):
                yield chunk
