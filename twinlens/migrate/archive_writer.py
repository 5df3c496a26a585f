"""Writes an archive: a folder, or one ``.tar.zst`` file. It appears under its name when it is complete, not before."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from twinlens import __version__
from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    MetricsRecord,
    ScoreRecord,
    SpansRecord,
    TraceRecord,
)
from twinlens.migrate.archive_format import COLUMNS, MANIFEST, FileEntry, Manifest, MetricRow, ProjectEntry
from twinlens.migrate.errors import ArchiveError
from twinlens.migrate.system import Content, Source

_GROUP_ROWS, _GROUP_BYTES = 5_000, 16 << 20


class ArchiveWriter:
    """Use as a context manager; ``project`` gives the target for one project after the other.

    Raises:
        ArchiveError: the destination exists.
    """

    def __init__(self, destination: Path) -> None:
        self.destination = destination
        self._packed = destination.name.endswith((".tar.zst", ".tzst"))
        if destination.exists() and (not destination.is_dir() or self._packed or any(destination.iterdir())):
            raise ArchiveError(f"{destination} exists: an archive is written to a new place")
        self.folder = destination.with_name(destination.name + ".partial")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self.manifest = Manifest(
            twinlens=__version__, created=datetime.now(UTC).isoformat(timespec="seconds"), projects=[], files=[]
        )

    def project(self, project_id: str, name: str, **scope: str | None) -> ProjectArchive:
        """The target for one project."""
        folder = str(len(self.manifest.projects))
        self.manifest.projects.append(ProjectEntry(folder=folder, id=project_id, name=name, **scope))
        return ProjectArchive(self, folder)

    def add(self, path: str, records: int = 0) -> None:
        """List a complete file in the manifest."""
        file = self.folder / path
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        entry = FileEntry(path=path, bytes=file.stat().st_size, sha256=digest, records=records)
        self.manifest.files.append(entry)

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            (self.folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(self.manifest)))
            if self._packed:
                self._pack()
            else:
                if self.destination.exists():
                    self.destination.rmdir()
                self.folder.rename(self.destination)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _pack(self) -> None:
        import zstandard

        partial = self.destination.with_name(self.destination.name + ".packing")
        with (
            partial.open("wb") as raw,
            zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(raw) as out,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.add(self.folder / MANIFEST, MANIFEST)
            for entry in self.manifest.files:
                tar.add(self.folder / entry.path, entry.path, recursive=False)
        partial.rename(self.destination)


class ProjectArchive:
    """The target for one project; see ``Target``. Not for several threads at once."""

    def __init__(self, archive: ArchiveWriter, folder: str) -> None:
        self.kinds = KINDS
        self._archive = archive
        self._folder = f"projects/{folder}"
        (archive.folder / self._folder).mkdir(parents=True)
        self._lines: dict[str, BinaryIO] = {}
        self._tables: dict[str, _Table] = {}
        self._counts: dict[str, int] = {}

    def write(self, records: list[AnyRecord]) -> None:
        """See ``Target.write``."""
        for record in records:
            if isinstance(record, TraceRecord):
                self._rows("trace", [record.trace])
                self._rows("span", record.spans)
            elif isinstance(record, SpansRecord):
                self._rows("span", record.spans)
            elif isinstance(record, ScoreRecord):
                self._rows("score", [record.score])
            elif isinstance(record, MetricsRecord):
                self._rows(
                    "metric",
                    [
                        MetricRow(
                            run_id=record.run_id, name=record.name, value=p.number, timestamp_ms=p.timestamp_ms, step=p.step,
                            model_id=p.model_id, dataset_name=p.dataset_name, dataset_digest=p.dataset_digest,
                        )
                        for p in record.points
                    ],
                )  # fmt: skip
            else:
                self._line(record)

    def _line(self, record: AnyRecord) -> None:
        kind = str(record.__struct_config__.tag)
        out = self._lines.get(kind)
        if out is None:
            out = self._lines[kind] = (self._archive.folder / self._folder / f"{kind}.jsonl").open("wb")
        out.write(msgspec.json.encode(record) + b"\n")
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def _rows(self, kind: str, values: Iterable[Any]) -> None:
        for value in values:
            table = self._tables.get(kind)
            if table is None:
                path = self._archive.folder / self._folder / f"{kind}.parquet"
                table = self._tables[kind] = _Table(kind, path)
            table.add(value)

    def store(self, record: Content, chunks: Iterable[bytes]) -> None:
        """See ``Target.store``. Equal bytes are stored once."""
        blobs = self._archive.folder / "blobs"
        blobs.mkdir(exist_ok=True)
        temp = blobs / "incoming"
        digest, size = hashlib.sha256(), 0
        with temp.open("wb") as out:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        name = digest.hexdigest()
        place = f"blobs/{name[:2]}/{name}"
        file = self._archive.folder / place
        if file.exists():
            temp.unlink()
        else:
            file.parent.mkdir(exist_ok=True)
            temp.rename(file)
            self._archive.manifest.files.append(FileEntry(path=place, bytes=size, sha256=name))
        if isinstance(record, ArtifactRecord):
            record.sha256, record.size = name, size
            self._line(record)

    def reader(self) -> Source:
        """See ``Target.reader``."""
        from twinlens.migrate.archive_reader import ProjectReader

        return ProjectReader(self._archive.folder, self._archive.manifest, self._folder)

    def close(self) -> None:
        """Finish the files and list them."""
        for kind, out in self._lines.items():
            out.close()
            self._archive.add(f"{self._folder}/{kind}.jsonl", self._counts[kind])
        for kind, table in self._tables.items():
            table.close()
            self._archive.add(f"{self._folder}/{kind}.parquet", table.count)
        self._lines, self._tables = {}, {}


class _Table:
    """One Parquet file, written in row groups of bounded size."""

    def __init__(self, kind: str, path: Path) -> None:
        self._columns = COLUMNS[kind]
        self._writer = pq.ParquetWriter(path, self._columns.schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self.count = 0

    def add(self, value: Any) -> None:
        """One more row."""
        row = self._columns.row(value)
        self._rows.append(row)
        self._size += sum(len(item) for item in row.values() if isinstance(item, str)) + 100
        self.count += 1
        if len(self._rows) >= _GROUP_ROWS or self._size >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            schema = self._columns.schema
            arrays = [pa.array([row.get(f.name) for row in self._rows], f.type) for f in schema]
            self._writer.write_table(pa.table(arrays, schema=schema))
            self._rows, self._size = [], 0

    def close(self) -> None:
        """Write what is left and the footer."""
        self._flush()
        self._writer.close()
