"""``TelemetryStore`` on DuckDB: one file and its journal, one process. See ``interface.py`` for the contract.

A small commit goes to the journal (durable) and to the memtable; the tables take over many of them in one transaction, when
enough are there, when the writer rests, or before anything is read. A thread of its own does it while a second memtable
takes what comes meanwhile, so that writers do not wait for it. Large commits go to the tables at once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.errors import Conflict, StoreUnavailable
from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import UsageSum
from twinlens.store.telemetry.duckdb import score_codec
from twinlens.store.telemetry.duckdb.aggregates import Aggregates
from twinlens.store.telemetry.duckdb.commit import Committer
from twinlens.store.telemetry.duckdb.engine import Engine, Pending, one_row
from twinlens.store.telemetry.duckdb.journal import Journal, encode, fits, row_count
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.duckdb.maintenance import Maintenance
from twinlens.store.telemetry.duckdb.memtable import Memtable
from twinlens.store.telemetry.duckdb.metrics import MetricReader
from twinlens.store.telemetry.duckdb.pages import Pages
from twinlens.store.telemetry.duckdb.places import csv
from twinlens.store.telemetry.duckdb.reader import Reader
from twinlens.store.telemetry.duckdb.reclaim import Reclaimer
from twinlens.store.telemetry.duckdb.snapshot import Snapshot
from twinlens.store.telemetry.interface import Capabilities, MetricBucket, ReclaimReport, WriteSet
from twinlens.store.telemetry.query import Aggregate, Page, Query

log = logging.getLogger(__name__)

#: Pending rows that the tables take over together. Larger commits go to them at once.
TAKE_OVER = 2_000
_MOST_PENDING = 4 * TAKE_OVER


class DuckDBTelemetry:
    """Open with ``DuckDBTelemetry.open``; the methods are documented in the interface."""

    capabilities = Capabilities(transactional=True, regex=True, exact_percentiles=True, reclaims_space=True)

    def __init__(self, engine: Engine, journal: Journal) -> None:
        self._engine = engine
        self._journal = journal
        self._memtable = Memtable()
        self._leaving: Memtable | None = None  #: what the tables are taking over, or could not yet
        self._leaving_number = 0  #: of its last journal entry
        # Who needs several locks takes them in this order.
        self._tables = threading.RLock()  #: held by whoever uses the writing connection
        self._lock = (
            threading.RLock()
        )  #: held by whoever uses the journal or changes the memtables; may wait for the disk
        self._moment = threading.Lock()  #: held while a memtable changes or is copied; never waits for anything
        self._taker: threading.Thread | None = None
        self._wanted = threading.Event()
        self._doubtful = False  #: taking over has failed, perhaps after it was durable
        self._closed = False
        self._snapshot: Snapshot | None = None
        self._committer = Committer(engine)
        self._reader = Reader(engine)
        self._pages = Pages(engine)
        self._aggregates = Aggregates(engine)
        self._metrics = MetricReader(engine)
        self._maintenance = Maintenance(engine, self._committer)
        self._reclaimer = Reclaimer(engine, self._committer)
        self._recover()
        engine.before_read = self._catch_up
        engine.pending = self._pending_of

    @classmethod
    def open(
        cls, path: Path, memory_limit: str = "1GB", threads: int = 2, checkpoint_threshold: str = "128MB"
    ) -> DuckDBTelemetry:
        """Open or create the database file.

        Raises:
            StoreUnavailable: the file cannot be opened (another process holds it, no rights, not a database).
        """
        engine = Engine(path, memory_limit, threads, checkpoint_threshold)
        return cls(engine, Journal(path.with_name(path.name + ".journal")))

    # --- journal and tables ----------------------------------------------------------------------------------------
    def _recover(self) -> None:
        """Take over what a process that was killed had acknowledged."""
        for rows in self._journal.recover(self._taken()):
            self._memtable.add(rows, row_count(rows), self._journal.number)
        if self._memtable.rows:
            self._leaving, self._leaving_number = self._memtable, self._journal.number
            self._take_leaving()
            self._memtable = Memtable()
        self._journal.shrink()

    def _taken(self) -> int:
        with self._engine.write() as connection:
            return int(one_row(connection, "SELECT max(value) FROM meta WHERE key = 'journal_taken'")[0])

    def _set_out(self) -> None:
        """Let the memtable leave for the tables; a new one takes what comes. The caller holds the lock."""
        with self._moment:
            self._leaving_number = self._journal.number
            self._leaving = self._memtable
            self._memtable = Memtable()
        self._journal.switch()

    def _take_leaving(self) -> None:
        """Bring into the tables what has set out. The caller holds the tables."""
        leaving = self._leaving
        if leaving is None:
            return
        if self._doubtful and self._taken() >= self._leaving_number:
            self._doubtful = False  # it was durable after all
        else:
            self._doubtful = True
            self._apply(leaving.write_set(), self._leaving_number)
            self._doubtful = False
        with self._lock:
            self._journal.emptied()
            with self._moment:
                self._leaving = None

    def _take_over(self) -> None:
        """Bring everything that was pending when this was called into the tables. The caller holds the tables."""
        self._take_leaving()
        with self._lock:
            if not self._memtable.rows:
                return
            self._set_out()
        self._take_leaving()

    def _take_in_background(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed:
                return
            try:
                with self._tables:
                    self._take_leaving()
            except Exception as error:  # the next commit, moment of rest or read tries again
                log.warning("the telemetry tables could not take over: %s", error)

    def _apply(self, rows: WriteSet, taken: int | None = None) -> None:
        try:
            with self._engine.write() as connection:
                self._committer.start(connection)
            self._committer.commit(rows, taken)
        except StoreUnavailable:
            self._committer.reset()
            raise

    def _catch_up(self) -> None:
        """Before a read: the tables get what has been acknowledged."""
        if self._memtable.rows or self._leaving is not None:
            with self._tables:
                self._take_over()

    def _pending_of(self, project_id: str) -> Pending | None:
        """For reads over the tables: what these may not have yet."""
        with self._moment:
            memtables = [self._memtable] if self._leaving is None else [self._leaving, self._memtable]
            parts = [(m.number, part) for m in memtables if (part := m.of_project(project_id)) is not None]
        return Pending(parts, self._maybe_stored) if parts else None

    def _maybe_stored(self, view: str, key: int) -> bool:
        committer = self._committer
        return committer.known.maybe(key) if view == "traces" else committer.scores.maybe(key)

    def settle(self, *, idle: bool) -> None:
        if idle:
            with self._tables:
                self._take_over()
            return
        with self._lock:
            if self._memtable.rows < TAKE_OVER:
                return
            if self._leaving is None:
                self._set_out()
            if self._taker is None:
                self._taker = threading.Thread(target=self._take_in_background, name="twinlens-tables", daemon=True)
                self._taker.start()
        self._wanted.set()

    # --- writer thread ---------------------------------------------------------------------------------------------
    def lookup_traces(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceSummary]:
        pending: dict[tuple[str, str], TraceSummary] = {}
        with self._lock:
            for memtable in self._pending():
                for key in keys:
                    if key not in pending and (found := memtable.summary(*key)) is not None:
                        pending[key] = found
        known = self._committer.known.find(self._engine.peek, [key for key in keys if key not in pending])
        return {**{key: of.summary for key, of in known.items()}, **pending}

    def _pending(self) -> list[Memtable]:
        """The memtables, latest first. The caller holds the lock."""
        return [self._memtable] if self._leaving is None else [self._memtable, self._leaving]

    def lookup_spans(self, project_id: str, wanted: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Span]:
        found: dict[tuple[str, str], Span] = {}
        missing: dict[str, set[str]] = {}
        with self._lock:
            memtables = self._pending()
            for trace_id, span_ids in wanted.items():
                for span_id in span_ids:
                    for memtable in memtables:
                        pending = memtable.span(project_id, trace_id, span_id)
                        if pending is not None:
                            found[trace_id, span_id] = pending
                            break
                    else:
                        missing.setdefault(trace_id, set()).add(span_id)
        for span in self._stored_spans(project_id, missing) if missing else ():
            if span.span_id in missing.get(span.trace_id, ()):
                found[span.trace_id, span.span_id] = span
        return found

    def _stored_spans(self, project_id: str, wanted: Mapping[str, set[str]]) -> list[Span]:
        keys = [(project_id, trace_id) for trace_id in wanted]
        known = [k for k in self._committer.known.find(self._engine.peek, keys).values() if k.max_seq]
        ids = sorted({s for k in known for s in wanted[k.summary.trace_id]})
        if not ids:
            return []
        with self._engine.peek() as connection:
            return self._reader.fetch_spans(
                connection, project_id,
                f"seq BETWEEN {min(k.min_seq for k in known)} AND {max(k.max_seq for k in known)} "
                f"AND tkey IN ({csv([k.tkey for k in known])}) AND project = ? AND span_id IN ({','.join('?' * len(ids))})",
                [project_id, *ids],
            )  # fmt: skip

    def lookup_scores(self, project_id: str, score_ids: Sequence[str]) -> dict[str, Score]:
        if not score_ids:
            return {}
        keys = ",".join(str(row_key(project_id, s)) for s in score_ids)
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(score_codec.ROW)} FROM scores WHERE skey IN ({keys}) AND project = ?", [project_id]
            ).fetchall()
        scores = [score_codec.decode_score(row) for row in rows]
        return {s.score_id: s for s in scores if s.score_id in set(score_ids)}

    def newest_ns(self) -> int:
        with self._engine.read() as connection:
            row = one_row(connection, "SELECT max(updated_ns) FROM traces")
        return int(row[0] or 0)

    def waiting_logs(self) -> set[tuple[str, str, str]]:
        with self._engine.read() as connection:
            return set(connection.execute("SELECT DISTINCT project, trace_id, span_id FROM waiting_logs").fetchall())

    def lookup_logs(self, project_id: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[RawLog]]:
        if not keys:
            return {}
        with self._engine.read() as connection:
            rows = connection.execute(
                "SELECT trace_id, span_id, data FROM waiting_logs WHERE project = ? AND (trace_id, span_id) IN "
                f"(VALUES {','.join('(?, ?)' for _ in keys)}) ORDER BY seq, rowid",
                [project_id, *(v for key in keys for v in key)],
            ).fetchall()
        found: dict[tuple[str, str], list[RawLog]] = {}
        for trace_id, span_id, data in rows:
            found.setdefault((trace_id, span_id), []).append(msgspec.json.decode(data, type=RawLog))
        return found

    def drop_logs(self, before_ns: int) -> list[tuple[str, str, str]]:
        with self._settled(), self._engine.transaction() as connection:
            return connection.execute(
                "DELETE FROM waiting_logs WHERE arrived_ns < ? RETURNING project, trace_id, span_id", [before_ns]
            ).fetchall()

    def commit(self, rows: WriteSet) -> None:
        now = now_ns()
        for of in rows.projects.values():
            for span in of.spans:
                span.created_ns = span.created_ns or now
                span.updated_ns = now
        count = row_count(rows)
        entry = _entry(rows) if count < TAKE_OVER else None
        if entry is None:
            with self._settled():
                self._check_open()
                self._apply(rows)
            return
        if self._memtable.rows + count > _MOST_PENDING:
            with self._settled():
                pass
        with self._lock:
            self._check_open()
            self._journal.append(entry)
            with self._moment:
                self._memtable.add(rows, count, self._journal.number)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the telemetry store is closed")

    @contextlib.contextmanager
    def _settled(self) -> Generator[None]:
        """Hold the tables, with everything in them."""
        with self._tables:
            self._take_over()
            yield

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> int:
        with self._settled():
            return self._maintenance.delete_traces(project_id, trace_ids)

    def delete_scores(self, project_id: str, score_ids: Sequence[str]) -> int:
        with self._settled():
            return self._maintenance.delete_scores(project_id, score_ids)

    def delete_metrics(self, project_id: str, run_ids: Sequence[str]) -> None:
        with self._settled():
            self._maintenance.delete_metrics(project_id, run_ids)

    def delete_project(self, project_id: str) -> None:
        with self._settled():
            self._maintenance.delete_project(project_id)

    def drop_payloads(self, project_id: str, before_ns: int) -> int:
        with self._settled():
            return self._maintenance.drop_payloads(project_id, before_ns)

    def reclaim(self) -> ReclaimReport:
        with self._settled():
            self._maintenance.deleted = False
            return self._reclaimer.reclaim()

    def reclaim_due(self) -> bool:
        return self._maintenance.deleted and self._reclaimer.due

    # --- any thread ------------------------------------------------------------------------------------------------
    def together(self) -> contextlib.AbstractContextManager[None]:
        return self._engine.together()

    def metric_watermark(self) -> int:
        with self._engine.read() as connection:
            row = one_row(connection, "SELECT max(value) FROM meta WHERE key = 'metric_watermark'")
        return int(row[0] or 0)

    def traces(self, query: Query) -> Page:
        return self._pages.traces(query)

    def trace(self, project_id: str, trace_id: str, *, with_io: bool = True) -> TraceSummary | None:
        return self._reader.trace(project_id, trace_id, with_io)

    def trace_table(
        self, project_id: str, trace_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, tuple[Any, ...]]:
        return self._reader.trace_table(project_id, trace_ids, fields)

    def spans(self, query: Query) -> Page:
        return self._pages.spans(query)

    def span_columns(self, project_id: str, trace_id: str, fields: Sequence[str]) -> list[list[Any]]:
        return self._reader.span_columns(project_id, trace_id, fields)

    def span_ids(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        return self._reader.span_ids(project_id, trace_ids)

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], *, with_io: bool = True, with_attributes: bool = True
    ) -> dict[str, list[Span]]:
        return self._reader.trace_spans(project_id, trace_ids, with_io, with_attributes)

    def span(self, project_id: str, trace_id: str | None, span_id: str) -> Span | None:
        return self._reader.span(project_id, trace_id, span_id)

    def scores(self, query: Query) -> Page:
        return self._pages.scores(query)

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        return self._reader.scores_for(project_id, trace_ids)

    def count(self, view: str, query: Query) -> int:
        return self._pages.count(view, query)

    def aggregate(self, query: Aggregate) -> list[dict[str, Any]]:
        return self._aggregates.aggregate(query)

    def rollup(
        self,
        project_id: str,
        *,
        since_ns: int,
        until_ns: int,
        by: Sequence[str],
        where: Mapping[str, Any] | None = None,
    ) -> list[tuple[dict[str, Any], UsageSum]]:
        return self._aggregates.rollup(project_id, since_ns, until_ns, by, where or {})

    def values(
        self, project_id: str, view: str, field: str, *, key: str | None = None, limit: int = 100
    ) -> list[tuple[Any, int]]:
        return self._aggregates.values(project_id, view, field, key, limit)

    def metric_history(
        self,
        project_id: str,
        run_id: str,
        key: str,
        *,
        after: tuple[int, int, float] | None = None,
        limit: int = 25_000,
    ) -> list[MetricPoint]:
        return self._metrics.history(project_id, run_id, key, after, limit)

    def metric_histories(self, project_id: str, metrics: Sequence[tuple[str, str]], *, limit: int) -> list[MetricPoint]:
        return self._metrics.histories(project_id, metrics, limit)

    def metric_buckets(
        self, project_id: str, run_ids: Sequence[str], key: str, *, buckets: int,
        x: str = "step", lower: int | None = None, upper: int | None = None,
    ) -> dict[str, list[MetricBucket]]:  # fmt: skip
        return self._metrics.buckets(project_id, run_ids, key, buckets, x, lower, upper)

    def metric_sample(
        self, project_id: str, run_ids: Sequence[str], key: str, *, limit: int,
        start_step: int | None = None, end_step: int | None = None,
    ) -> dict[str, list[MetricPoint]]:  # fmt: skip
        return self._metrics.sample(project_id, run_ids, key, limit, start_step, end_step)

    def otel_metrics(
        self,
        project_id: str,
        name: str | None = None,
        *,
        since_ns: int = 0,
        until_ns: int | None = None,
        limit: int = 10_000,
    ) -> list[OtelMetricPoint]:
        return self._metrics.otel(project_id, name, since_ns, until_ns, limit)

    def stats(self) -> dict[str, Any]:
        found = self._maintenance.stats()
        found["bytes"] += self._journal.size()
        return found

    def checkpoint(self) -> None:
        with self._settled():
            self._reclaimer.tidy()
            with self._lock:
                if not self._memtable.rows:
                    self._journal.shrink()

    def snapshot(self) -> Snapshot:
        with self._settled():
            if self._snapshot is not None:
                raise Conflict("a backup is being made already: wait until it is done")
            self._reclaimer.checkpoint()
            self._snapshot = Snapshot(self._engine, self._release_snapshot)
            return self._snapshot

    def _release_snapshot(self) -> None:
        with self._tables:
            self._snapshot = None
            if not self._closed:
                self._engine.hold(False)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wanted.set()
        if self._taker is not None:
            self._taker.join()
        with self._tables:
            try:
                self._take_over()
                self._journal.shrink()
            except StoreUnavailable as error:  # the journal keeps it until the next start
                log.warning("pending telemetry stays in the journal: %s", error.message)
            self._journal.close()
            self._engine.close()


def _entry(rows: WriteSet) -> bytes | None:
    """The journal entry; None for rows that only the tables can judge (numbers beyond 64 bits, broken text)."""
    try:
        return encode(rows) if fits(rows) else None
    except (OverflowError, UnicodeEncodeError, TypeError, ValueError):
        return None
