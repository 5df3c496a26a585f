"""What the journal holds and the tables do not yet: in memory, for the writer's lookups, until the tables take it over."""

from __future__ import annotations

from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import UsageKey, UsageSum
from twinlens.store.telemetry.interface import ProjectRows, WriteSet

SpanKey = tuple[str, str]


class PendingProject:
    """One project's part, with the last version of everything that has a key."""

    def __init__(self) -> None:
        self.summaries: dict[str, TraceSummary] = {}
        self.spans: dict[SpanKey, Span] = {}
        self.replaces: set[SpanKey] = set()
        self.scores: dict[str, Score] = {}
        self.metrics: list[MetricPoint] = []
        self.otel_metrics: list[OtelMetricPoint] = []
        self.usage: dict[UsageKey, UsageSum] = {}
        self.logs: list[RawLog] = []
        self.logs_done: set[SpanKey] = set()

    def add(self, of: ProjectRows) -> None:
        """Bring in a later commit."""
        for key in of.replaces:
            if key not in self.spans:  # the version it replaces is in the tables
                self.replaces.add(key)
        for span in of.spans:
            self.spans[span.trace_id, span.span_id] = span
        for summary in of.summaries:
            before = self.summaries.get(summary.trace_id)
            if before is not None:  # an explicit input or output that is not handed in again stays
                if summary.input is None:
                    summary.input = before.input
                if summary.output is None:
                    summary.output = before.output
            self.summaries[summary.trace_id] = summary
        for score in of.scores:
            self.scores[score.score_id] = score
        self.metrics.extend(of.metrics)
        self.otel_metrics.extend(of.otel_metrics)
        for key, delta in of.usage.items():
            total = self.usage.get(key)
            if total is None:
                total = self.usage[key] = UsageSum()
            for name in UsageSum.__struct_fields__:
                setattr(total, name, getattr(total, name) + getattr(delta, name))
        done = set(of.logs_done)
        if done:
            self.logs = [g for g in self.logs if (g.trace_id, g.span_id) not in done]
            self.logs_done |= done
        self.logs.extend(of.logs)

    def copy(self) -> PendingProject:
        """What reads need of it, as it is now."""
        copied = PendingProject()
        copied.summaries, copied.spans, copied.scores = self.summaries.copy(), self.spans.copy(), self.scores.copy()
        copied.replaces = self.replaces.copy()
        return copied

    def rows(self) -> ProjectRows:
        """All of it as one commit."""
        return ProjectRows(
            summaries=list(self.summaries.values()), spans=list(self.spans.values()), replaces=self.replaces,
            scores=list(self.scores.values()), metrics=self.metrics, otel_metrics=self.otel_metrics, usage=self.usage,
            logs=self.logs, logs_done=sorted(self.logs_done),
        )  # fmt: skip


class Memtable:
    """Commits since the tables last took over. Used under the store's locks; ``rows`` may be read without them."""

    def __init__(self) -> None:
        self._projects: dict[str, PendingProject] = {}
        self._watermark: int | None = None
        self.rows = 0
        self.number = 0  #: of its last journal entry

    def add(self, rows: WriteSet, count: int, number: int) -> None:
        """Bring in a commit of ``count`` rows, the journal's entry ``number``."""
        for project_id, of in rows.projects.items():
            project = self._projects.get(project_id)
            if project is None:
                project = self._projects[project_id] = PendingProject()
            project.add(of)
        if rows.metric_watermark is not None:
            self._watermark = rows.metric_watermark
        self.rows += max(count, 1)
        self.number = number

    def write_set(self) -> WriteSet:
        """Everything as one commit."""
        return WriteSet(projects={p: of.rows() for p, of in self._projects.items()}, metric_watermark=self._watermark)

    def of_project(self, project_id: str) -> PendingProject | None:
        """A copy of one project's part."""
        project = self._projects.get(project_id)
        return None if project is None else project.copy()

    def summary(self, project_id: str, trace_id: str) -> TraceSummary | None:
        """A pending summary."""
        project = self._projects.get(project_id)
        return None if project is None else project.summaries.get(trace_id)

    def span(self, project_id: str, trace_id: str, span_id: str) -> Span | None:
        """A pending span."""
        project = self._projects.get(project_id)
        return None if project is None else project.spans.get((trace_id, span_id))

    def clear(self) -> None:
        """The tables have everything."""
        self._projects.clear()
        self._watermark = None
        self.rows = 0
