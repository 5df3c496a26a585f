"""Reads an archive. Everything is checked before the first record is given out: names, sizes, hashes, every record.

An archive comes from a stranger until proven otherwise: only plain files with names of the format, no links, no more bytes
than the manifest says, no file that unpacks to many times its size.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    MetricsRecord,
    Point,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
    point_value,
)
from twinlens.migrate.archive_format import COLUMNS, MANIFEST, Manifest, check_name, read_manifest
from twinlens.migrate.errors import ArchiveError
from twinlens.migrate.system import Content, Page

MAX_MANIFEST = 256 << 20
MAX_LINE = 64 << 20
#: A row group is read whole, so it must not unpack to more than this.
MAX_GROUP = 1 << 30
#: How many times its own size a packed archive may unpack to, once that is more than ``FREE``.
MAX_RATIO, FREE = 200, 64 << 20
_ROWS = 200
_RECORD = msgspec.json.Decoder(AnyRecord)


class ArchiveReader:
    """An opened and checked archive. Use as a context manager: a packed one is unpacked into a temporary folder.

    Raises:
        ArchiveError: damaged, too new, or not to be trusted.
    """

    def __init__(self, path: Path, *, scratch: Path | None = None) -> None:
        self._temp: Path | None = None
        if not path.exists():
            raise ArchiveError(f"{path} does not exist")
        try:
            if path.is_dir():
                self.folder = path
            else:
                self._temp = self.folder = Path(tempfile.mkdtemp(prefix="twinlens-import-", dir=scratch))
                _unpack(path, self.folder)
            self.manifest = self._manifest()
            self._check_files()
            for project in self.projects():
                for kind in project.kinds:
                    for _ in project.read(kind):
                        pass
        except BaseException:
            self.close()
            raise

    def _manifest(self) -> Manifest:
        file = self.folder / MANIFEST
        _check_plain(file, MANIFEST)
        if file.stat().st_size > MAX_MANIFEST:
            raise ArchiveError(f"{MANIFEST} is larger than {MAX_MANIFEST} bytes")
        return read_manifest(file.read_bytes())

    def _check_files(self) -> None:
        seen: set[str] = set()
        for entry in self.manifest.files:
            if entry.path in seen:
                raise ArchiveError(f"{MANIFEST} lists {entry.path} twice")
            seen.add(entry.path)
            file = self.folder / entry.path
            for parent in file.relative_to(self.folder).parents:
                if (self.folder / parent).is_symlink():
                    raise ArchiveError(f"{parent} is a link")
            _check_plain(file, entry.path)
            if file.stat().st_size != entry.bytes:
                raise ArchiveError(f"{entry.path} has {file.stat().st_size} bytes, {MANIFEST} says {entry.bytes}")
            with file.open("rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != entry.sha256:
                    raise ArchiveError(f"{entry.path} is damaged: its SHA-256 is not the one in {MANIFEST}")

    def projects(self) -> list[ProjectReader]:
        """All projects, as sources."""
        return [
            ProjectReader(self.folder, self.manifest, f"projects/{int(entry.folder)}")
            for entry in self.manifest.projects
            if entry.folder.isdecimal()
        ]

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ProjectReader:
    """One project of a checked archive; see ``Source``."""

    def __init__(self, folder: Path, manifest: Manifest, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._files = {entry.path: entry for entry in manifest.files}
        there = {path.removeprefix(prefix + "/").split(".")[0] for path in self._files if path.startswith(prefix + "/")}
        if "metric" in there:
            there.add("metrics")
        self.kinds = tuple(kind for kind in KINDS if kind in there)

    def count(self, kind: str) -> int | None:
        """As the manifest says."""
        name = "metric" if kind == "metrics" else kind
        for suffix in ("jsonl", "parquet"):
            entry = self._files.get(f"{self._prefix}/{name}.{suffix}")
            if entry is not None:
                return entry.records
        return 0

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """See ``Source.read``. Positions are numbers of rows or lines."""
        if kind == "trace":
            yield from self._traces(after or 0)
        elif kind == "score":
            for first, rows in self._rows("score", after or 0):
                records: list[AnyRecord] = [ScoreRecord(score=score) for score in rows]
                yield Page(records, first + len(rows))
        elif kind == "metrics":
            yield from self._metrics(after or 0)
        else:
            yield from self._lines(kind, after or 0)

    def _traces(self, done: int) -> Iterator[Page]:
        """Traces first, then their spans; a position counts both."""
        traces = self._files.get(f"{self._prefix}/trace.parquet")
        total = traces.records if traces else 0
        for first, rows in self._rows("trace", min(done, total)):
            records: list[AnyRecord] = [TraceRecord(trace=trace) for trace in rows]
            yield Page(records, first + len(rows))
        for first, rows in self._rows("span", max(0, done - total)):
            records = [
                SpansRecord(trace_id=trace_id, first=0, spans=list(group))
                for trace_id, group in groupby(rows, lambda span: span.trace_id)
            ]
            yield Page(records, total + first + len(rows))

    def _metrics(self, done: int) -> Iterator[Page]:
        for first, rows in self._rows("metric", done, 5_000):
            records: list[AnyRecord] = []
            for (run_id, name), group in groupby(rows, lambda row: (row.run_id, row.name)):
                points = [
                    Point(point_value(r.value), r.timestamp_ms, r.step, r.model_id, r.dataset_name, r.dataset_digest)
                    for r in group
                ]
                records.append(MetricsRecord(run_id=run_id, name=name, points=points))
            yield Page(records, first + len(rows))

    def _rows(self, name: str, skip: int, size: int = _ROWS) -> Iterator[tuple[int, list[Any]]]:
        path = f"{self._prefix}/{name}.parquet"
        if path not in self._files:
            return
        columns = COLUMNS[name]
        try:
            with pq.ParquetFile(self._folder / path) as file:
                _check_groups(path, file)
                known = [field.name for field in columns.schema if field.name in file.schema_arrow.names]
                first = 0
                for batch in file.iter_batches(size, columns=known):
                    if first + batch.num_rows > skip:
                        rows = [columns.value(row) for row in batch.to_pylist()]
                        yield first, rows
                    first += batch.num_rows
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ArchiveError(f"{path} is damaged: {error}") from error

    def _lines(self, kind: str, skip: int) -> Iterator[Page]:
        path = f"{self._prefix}/{kind}.jsonl"
        if path not in self._files:
            return
        with (self._folder / path).open("rb") as lines:
            number, records, size = 0, list[AnyRecord](), 0
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise ArchiveError(f"{path}: line {number} is longer than {MAX_LINE} bytes")
                if number <= skip:
                    continue
                records.append(self._record(path, number, line, kind))
                size += len(line)
                if len(records) >= _ROWS or size > 4 << 20:
                    yield Page(records, number)
                    records, size = [], 0
            if records:
                yield Page(records, number)

    def _record(self, path: str, number: int, line: bytes, kind: str) -> AnyRecord:
        try:
            record = _RECORD.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"{path}: line {number} is not a record: {error}") from error
        if record.__struct_config__.tag != kind:
            raise ArchiveError(f"{path}: line {number} is a record of another kind")
        if isinstance(record, ArtifactRecord):
            parts = record.path.split("/")
            if not record.path or record.path.startswith("/") or ".." in parts or "\\" in record.path:
                raise ArchiveError(f"{path}: line {number} has a path that leaves its folder: {record.path!r}")
            self._blob(record)
        return record

    def _blob(self, record: Content) -> Path:
        """The file that holds the bytes of a record."""
        if isinstance(record, ArtifactRecord):
            name = record.sha256
        else:
            name = base64.b64decode(record.media.sha256).hex()
        place = f"blobs/{name[:2]}/{name}"
        if place not in self._files:
            raise ArchiveError(f"the bytes of {record.key} are missing: {place}")
        return self._folder / place

    def content(self, record: Content) -> Iterator[bytes]:
        """See ``Source.content``."""
        with self._blob(record).open("rb") as opened:
            while chunk := opened.read(1 << 18):
                yield chunk


def _check_plain(file: Path, name: str) -> None:
    try:
        mode = os.lstat(file).st_mode
    except OSError as error:
        raise ArchiveError(f"{name} is missing: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise ArchiveError(f"{name} is not a plain file")


def _check_groups(path: str, file: pq.ParquetFile) -> None:
    for index in range(file.metadata.num_row_groups):
        if file.metadata.row_group(index).total_byte_size > MAX_GROUP:
            raise ArchiveError(f"{path}: a part of it unpacks to more than {MAX_GROUP} bytes")


def _unpack(path: Path, folder: Path) -> None:
    """Unpack a ``.tar.zst``: plain files with names of the format only, and not without end."""
    import zstandard

    packed = path.stat().st_size
    room = min(max(FREE, packed * MAX_RATIO), shutil.disk_usage(folder).free - (64 << 20))
    size = 0
    try:
        with (
            path.open("rb") as raw,
            zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for member in tar:
                if not member.isreg():
                    raise ArchiveError(f"the archive holds something else than a plain file: {member.name[:200]!r}")
                if member.name != MANIFEST:
                    check_name(member.name)
                size += member.size
                if size > room:
                    raise ArchiveError(
                        f"the archive unpacks to more than {room:,} bytes; there is no room for that, or it is a bomb"
                    )
                source = tar.extractfile(member)
                assert source is not None
                place = folder / member.name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except (tarfile.TarError, zstandard.ZstdError, EOFError, FileExistsError) as error:
        with path.open("rb") as file:
            if file.read(4) != b"\x28\xb5\x2f\xfd":  # how Zstandard's files begin
                raise ArchiveError(f"{path} is no archive: one is a folder, or a file .tar.zst") from error
        raise ArchiveError(f"{path} is damaged: {error}") from error
