"""What a reader found, sorted: a SQLite database that lives in a temporary file while the source is open, so that memory does
not grow with the source and records come out in the same order every time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.patch import apply_patch
from twinlens.domain.record import (
    KINDS,
    AnyRecord,
    ArtifactRecord,
    ExperimentRecord,
    MetricsRecord,
    Point,
    SpansRecord,
    TraceRecord,
    point_value,
)
from twinlens.domain.run import DEFAULT_EXPERIMENT_ID, DEFAULT_EXPERIMENT_NAME, Experiment
from twinlens.domain.summary import add_spans, new_summary, note_reporters
from twinlens.domain.trace import Span, TracePatch
from twinlens.migrate.errors import MigrationError
from twinlens.migrate.system import Page

_SPANS = 200  #: of one trace in a record
_POINTS = 1_000
_PAGE = 50
_SCHEMA = """
CREATE TABLE records (kind TEXT, key TEXT, data BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE spans (trace_id TEXT, span_id TEXT, start_ns INTEGER, data BLOB, PRIMARY KEY (trace_id, span_id));
CREATE TABLE patches (trace_id TEXT, data BLOB);
CREATE INDEX patches_of ON patches (trace_id);
CREATE TABLE points (
  run_id TEXT, name TEXT, timestamp_ms INTEGER, step INTEGER, value TEXT, PRIMARY KEY (run_id, name, timestamp_ms, step, value)
) WITHOUT ROWID;
CREATE TABLE files (key TEXT PRIMARY KEY, path TEXT, data BLOB);
"""


class Spool:
    """Filled by one reader, then read from any thread."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # "": a temporary file
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA + "BEGIN;")
        self._lock = threading.Lock()
        self._record = msgspec.msgpack.Decoder(AnyRecord)
        self._span = msgspec.msgpack.Decoder(Span)
        self._patch = msgspec.msgpack.Decoder(TracePatch)
        self._experiments: dict[str, str] = {DEFAULT_EXPERIMENT_NAME: DEFAULT_EXPERIMENT_ID}
        self.notes: list[str] = []  #: what the user should know

    # --- filling ---------------------------------------------------------------------------------------------------------
    def note(self, message: str) -> None:
        """Tell the user, once."""
        if message not in self.notes:
            self.notes.append(message)

    def put(self, *records: AnyRecord) -> None:
        """Keep records; one of the same key takes the place of the former."""
        rows = [(r.__struct_config__.tag, r.key, _packed(r)) for r in records]
        self._put("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)

    def experiment(self, name: str, *, created_ms: int = 0, tags: dict[str, str] | None = None) -> str:
        """The id of the experiment of a name, which is made the first time."""
        if name not in self._experiments:
            number = self._experiments[name] = str(len(self._experiments))
            made = Experiment(
                experiment_id=number, name=name, created_ms=created_ms, updated_ms=created_ms, tags=tags or {}
            )
            self.put(ExperimentRecord(experiment=made))
        return self._experiments[name]

    def spans(self, spans: Iterable[Span]) -> None:
        """Keep spans; a second report of one takes the place of the first."""
        self._put(
            "INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?)",
            [(s.trace_id, s.span_id, s.start_ns, _packed(s)) for s in spans],
        )

    def patches(self, patches: Iterable[TracePatch]) -> None:
        """Keep what was said about traces."""
        self._put("INSERT INTO patches VALUES (?, ?)", [(p.trace_id, _packed(p)) for p in patches])

    def points(self, run_id: str, name: str, points: Iterable[tuple[float, int, int]]) -> None:
        """Keep points of a metric: value, time in ms, step."""
        self._put(
            "INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?, ?)",
            [(run_id, name, at, step, repr(float(value))) for value, at, step in points],
        )

    def file(self, record: ArtifactRecord, content: bytes | Path) -> None:
        """Keep a file of a run: its bytes, or where it lies."""
        record.size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self.put(record)
        row = (record.key, None, content) if isinstance(content, bytes) else (record.key, str(content), None)
        self._put("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", [row])

    def _put(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        try:
            with self._lock:
                self._db.executemany(sql, rows)
        except (sqlite3.Error, OverflowError) as error:
            raise MigrationError(f"what was read cannot be sorted in the temporary folder: {error}") from error

    # --- reading ---------------------------------------------------------------------------------------------------------
    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of which there is something."""
        return tuple(kind for kind in KINDS if self.count(kind))

    def count(self, kind: str) -> int:
        """Number of records; of metrics: number of metrics of runs."""
        match kind:
            case "trace":
                sql = "SELECT count(*) FROM (SELECT trace_id FROM spans UNION SELECT trace_id FROM patches)"
            case "metrics":
                sql = "SELECT count(*) FROM (SELECT DISTINCT run_id, name FROM points)"
            case _:
                return int(self._all("SELECT count(*) FROM records WHERE kind = ?", kind)[0][0])
        return int(self._all(sql)[0][0])

    def read(self, kind: str, after: Any = None) -> Iterator[Page]:
        """Pages of one kind behind a position (a key)."""
        match kind:
            case "trace":
                yield from self._traces(after)
            case "metrics":
                yield from self._metrics(after)
            case _:
                key: Any = after or ""
                while rows := self._all(
                    "SELECT key, data FROM records WHERE kind = ? AND key > ? ORDER BY key LIMIT ?", kind, key, _PAGE
                ):
                    key = rows[-1][0]
                    yield Page([self._record.decode(data) for _, data in rows], key)

    def span(self, trace_id: str, span_id: str) -> Span | None:
        """One kept span."""
        found = self._all("SELECT data FROM spans WHERE trace_id = ? AND span_id = ?", trace_id, span_id)
        return self._span.decode(found[0][0]) if found else None

    def content(self, key: str) -> bytes | Path:
        """A kept file."""
        found = self._all("SELECT path, data FROM files WHERE key = ?", key)
        if not found:
            raise MigrationError(f"the file {key} is not there any more")
        path, data = found[0]
        return Path(path) if path is not None else bytes(data)

    def _all(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _metrics(self, after: Any) -> Iterator[Page]:
        run_id, name = after or ("", "")
        while found := self._all(
            "SELECT run_id, name FROM points WHERE (run_id, name) > (?, ?) ORDER BY run_id, name LIMIT 1", run_id, name
        ):
            run_id, name = found[0]
            first, place = 0, (-(1 << 62), -(1 << 62), "")
            while rows := self._all(
                "SELECT timestamp_ms, step, value FROM points WHERE run_id = ? AND name = ? AND (timestamp_ms, step, value) > "
                "(?, ?, ?) ORDER BY timestamp_ms, step, value LIMIT ?", run_id, name, *place, _POINTS,
            ):  # fmt: skip
                place = rows[-1]
                points = [Point(point_value(float(value)), at, step) for at, step, value in rows]
                yield Page([MetricsRecord(run_id=run_id, name=name, points=points, first=first)], part=True)
                first += len(rows)
            yield Page([], [run_id, name])

    def _traces(self, after: Any) -> Iterator[Page]:
        trace_id: Any = after or ""
        while rows := self._all(
            "SELECT trace_id FROM (SELECT trace_id FROM spans WHERE trace_id > ? UNION SELECT trace_id FROM patches "
            "WHERE trace_id > ?) ORDER BY trace_id LIMIT ?", trace_id, trace_id, _PAGE,
        ):  # fmt: skip
            page: list[AnyRecord] = []
            for (trace_id,) in rows:
                parts = self._trace(trace_id)
                page.append(next(parts))
                for part in parts:
                    yield Page([*page, part], part=True)
                    page = []
            yield Page(page, trace_id)

    def _trace(self, trace_id: str) -> Iterator[AnyRecord]:
        """The trace with its first spans, then the others."""
        summary = new_summary(trace_id, 0)
        for (data,) in self._all("SELECT data FROM patches WHERE trace_id = ? ORDER BY rowid", trace_id):
            apply_patch(summary, self._patch.decode(data), 1)
        first: list[Span] | None = None
        for spans in self._spans_of(trace_id):
            first = spans if first is None else first
            changes: list[Any] = [(None, span) for span in spans]
            note_reporters(summary, changes)
            add_spans(summary, changes)
        yield TraceRecord(trace=summary, spans=first or [])
        done = _SPANS
        for number, spans in enumerate(self._spans_of(trace_id)):
            if number:
                yield SpansRecord(trace_id=trace_id, first=done, spans=spans)
                done += len(spans)

    def _spans_of(self, trace_id: str) -> Iterator[list[Span]]:
        offset = 0
        while rows := self._all(
            "SELECT data FROM spans WHERE trace_id = ? ORDER BY start_ns, span_id LIMIT ? OFFSET ?",
            trace_id,
            _SPANS,
            offset,
        ):
            yield [self._span.decode(data) for (data,) in rows]
            offset += len(rows)

    def close(self) -> None:
        """Remove the temporary file."""
        self._db.close()


def _packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)
