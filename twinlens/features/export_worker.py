"""Writes scheduled exports, in the background: one file per table and period, each period once it is complete.

A period holds what was written or changed in it, so a trace that arrives late or grows is in a later file again, under the same id, and
nothing is missed. A file's name follows from its period: what a stop or ``kill -9`` interrupts is written again over the same files.
How far an export has come moves forward only when all files of a period are there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import TwinlensError
from twinlens.domain.scheduled_export import LAG_NS, ScheduledExport
from twinlens.features.export_parquet import ParquetForm
from twinlens.features.export_rows import Form, observation_row, score_row, trace_row
from twinlens.features.scheduled_exports import ScheduledExports
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.scheduled_exports import ScheduledExportTable, all_exports
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import And, Cmp, Order, Query

_log = logging.getLogger(__name__)
_S = 1_000_000_000
RETRY_NS = 300 * _S  #: after an error
_PAGE = 500
_OLDEST_FIRST = (Order("updated_ns", descending=False),)
View = Literal["traces", "spans", "scores"]
_VIEW: dict[str, View] = {"traces": "traces", "observations": "spans", "observations_v2": "spans", "scores": "scores"}


class ExportWorker:
    """See the module's text."""

    def __init__(
        self, catalog: Catalog, exports: ScheduledExports, telemetry: TelemetryStore, clock: Clock = now_ns
    ) -> None:
        self._catalog = catalog
        self._exports = exports
        self._telemetry = telemetry
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()  #: held while files are written
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what is due."""
        self._exports.wake.set()
        self._thread = threading.Thread(target=self._run, name="twinlens-exports", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after the page at hand; the period is written anew after the next start."""
        self._closing.set()
        self._exports.wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        rest: float | None = None
        while True:
            self._exports.wake.wait(rest)
            self._exports.wake.clear()
            if self._closing.is_set():
                return
            try:
                rest = self._look()
            except Exception:  # this thread must live on
                _log.exception("scheduled exports could not be run")
                rest = RETRY_NS / _S

    def _look(self) -> float | None:
        """Write what is due; seconds until the next is."""
        with self._catalog.read() as connection:
            known = all_exports(connection)
        times: list[int] = []
        for project_id, export in known:
            if self._closing.is_set():
                return None
            due = export.next_ns or 0
            times.append(self.export(project_id, export) if due <= self._clock() else due)
        return max(0.05, (min(times) - self._clock()) / _S) if times else None

    def export(self, project_id: str, export: ScheduledExport) -> int:
        """Write all complete periods that are not written yet; when to look again (nanoseconds)."""
        with self._lock:
            self._exports.running.add(project_id)
            try:
                return self._complete(project_id, export)
            finally:
                self._exports.running.discard(project_id)

    def now(self, project_id: str) -> list[str]:
        """Write the period at hand as far as it goes; its files, which are written again when it is complete.

        Raises:
            NotFound: the project has no export.
            InvalidArgument, InvalidState, StoreUnavailable: the files cannot be written.
        """
        with self._lock:
            export = self._exports.get(project_id)
            store = self._exports.open(project_id, export)
            start, end = export.period(self._clock())
            begin = max(start, export.done_ns or 0, export.start_ns or 0)
            tables = export.tables()
            return [
                export.key(project_id, table, end)
                for table in tables
                if asyncio.run(self._write(store, project_id, export, table, begin, end))
            ]

    def _complete(self, project_id: str, export: ScheduledExport) -> int:
        try:
            store = self._exports.open(project_id, export)
            while not self._closing.is_set():
                period = self._next_period(project_id, export)
                if period is None:
                    break
                for table in export.tables():
                    asyncio.run(self._write(store, project_id, export, table, *period))
                noted = self._note(project_id, export, done_ns=period[1])
                if noted is None:
                    return self._clock()
                export = noted
            ahead = export.period(self._clock() - LAG_NS)[1] + LAG_NS
            self._note(project_id, export, next_ns=ahead, error=None, error_ns=None)
        except _Stopped:
            return self._clock()
        except (TwinlensError, OSError) as error:
            now = self._clock()
            said = error.message if isinstance(error, TwinlensError) else f"{error}"
            _log.warning("the scheduled export of project %s failed: %s", project_id, said)
            self._note(project_id, export, next_ns=now + RETRY_NS, error=said[:1_000], error_ns=now)
            return now + RETRY_NS
        return ahead

    def _note(self, project_id: str, export: ScheduledExport, **values: Any) -> ScheduledExport | None:
        """Note how far it has come; None when somebody changed or removed it meanwhile."""
        with self._catalog.write() as connection:
            table = ScheduledExportTable(connection, project_id)
            table.progress(export.export_id, export.updated_ns, **values)
            found = table.get()
        return found if found is not None and found.updated_ns == export.updated_ns else None

    def _next_period(self, project_id: str, export: ScheduledExport) -> tuple[int, int] | None:
        """The first complete period with something in it; None when there is none yet. Empty ones are passed over."""
        complete = export.period(self._clock() - LAG_NS)[0]
        begin = max(export.done_ns or 0, export.start_ns or 0)
        if begin >= complete:
            return None
        oldest: list[int] = []
        views: list[View] = [_VIEW[table] for table in export.tables()]
        for view in views:
            page = self._page(view, project_id, begin, complete, limit=1)
            oldest += [row.updated_ns for row in page.rows]
        if not oldest:
            self._note(project_id, export, done_ns=complete)
            return None
        start, end = export.period(min(oldest))
        return max(start, begin), end

    def _page(self, view: View, project_id: str, start: int, end: int, *, limit: int, cursor: str | None = None) -> Any:
        where = And((Cmp("updated_ns", ">=", start), Cmp("updated_ns", "<", end)))
        query = Query(
            project_id=project_id, where=where, order=_OLDEST_FIRST, limit=limit, cursor=cursor,
            with_io=limit > 1 and view != "scores",
        )  # fmt: skip
        return getattr(self._telemetry, view)(query)

    async def _write(
        self, store: BlobStore, project_id: str, export: ScheduledExport, table: str, start: int, end: int
    ) -> bool:
        """One file; none where the period has no rows of this kind."""
        pages = self._rows(project_id, export, table, start, end)
        first = next(pages, None)
        if first is None:
            return False
        parquet = export.file_type == "PARQUET"
        form = ParquetForm(compressed=export.compressed) if parquet else Form(export.file_type)
        packer = zlib.compressobj(wbits=31) if export.packed else None  # a gzip stream without a time in it

        async def chunks() -> AsyncIterator[bytes]:
            page: list[dict[str, Any]] | None = first
            while page is not None:
                text = form.rows(page)
                yield packer.compress(text) if packer else text
                page = next(pages, None)
            yield packer.compress(form.end()) + packer.flush() if packer else form.end()

        await store.write(export.key(project_id, table, end), chunks())
        return True

    def _rows(
        self, project_id: str, export: ScheduledExport, table: str, start: int, end: int
    ) -> Iterator[list[dict[str, Any]]]:
        view, groups = _VIEW[table], frozenset(export.field_groups)
        cursor: str | None = None
        while True:
            if self._closing.is_set():
                raise _Stopped
            page = self._page(view, project_id, start, end, limit=_PAGE, cursor=cursor)
            if not page.rows:
                return
            if view == "traces":
                yield [trace_row(row, project_id) for row in page.rows]
            elif view == "scores":
                yield [score_row(row, project_id) for row in page.rows if row.valid]
            else:
                enriched = table == "observations_v2"
                owners: dict[str, Any] = {}
                if enriched:
                    ids = list({span.trace_id for span in page.rows})
                    wanted = Query(project_id=project_id, where=Cmp("trace_id", "in", ids), limit=len(ids))
                    owners = {row.trace_id: row for row in self._telemetry.traces(wanted).rows}
                yield [
                    observation_row(span, project_id, owners.get(span.trace_id), groups, enriched=enriched)
                    for span in page.rows
                ]
            cursor = page.next_cursor
            if cursor is None:
                return


class _Stopped(Exception):
    """The server is closing down."""
