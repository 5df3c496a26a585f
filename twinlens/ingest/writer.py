"""The write path: a bounded queue and one writer that commits together what arrives together.

``Writer`` owns the telemetry store's writing side. See ``docs/architecture.md`` (write path).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import StoreUnavailable, TwinlensError
from twinlens.domain.live import Notice
from twinlens.domain.trace import Span, TraceSummary
from twinlens.ingest.batch import Batch
from twinlens.ingest.notices import notices_of
from twinlens.ingest.plan import ApplyLogs, Planner, Reprice
from twinlens.ingest.queue import Done, Submission, SubmissionQueue
from twinlens.ingest.restore import restore_traces
from twinlens.store.telemetry.interface import TelemetryStore

T = TypeVar("T")
log = logging.getLogger(__name__)

_MOMENT_S = 0.2  #: without writes, before the store may settle
_LOG_PATIENCE_NS = 24 * 3_600_000_000_000  #: how long content waits for its span


class Ingest(Protocol):
    """How faces and features write telemetry.

    ``submit`` returns when everything in the batch is durable and readable.

    Raises:
        Busy: the queue is full; nothing was stored.
        StoreUnavailable: the store cannot write now; nothing was stored.
        InvalidArgument: the batch breaks a rule that only the stored state shows.
    """

    async def submit(self, batch: Batch) -> None:
        """Commit from the event loop."""
        ...

    def submit_sync(self, batch: Batch) -> None:
        """Commit from any other thread."""
        ...

    async def run(self, work: Callable[[TelemetryStore], T]) -> T:
        """Run ``work`` on the writer thread, between commits: deletions, retention, reclaim."""
        ...

    def run_sync(self, work: Callable[[TelemetryStore], T]) -> T:
        """``run`` from any other thread."""
        ...

    def restore_sync(self, project_id: str, traces: Sequence[TraceSummary], spans: Sequence[Span]) -> int:
        """Put traces back as they were stored elsewhere; see ``twinlens.ingest.restore``. From any thread but the loop's."""
        ...


class LivePublisher(Protocol):
    """The part of the live bus the writer needs."""

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        ...

    def publish(self, notices: list[Notice]) -> None:
        """Hand notices out without blocking."""
        ...


class WriterLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and times of the write path."""

    queue_rows: int = 50_000  #: rows accepted but not yet durable
    queue_bytes: int = 256 << 20
    group_rows: int = 4_000  #: rows committed together at most (one larger batch is still one commit)
    linger_s: float = 0.002  #: under load: how long a commit waits for company
    idle_s: float = 10.0  #: after so long without writes the log is folded into the main file


class Writer:
    """``Ingest`` over one thread that groups what is queued into one commit.

    A commit that fails is tried again batch by batch, so that one bad batch fails alone. When the store cannot write
    (disk full), everybody is told ``StoreUnavailable``; the next batch tries again, so that it recovers by itself.
    """

    def __init__(
        self,
        store: TelemetryStore,
        live: LivePublisher | None = None,
        *,
        limits: WriterLimits | None = None,
        apply_logs: ApplyLogs | None = None,
        reprice: Reprice | None = None,
        committed: Callable[[Iterable[str]], None] | None = None,
        clock: Clock = now_ns,
    ) -> None:
        self._store = store
        self._live = live
        self._limits = limits or WriterLimits()
        self._clock = clock
        self._committed = committed  #: told the projects of every commit; must not block
        self._queue = SubmissionQueue(self._limits.queue_rows, self._limits.queue_bytes)
        self._planner = Planner(store, clock, apply_logs, reprice)
        self._thread = threading.Thread(target=self._loop, name="twinlens-writer", daemon=True)
        self._dirty = False
        self.commits = 0  #: commits done, for metrics
        self.rows = 0  #: rows committed, for metrics

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def close(self) -> None:
        """Commit what is queued, refuse the rest, end the thread. The store stays open."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()

    def depth(self) -> dict[str, Any]:
        """Queued items, rows and bytes."""
        return self._queue.depth()

    # --- Ingest ----------------------------------------------------------------------------------------------------
    async def submit(self, batch: Batch) -> None:
        """See ``Ingest.submit``."""
        if batch.rows or batch.metric_watermark is not None:
            done, future = _on_loop()
            self._queue.put(Submission(done, batch=batch))
            await future

    def submit_sync(self, batch: Batch) -> None:
        """See ``Ingest.submit_sync``."""
        if batch.rows or batch.metric_watermark is not None:
            done, future = _on_thread()
            self._queue.put(Submission(done, batch=batch))
            future.result()

    async def run(self, work: Callable[[TelemetryStore], T]) -> T:
        """See ``Ingest.run``."""
        found: list[T] = []
        done, future = _on_loop()
        self._queue.put(Submission(done, work=lambda: found.append(work(self._store))))
        await future
        return found[0]

    def run_sync(self, work: Callable[[TelemetryStore], T]) -> T:
        """See ``Ingest.run_sync``."""
        found: list[T] = []
        done, future = _on_thread()
        self._queue.put(Submission(done, work=lambda: found.append(work(self._store))))
        future.result()
        return found[0]

    def restore_sync(self, project_id: str, traces: Sequence[TraceSummary], spans: Sequence[Span]) -> int:
        """See ``Ingest.restore_sync``."""
        return self.run_sync(lambda store: restore_traces(store, self._planner.seen, project_id, traces, spans))

    # --- writer thread ---------------------------------------------------------------------------------------------
    def _loop(self) -> None:
        limits = self._limits
        busy = False
        unsettled = False
        while not self._queue.drained:
            rest = _MOMENT_S if unsettled else limits.idle_s
            items = self._queue.take(limits.group_rows, rest, limits.linger_s if busy else 0.0)
            if not items:
                if unsettled:
                    unsettled = False
                    self._settle_store(idle=True)
                else:
                    self._idle()
                busy = False
                continue
            started = time.monotonic()
            if items[0].work is not None:
                self._work(items[0])
            else:
                self._commit(items)
                self._settle_store(idle=False)
            unsettled = True
            # company is likely when requests came together, or while the last commit ran
            busy = len(items) > 1 or (self._queue.depth()["items"] > 0 and time.monotonic() - started < 1)

    def _settle_store(self, *, idle: bool) -> None:
        """The callers have their answer: what fails now is tried again with the next commit or read."""
        try:
            self._store.settle(idle=idle)
        except Exception as error:
            log.warning("put-off work of the telemetry store failed: %s", error)

    def _work(self, item: Submission) -> None:
        assert item.work is not None
        self._planner.skeletons.clear()  # it may delete what they show
        try:
            item.work()
        except BaseException as error:
            item.done(error)
        else:
            self._dirty = True
            item.done(None)

    def _commit(self, items: list[Submission]) -> None:
        try:
            self._store_all(items)
        except StoreUnavailable as error:
            self._settle(items, error)
        except Exception as error:
            if len(items) == 1:
                self._failed(items, error)
            else:
                for item in items:
                    self._commit([item])
        else:
            self._settle(items, None)

    def _store_all(self, items: list[Submission]) -> None:
        batches = [item.batch for item in items if item.batch is not None]
        rows = self._planner.plan(batches)
        self._store.commit(rows)
        self._planner.committed(rows)
        self._dirty = True
        if self._committed is not None:
            self._committed(rows.projects)
        self.commits += 1
        self.rows += sum(batch.rows for batch in batches)
        if self._live is not None and self._live.watched:
            try:
                self._live.publish(notices_of(rows))
            except Exception:  # the rows are durable: nobody may be told otherwise
                log.exception("live notices could not be published")

    def _failed(self, items: list[Submission], error: Exception) -> None:
        if not isinstance(error, TwinlensError):
            log.error("a batch could not be written", exc_info=error)
        self._settle(items, error)

    def _settle(self, items: list[Submission], error: BaseException | None) -> None:
        self._queue.settled(items)
        for item in items:
            item.done(error)

    def _idle(self) -> None:
        """Nothing to do for a while: fold the log, give back what was deleted, forget content whose span never came."""
        if self._dirty:
            self._dirty = False
            try:
                self._planner.drop_logs(self._clock() - _LOG_PATIENCE_NS)
                if self._store.reclaim_due():
                    self._store.reclaim()
                else:
                    self._store.checkpoint()
            except Exception as error:  # this thread must live on; the next idle moment tries again
                self._dirty = True
                log.warning("idle maintenance failed: %s", error)


def _on_loop() -> tuple[Done, asyncio.Future[None]]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not future.done():  # the client may have gone away
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def done(error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    return done, future


def _on_thread() -> tuple[Done, Future[None]]:
    future: Future[None] = Future()

    def done(error: BaseException | None) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return done, future
