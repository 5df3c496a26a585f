"""The live bus: tells open pages what has just been committed.

Publishing never blocks and never fails a write: a subscriber that does not keep up loses its oldest notices and is told
so by one notice of kind ``gap``, whereupon it reloads.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from twinlens.domain.live import Notice

QUEUE = 1_000


class Subscription:
    """One reader's queue. Iterate it inside the event loop that made it; leave the ``with`` block to unsubscribe."""

    def __init__(self, bus: LiveBus, project_id: str) -> None:
        self.project_id = project_id
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._queue: deque[Notice] = deque(maxlen=QUEUE)
        self._lost = False
        self.ended = False  #: the bus has closed: no more notices will come

    def end(self) -> None:
        """Wake the reader so that it sees ``ended``. Any thread."""
        self.ended = True
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            self.close()

    def offer(self, notices: list[Notice]) -> None:
        """Called from any thread."""
        if len(self._queue) + len(notices) > QUEUE:
            self._lost = True
        self._queue.extend(notices)
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed: the reader is gone
            self.close()

    async def next(self, seconds: float) -> list[Notice]:
        """All waiting notices; an empty list after ``seconds`` without one."""
        if not self._queue:
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except TimeoutError:
                return []
        self._event.clear()
        found: list[Notice] = []
        if self._lost:
            self._lost = False
            found.append(Notice(kind="gap", project_id=self.project_id, id=""))
        while self._queue:
            found.append(self._queue.popleft())
        return found

    def close(self) -> None:
        """Stop receiving."""
        self._bus.unsubscribe(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LiveBus:
    """Fan-out of notices to subscribers, by project."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscription, ...] = ()

    def subscribe(self, project_id: str) -> Subscription:
        """Start receiving; call from the event loop."""
        subscription = Subscription(self, project_id)
        with self._lock:
            self._subscribers = (*self._subscribers, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop receiving; harmless when it already has."""
        with self._lock:
            self._subscribers = tuple(s for s in self._subscribers if s is not subscription)

    def close(self) -> None:
        """End every subscription, so that open streams do not hold up a shutdown."""
        for subscription in self._subscribers:
            subscription.end()

    @property
    def watched(self) -> bool:
        """False when nobody listens, so that writers need not prepare notices."""
        return bool(self._subscribers)

    def publish(self, notices: list[Notice]) -> None:
        """Hand notices to everyone who watches their project. Any thread."""
        for subscription in self._subscribers:
            mine = [n for n in notices if n.project_id == subscription.project_id]
            if mine:
                subscription.offer(mine)
