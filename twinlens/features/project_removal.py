"""Deletes projects: at once for everybody, and their rows, telemetry and bytes soon after.

A deleted project is marked in the catalog and its keys are gone, so nobody reaches it any more. One thread then removes
what it held: telemetry, blobs, catalog rows, and last the mark. Every step may be repeated, so what a stop or a crash
interrupts is done again after the next start.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from twinlens.domain.artifact import project_folder
from twinlens.features.artifacts import ARTIFACTS
from twinlens.features.media import media_folder
from twinlens.features.projects import Projects
from twinlens.ingest.writer import Ingest
from twinlens.store.blobs.interface import BlobStore
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.projects import ProjectStore
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Query

log = logging.getLogger(__name__)
_RETRY_S = 30.0


class ProjectRemoval:
    """See the module's text. ``forget`` is told each removed project, to drop what is remembered about it."""

    def __init__(
        self,
        catalog: Catalog,
        projects: Projects,
        ingest: Ingest,
        telemetry: TelemetryStore,
        blobs: BlobStore,
        forget: Callable[[str], None],
    ) -> None:
        self._store = ProjectStore(catalog)
        self._projects = projects
        self._ingest = ingest
        self._telemetry = telemetry
        self._blobs = blobs
        self._forget = forget
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Go on with what an earlier run left."""
        if self._store.deleted():
            self._run()

    def remove(self, project_id: str) -> None:
        """Delete a project. Returns when nobody can reach it any more.

        Raises:
            NotFound: there is no such project.
            InvalidState: the default project.
        """
        self._projects.mark_deleted(project_id)
        self._run()

    def holds(self, project_id: str) -> bool:
        """Whether anything was recorded in a project, or made in it besides its settings."""
        if self._store.holds_rows(project_id):
            return True
        query = Query(project_id=project_id, limit=1)
        return bool(self._telemetry.traces(query).rows or self._telemetry.scores(query).rows)

    def pending(self) -> list[str]:
        """Deleted projects whose data is still being removed."""
        return self._store.deleted()

    def close(self) -> None:
        """Stop after the step at hand."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        self._wake.set()
        with self._lock:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._loop, name="twinlens-removal", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            waiting = self._store.deleted()
            try:
                for project_id in waiting:
                    self._erase(project_id)
            except Exception:
                log.exception("removing a deleted project failed, trying again in %d s", _RETRY_S)
                self._wake.wait(_RETRY_S)
                continue
            if not waiting:
                self._wake.wait()

    def _erase(self, project_id: str) -> None:
        def telemetry(store: TelemetryStore) -> None:
            store.delete_project(project_id)

        steps: list[Callable[[], object]] = [
            lambda: self._ingest.run_sync(telemetry),
            lambda: asyncio.run(self._erase_blobs(project_id)),
            lambda: self._store.erase(project_id),
            # Requests that came in just before the mark may have written since, and metrics reach telemetry late.
            lambda: self._ingest.run_sync(telemetry),
            lambda: self._forget(project_id),
            lambda: self._store.unmark(project_id),
        ]
        for step in steps:
            if self._stopping:
                return
            step()
        log.info("project %s has been removed", project_id)

    async def _erase_blobs(self, project_id: str) -> None:
        await self._blobs.delete(f"{ARTIFACTS}/{project_folder(project_id)}")
        await self._blobs.delete(media_folder(project_id))
