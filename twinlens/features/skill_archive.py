"""Reads the archives in which MLflow's clients send skills: a gzip-compressed tar of a folder, from somebody who may be hostile.

What an archive can cost is bounded before it is spent. It is read once, front to back, and never unpacked to a disk; of each
entry the header comes first, so its size is known, and counted, before its bytes are inflated; what is no content (headers, long
names, padding) may take ``_SLACK`` bytes an entry. So neither a bomb, nor a sparse file, nor a megabyte of names gets far.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import BinaryIO

from twinlens.domain import skill as rules
from twinlens.domain.errors import InvalidArgument

_SLACK = 64 * 1024  #: bytes between contents; a block that is read ahead is 10 KiB
_BLOCK = 512
#: What ``tarfile`` raises for bytes that are no archive.
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError, OverflowError)
_NOT_KEPT = frozenset("%?#")  # MLflow's client cannot ask for such names


class _Bounded:
    """A stream that ends in an error when more is read than was allowed."""

    def __init__(self, inner: gzip.GzipFile) -> None:
        self._inner = inner
        self._used = 0
        self._allowed = _SLACK

    def allow(self, size: int) -> None:
        """So many bytes of content come next."""
        self._allowed = self._used + -(-size // _BLOCK) * _BLOCK + _SLACK

    def read(self, size: int = -1) -> bytes:
        """At most one byte beyond what is allowed is ever inflated."""
        most = self._allowed - self._used + 1
        found = self._inner.read(most if size < 0 else min(size, most))
        self._used += len(found)
        if self._used > self._allowed:
            raise InvalidArgument("The uploaded skill content holds too much that is not content.")
        return found


def read_archive(archive: BinaryIO) -> dict[str, bytes]:
    """The files of an archive by path. At most ``domain.skill.MAX_BYTES`` of content are held.

    Raises:
        InvalidArgument: no archive, or one that breaks a rule; the message says which.
    """
    stream = _Bounded(gzip.GzipFile(fileobj=archive, mode="rb"))
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:  # pyright: ignore[reportArgumentType, reportCallIssue]
            _read(tar, stream, found)
        while stream.read(_SLACK):  # to the end, so that gzip's checksum is compared
            pass
    except _BROKEN as error:
        raise InvalidArgument(f"The uploaded skill content is not a readable gzip-compressed tar: {error}") from None
    if not found:
        raise InvalidArgument("The uploaded skill content contains no files.")
    rules.check_tree(list(found))
    return found


def _read(tar: tarfile.TarFile, stream: _Bounded, found: dict[str, bytes]) -> None:
    total = entries = 0
    for member in tar:
        entries += 1
        if entries > rules.MAX_FILES:
            raise InvalidArgument(f"The uploaded skill content has more than {rules.MAX_FILES} entries.")
        name = member.name.removeprefix("./")
        shown = name[:100].encode("utf-8", "backslashreplace").decode()
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise InvalidArgument(f"'{shown}' is neither a plain file nor a folder; links and devices are not kept.")
        if member.isdir():
            if name not in ("", "."):
                rules.check_path(name)
            stream.allow(0)
            continue
        path = rules.check_path(name)
        if not _NOT_KEPT.isdisjoint(path):
            raise InvalidArgument(f"'{shown}' could not be downloaded again: names must not contain '%', '?' or '#'.")
        total += max(member.size, 0)
        if member.size < 0 or total > rules.MAX_BYTES:
            raise InvalidArgument(f"The uploaded skill content exceeds the size limit of {rules.MAX_BYTES} bytes.")
        if path in found:
            raise InvalidArgument(f"'{shown}' appears more than once.")
        stream.allow(member.size)
        content = tar.extractfile(member)
        found[path] = content.read() if content is not None else b""
        if len(found[path]) != member.size:
            raise InvalidArgument(f"'{shown}' is cut off.")
