"""The telemetry store: what is large and mostly appended.

Contract (every engine; checked by ``tests/conformance/test_telemetry.py``):

* **Scope.** Every call names its project. Rows of another project never appear, also not through an id.
* **Durability.** When ``commit`` returns, the whole ``WriteSet`` survives ``kill -9`` and the next read sees it. When it
  raises, nothing of it is stored. One ``WriteSet`` may hold rows of several projects.
* **One writer.** ``commit``, ``lookup_*``, ``delete_*``, ``reclaim`` and ``drop_payloads`` are called from one thread at a
  time (the ingest writer). Reads may come from any number of threads at any time and see a consistent snapshot.
* **Rollups** are additive: the writer hands in deltas (``UsageSum``, negative for what a replaced span had said), the store
  adds them up by ``UsageKey``. They outlive spans and payloads; deleting a trace does not take its cost back.
* **Merging is the caller's.** The writer asks ``lookup_traces``/``lookup_spans`` what is there, merges with
  ``twinlens.domain.merge`` and hands in whole rows. ``WriteSet.spans`` marked in ``replaces`` take the place of the stored
  row of the same key; the others are new and are appended without a check. Summaries are always whole rows.
* **Payloads.** Engines keep large values once per project under their content hash, compressed; the rows a read returns
  are whole again. Lists return previews only, unless ``with_io``/``with_attributes`` is set.
* **Errors.** ``InvalidArgument`` for an unknown field or a bad cursor, ``NotFound`` never (absent rows are absent),
  ``StoreUnavailable`` when the engine cannot write or read now. After a failed commit the store recovers by itself once
  the cause (a full disk) is gone.
* **Limits.** One ``WriteSet`` holds at most what the ingest queue admits (rows and bytes); no engine limit below that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import UsageKey, UsageSum
from twinlens.store.telemetry.query import Aggregate, Page, Query


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do. The zero value is the least capable; callers ask, engines never pretend."""

    transactional: bool = False  #: a WriteSet is all or nothing across tables
    regex: bool = False
    exact_percentiles: bool = False
    reclaims_space: bool = False


class ProjectRows(msgspec.Struct, kw_only=True):
    """What one commit writes into one project."""

    summaries: list[TraceSummary] = []
    spans: list[Span] = []
    replaces: set[tuple[str, str]] = set()  #: (trace_id, span_id) of spans that take the place of stored ones
    scores: list[Score] = []  #: upserted by score_id; a replaced row keeps its ``created_ns``
    metrics: list[MetricPoint] = []  #: a set
    otel_metrics: list[OtelMetricPoint] = []
    usage: dict[UsageKey, UsageSum] = {}  #: deltas for the rollup
    logs: list[RawLog] = []  #: content that waits for its span; kept until named in ``logs_done``
    logs_done: list[tuple[str, str]] = []  #: (trace_id, span_id) whose waiting logs have joined their span


class WriteSet(msgspec.Struct, kw_only=True):
    """One atomic commit. ``metric_watermark``: inbox position stored in the same transaction, see MetricInbox."""

    projects: dict[str, ProjectRows] = {}
    metric_watermark: int | None = None


class MetricBucket(msgspec.Struct, frozen=True, kw_only=True):
    """All points of one pixel column: first/last by step, extremes, mean, count. NaN points are counted apart."""

    step_min: int
    step_max: int
    time_min_ms: int
    time_max_ms: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    count: int
    nan_count: int = 0


class ReclaimReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a reclaim pass found and freed."""

    payloads_kept: int
    payloads_dropped: int
    bytes_dropped: int


class TelemetrySnapshot(Protocol):
    """The store at one moment, as files that another process copies. Held until ``release``, which must come."""

    files: list[tuple[Path, int]]  #: what to copy, and how many bytes from its start

    @property
    def valid(self) -> bool:
        """Whether the files still hold that moment; asked after the copy."""
        ...

    def release(self) -> None:
        """The files may change again. From any thread."""
        ...


class TelemetryStore(Protocol):
    """See the module's text for the contract."""

    capabilities: Capabilities

    # --- writer thread only ------------------------------------------------------------------------------------
    def lookup_traces(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceSummary]:
        """Stored summaries of (project, trace id) pairs, without ``input``/``output``; absent ones are left out.

        Cheap when nothing is there: this runs for every trace of every batch.
        """
        ...

    def lookup_spans(self, project_id: str, wanted: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Span]:
        """Whole stored spans by (trace id, span id); ``wanted`` maps trace ids to span ids. Absent ones are left out."""
        ...

    def newest_ns(self) -> int:
        """Commit time of the newest trace row of all projects; 0 when there is none. Asked once, at start."""
        ...

    def waiting_logs(self) -> set[tuple[str, str, str]]:
        """(project, trace id, span id) of all logs that wait for their span. Asked once, at start."""
        ...

    def lookup_logs(self, project_id: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[RawLog]]:
        """Waiting logs by (trace id, span id), oldest first."""
        ...

    def drop_logs(self, before_ns: int) -> list[tuple[str, str, str]]:
        """Forget logs that have waited since before; their (project, trace id, span id)."""
        ...

    def lookup_scores(self, project_id: str, score_ids: Sequence[str]) -> dict[str, Score]:
        """Stored scores by id."""
        ...

    def commit(self, rows: WriteSet) -> None:
        """Store everything or nothing."""
        ...

    def settle(self, *, idle: bool) -> None:
        """Called between commits, after their callers have been answered: work an engine has put off. ``idle``: nothing
        has been written for a moment. Never needed for durability or for what reads see."""
        ...

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> int:
        """Remove traces with their spans and scores; number of traces that existed."""
        ...

    def delete_scores(self, project_id: str, score_ids: Sequence[str]) -> int:
        """Remove scores; number that existed."""
        ...

    def delete_metrics(self, project_id: str, run_ids: Sequence[str]) -> None:
        """Remove all metric points of runs."""
        ...

    def delete_project(self, project_id: str) -> None:
        """Remove everything of a project."""
        ...

    def drop_payloads(self, project_id: str, before_ns: int) -> int:
        """Retention: forget payloads of spans that ended before; headers and previews stay. Number of spans."""
        ...

    def snapshot(self) -> TelemetrySnapshot:
        """Everything committed before, while writing goes on. One at a time.

        Raises:
            Conflict: there is one already.
        """
        ...

    def reclaim(self) -> ReclaimReport:
        """Free the bytes of payloads nothing refers to any more and give space back to the file system."""
        ...

    def reclaim_due(self) -> bool:
        """Whether something was deleted since the last ``reclaim`` and an automatic pass would not come too often."""
        ...

    # --- any thread --------------------------------------------------------------------------------------------
    def together(self) -> AbstractContextManager[None]:
        """Reads of this thread inside the block all see what was acknowledged before it began, perhaps not what came later: so an
        engine may take one snapshot for them, and does work it has put off at most once. For answers that take several reads. A
        block inside another one is part of it. Nothing is written inside."""
        ...

    def metric_watermark(self) -> int:
        """Highest inbox position whose points are stored; 0 at first."""
        ...

    def traces(self, query: Query) -> Page:
        """Page of ``TraceSummary``. Default order: start_ns, newest first."""
        ...

    def trace(self, project_id: str, trace_id: str, *, with_io: bool = True) -> TraceSummary | None:
        """One summary."""
        ...

    def trace_table(
        self, project_id: str, trace_ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, tuple[Any, ...]]:
        """Some fields of some traces by trace id, a tuple for each; absent ones are left out. For rows that show little of their
        traces: costs a quarter of the summaries. ``fields``, at least one, are names of ``TraceSummary`` that hold one value or a list.

        Raises:
            InvalidArgument: another field.
        """
        ...

    def spans(self, query: Query) -> Page:
        """Page of ``Span`` over all traces. Default order: start_ns, newest first."""
        ...

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], *, with_io: bool = True, with_attributes: bool = True
    ) -> dict[str, list[Span]]:
        """All spans of some traces, each list by start time. ``with_io=False, with_attributes=False`` is the skeleton."""
        ...

    def span_columns(self, project_id: str, trace_id: str, fields: Sequence[str]) -> list[list[Any]]:
        """Some fields of all spans of a trace, a list for each field, by start time. For showing little of very many spans: costs
        a fifth of their skeletons. ``fields``, at least one, are names of ``Span``, without those that ``trace_spans`` leaves out of
        skeletons and without ``scope``; equal values may be one object.

        Raises:
            InvalidArgument: another field.
        """
        ...

    def span_ids(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """Ids of all spans of some traces, each list by start time. Much cheaper than the spans themselves."""
        ...

    def span(self, project_id: str, trace_id: str | None, span_id: str) -> Span | None:
        """One whole span; without a trace id the newest span of that id."""
        ...

    def scores(self, query: Query) -> Page:
        """Page of ``Score``. Default order: timestamp_ns, newest first."""
        ...

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        """Scores by trace id (trace and span scores), oldest first."""
        ...

    def count(self, view: str, query: Query) -> int:
        """Number of rows of ``traces``, ``spans`` or ``scores`` that ``query.where`` selects."""
        ...

    def rollup(
        self,
        project_id: str,
        *,
        since_ns: int,
        until_ns: int,
        by: Sequence[str],
        where: Mapping[str, Any] | None = None,
    ) -> list[tuple[dict[str, Any], UsageSum]]:
        """Usage and cost of counted spans that started in [since, until), from the hourly rollup.

        ``by`` names fields of ``UsageKey`` (``hour_ns``, ``environment``, ``kind``, ``name``, ``model``, ``provider``,
        ``user_id``, ``prompt_name``, ``prompt_version``) or ``day_ns``; ``where`` restricts them to one value each.
        Exact at hour borders. Costs a scan of the rollup, not of the spans.
        """
        ...

    def otel_metrics(
        self,
        project_id: str,
        name: str | None = None,
        *,
        since_ns: int = 0,
        until_ns: int | None = None,
        limit: int = 10_000,
    ) -> list[OtelMetricPoint]:
        """Points of OTLP metrics by time, oldest first."""
        ...

    def aggregate(self, query: Aggregate) -> list[dict[str, Any]]:
        """Grouped rows: one dict per group, keys are the names of dimensions and measures (and ``time``)."""
        ...

    def values(
        self, project_id: str, view: str, field: str, *, key: str | None = None, limit: int = 100
    ) -> list[tuple[Any, int]]:
        """Most frequent values of a field with their counts, for filter menus and typeahead."""
        ...

    def metric_history(
        self,
        project_id: str,
        run_id: str,
        key: str,
        *,
        after: tuple[int, int, float] | None = None,
        limit: int = 25_000,
    ) -> list[MetricPoint]:
        """Points by (timestamp, step, value), distinct; ``after`` continues behind a point."""
        ...

    def metric_histories(self, project_id: str, metrics: Sequence[tuple[str, str]], *, limit: int) -> list[MetricPoint]:
        """The first ``limit`` points of several metrics (run id and key), by run id, key and then as ``metric_history``."""
        ...

    def metric_buckets(
        self, project_id: str, run_ids: Sequence[str], key: str, *, buckets: int,
        x: str = "step", lower: int | None = None, upper: int | None = None,
    ) -> dict[str, list[MetricBucket]]:  # fmt: skip
        """At most ``buckets`` buckets per run over x (``step`` or ``time``), for a chart of that many pixels."""
        ...

    def metric_sample(
        self,
        project_id: str,
        run_ids: Sequence[str],
        key: str,
        *,
        limit: int,
        start_step: int | None = None,
        end_step: int | None = None,
    ) -> dict[str, list[MetricPoint]]:
        """At most ``limit`` real points per run, evenly over steps, first and last always among them."""
        ...

    def stats(self) -> dict[str, Any]:
        """Rows per table, bytes on disk, payload bytes raw and stored: for ``doctor`` and the native API."""
        ...

    def checkpoint(self) -> None:
        """Fold the log into the main file. Called when idle."""
        ...

    def close(self) -> None:
        """Flush and release the files. Afterwards every call raises StoreUnavailable."""
        ...
