"""Sends what webhooks wait for, in the background: at least once, in order, with patience.

Deliveries are rows of the catalog, so a restart (or ``kill -9``) loses none; one that was under way is sent again under the same id.
Each webhook has at most one request under way and gets its deliveries in order: one that fails holds up those behind it, so a
receiver that is away for long loses little, and it delays no other receiver.
"""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import TwinlensError
from twinlens.domain.webhook import Delivery
from twinlens.features.webhooks import Webhooks
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.webhooks import WebhookTable, all_waiting

_log = logging.getLogger(__name__)
_S = 1_000_000_000
MAX_ATTEMPTS = 8
FIRST_PAUSE_S = 1.0  #: before the second attempt; each later pause is four times as long
MAX_PAUSE_S = 3_600.0
KEEP = 100  #: finished deliveries that are kept of each webhook
WORKERS = 8
_AGAIN = (408, 425, 429)  #: answers below 500 that ask for another attempt


class WebhookWorker:
    """See the module's text."""

    def __init__(self, catalog: Catalog, webhooks: Webhooks, clock: Clock = now_ns) -> None:
        self._catalog = catalog
        self._webhooks = webhooks
        self._clock = clock
        self._wake = webhooks.wake
        self._closing = threading.Event()
        self._busy: set[tuple[str, str]] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name="twinlens-webhooks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the requests under way, leave the rest for the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="twinlens-webhook") as pool:
            rest: float | None = None
            while True:
                self._wake.wait(rest)
                self._wake.clear()
                if self._closing.is_set():
                    return
                try:
                    rest = self._hand_out(pool)
                except Exception:  # this thread must live on
                    _log.exception("webhooks could not be delivered")
                    rest = FIRST_PAUSE_S

    def _hand_out(self, pool: ThreadPoolExecutor) -> float | None:
        """Give each webhook with something due to a thread; seconds until the next is due."""
        with self._catalog.read() as connection:
            found = all_waiting(connection)
        now = self._clock()
        later: list[int] = []
        for project_id, webhook_id, due in found:
            if (project_id, webhook_id) in self._busy:
                continue  # its thread looks again before it ends, and wakes us then
            if due > now:
                later.append(due)
                continue
            self._busy.add((project_id, webhook_id))
            pool.submit(self._drain, project_id, webhook_id)
        return max(0.01, (min(later) - now) / _S) if later else None

    def _drain(self, project_id: str, webhook_id: str) -> None:
        """Send what one webhook waits for, oldest first, until nothing is due."""
        try:
            while not self._closing.is_set() and self._one(project_id, webhook_id):
                pass
            with self._catalog.write() as connection:
                WebhookTable(connection, project_id).prune(webhook_id, KEEP)
        except Exception:
            _log.exception("webhook %s could not be served", webhook_id)
            self._closing.wait(FIRST_PAUSE_S)
        finally:
            self._busy.discard((project_id, webhook_id))
            self._wake.set()

    def _one(self, project_id: str, webhook_id: str) -> bool:
        """Send one delivery; False when none is due."""
        with self._catalog.read() as connection:
            table = WebhookTable(connection, project_id)
            webhook, row = table.get(webhook_id), table.oldest(webhook_id)
        if webhook is None or row is None or webhook.status != "ACTIVE" or row.due_ns > self._clock():
            return False
        row = msgspec.structs.replace(row, attempts=row.attempts + 1, response_status=None, error=None)
        again, pause = False, 0.0
        try:
            answer = self._webhooks.send(project_id, webhook, row.delivery_id, row.payload)
        except OSError as error:
            row.error, again = f"{error}" or type(error).__name__, True
        except TwinlensError as error:
            row.error = error.message
        else:
            row.response_status, pause = answer.status, answer.retry_after or 0.0
            if not 200 <= answer.status < 300:
                row.error = f"the receiver answered {answer.status}: {answer.body[:500]}".rstrip(": ")
                again = answer.status >= 500 or answer.status in _AGAIN
        self._settle(project_id, row, again, pause)
        return True

    def _settle(self, project_id: str, row: Delivery, again: bool, pause: float) -> None:
        row.updated_ns = now = self._clock()
        row.status = "done" if row.error is None else "pending" if again and row.attempts < MAX_ATTEMPTS else "failed"
        with self._catalog.write() as connection:
            if again:
                pause = max(pause, FIRST_PAUSE_S * 4 ** (row.attempts - 1)) * random.uniform(1.0, 1.2)  # noqa: S311
                row.due_ns = now + int(min(pause, MAX_PAUSE_S) * _S)
            WebhookTable(connection, project_id).put_delivery(row)
