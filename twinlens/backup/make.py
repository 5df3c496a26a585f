"""Making a backup of an instance, running or stopped."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from twinlens import __version__
from twinlens.backup import source
from twinlens.backup.manifest import (
    CATALOG,
    FORMAT,
    LISTING,
    MANIFEST,
    SECRET,
    TELEMETRY,
    VERSION,
    File,
    Manifest,
    Told,
    backups,
    copy,
    sha256_of,
)
from twinlens.backup.pool import Entry, Pool, entries, open_store, prune
from twinlens.domain.errors import Conflict, InvalidArgument, StoreUnavailable
from twinlens.settings import Settings

_PARTIAL = ".partial"


class Made(msgspec.Struct, frozen=True):
    """A finished backup."""

    folder: Path
    manifest: Manifest
    new_bytes: int  #: written now, the rest was there
    removed: list[str]  #: names of older backups that went


def make(settings: Settings, place: Path, *, keep: int | None = None, told: Told = lambda *_: None) -> Made:
    """Make a backup in ``place``, which holds other backups of the same instance or nothing.

    Args:
        keep: so many backups stay, this one among them; the oldest go.
        told: hears of the bytes copied.

    Raises:
        InvalidArgument: the place is inside the data folder. Conflict: somebody else makes a backup, or the server went away.
        NotFound: there is no instance. StoreUnavailable: what was written does not read back the same.
    """
    if keep is not None and keep < 1:
        raise InvalidArgument("--keep must be at least 1: this backup itself stays")
    place = place.resolve()
    if place.is_relative_to(settings.data.resolve()):
        raise InvalidArgument(f"{place} lies inside the data folder {settings.data}: choose another place")
    with _only_one(place):
        for rest in place.glob("*" + _PARTIAL):  # of an interrupted backup
            shutil.rmtree(rest)
        try:
            folder, manifest, fresh = _take(settings, place, told)
        except BaseException:
            for rest in place.glob("*" + _PARTIAL):
                shutil.rmtree(rest, ignore_errors=True)
            raise
        removed: list[str] = []
        for old in backups(place)[: -keep if keep else 0]:
            (old / MANIFEST).unlink()  # from here on it is no backup any more
            shutil.rmtree(old)
            removed.append(old.name)
        if removed:
            prune(place)
        return Made(folder, manifest, fresh, removed)


def _take(settings: Settings, place: Path, told: Told) -> tuple[Path, Manifest, int]:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    partial = place / (stamp + _PARTIAL)
    partial.mkdir(mode=0o700)
    data = settings.data.resolve()
    files: list[File] = []
    before = entries(settings.artifact_store, data)
    with source.hold(settings, partial) as held:
        moment = held.moment
        total = sum(file.bytes for file in moment.telemetry)
        done = 0

        def moved(size: int) -> None:
            nonlocal done
            done += size
            told("telemetry", done, total)

        for file in moment.telemetry:
            name = TELEMETRY + Path(file.path).name.removeprefix("telemetry.duckdb")
            with open(file.path, "rb") as there, (partial / name).open("xb") as here:
                files.append(File(name, file.bytes, copy(there, here, file.bytes, moved)))
        held.confirm()
    (partial / CATALOG).chmod(0o600)
    told("catalog", 1, 1)
    secret = data / "secret"
    if settings.secret is None and secret.exists():
        shutil.copyfile(secret, partial / SECRET)
        (partial / SECRET).chmod(0o600)
    pool = Pool(place, open_store(moment.artifact_store, data))
    wanted = _at(moment.time_ns, before, entries(moment.artifact_store, data))
    blobs, blob_bytes = _blobs(pool, wanted, partial / LISTING, told)
    for name in (CATALOG, SECRET, LISTING):
        if (partial / name).exists():
            files.append(File(name, (partial / name).stat().st_size, sha256_of(partial / name)))
    schema = _check(partial, files, told)
    manifest = Manifest(
        format=FORMAT, version=VERSION, twinlens=__version__, time_ns=moment.time_ns,
        catalog_revision=moment.catalog_revision, telemetry_schema=schema, secret=(partial / SECRET).exists(), files=files,
        blobs=blobs, blob_bytes=blob_bytes,
    )  # fmt: skip
    with (partial / MANIFEST).open("wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        out.flush()
        os.fsync(out.fileno())
    folder = place / stamp
    partial.rename(folder)
    sync_folder(place)
    return folder, manifest, pool.written + sum(file.bytes for file in files)


def _at(moment_ns: int, before: dict[str, Entry], after: dict[str, Entry]) -> list[Entry]:
    """What was there at a moment between two listings: not what is new and younger. A file that was replaced since is
    taken as it is now."""
    kept = (e for e in after.values() if e.key in before or e.mtime_ns <= moment_ns)
    return sorted(kept, key=lambda entry: entry.key)


def _blobs(pool: Pool, wanted: list[Entry], path: Path, told: Told) -> tuple[int, int]:
    total, done, count, size = sum(entry.bytes for entry in wanted), 0, 0, 0

    def moved(more: int) -> None:
        nonlocal done
        done += more
        told("artifacts", done, total)

    with path.open("wb") as lines:
        for entry in wanted:
            blob = pool.take(entry, moved)
            if blob is not None:
                lines.write(msgspec.json.encode(blob) + b"\n")
                count += 1
                size += blob.bytes
        lines.flush()
        os.fsync(lines.fileno())
    return count, size


def _check(folder: Path, files: list[File], told: Told) -> int:
    """Read back what was written; the schema of the telemetry."""
    total, done = sum(file.bytes for file in files), 0
    for file in files:
        if sha256_of(folder / file.name) != file.sha256:
            raise StoreUnavailable(f"{folder / file.name} does not read back as it was written: is the disk sound?")
        done += file.bytes
        told("check", done, total)
    if not (folder / TELEMETRY).exists():
        raise StoreUnavailable("the data folder has no telemetry.duckdb: start the server once")
    try:
        with duckdb.connect(str(folder / TELEMETRY), read_only=True) as opened:
            row = opened.execute("SELECT max(value) FROM meta WHERE key = 'schema_version'").fetchone()
            return int(row[0]) if row else 0
    except duckdb.Error as error:
        raise StoreUnavailable(f"the copy of the telemetry store does not open: {error}") from error


@contextmanager
def _only_one(place: Path) -> Generator[None]:
    """Nobody else makes or removes backups here meanwhile."""
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (place / ".lock").open("w")
    except OSError as error:
        raise InvalidArgument(f"backups cannot be kept in {place}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"another `twinlens backup` works in {place}: wait until it is done") from None
        yield


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
