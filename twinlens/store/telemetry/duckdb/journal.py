"""The journal: small commits, durable on disk, not yet in the tables (docs/adr/0007-journal-before-tables.md).

Two files next to the database: one takes new entries while the tables take over those of the other. An entry is a header
(length, number, checksum) and a WriteSet in MessagePack; it is durable when ``append`` returns. Numbers follow one another
without a gap, across both files. When the tables have taken the entries of a file over, they say up to which number (in
their own transaction), and the file is written from its beginning again: what lies behind the last valid entry are older
ones, recognised by their numbers.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.errors import StoreUnavailable
from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import UsageKey, UsageSum
from twinlens.store.telemetry.interface import ProjectRows, WriteSet

_header = struct.Struct("<IQI")
_KEEP = 64 << 20  #: bytes the file may keep between uses


class _Project(msgspec.Struct, array_like=True):
    """``ProjectRows`` without what MessagePack cannot use as a key."""

    project_id: str
    summaries: list[TraceSummary]
    spans: list[Span]
    replaces: list[tuple[str, str]]
    scores: list[Score]
    metrics: list[MetricPoint]
    otel_metrics: list[OtelMetricPoint]
    usage: list[tuple[UsageKey, UsageSum]]
    logs: list[RawLog]
    logs_done: list[tuple[str, str]]


class _Entry(msgspec.Struct, array_like=True):
    projects: list[_Project]
    metric_watermark: int | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Entry)


def encode(rows: WriteSet) -> bytes:
    """A WriteSet as bytes.

    Raises:
        OverflowError, UnicodeEncodeError, TypeError: it holds something MessagePack cannot.
    """
    projects = [
        _Project(
            project_id, of.summaries, of.spans, list(of.replaces), of.scores, of.metrics, of.otel_metrics,
            list(of.usage.items()), of.logs, of.logs_done,
        )
        for project_id, of in rows.projects.items()
    ]  # fmt: skip
    return _encoder.encode(_Entry(projects, rows.metric_watermark))


def decode(data: bytes) -> WriteSet:
    """The WriteSet in the bytes."""
    entry = _decoder.decode(data)
    return WriteSet(
        projects={
            p.project_id: ProjectRows(
                summaries=p.summaries, spans=p.spans, replaces=set(p.replaces), scores=p.scores, metrics=p.metrics,
                otel_metrics=p.otel_metrics, usage=dict(p.usage), logs=p.logs, logs_done=p.logs_done,
            )
            for p in entry.projects
        },
        metric_watermark=entry.metric_watermark,
    )  # fmt: skip


class Journal:
    """Both files. Used under the store's lock.

    Raises:
        StoreUnavailable: a file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = (_File(path), _File(path.with_name(path.name + "2")))
        self._current = 0
        self.number = 0  #: of the last entry, or of the last one the tables have taken over

    def recover(self, taken: int) -> Iterator[WriteSet]:
        """Entries the tables do not have, oldest first; ``taken`` is the number of the last one they have.

        Call ``shrink`` once they are in the tables and before the next ``append``: a file whose entries are all old must not
        be continued, because the numbers in a file have no gaps.
        """
        self.number = taken
        for number, data in sorted(entry for file in self._files for entry in file.entries(taken)):
            self.number = number
            yield decode(data)

    def append(self, data: bytes) -> None:
        """Write one entry and wait until it is on disk.

        Raises:
            StoreUnavailable: it is not (disk full); the journal is as before.
        """
        self._files[self._current].append(self.number + 1, data)
        self.number += 1

    def switch(self) -> None:
        """From here on entries go to the other file, which must be empty: the tables begin to take over this one."""
        self._current = 1 - self._current

    def emptied(self) -> None:
        """The tables have everything in the file that is not written to."""
        self._files[1 - self._current].reset()

    def shrink(self) -> None:
        """The tables have everything: give the space back."""
        for file in self._files:
            file.reset(shrink=True)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size() for file in self._files)

    def close(self) -> None:
        """Release the files."""
        for file in self._files:
            file.close()


class _File:
    """One of the two files."""

    def __init__(self, path: Path) -> None:
        self._end = 0
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            _sync_folder(path.parent)
        except OSError as error:
            raise StoreUnavailable(f"the telemetry journal at {path} cannot be opened: {error}") from error

    def entries(self, taken: int) -> Iterator[tuple[int, bytes]]:
        """Valid entries with a number above ``taken``; new ones will be written behind the last valid one."""
        at = 0
        size = self.size()
        following: int | None = None
        while at + _header.size <= size:
            length, number, checksum = _header.unpack(os.pread(self._fd, _header.size, at))
            if following is not None and number != following:
                break
            data = os.pread(self._fd, length, at + _header.size)
            if len(data) < length or zlib.crc32(data, number & 0xFFFFFFFF) != checksum:
                break
            at += _header.size + length
            following = number + 1
            if number > taken:
                yield number, data
        self._end = at

    def append(self, number: int, data: bytes) -> None:
        head = _header.pack(len(data), number, zlib.crc32(data, number & 0xFFFFFFFF))
        try:
            _write(self._fd, head + data, self._end)
            _sync(self._fd)
        except OSError as error:
            # an entry that was written but may not be on disk must not be found later
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
                _sync(self._fd)
            raise StoreUnavailable(f"the telemetry journal cannot be written: {error}") from error
        self._end += len(head) + len(data)

    def reset(self, *, shrink: bool = False) -> None:
        """Begin at the front again. ``shrink`` also gives the space back."""
        if shrink or self._end > _KEEP:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
        self._end = 0

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        os.close(self._fd)


def _write(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        n = os.pwrite(fd, view, at)
        view = view[n:]
        at += n


def _sync(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def row_count(rows: WriteSet) -> int:
    """Number of rows of all kinds."""
    return sum(
        len(p.summaries) + len(p.spans) + len(p.scores) + len(p.metrics) + len(p.otel_metrics) + len(p.logs)
        for p in rows.projects.values()
    )


def fits(rows: WriteSet) -> bool:
    """Whether all numbers fit the tables' columns, so that taking the rows over later cannot fail because of them."""
    for of in rows.projects.values():
        for span in of.spans:
            if not (_int64(span.start_ns, span.end_ns, span.completion_start_ns) and _int32(span.prompt_version)):
                return False
            if span.usage and not _usage_fits(span.usage):
                return False
            if not -128 <= span.otel_kind < 128:
                return False
        for summary in of.summaries:
            if not (_int64(summary.start_ns, summary.end_ns) and _usage_fits(summary.usage)):
                return False
        for point in of.metrics:
            if not _int64(point.step, point.timestamp_ms):
                return False
        if not all(_int64(s.timestamp_ns, s.created_ns, s.updated_ns) for s in of.scores):
            return False
        if not all(_int64(p.time_ns, p.start_ns, p.count) for p in of.otel_metrics):
            return False
    return True


def _int64(*numbers: Any) -> bool:
    return all(n is None or -(1 << 63) <= n < 1 << 63 for n in numbers)


def _int32(number: int | None) -> bool:
    return number is None or -(1 << 31) <= number < 1 << 31


def _usage_fits(usage: dict[str, int]) -> bool:
    return sum(map(abs, usage.values())) < 1 << 62
