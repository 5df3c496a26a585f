"""Blobs in a folder of the local file system.

Every access walks down from the root by descriptor with ``O_NOFOLLOW``, so a symbolic link inside the root (a client
that writes to a shared root itself could make one) can neither be followed nor raced. Writes go to ``.tmp`` under the
root, are synced and renamed; the folder that received the name is synced too.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from twinlens.domain.errors import InvalidArgument, NotFound, StoreUnavailable
from twinlens.store.blobs.interface import BlobInfo
from twinlens.store.blobs.paths import TEMP, basename, check_key, check_prefix, join

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 1 << 20  #: bytes per read, and how much is gathered before a write leaves the event loop
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}
_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="twinlens-blobs")


class FolderBlobStore:
    """See ``interface`` for the contract.

    A file and a folder cannot share a name here: writing one where the other is raises ``InvalidArgument``.

    Args:
        root: the folder. Created, with what lies below it, when ``writable``.
        writable: False for roots that others write (direct ``file:`` artifact roots): only reads are served.
    """

    def __init__(self, root: Path, *, writable: bool = True) -> None:
        self.root = root.resolve()
        self._writable = writable
        if writable:
            self.root.mkdir(parents=True, exist_ok=True)
            # One process owns the folder, so what lies here is from a process that died while writing.
            shutil.rmtree(self.root / TEMP, ignore_errors=True)
            (self.root / TEMP).mkdir()

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Store the stream; number of bytes."""
        parts = check_key(key).split("/")
        self._check_writable()
        await in_blob_thread(self._check_place, parts)
        temp = self.root / TEMP / uuid.uuid4().hex
        size = 0
        handle = await in_blob_thread(_create, temp)
        try:
            buffer: list[bytes] = []
            held = 0
            async for chunk in chunks:
                buffer.append(chunk)
                held += len(chunk)
                if held >= CHUNK:
                    await in_blob_thread(_write_all, handle, buffer)
                    size += held
                    buffer, held = [], 0
            await in_blob_thread(_finish, handle, buffer)
            size += held
            await in_blob_thread(self._place, temp, parts)
        finally:
            await in_blob_thread(_discard, handle, temp)
        return size

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``, in chunks."""
        handle = await in_blob_thread(self._open_file, check_key(key).split("/"))
        try:
            position = start
            while end is None or position < end:
                wanted = CHUNK if end is None else min(CHUNK, end - position)
                chunk = await in_blob_thread(os.pread, handle, wanted, position)
                if not chunk:
                    break
                position += len(chunk)
                yield chunk
        finally:
            os.close(handle)

    async def info(self, key: str) -> BlobInfo | None:
        """The entry, or None."""
        return await in_blob_thread(self._info, check_key(key))

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Direct children of a folder."""
        return await in_blob_thread(self._list, check_prefix(prefix))

    async def delete(self, key: str) -> int:
        """Remove an object or a whole folder; number of objects removed."""
        key = check_key(key)
        self._check_writable()
        return await in_blob_thread(self._delete, key.split("/"))

    async def sign(self, method: Literal["GET", "PUT"], key: str, seconds: int) -> None:
        """A folder has no addresses."""
        del method, key, seconds

    @property
    def temp(self) -> Path:
        """Where unfinished writes are. Emptied when the store is opened."""
        return self.root / TEMP

    # --- blocking halves ---------------------------------------------------------------------------------------------

    def _check_writable(self) -> None:
        if not self._writable:
            raise InvalidArgument("this artifact root is written by its clients, not by the server")

    @contextmanager
    def _folder(self, parts: list[str], *, create: bool = False) -> Generator[int]:
        """Descriptor of the folder ``parts`` below the root. OSError when it is not there or not a real folder."""
        handle = os.open(self.root, _DIR)
        try:
            for part in parts:
                try:
                    below = os.open(part, _DIR, dir_fd=handle)
                except FileNotFoundError:
                    if not create:
                        raise
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=handle)
                        os.fsync(handle)
                    below = os.open(part, _DIR, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _open_file(self, parts: list[str]) -> int:
        key = "/".join(parts)
        with _absent_is(NotFound(f"No such artifact: '{key}'")), self._folder(parts[:-1]) as folder:
            handle = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotFound(f"No such artifact: '{key}' is not a file")
        return handle

    def _info(self, key: str) -> BlobInfo | None:
        parts = key.split("/")
        try:
            with _errors(), self._folder(parts[:-1]) as folder:
                found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    with self._folder(parts) as inner:
                        holds = _holds_objects(inner)
                    return BlobInfo(path=key, is_dir=True) if holds else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        return BlobInfo(path=key, is_dir=False, size=found.st_size) if stat.S_ISREG(found.st_mode) else None

    def _list(self, prefix: str) -> list[BlobInfo]:
        found: list[BlobInfo] = []
        try:
            with _errors(), self._folder(prefix.split("/") if prefix else []) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    if not prefix and entry.name == TEMP:
                        continue
                    path = join(prefix, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        found.append(BlobInfo(path=path, is_dir=True))
                    elif entry.is_file(follow_symlinks=False):
                        size = entry.stat(follow_symlinks=False).st_size
                        found.append(BlobInfo(path=path, is_dir=False, size=size))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda info: basename(info.path))

    def _check_place(self, parts: list[str]) -> None:
        """Refuse a name collision before the first byte is read from the network."""
        for depth in range(1, len(parts) + 1):
            try:
                with _errors(), self._folder(parts[: depth - 1]) as folder:
                    mode = os.stat(parts[depth - 1], dir_fd=folder, follow_symlinks=False).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return
            last = depth == len(parts)
            if stat.S_ISDIR(mode) if last else not stat.S_ISDIR(mode):
                raise _collision(parts)
            if last and not stat.S_ISREG(mode):
                raise _collision(parts)

    def _place(self, temp: Path, parts: list[str]) -> None:
        for attempt in range(5):
            try:
                with _errors(), self._folder(parts[:-1], create=True) as folder:
                    os.rename(temp, parts[-1], dst_dir_fd=folder)
                    os.fsync(folder)
                return
            except (NotADirectoryError, IsADirectoryError):
                raise _collision(parts) from None
            except FileNotFoundError:
                # A concurrent delete took away a parent that had become empty: make it again.
                if attempt == 4:
                    raise StoreUnavailable(
                        f"'{'/'.join(parts)}' cannot be written: its folder keeps vanishing"
                    ) from None

    def _delete(self, parts: list[str]) -> int:
        grave = self.root / TEMP / uuid.uuid4().hex
        try:
            with _errors(), self._folder(parts[:-1]) as folder:
                os.rename(parts[-1], grave, src_dir_fd=folder)  # vanishes whole, whatever its size
                os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError):
            return 0
        if grave.is_dir() and not grave.is_symlink():
            count = sum(len(files) for _, _, files in os.walk(grave))
            shutil.rmtree(grave, ignore_errors=True)
        else:
            grave.unlink(missing_ok=True)
            count = 1
        self._prune(parts[:-1])
        return count

    def _prune(self, parts: list[str]) -> None:
        """Remove folders that have become empty, so that folders exist only while they hold objects."""
        while parts:
            try:
                with self._folder(parts[:-1]) as folder:
                    os.rmdir(parts[-1], dir_fd=folder)
            except OSError:
                return
            parts = parts[:-1]


async def in_blob_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call on a file off the event loop, with the file system's errors translated."""

    def call() -> T:
        with _errors():
            return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_POOL, call)


@contextmanager
def _errors() -> Generator[None]:
    """Translate what the file system says; absence and collisions pass through for the caller to judge."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, "symbolic link") from error
        if error.errno in _FULL:
            raise StoreUnavailable(f"the artifact folder cannot be used now: {error.strerror}") from error
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgument("Invalid path: a name in it is too long") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise StoreUnavailable(f"the server may not use the artifact folder: {error.strerror}") from error
        raise


@contextmanager
def _absent_is(problem: NotFound) -> Generator[None]:
    try:
        with _errors():
            yield
    except (FileNotFoundError, NotADirectoryError):
        raise problem from None


def _collision(parts: list[str]) -> InvalidArgument:
    return InvalidArgument(f"Invalid path: '{'/'.join(parts)}' is, or lies below, something of another type")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)


def _write_all(handle: int, buffer: list[bytes]) -> None:
    data = memoryview(b"".join(buffer))
    while data:
        data = data[os.write(handle, data) :]


def _finish(handle: int, buffer: list[bytes]) -> None:
    _write_all(handle, buffer)
    os.fsync(handle)


def _discard(handle: int, temp: Path) -> None:
    os.close(handle)
    temp.unlink(missing_ok=True)  # gone already when it was renamed


def _holds_objects(folder: int) -> bool:
    with os.scandir(folder) as entries:
        return any(True for _ in entries)
