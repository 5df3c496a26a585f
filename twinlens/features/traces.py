"""Traces as a whole: read with spans and scores, wait until complete, edit, link, delete.

Every edit is a ``TracePatch`` through the write path, so it merges by the same rules as what exporters say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import msgspec

from twinlens.domain.errors import InvalidArgument, NotFound
from twinlens.domain.ids import possible_trace_ids
from twinlens.domain.score import Score
from twinlens.domain.trace import Span, TracePatch, TraceSummary
from twinlens.features.annotation import AnnotationQueues
from twinlens.features.live import LiveBus
from twinlens.ingest.batch import Batch
from twinlens.ingest.writer import Ingest
from twinlens.store.telemetry.interface import TelemetryStore
from twinlens.store.telemetry.query import Aggregate, Cmp, Expr, Measure, Order, Page, Query, all_of

_DELETE_PAGE = 500


class TraceDetail(msgspec.Struct, kw_only=True):
    """One trace with everything that belongs to it."""

    summary: TraceSummary
    spans: list[Span]
    scores: list[Score]


class Traces:
    """See the module's text. Plain methods block; coroutines do not. Ids may be in any form a client knows."""

    def __init__(self, telemetry: TelemetryStore, ingest: Ingest, live: LiveBus, annotation: AnnotationQueues) -> None:
        self._telemetry = telemetry
        self._ingest = ingest
        self._live = live
        self._annotation = annotation

    # --- reading -----------------------------------------------------------------------------------------------------
    def summary(self, project_id: str, trace_id: str) -> TraceSummary:
        """The list row of one trace.

        Raises:
            NotFound: no such trace in this project.
        """
        for form in possible_trace_ids(trace_id):
            found = self._telemetry.trace(project_id, form, with_io=False)
            if found is not None:
                return found
        raise NotFound(f"Trace with ID '{trace_id}' not found.")

    def summaries(self, project_id: str, trace_ids: Sequence[str]) -> list[TraceSummary]:
        """List rows in the order of the ids; unknown ones are left out."""
        forms = {trace_id: possible_trace_ids(trace_id) for trace_id in trace_ids}
        wanted = list(dict.fromkeys(form for each in forms.values() for form in each))
        found: dict[str, TraceSummary] = {}
        for start in range(0, len(wanted), _DELETE_PAGE):
            part = wanted[start : start + _DELETE_PAGE]
            page = self._telemetry.traces(
                Query(project_id=project_id, where=Cmp("trace_id", "in", part), limit=len(part))
            )
            found.update((summary.trace_id, summary) for summary in page.rows)
        rows: dict[str, TraceSummary] = {}
        for each in forms.values():
            row = next((found[form] for form in each if form in found), None)
            if row is not None:
                rows[row.trace_id] = row
        return list(rows.values())

    def search(
        self, project_id: str, where: Expr, order: tuple[Order, ...] = (), limit: int = 100, cursor: str | None = None
    ) -> Page:
        """A page of list rows, newest first unless ``order`` says otherwise."""
        return self._telemetry.traces(
            Query(project_id=project_id, where=where, order=order, limit=limit, cursor=cursor)
        )

    def count(self, project_id: str, where: Expr) -> int:
        """How many traces fit."""
        wanted = Aggregate(project_id=project_id, view="traces", measures=(Measure("n", "count"),), where=where)
        rows = self._telemetry.aggregate(wanted)
        return int(rows[0]["n"]) if rows else 0

    def scores_of(self, project_id: str, summaries: Iterable[TraceSummary]) -> dict[str, list[Score]]:
        """Scores by trace id, oldest first."""
        ids = [summary.trace_id for summary in summaries]
        return self._telemetry.scores_for(project_id, ids) if ids else {}

    def details(self, project_id: str, summaries: Sequence[TraceSummary]) -> list[TraceDetail]:
        """Whole traces: three reads whatever the number."""
        ids = [summary.trace_id for summary in summaries]
        if not ids:
            return []
        spans = self._telemetry.trace_spans(project_id, ids)
        scores = self._telemetry.scores_for(project_id, ids)
        return [
            TraceDetail(summary=s, spans=spans.get(s.trace_id, []), scores=scores.get(s.trace_id, []))
            for s in summaries
        ]

    async def wait_for_spans(self, project_id: str, trace_id: str, expected: int, seconds: float) -> bool:
        """Wait until a trace has at least ``expected`` spans; False after so many seconds without.

        Wakes on commits, does not poll: exporters send a trace's end and its spans over different connections.
        """
        deadline = time.monotonic() + seconds
        with self._live.subscribe(project_id) as subscription:
            while True:
                found = await asyncio.to_thread(self._telemetry.trace, project_id, trace_id, with_io=False)
                if found is not None and found.span_count >= expected:
                    return True
                while True:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return False
                    notices = await subscription.next(left)
                    if any(notice.id == trace_id or notice.kind == "gap" for notice in notices):
                        break

    # --- editing -----------------------------------------------------------------------------------------------------
    def patch(self, project_id: str, patches: Sequence[TracePatch], scores: Sequence[Score] = ()) -> None:
        """Bring what a client says about traces (and scores that come with it) to the store; durable on return."""
        if patches or scores:
            self._ingest.submit_sync(Batch(project_id=project_id, patches=list(patches), scores=list(scores)))

    def set_tag(self, project_id: str, trace_id: str, key: str, value: str | None) -> None:
        """Set a key-value tag; None removes it.

        Raises:
            NotFound: no such trace, or no such tag to remove.
        """
        found = self.summary(project_id, trace_id)
        if value is None and key in found.tags and key not in found.tag_values:
            rest = [tag for tag in found.tags if tag != key]
            self.patch(
                project_id,
                [TracePatch(trace_id=found.trace_id, authority="client", tags=rest, replace_tags=True)],
            )
            return
        if value is None and key not in found.tag_values:
            raise NotFound(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")
        change = TracePatch(trace_id=found.trace_id, authority="client", tag_values={key: value})
        self.patch(project_id, [change])

    def rename(self, project_id: str, trace_id: str, name: str) -> None:
        """Set the name. Raises NotFound."""
        found = self.summary(project_id, trace_id)
        self.patch(project_id, [TracePatch(trace_id=found.trace_id, authority="client", name=name)])

    def link_run(self, project_id: str, trace_ids: Sequence[str], run_id: str) -> None:
        """Link traces to a run; unknown traces are an error and then nothing is linked.

        Raises:
            NotFound: one of the traces does not exist.
        """
        self.patch(
            project_id,
            [
                TracePatch(trace_id=each, run_ids=[run_id], authority="client")
                for each in self._all(project_id, trace_ids)
            ],
        )

    def link_prompts(self, project_id: str, trace_id: str, prompts: Sequence[tuple[str, str]]) -> None:
        """Link prompt versions, as (name, version), to a trace. Raises NotFound."""
        found = self.summary(project_id, trace_id)
        names = [f"{name}/{version}" for name, version in prompts]
        self.patch(project_id, [TracePatch(trace_id=found.trace_id, prompts=names, authority="client")])

    def _all(self, project_id: str, trace_ids: Sequence[str]) -> list[str]:
        found = [summary.trace_id for summary in self.summaries(project_id, trace_ids)]
        if len(found) < len(set(trace_ids)):
            missing = [each for each in trace_ids if not set(possible_trace_ids(each)) & set(found)]
            raise NotFound(f"Traces not found: {', '.join(missing)}")
        return found

    # --- deleting ----------------------------------------------------------------------------------------------------
    def delete(self, project_id: str, trace_ids: Sequence[str], experiment_id: str | None = None) -> int:
        """Remove traces with spans and scores; the number that existed (in ``experiment_id``, when given)."""
        found = self.summaries(project_id, trace_ids)
        ids = [each.trace_id for each in found if experiment_id in (None, each.experiment_id)]
        return self.remove(project_id, ids)

    def remove(self, project_id: str, ids: Sequence[str]) -> int:
        """Remove traces, by their stored ids, with spans and scores, also from annotation queues; the number that existed."""
        if not ids:
            return 0
        spans: list[str] = []
        if waiting := self._annotation.waiting_observations(project_id):
            found = self._telemetry.span_ids(project_id, ids)
            spans = [span_id for own in found.values() for span_id in own if span_id in waiting]
        gone = self._ingest.run_sync(lambda store: store.delete_traces(project_id, ids))
        self._annotation.forget(project_id, ids, spans)
        return gone

    def delete_older(self, project_id: str, experiment_id: str, before_ns: int, limit: int | None = None) -> int:
        """Remove the oldest traces of an experiment that started at or before a time; their number.

        Raises:
            InvalidArgument: ``limit`` is not positive.
        """
        if limit is not None and limit < 1:
            raise InvalidArgument("max_traces must be a positive integer")
        where = all_of(Cmp("experiment_id", "=", experiment_id), Cmp("start_ns", "<=", before_ns))
        order = (Order("start_ns", descending=False),)
        deleted = 0
        while limit is None or deleted < limit:
            size = _DELETE_PAGE if limit is None else min(_DELETE_PAGE, limit - deleted)
            page = self._telemetry.traces(Query(project_id=project_id, where=where, order=order, limit=size))
            gone = self.remove(project_id, [summary.trace_id for summary in page.rows])
            deleted += gone
            if not gone or len(page.rows) < size:
                break
        return deleted
