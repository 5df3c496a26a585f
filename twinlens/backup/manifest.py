"""What a backup says of itself, and finding backups in their place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound

FORMAT = "twinlens-backup"
VERSION = 1
MANIFEST = "manifest.json"
POOL = "blobs"  #: of the place, shared by all backups in it
LISTING = "blobs.jsonl"
SECRET = "secret"  # noqa: S105 - the name of a file
CATALOG = "catalog.db"
TELEMETRY = "telemetry.duckdb"
CHUNK = 1 << 20
#: Names that a backup may hold besides the manifest; anything else is refused.
NAMES = frozenset(
    {CATALOG, SECRET, LISTING, TELEMETRY, *(TELEMETRY + end for end in (".wal", ".journal", ".journal2"))}
)
_NAME = re.compile(r"\d{8}T\d{6}(\.\d+)?Z")
_HEX = re.compile(r"[0-9a-f]{64}")

#: Told while bytes move: what, done, of how many.
Told = Callable[[str, int, int], None]


class File(msgspec.Struct, frozen=True):
    """One file of a backup's folder."""

    name: str
    bytes: int
    sha256: str


class Blob(msgspec.Struct, frozen=True):
    """One artifact or media file: its key in the blob store and its content. ``mtime_ns`` 0: the store keeps none."""

    key: str
    bytes: int
    sha256: str
    mtime_ns: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json``, written last."""

    format: str
    version: int
    twinlens: str  #: version of the program that made it
    time_ns: int  #: everything acknowledged before is in it
    catalog_revision: str
    telemetry_schema: int
    secret: bool  #: whether the instance's key is in it; else it was a setting
    files: list[File]
    blobs: int
    blob_bytes: int


def backups(place: Path) -> list[Path]:
    """Complete backups of a place, oldest first."""
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if _NAME.fullmatch(p.name) and (p / MANIFEST).is_file())


def find(source: Path) -> Path:
    """The backup that a path names: one itself, or the newest of a place.

    Raises:
        NotFound: there is none.
    """
    if (source / MANIFEST).is_file():
        return source
    found = backups(source)
    if not found:
        raise NotFound(f"{source} holds no backup: name a folder that `twinlens backup` has written")
    return found[-1]


def read(backup: Path) -> Manifest:
    """A backup's manifest.

    Raises:
        InvalidArgument: it is damaged, of a newer format, or names what a backup does not hold.
    """
    try:
        found = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidArgument(f"{backup / MANIFEST} is damaged: {error}") from error
    if found.format != FORMAT or found.version > VERSION:
        raise InvalidArgument(
            f"{backup} has format {found.format} {found.version}, made by Twinlens {found.twinlens}; "
            f"this Twinlens reads {FORMAT} up to {VERSION}: upgrade it"
        )
    names = [file.name for file in found.files]
    if not set(names) <= NAMES or len(set(names)) != len(names) or not {CATALOG, LISTING} <= set(names):
        raise InvalidArgument(f"{backup / MANIFEST} does not describe a backup")
    return found


def listing(backup: Path) -> Iterable[Blob]:
    """The blobs of a backup, one at a time.

    Raises:
        InvalidArgument: a line is damaged.
    """
    decoder = msgspec.json.Decoder(Blob)
    with (backup / LISTING).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                blob = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise InvalidArgument(f"{backup / LISTING}, line {number}: {error}") from error
            if not _HEX.fullmatch(blob.sha256):
                raise InvalidArgument(f"{backup / LISTING}, line {number}: not a SHA-256")
            yield blob


def pool_path(place: Path, sha256: str) -> Path:
    """Where the pool keeps a content."""
    return place / POOL / sha256[:2] / sha256


def sha256_of(path: Path, told: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, hex. ``told`` hears of every chunk's size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if told is not None:
                told(len(chunk))
    return digest.hexdigest()


def copy(source: BinaryIO, target: BinaryIO, size: int | None = None, told: Callable[[int], None] | None = None) -> str:
    """Copy ``size`` bytes (all without), synced to disk at the end; their SHA-256 in hex.

    Raises:
        InvalidArgument: the source ends before.
    """
    import os

    digest, left = hashlib.sha256(), size
    while left is None or left > 0:
        chunk = source.read(CHUNK if left is None else min(CHUNK, left))
        if not chunk:
            if left:
                raise InvalidArgument("a file became shorter while it was copied")
            break
        target.write(chunk)
        digest.update(chunk)
        left = None if left is None else left - len(chunk)
        if told is not None:
            told(len(chunk))
    target.flush()
    os.fsync(target.fileno())
    return digest.hexdigest()
