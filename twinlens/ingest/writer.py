"""The write path: a bounded queue and one writer that commits together what arrives together.

``Writer`` owns the telemetry store's writing side. See ``docs/architecture.md`` (write path).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twinlens.ingest.batch import Batch
from twinlens.store.telemetry.interface import TelemetryStore

T = TypeVar("T")


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
