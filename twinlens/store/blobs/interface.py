"""The blob store: artifacts and media, as bytes under a path.

Contract (every engine; ``tests/conformance/test_blobs.py``):

* Keys are relative POSIX paths without ``.``/``..``/empty segments, NUL or backslash; anything else is
  ``InvalidArgument`` before the engine sees it. Nothing outside the root can be named, linked to, or listed.
* ``write`` streams: memory stays constant whatever the size. The object appears whole or not at all (temporary name, then
  rename); after it returns it survives ``kill -9``. Writing an existing key replaces it.
* ``read`` streams from ``start``; ``NotFound`` if absent.
* ``list`` returns direct children only, sorted by name.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Literal, Protocol

import msgspec


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a listing. ``size`` is in bytes, None for folders."""

    path: str
    is_dir: bool
    size: int | None = None


class BlobSource(Protocol):
    """What bytes are read from."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of ``[start, end)``, in chunks.

        Raises (at the first step): NotFound.
        """
        ...

    async def sign(self, method: Literal["GET", "PUT"], key: str, seconds: int) -> str | None:
        """An address at which whoever holds it may read or write the object for so long, without this server.

        None: the store has no addresses.
        """
        ...


class BlobStore(BlobSource, Protocol):
    """See the module's text for the contract."""

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Store the stream; number of bytes."""
        ...

    async def info(self, key: str) -> BlobInfo | None:
        """The entry, or None. A prefix that holds objects is a folder."""
        ...

    async def list(self, prefix: str) -> list[BlobInfo]:
        """Direct children of a folder; empty when there are none or it is a file. Paths are full keys."""
        ...

    async def delete(self, key: str) -> int:
        """Remove an object or a whole folder; number of objects removed (0 when absent)."""
        ...
