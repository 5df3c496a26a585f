"""Brings parcels from the spool to one backend: its own daemon thread, back-off, one warning and then silence."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from twinlens.sdk.loading import load
from twinlens.sdk.wire import Unreachable

if TYPE_CHECKING:
    from twinlens.sdk.backends.base import Remote
    from twinlens.sdk.spool import Spool

log = logging.getLogger("twinlens")
#: First and longest wait after a failure, in seconds.
BACKOFF_S = (1.0, 60.0)
#: Longest wait of a program that ends for a backend that has not answered it yet, in seconds.
PATIENCE_S = 0.5


class Refused(Exception):
    """The backend will never take this parcel."""


class Courier:
    """Delivers the parcels of one backend, oldest first. Every method may be called from any thread.

    A parcel that the disk refuses is delivered from memory, once.
    """

    def __init__(self, backend: Remote, spool: Spool) -> None:
        self.backend = backend
        self.spool = spool
        self.delivered = 0
        self.refused = 0
        self._warned = False
        self.reset()

    def reset(self) -> None:
        """Forget the thread and everything that waits in memory (in the child after a fork)."""
        self._wake = threading.Event()
        self._tickets: list[threading.Event] = []
        self._unspooled: list[tuple[dict[str, Any], bytes]] = []
        self._failures = 0
        self._next_try = 0.0
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.backend.reset()

    @property
    def down(self) -> bool:
        """The last attempt failed."""
        return self._failures > 0

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name=f"twinlens-{self.backend.name}", daemon=True)
            self._thread.start()

    def put(self, head: dict[str, Any], body: bytes) -> None:
        """Store a parcel; it leaves with the next round."""
        try:
            self.spool.put(head, body)
        except OSError as error:
            self.warn(f"the spool {self.spool.folder} cannot be written: {error}")
            if len(self._unspooled) < 16:
                self._unspooled.append((head, body))

    def ring(self, force: bool = False) -> threading.Event:
        """Ask for a round; the event is set when it is over. ``force`` skips the back-off."""
        ticket = threading.Event()
        if force:
            self._next_try = 0.0
        self._tickets.append(ticket)
        self._wake.set()
        return ticket

    def wait(self, ticket: threading.Event, timeout: float, *, ending: bool = False) -> bool:
        """Wait for the end of a round that was asked for.

        Args:
            ticket: from ``ring``.
            timeout: seconds.
            ending: the program ends, so wait only while an answer can be expected within ``timeout``: not for a backend that stays
                silent, that took longer before, or that kept silent to another process a minute ago.

        Returns:
            Whether the round emptied the spool.
        """
        deadline = time.monotonic() + timeout
        while not ticket.is_set():
            left = deadline - time.monotonic()
            if ending:
                left = min(left, self._hope(timeout))
            if left <= 0:
                if ending and self.backend.connection.took is None:
                    self.spool.gave_up()
                return False
            ticket.wait(left)
        return not self.down

    def _hope(self, timeout: float) -> float:
        """Seconds that the answer to the current request may still take to be worth waiting for."""
        connection = self.backend.connection
        if connection.took is not None:
            return timeout - connection.waited if connection.took <= timeout else 0.0
        return 0.0 if self.spool.given_up_s() < BACKOFF_S[1] else min(PATIENCE_S, timeout) - connection.waited

    def stop(self) -> None:
        """End the thread after its round."""
        self._stopped = True
        self._wake.set()

    def _loop(self) -> None:
        load()
        tidied = -1e9
        while not self._stopped:
            if time.monotonic() - tidied > 60:
                with contextlib.suppress(OSError, ValueError):
                    self.spool.tidy()
                tidied = time.monotonic()
            wait = max(self._next_try - time.monotonic(), 0.01) if self.down else None
            self._wake.wait(wait)
            self._wake.clear()
            tickets, self._tickets = self._tickets, []
            if time.monotonic() >= self._next_try:
                try:
                    self.round()
                except Exception as error:  # the thread must live
                    self._fail(f"{type(error).__name__}: {error}", 0)
            for ticket in tickets:
                ticket.set()

    def round(self) -> bool:
        """Send what waits until it is empty or the backend fails; whether it was emptied. On the calling thread."""
        while self._unspooled:
            head, body = self._unspooled.pop(0)
            if not self._send(head, body):
                return False
        while (parcel := self.spool.claim()) is not None:
            sent = False
            try:
                sent = self._send(parcel.head, parcel.body)
            finally:
                (self.spool.done if sent else self.spool.back)(parcel)
            if not sent:
                return False
        return True

    def _send(self, head: dict[str, Any], body: bytes) -> bool:
        try:
            self.backend.deliver(head, body)
        except Unreachable as error:
            self._fail(str(error), error.retry_after)
            return False
        except Refused as error:
            self.refused += 1
            self.warn(f"refused: {error}")
        except Exception as error:  # a parcel that breaks our own code would block all others
            self.refused += 1
            self.warn(f"{type(error).__name__}: {error}")
        else:
            self.delivered += 1
        self._failures = 0
        return True

    def _fail(self, reason: str, retry_after: float) -> None:
        self._failures += 1
        pause = min(BACKOFF_S[0] * 2 ** (self._failures - 1), BACKOFF_S[1])
        self._next_try = time.monotonic() + max(pause, retry_after)
        self.warn(f"{reason}; kept in {self.spool.folder} until it answers")

    def warn(self, text: str) -> None:
        """Say it, the first time only."""
        if not self._warned:
            self._warned = True
            log.warning("twinlens: %s backend: %s (said once)", self.backend.name, text)
