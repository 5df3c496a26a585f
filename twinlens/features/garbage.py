"""Removes for good what was deleted, and what is older than a project keeps; gives the space back.

Collection works in steps that each leave things consistent: artifacts first, then metric points and rows in one go. Stopped at
any moment, the next collection finds what is left still marked as deleted and goes on. Semantics of ``mlflow gc`` (3.18): only
what is in the state "deleted" goes, and experiments go after their runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from twinlens.domain.clock import Clock, now_ns
from twinlens.domain.errors import InvalidArgument, TwinlensError
from twinlens.domain.run_rules import experiment_number
from twinlens.features.artifacts import Artifacts
from twinlens.features.projects import Projects
from twinlens.features.runs import Runs
from twinlens.features.traces import Traces
from twinlens.ingest.writer import Ingest
from twinlens.store.catalog.engine import Catalog
from twinlens.store.catalog.garbage import Doomed, GarbageTable
from twinlens.store.catalog.grants import move_grants
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Cmp, Query

log = logging.getLogger(__name__)

DAY_NS = 86_400_000_000_000
_FIRST_S = 60.0  #: after the start, so that it does not compete with it
_STEP = 100  #: runs or models per step
_PAGE = 500  #: traces per step


class Collected(msgspec.Struct, kw_only=True):
    """What was removed, or with ``dry_run`` would be. ``files`` are artifacts in the server's own store."""

    runs: int = 0
    logged_models: int = 0
    experiments: int = 0
    traces: int = 0
    files: int = 0
    payload_bytes: int = 0
    dry_run: bool = False


class Garbage:
    """See the module's text."""

    def __init__(
        self, catalog: Catalog, telemetry: TelemetryStore, ingest: Ingest, projects: Projects, runs: Runs,
        traces: Traces, artifacts: Artifacts, *, keep_headers: bool = False,
        interval_s: float = 3_600.0, clock: Clock = now_ns,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._telemetry = telemetry
        self._ingest = ingest
        self._projects = projects
        self._runs = runs
        self._traces = traces
        self._artifacts = artifacts
        self._keep_headers = keep_headers
        self._interval_s = interval_s
        self._clock = clock
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    # --- what was deleted --------------------------------------------------------------------------------------
    async def collect(
        self, project_id: str, *, older_than_ms: int = 0, run_ids: Sequence[str] | None = None,
        experiment_ids: Sequence[str] | None = None, dry_run: bool = False,
    ) -> Collected:  # fmt: skip
        """Remove what was deleted at least ``older_than_ms`` ago.

        Args:
            run_ids: only these runs.
            experiment_ids: only these experiments, with their runs and models.

        Raises:
            InvalidArgument: a named run is not deleted, an id is no number, or the age is negative.
        """
        if older_than_ms < 0:
            raise InvalidArgument("older_than must not be negative")
        before = self._clock() // 1_000_000 - older_than_ms
        numbers = None if experiment_ids is None else [experiment_number(text) for text in experiment_ids]
        done = Collected(dry_run=dry_run)
        if run_ids is not None:
            await asyncio.to_thread(self._check, project_id, run_ids)
        most = _STEP if not dry_run else 1_000_000
        while found := await asyncio.to_thread(self._doomed_runs, project_id, before, run_ids, numbers, most):
            done.runs += len(found)
            if dry_run:
                break
            done.files += await self._files(project_id, found)
            await asyncio.to_thread(self._runs.purge, project_id, [run.id for run in found])
        if run_ids is None:
            await self._models(project_id, before, numbers, done, most)
            await self._experiments(project_id, before, numbers, done)
        if not dry_run:
            report = await self._ingest.run(lambda store: store.reclaim())
            done.payload_bytes = report.bytes_dropped
        return done

    def _check(self, project_id: str, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            if self._runs.get(project_id, run_id).lifecycle != "deleted":
                raise InvalidArgument(f"run {run_id} is not deleted; delete it first, then it can be removed for good")

    def _doomed_runs(
        self, project_id: str, before: int, run_ids: Sequence[str] | None, numbers: Sequence[int] | None, most: int
    ) -> list[Doomed]:
        with self._catalog.read() as connection:
            return GarbageTable(connection, project_id).runs(before, run_ids, numbers, most)

    async def _models(
        self, project_id: str, before: int, numbers: Sequence[int] | None, done: Collected, most: int
    ) -> None:
        def doomed() -> list[Doomed]:
            with self._catalog.read() as connection:
                return GarbageTable(connection, project_id).models(before, numbers, most)

        def drop(ids: list[str]) -> None:
            with self._catalog.write() as connection:
                GarbageTable(connection, project_id).drop_models(ids)

        while found := await asyncio.to_thread(doomed):
            done.logged_models += len(found)
            if done.dry_run:
                return
            done.files += await self._files(project_id, found)
            await asyncio.to_thread(drop, [model.id for model in found])

    async def _experiments(
        self, project_id: str, before: int, numbers: Sequence[int] | None, done: Collected
    ) -> None:  # fmt: skip
        def doomed() -> list[Doomed]:
            with self._catalog.read() as connection:
                return GarbageTable(connection, project_id).experiments(before, numbers)

        def drop(experiment_id: str) -> int:
            with self._catalog.write() as connection:
                move_grants(connection, project_id, ("experiment",), experiment_id, None)
                return len(GarbageTable(connection, project_id).drop_experiment(experiment_id))

        for experiment in await asyncio.to_thread(doomed):
            done.experiments += 1
            if done.dry_run:
                where = Cmp("experiment_id", "=", experiment.id)
                done.traces += await asyncio.to_thread(
                    self._telemetry.count, "traces", Query(project_id=project_id, where=where)
                )
                continue
            done.traces += await asyncio.to_thread(
                self._traces.delete_older, project_id, experiment.id, (1 << 62)
            )  # fmt: skip
            done.files += await self._files(project_id, [experiment])
            done.logged_models += await asyncio.to_thread(drop, experiment.id)

    async def _files(self, project_id: str, doomed: Sequence[Doomed]) -> int:
        """Artifacts in the server's own store; what clients wrote elsewhere is theirs."""
        gone = 0
        for each in doomed:
            if each.artifact_uri:
                try:
                    gone += await self._artifacts.delete_at(project_id, each.artifact_uri)
                except TwinlensError as error:  # a location of another project or a broken one: the row still goes
                    log.warning("artifacts of %s stay: %s", each.id, error)
        return gone

    def counts(self, project_id: str) -> dict[str, Any]:
        """Number of active things by kind, and of deleted runs."""
        with self._catalog.read() as connection:
            found = GarbageTable(connection, project_id).counts()
        for view in ("traces", "spans", "scores"):
            found[view] = self._telemetry.count(view, Query(project_id=project_id))
        return found

    # --- what is older than a project keeps --------------------------------------------------------------------
    def start(self) -> None:
        """Enforce retention from now on."""
        self._thread = threading.Thread(target=self._run, name="twinlens-retention", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; what is left goes after the next start."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        rest = min(_FIRST_S, self._interval_s)
        while not self._closing.wait(rest):
            rest = self._interval_s
            try:
                self.enforce()
            except Exception as error:  # this thread must live on; the next look tries again
                log.warning("retention could not be enforced: %s", error)

    def enforce(self) -> dict[str, int]:
        """Drop what is older than its project's ``retention_days``: traces with spans and scores, or with
        ``retention_drops = "payloads"`` only their payloads. Number of traces (or spans) per project."""
        done: dict[str, int] = {}
        for project in self._projects.list():
            if project.retention_days:
                before = self._clock() - project.retention_days * DAY_NS
                if self._keep_headers:
                    done[project.id] = self._ingest.run_sync(
                        lambda store, at=before, of=project.id: store.drop_payloads(of, at)
                    )
                else:
                    done[project.id] = self._drop_traces(project.id, before)
        if any(done.values()):
            self._ingest.run_sync(lambda store: store.reclaim())
        return done

    def _drop_traces(self, project_id: str, before_ns: int) -> int:
        """A page at a time, so that writers get their turn in between."""
        where = Cmp("start_ns", "<", before_ns)
        gone = 0
        while not self._closing.is_set():
            page = self._telemetry.traces(Query(project_id=project_id, where=where, limit=_PAGE))
            if not page.rows:
                break
            ids = [summary.trace_id for summary in page.rows]
            gone += self._traces.remove(project_id, ids)
        return gone
