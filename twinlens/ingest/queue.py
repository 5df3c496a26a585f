"""The bounded queue in front of the writer thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from twinlens.domain.errors import Busy, StoreUnavailable
from twinlens.ingest.batch import Batch

#: Told the outcome: None, or what went wrong.
Done = Callable[[BaseException | None], None]


class Submission:
    """A batch, or work for the writer thread (``work`` set), with whom to tell."""

    __slots__ = ("batch", "done", "work")

    def __init__(self, done: Done, batch: Batch | None = None, work: Callable[[], None] | None = None) -> None:
        self.batch = batch
        self.work = work
        self.done = done


class SubmissionQueue:
    """First in, first out; full by rows or by bytes, counting what is being committed too."""

    def __init__(self, max_rows: int, max_bytes: int) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._items: deque[Submission] = deque()
        self._rows = 0
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Submission) -> None:
        """Add an item.

        Raises:
            Busy: full; an empty queue takes a batch of any size.
            StoreUnavailable: the writer has been closed.
        """
        batch = item.batch
        with self._changed:
            if self._closed:
                raise StoreUnavailable("the server is shutting down")
            if batch is not None:
                rows, size = self._rows + batch.rows, self._bytes + batch.bytes
                if self._rows and (rows > self._max_rows or size > self._max_bytes):
                    raise Busy("the write queue is full; send again shortly")
                self._rows, self._bytes = rows, size
            self._items.append(item)
            self._changed.notify()

    def take(self, max_rows: int, timeout: float | None, linger: float = 0.0) -> list[Submission]:
        """Batches to commit together (or one piece of work); empty after ``timeout`` or when closed and drained.

        ``linger``: seconds to wait for more while fewer than ``max_rows`` are there.
        """
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait_for(lambda: bool(self._items) or self._closed, timeout)
            if linger:
                until = time.monotonic() + linger
                while self._waiting_rows() < max_rows and not self._closed and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
            return self._drain(max_rows)

    def _waiting_rows(self) -> int:
        return sum(item.batch.rows for item in self._items if item.batch is not None)

    def _drain(self, max_rows: int) -> list[Submission]:
        taken: list[Submission] = []
        rows = 0
        while self._items:
            batch = self._items[0].batch
            if batch is None:
                return taken or [self._items.popleft()]
            rows += batch.rows
            if taken and rows > max_rows:
                break
            taken.append(self._items.popleft())
        return taken

    def settled(self, items: list[Submission]) -> None:
        """The items have been answered: their room is free again."""
        with self._changed:
            for item in items:
                if item.batch is not None:
                    self._rows -= item.batch.rows
                    self._bytes -= item.batch.bytes

    def close(self) -> None:
        """Take no more; what is queued is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def drained(self) -> bool:
        """Closed and empty."""
        with self._changed:
            return self._closed and not self._items

    def depth(self) -> dict[str, Any]:
        """How full it is, for metrics."""
        with self._changed:
            return {"items": len(self._items), "rows": self._rows, "bytes": self._bytes}
