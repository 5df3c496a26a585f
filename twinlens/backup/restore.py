"""Putting a backup into a new data folder: everything is checked before the first byte is written, and until the last one is
there the folder carries a mark with which no server starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from twinlens.backup.make import sync_folder
from twinlens.backup.manifest import (
    CATALOG,
    LISTING,
    SECRET,
    Manifest,
    Told,
    copy,
    find,
    listing,
    pool_path,
    read,
    sha256_of,
)
from twinlens.backup.pool import folder_of, open_store, put_back
from twinlens.domain.errors import AlreadyExists, InvalidArgument, StoreUnavailable
from twinlens.settings import Settings
from twinlens.store.blobs.paths import check_key
from twinlens.store.catalog.copy import check_empty, fill
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.schema import HEAD
from twinlens.store.lock import RESTORING, FolderLock
from twinlens.store.telemetry.duckdb.ddl import SCHEMA_VERSION

_OURS = frozenset({"lock", RESTORING})


def check(source: Path, told: Told = lambda *_: None) -> tuple[Path, Manifest]:
    """Read a whole backup; its folder and manifest.

    Raises:
        NotFound: no backup there. InvalidArgument: it is damaged, incomplete, or newer than this program.
    """
    backup = find(source)
    manifest = read(backup)
    if manifest.catalog_revision > HEAD or manifest.telemetry_schema > SCHEMA_VERSION:
        raise InvalidArgument(
            f"{backup} was made by Twinlens {manifest.twinlens}, which is newer: upgrade this one first"
        )
    if manifest.telemetry_schema != SCHEMA_VERSION:
        raise InvalidArgument(
            f"{backup} has telemetry of schema {manifest.telemetry_schema}, this Twinlens needs {SCHEMA_VERSION}: restore it "
            f"with Twinlens {manifest.twinlens} and move with `twinlens export`"
        )
    total, done = sum(file.bytes for file in manifest.files) + manifest.blob_bytes, 0

    def moved(size: int) -> None:
        nonlocal done
        done += size
        told("check", done, total)

    for file in manifest.files:
        _same(backup / file.name, file.bytes, file.sha256, moved)
    count, seen = 0, set[str]()
    for blob in listing(backup):
        check_key(blob.key)
        count += 1
        if blob.sha256 not in seen:
            seen.add(blob.sha256)
            _same(pool_path(backup.parent, blob.sha256), blob.bytes, blob.sha256, moved)
    if count != manifest.blobs:
        raise InvalidArgument(f"{backup / LISTING} lists {count} files, {manifest.blobs} belong to the backup")
    return backup, manifest


def _same(path: Path, size: int, sha256: str, moved: Callable[[int], None]) -> None:
    try:
        if path.is_symlink() or path.stat().st_size != size or sha256_of(path, moved) != sha256:
            raise InvalidArgument(f"the backup is damaged: {path} is not what was written. Nothing has been restored.")
    except OSError as error:
        raise InvalidArgument(f"the backup is damaged: {path}: {error.strerror}. Nothing has been restored.") from error


def restore(source: Path, settings: Settings, *, told: Told = lambda *_: None) -> Manifest:
    """Put a backup (a place: its newest) into the data folder of the settings, which is not there or empty, and into the
    catalog database and artifact store that they name.

    Raises:
        As ``check``. AlreadyExists: something is there already. StoreUnavailable: not enough space.
    """
    data = settings.data.resolve()
    _refuse_what_is_there(data)
    if settings.catalog_url is not None:
        database = Catalog(settings.catalog_url)
        try:
            check_empty(database)
        finally:
            database.close()
    backup, manifest = check(source, told)
    size = sum(file.bytes for file in manifest.files)
    blobs = folder_of(settings.artifact_store, data)
    if blobs == data / "blobs":
        size += manifest.blob_bytes
    elif blobs is not None and blobs.exists() and any(blobs.iterdir()):
        raise AlreadyExists(f"the artifact folder {blobs} is not empty")
    parent = next(p for p in (data, *data.parents) if p.exists())
    if shutil.disk_usage(parent).free < size:
        raise StoreUnavailable(f"{parent} has not enough space: {size:,} bytes are needed")
    lock = FolderLock(data, restoring=True)
    try:
        _write(backup, manifest, data, settings, told)
    finally:
        lock.release()
    return manifest


def _refuse_what_is_there(data: Path) -> None:
    if not data.exists():
        return
    if not data.is_dir():
        raise AlreadyExists(f"{data} is not a folder")
    found = {path.name for path in data.iterdir()}
    if RESTORING not in found and found - {"lock"}:
        raise AlreadyExists(f"{data} is not empty, and a restore overwrites nothing: name another folder with --data")


def _write(backup: Path, manifest: Manifest, data: Path, settings: Settings, told: Told) -> None:
    mark = data / RESTORING
    mark.write_text(f"{backup}\n", "utf-8")
    sync_folder(data)
    for rest in data.iterdir():  # of a restore that was interrupted
        if rest.name not in _OURS:
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    total, done = sum(file.bytes for file in manifest.files) + manifest.blob_bytes, 0

    def moved(size: int) -> None:
        nonlocal done
        done += size
        told("restore", done, total)

    for file in manifest.files:
        if file.name == LISTING or (file.name == SECRET and settings.secret is not None):
            continue
        with (backup / file.name).open("rb") as there, os.fdopen(_new(data / file.name), "wb") as here:
            if copy(there, here, file.bytes, moved) != file.sha256:
                raise InvalidArgument(f"{backup / file.name} changed while it was restored; run the command again")
    store = open_store(settings.artifact_store, data, writable=True)
    for blob in listing(backup):
        put_back(backup.parent, blob, store, moved)
    if settings.catalog_url is not None:
        catalog = Catalog(settings.catalog_url)
        try:
            fill(data / CATALOG, catalog)
        finally:
            catalog.close()
        for rest in data.glob(CATALOG + "*"):
            rest.unlink()
    sync_folder(data)
    mark.unlink()
    sync_folder(data)


def _new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
