"""Artifacts and media: reading them from where the instance keeps them, and the pool that holds each content once."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from twinlens.backup.manifest import CHUNK, POOL, Blob, backups, listing, pool_path
from twinlens.domain.errors import NotFound
from twinlens.store.blobs.folder import FolderBlobStore
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.blobs.paths import TEMP


class Entry(msgspec.Struct, frozen=True):
    """A blob that is there. ``mtime_ns`` 0: unknown."""

    key: str
    bytes: int
    mtime_ns: int


def open_store(place: str | None, data: Path, *, writable: bool = False) -> BlobStore:
    """The blob store of an instance. Not ``writable`` leaves a running server's unfinished files alone."""
    folder = folder_of(place, data)
    if folder is not None:
        return FolderBlobStore(folder, writable=writable)
    from twinlens.store.blobs.object import open_object_store

    return open_object_store(place or "")


def folder_of(place: str | None, data: Path) -> Path | None:
    """The folder of a blob store; None for an object store."""
    if place is None:
        return data / "blobs"
    if "://" not in place or place.startswith("file:"):
        return Path(place.removeprefix("file://").removeprefix("file:")).resolve()
    return None


def entries(place: str | None, data: Path) -> dict[str, Entry]:
    """All blobs that are there."""
    folder = folder_of(place, data)
    found = _walk(folder, folder) if folder is not None else _list(open_store(place, data))
    return {entry.key: entry for entry in found}


def _walk(folder: Path, root: Path) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as inside:
            for item in inside:
                if item.is_dir(follow_symlinks=False):
                    if item.name != TEMP or folder != root:
                        yield from _walk(Path(item.path), root)
                elif item.is_file(follow_symlinks=False):
                    stat = item.stat(follow_symlinks=False)
                    yield Entry(str(Path(item.path).relative_to(root)), stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError:  # deleted meanwhile
        return


def _list(store: BlobStore) -> list[Entry]:
    async def collect() -> list[Entry]:
        found: list[Entry] = []
        folders = [""]
        while folders:
            for info in await store.list(folders.pop()):
                if info.is_dir:
                    folders.append(info.path)
                else:
                    found.append(Entry(info.path, info.size or 0, 0))
        return found

    return asyncio.run(collect())


class Pool:
    """The pool of one backup place."""

    def __init__(self, place: Path, store: BlobStore) -> None:
        self._place = place
        self._store = store
        self.written = 0  #: bytes that were new
        found = backups(place)
        #: What the last backup knows: a blob whose size and time are the same has the same content.
        self._known = {blob.key: blob for blob in listing(found[-1])} if found else {}

    def take(self, entry: Entry, told: Callable[[int], None]) -> Blob | None:
        """Make sure that the pool holds a blob; None when it was deleted meanwhile."""
        known = self._known.get(entry.key)
        if (
            known is not None and entry.mtime_ns and (known.bytes, known.mtime_ns) == (entry.bytes, entry.mtime_ns)
            and _is_there(pool_path(self._place, known.sha256), known.bytes)
        ):  # fmt: skip
            told(entry.bytes)
            return known
        part = self._place / POOL / f"part.{os.getpid()}"
        part.parent.mkdir(exist_ok=True, mode=0o700)
        try:
            size, digest = asyncio.run(self._fetch(entry.key, part, told))
        except NotFound:
            part.unlink(missing_ok=True)
            return None
        there = pool_path(self._place, digest)
        if _is_there(there, size):
            part.unlink()
        else:
            there.parent.mkdir(exist_ok=True, mode=0o700)
            part.replace(there)
            self.written += size
        return Blob(entry.key, size, digest, entry.mtime_ns if size == entry.bytes else 0)

    async def _fetch(self, key: str, part: Path, told: Callable[[int], None]) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with part.open("wb") as file:
            async for chunk in self._store.read(key):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                told(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        return size, digest.hexdigest()


def _is_there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def prune(place: Path) -> int:
    """Remove contents that no backup names; number of bytes. Nobody else may be making a backup there."""
    wanted = {blob.sha256 for backup in backups(place) for blob in listing(backup)}
    freed = 0
    for file in list((place / POOL).glob("*/*")) + list((place / POOL).glob("part.*")):
        if file.name not in wanted:
            freed += file.stat().st_size
            file.unlink()
    return freed


def put_back(place: Path, blob: Blob, store: BlobStore, told: Callable[[int], None]) -> None:
    """Write a blob of the pool into a store."""

    async def chunks() -> AsyncIterator[bytes]:
        with pool_path(place, blob.sha256).open("rb") as file:
            while chunk := file.read(CHUNK):
                told(len(chunk))
                yield chunk

    asyncio.run(store.write(blob.key, chunks()))
