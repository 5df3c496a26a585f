"""From finished spans to backends. The agent's threads only append to a bounded queue; one daemon thread does the rest."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twinlens.sdk.loading import load

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from twinlens.sdk.backends.base import Backend
    from twinlens.sdk.delivery import Courier
    from twinlens.sdk.note import Note
    from twinlens.sdk.score import Score
    from twinlens.sdk.span import Span

log = logging.getLogger("twinlens")
#: Spans and scores that may wait in memory; further ones are dropped and counted.
QUEUE = 8_192
#: Spans per request.
BATCH = 512
#: Longest wait of a span in memory before it is on disk, in seconds.
LINGER_S = 0.2
#: Longest wait at the end for what is in memory to reach the disk: a matter of milliseconds, unless the machine starves.
SETTLE_S = 15.0


class Pipeline:
    """Queue, export thread and couriers.

    Args:
        backends: where batches go.
        couriers: one per remote backend, in the same order.
        mask: see ``encode.Masker``.
        capture_content: False drops prompts and answers.
        linger: seconds that a span may wait in memory.
    """

    def __init__(
        self, backends: Sequence[Backend], couriers: Sequence[Courier], *, mask: Sequence[str] = (),
        capture_content: bool = True, linger: float = LINGER_S,
    ) -> None:  # fmt: skip
        self.backends = backends
        self.couriers = couriers
        self.dropped = 0
        self.mask_hook: Callable[[str], Any] | None = None
        self._mask = mask
        self._capture_content = capture_content
        self._linger = min(linger, LINGER_S)
        self._tools: tuple[Any, Any, Any] | None = None
        self.reset()

    def reset(self) -> None:
        """Start afresh without what waits (in the child after a fork; the parent still sends it)."""
        self._queue: deque[ReadableSpan | Span | Score | Note | threading.Event] = deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        for courier in self.couriers:
            courier.reset()

    def put(self, item: ReadableSpan | Span | Score | Note) -> None:
        """Take a finished span, a score or a note. Never blocks."""
        if len(self._queue) >= QUEUE:
            self.dropped += 1
            return
        self._queue.append(item)
        if not self._wake.is_set():
            if self._thread is None:
                self._start()
            self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped:
                thread = threading.Thread(target=self._loop, name="twinlens-export", daemon=True)
                try:
                    thread.start()
                    for courier in self.couriers:
                        courier.start()
                except RuntimeError:  # the interpreter is ending
                    return
                self._thread = thread

    def flush(self, timeout: float = 5.0, *, force: bool = True, settle: float | None = None) -> bool:
        """Wait until everything so far is delivered, at most ``timeout`` seconds.

        Args:
            timeout: seconds.
            force: also try backends that failed a moment ago; otherwise those, and silent ones, are not waited for.
            settle: seconds that encoding and writing to disk may take, which no backend can delay; ``timeout`` by default.

        Returns:
            Whether everything arrived. What did not is in the spool.
        """
        if self._thread is None:
            return True
        spooled = threading.Event()
        self._queue.append(spooled)
        self._hurry.set()
        self._wake.set()
        begun = time.monotonic()
        if not spooled.wait(timeout if settle is None else settle):
            return False
        deadline = (begun if settle is None else time.monotonic()) + timeout
        waiting = [(c, c.ring(force)) for c in self.couriers if force or not c.down]
        arrived = [c.wait(ticket, max(deadline - time.monotonic(), 0), ending=not force) for c, ticket in waiting]
        return all(arrived) and len(waiting) == len(self.couriers)

    def close(self, timeout: float = 1.0) -> None:
        """Flush within the budget and stop the threads. Dead backends cost nothing: their spans stay in the spool."""
        with contextlib.suppress(Exception):
            self.flush(timeout, force=False, settle=SETTLE_S)
        self._stopped = True
        self._wake.set()
        self._hurry.set()
        for courier in self.couriers:
            courier.stop()

    def _loop(self) -> None:
        load()
        while True:
            self._wake.wait()
            if not self._stopped:
                self._hurry.wait(self._linger)
            self._hurry.clear()
            self._wake.clear()
            while self._queue:
                try:
                    self._export()
                except Exception as error:  # the thread must live
                    log.debug("twinlens: export failed: %s", error, exc_info=True)
            if self._stopped and not self._queue:
                return

    def _export(self) -> None:
        from twinlens.sdk.note import Note
        from twinlens.sdk.score import Score

        spans: list[ReadableSpan | Span] = []
        scores: list[Score] = []
        notes: list[Note] = []
        tickets: list[threading.Event] = []
        while self._queue and len(spans) + len(scores) + len(notes) < BATCH and not tickets:
            item = self._queue.popleft()
            if isinstance(item, Score):
                scores.append(item)
            elif isinstance(item, Note):
                notes.append(item)
            elif isinstance(item, threading.Event):
                tickets.append(item)
            else:
                spans.append(item)
        try:
            if spans or scores or notes:
                self._hand_out(spans, scores, notes)
        finally:
            for ticket in tickets:
                ticket.set()

    def _hand_out(self, spans: list[ReadableSpan | Span], scores: list[Score], notes: list[Note]) -> None:
        from dataclasses import replace

        from twinlens.sdk.batch import Batch
        from twinlens.sdk.encode import Masker, encode
        from twinlens.sdk.runs import RunBuilder
        from twinlens.sdk.wrappers import Wrappers

        if self._tools is None:
            self._tools = Masker(self._mask, self._capture_content), Wrappers(), RunBuilder()
        masker, wrappers, runs = self._tools
        masker.hook = self.mask_hook
        request = encode(spans)
        masker.apply(request)
        wrappers.apply(request)
        for score in scores:
            if score.comment:
                score.comment = masker.text(score.comment)
        notes = [
            replace(n, value=masker.text(n.value)) if n.kind == "param" and isinstance(n.value, str) else n
            for n in notes
        ]
        batch = Batch(request, scores, *runs.take(request, scores, notes))
        couriers = iter(self.couriers)
        for backend in self.backends:
            try:
                if backend.remote:
                    courier = next(couriers)
                    for head, body in backend.parcels(batch):
                        courier.put(head, body)
                    courier.ring()
                else:
                    backend.write(batch)
            except Exception as error:  # one backend's trouble must not reach the others
                backend.complain(error)
