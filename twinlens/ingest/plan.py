"""From batches to one WriteSet: what is stored already, what merges with it, what the traces look like afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from twinlens.domain.counting import uncounted
from twinlens.domain.merge import merge_span
from twinlens.domain.otlp import RawLog
from twinlens.domain.patch import apply_patch, assign_experiment
from twinlens.domain.preview import preview
from twinlens.domain.summary import (
    Change,
    add_spans,
    copy_summary,
    needs_walk,
    new_summary,
    note_reporters,
    rebuild,
)
from twinlens.domain.trace import MODEL_KINDS, Span, TracePatch, TraceSummary
from twinlens.domain.usage import add_usage
from twinlens.ingest.batch import Batch
from twinlens.ingest.seen import SeenSpans
from twinlens.ingest.skeletons import Skeletons
from twinlens.store.telemetry.interface import ProjectRows, TelemetryStore, WriteSet

#: Joins message content from log records to their span. Pure; must give the same result when a log is applied twice.
ApplyLogs = Callable[[Span, Sequence[RawLog]], Span]
#: Prices a span again after two reports of it were merged; returns it with usage and cost filled.
Reprice = Callable[[str, Span], Span]


class _TraceWork(msgspec.Struct):
    """Everything the batches say about one trace."""

    spans: dict[str, Span] = {}
    patches: list[TracePatch] = []
    logs: dict[str, list[RawLog]] = {}
    experiment_id: str | None = None
    run_ids: set[str] = set()


class Planner:
    """Builds WriteSets. Writer thread only; holds which spans and waiting logs it knows of."""

    def __init__(
        self, store: TelemetryStore, clock: Callable[[], int], apply_logs: ApplyLogs | None, reprice: Reprice | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._apply_logs = apply_logs
        self._reprice = reprice
        self._seen = SeenSpans(max(clock(), store.newest_ns() + 1))
        self._waiting = store.waiting_logs()
        self.skeletons = Skeletons(store)

    def plan(self, batches: Sequence[Batch]) -> WriteSet:
        """One WriteSet for all batches.

        Raises:
            InvalidArgument: a batch breaks a rule that only the stored state shows.
        """
        now = self._seen.tick(self._clock())
        rows = WriteSet()
        works: dict[str, dict[str, _TraceWork]] = {}
        for batch in batches:
            project = rows.projects.get(batch.project_id)
            if project is None:
                project = rows.projects[batch.project_id] = ProjectRows(
                    summaries=[],
                    spans=[],
                    replaces=set(),
                    scores=[],
                    metrics=[],
                    otel_metrics=[],
                    usage={},
                    logs=[],
                    logs_done=[],
                )
            project.scores.extend(batch.scores)
            project.metrics.extend(batch.metrics)
            project.otel_metrics.extend(batch.otel_metrics)
            self._group(batch, works.setdefault(batch.project_id, {}))
            if batch.metric_watermark is not None:
                rows.metric_watermark = max(rows.metric_watermark or 0, batch.metric_watermark)
        existing = self._store.lookup_traces([(p, t) for p, traces in works.items() for t in traces])
        for project_id, traces in works.items():
            known = {t: s for (p, t), s in existing.items() if p == project_id}
            _ProjectPlan(self, project_id, rows.projects[project_id], known, now).run(traces)
        return rows

    def committed(self, rows: WriteSet) -> None:
        """The WriteSet is durable."""
        for project_id, of in rows.projects.items():
            self._waiting.difference_update((project_id, t, s) for t, s in of.logs_done)
            self._waiting.update((project_id, g.trace_id, g.span_id) for g in of.logs if g.trace_id and g.span_id)
        self.skeletons.committed(rows)

    def drop_logs(self, before_ns: int) -> int:
        """Forget logs whose span has not come since; number of spans waited for in vain."""
        dropped = self._store.drop_logs(before_ns)
        self._waiting = self._store.waiting_logs()
        return len(set(dropped))

    def _group(self, batch: Batch, traces: dict[str, _TraceWork]) -> None:
        def work_of(trace_id: str) -> _TraceWork:
            work = traces.get(trace_id)
            if work is None:
                work = traces[trace_id] = _TraceWork({}, [], {}, None, set())
            if batch.experiment_id is not None:
                work.experiment_id = batch.experiment_id
            if batch.run_id is not None:
                work.run_ids.add(batch.run_id)
            return work

        work, last = None, None
        for span in batch.spans:
            if work is None or span.trace_id != last:
                work, last = work_of(span.trace_id), span.trace_id
            before = work.spans.get(span.span_id)
            work.spans[span.span_id] = span if before is None else self.merge(batch.project_id, before, span)
        for patch in batch.patches:
            work_of(patch.trace_id).patches.append(patch)
        for log in batch.logs:
            if log.trace_id and log.span_id:
                work = traces.get(log.trace_id)
                if work is None:
                    work = traces[log.trace_id] = _TraceWork({}, [], {}, None, set())
                work.logs.setdefault(log.span_id, []).append(log)

    def merge(self, project_id: str, old: Span, new: Span) -> Span:
        """Two reports of one span, priced again where the union shows more than either."""
        merged = merge_span(old, new)
        if merged is not old:
            merged.input_preview = merged.output_preview = None
            if self._reprice and merged.kind in MODEL_KINDS and merged.cost_source != "client":
                merged = self._reprice(project_id, merged)
        return merged

    def apply_logs(self, project_id: str, span: Span, logs: Sequence[RawLog]) -> Span:
        """The span with the content of the logs; tokens nobody reported are counted from it."""
        if self._apply_logs is None:
            return span
        joined = self._apply_logs(span, logs)
        if joined is not span:
            joined.input_preview = joined.output_preview = None
            if self._reprice and joined.kind in MODEL_KINDS and joined.usage_source != "client":
                joined = self._reprice(project_id, joined)
        return joined

    @property
    def seen(self) -> SeenSpans:
        """Spans written lately."""
        return self._seen

    @property
    def store(self) -> TelemetryStore:
        """Where to look things up."""
        return self._store

    def waits(self, project_id: str, trace_id: str, span_id: str) -> bool:
        """Whether stored logs wait for this span."""
        return bool(self._waiting) and (project_id, trace_id, span_id) in self._waiting


class _ProjectPlan:
    """One project's part of one WriteSet."""

    def __init__(
        self, planner: Planner, project_id: str, rows: ProjectRows, known: dict[str, TraceSummary], now_ns: int
    ) -> None:
        self._planner = planner
        self._project = project_id
        self._rows = rows
        self._known = known
        self._now = now_ns

    def run(self, traces: dict[str, _TraceWork]) -> None:
        """Fill the rows."""
        stored = self._stored_spans(traces)
        self._join_waiting(traces)
        for trace_id, work in traces.items():
            self._join_logs(trace_id, work, stored)
            changes = self._changes(trace_id, work, stored)
            self._trace(trace_id, work, changes)

    def _stored_spans(self, traces: dict[str, _TraceWork]) -> dict[tuple[str, str], Span]:
        """Stored versions of the spans in hand, asked for only where there may be one."""
        seen = self._planner.seen
        wanted: dict[str, list[str]] = {}
        for trace_id, summary in self._known.items():
            if not summary.span_count:
                continue
            work = traces[trace_id]
            ids: Iterable[str] = {**work.spans, **work.logs} if work.logs else work.spans
            if summary.created_ns > seen.since_ns:
                ids = [s for s in ids if seen.maybe(self._project, trace_id, s)]
            if ids:
                wanted[trace_id] = list(ids)
        return self._planner.store.lookup_spans(self._project, wanted) if wanted else {}

    def _join_waiting(self, traces: dict[str, _TraceWork]) -> None:
        """Logs that came before their span."""
        planner = self._planner
        keys = [(t, s) for t, w in traces.items() for s in w.spans if planner.waits(self._project, t, s)]
        for (trace_id, span_id), logs in planner.store.lookup_logs(self._project, keys).items() if keys else ():
            work = traces[trace_id]
            work.spans[span_id] = planner.apply_logs(self._project, work.spans[span_id], logs)
            self._rows.logs_done.append((trace_id, span_id))

    def _join_logs(self, trace_id: str, work: _TraceWork, stored: dict[tuple[str, str], Span]) -> None:
        """Logs of this commit: to a span in hand, to a stored one, or kept until theirs arrives."""
        for span_id, logs in work.logs.items():
            span = work.spans.get(span_id)
            if span is not None:
                work.spans[span_id] = self._planner.apply_logs(self._project, span, logs)
            elif (trace_id, span_id) in stored:
                work.spans[span_id] = self._planner.apply_logs(self._project, stored[trace_id, span_id], logs)
            else:
                self._rows.logs.extend(logs)

    def _changes(self, trace_id: str, work: _TraceWork, stored: dict[tuple[str, str], Span]) -> list[Change]:
        changes: list[Change] = []
        for span_id, span in work.spans.items():
            old = stored.get((trace_id, span_id)) if stored else None
            new = span if old is None else self._planner.merge(self._project, old, span)
            if new is not old:
                if new.input and new.input_preview is None:
                    new.input_preview = preview(new.input)
                if new.output and new.output_preview is None:
                    new.output_preview = preview(new.output)
                changes.append((old, new))
        return changes

    def _trace(self, trace_id: str, work: _TraceWork, changes: list[Change]) -> None:
        before = self._known.get(trace_id)
        if before is None:
            if not work.spans and not work.patches:
                return  # only logs that wait for their span
            summary = new_summary(trace_id, self._now)
            if changes:
                summary.source = changes[0][1].source
            elif work.patches:
                summary.source = "client"
        else:
            summary = copy_summary(before)
        if work.experiment_id is not None:
            assign_experiment(summary, work.experiment_id)
        if not work.run_ids <= set(summary.run_ids):
            summary.run_ids = sorted({*summary.run_ids, *work.run_ids})
        for patch in work.patches:
            apply_patch(summary, patch, self._now)
        if changes:
            note_reporters(summary, changes)
            if needs_walk(summary):
                changes = self._walk(trace_id, before is not None, changes)
            if not add_spans(summary, changes):
                self._rebuild(trace_id, summary, changes)
            self._put(trace_id, changes)
        if not summary.start_ns:
            summary.start_ns = self._now
        if before is None or changes or summary != before:
            summary.updated_ns = self._now
            self._rows.summaries.append(summary)

    def _put(self, trace_id: str, changes: list[Change]) -> None:
        rows = self._rows
        self._planner.seen.add(self._project, trace_id, [new.span_id for _, new in changes])
        for old, new in changes:
            rows.spans.append(new)
            if old is not None:
                rows.replaces.add((trace_id, new.span_id))
                add_usage(rows.usage, old, -1)
            if new.usage or new.cost:
                add_usage(rows.usage, new, 1)

    def _walk(self, trace_id: str, stored: bool, changes: list[Change]) -> list[Change]:
        """Decide what counts by looking at the whole trace; stored spans whose answer changes are written again."""
        before = dict(self._planner.skeletons.of(self._project, trace_id)) if stored else {}
        spans = {**before, **{new.span_id: new for _, new in changes}}
        hidden = uncounted(spans.values())
        decided: list[Change] = []
        for old, new in changes:
            before.pop(new.span_id, None)
            counts = new.span_id not in hidden
            decided.append((old, new if new.counted == counts else msgspec.structs.replace(new, counted=counts)))
        flipped = [s for s in before.values() if s.counted == (s.span_id in hidden)]
        if flipped:
            whole = self._planner.store.lookup_spans(self._project, {trace_id: [s.span_id for s in flipped]})
            decided.extend((old, msgspec.structs.replace(old, counted=not old.counted)) for old in whole.values())
        return decided

    def _rebuild(self, trace_id: str, summary: TraceSummary, changes: list[Change]) -> None:
        found = self._planner.store.trace_spans(self._project, [trace_id], with_io=False, with_attributes=False)
        spans = {s.span_id: s for s in found.get(trace_id, ())}
        spans.update((new.span_id, new) for _, new in changes)
        rebuild(summary, spans.values())
