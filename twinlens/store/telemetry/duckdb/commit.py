"""One WriteSet into one transaction."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import msgspec

from twinlens.domain.clock import now_ns
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import TraceSummary
from twinlens.store.telemetry.duckdb.arrow import append
from twinlens.store.telemetry.duckdb.bloom import BloomFilter
from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.duckdb.known import KnownTrace, KnownTraces, TraceKey
from twinlens.store.telemetry.duckdb.payload_cache import PayloadCache
from twinlens.store.telemetry.duckdb.payloads import PayloadSink
from twinlens.store.telemetry.duckdb.score_codec import score_columns
from twinlens.store.telemetry.duckdb.span_codec import SpanColumns
from twinlens.store.telemetry.duckdb.trace_codec import summary_columns
from twinlens.store.telemetry.interface import ProjectRows, WriteSet

if TYPE_CHECKING:
    import duckdb

    from twinlens.store.telemetry.duckdb.engine import Engine

_USAGE_KEY = ("hour_ns", "environment", "kind", "name", "model", "provider", "user_id", "prompt_name", "prompt_version")
_USAGE_SUM = (
    "spans", "errors", "input_tokens", "output_tokens", "total_tokens", "input_cost", "output_cost", "total_cost",
)  # fmt: skip


class Committer:
    """Holds what the write path remembers between commits: the commit number, the next locator, known rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.known = KnownTraces()
        self.scores = BloomFilter("scores", "skey")
        self.cache = PayloadCache()
        self._seq = 0
        self._locator = 0
        self._started = False

    def start(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Find where the numbers continue. Called before the first use and after the file was opened again."""
        if self._started:
            return
        tables = ("spans", "traces", "scores", "metrics", "otel_metrics", "usage", "waiting_logs")
        union = " UNION ALL ".join(f"SELECT max(seq) AS m FROM {t}" for t in tables)
        row = one_row(connection, f"SELECT (SELECT max(m) FROM ({union})), (SELECT max(id) FROM payloads)")
        self._seq = (row[0] or 0) + 1
        self._locator = (row[1] or 0) + 1
        self._started = True

    def reset(self) -> None:
        """Forget what may not be true any more after a failure of the engine."""
        self._started = False
        self.known.clear()
        self.scores = BloomFilter("scores", "skey")
        self.cache.clear()

    def commit(self, rows: WriteSet, taken: int | None = None) -> None:
        """Store everything or nothing; ``taken`` is the number of the last journal entry among the rows."""
        seq, now = self._seq, now_ns()
        sink = PayloadSink(self.cache, self._locator)
        stored: list[tuple[TraceKey, KnownTrace, bool]] = []
        try:
            with self._engine.transaction() as connection:
                self._write(connection, rows, _Commit(seq, now, sink, stored))
                if taken is not None:
                    set_meta(connection, "journal_taken", taken)
        except BaseException:
            self.cache.forget(sink.slots)
            raise
        finally:
            # numbers of a failed commit are skipped: whether it failed before or after the log was written is unknown
            self._seq = seq + 1
            self._locator = sink.next_locator
        for key, known, new in stored:
            self.known.stored(key, known, new=new)

    def _write(self, connection: duckdb.DuckDBPyConnection, rows: WriteSet, commit: _Commit) -> None:
        keys = [(p, s.trace_id) for p, r in rows.projects.items() for s in r.summaries]
        keys += [(p, t) for p, r in rows.projects.items() for t, _ in r.replaces]
        known = self.known.find(lambda: nullcontext(connection), keys) if keys else {}
        spans = SpanColumns(commit.sink, commit.seq, commit.now)
        traces: dict[str, list[Any]] = {}
        for project_id, of in rows.projects.items():
            commit.sink.project(project_id)
            mine = {trace_id: k.tkey for (project, trace_id), k in known.items() if project == project_id}
            for summary in of.summaries:
                if summary.trace_id not in mine:
                    mine[summary.trace_id] = row_key(project_id, summary.trace_id)
            for span in of.spans:
                if span.trace_id not in mine:
                    mine[span.trace_id] = row_key(project_id, span.trace_id)
            if of.replaces:
                self._delete_spans(connection, project_id, of, known)
            if of.spans:
                spans.add(project_id, of.spans, mine)
            if of.summaries:
                self._add_summaries(traces, project_id, of, mine, known, commit)
            self._others(connection, project_id, of, commit)
        replaced = [known[key] for key, _, new in commit.stored if not new]
        if replaced:
            connection.execute(
                f"DELETE FROM traces WHERE seq BETWEEN {min(k.seq for k in replaced)} AND {max(k.seq for k in replaced)} "
                f"AND tkey IN ({','.join(str(k.tkey) for k in replaced)})"
            )
        if len(commit.sink):
            append(connection, "payloads", commit.sink.columns())
        if spans.columns:
            append(connection, "spans", spans.columns)
        if traces:
            append(connection, "traces", traces)
        if rows.metric_watermark is not None:
            set_meta(connection, "metric_watermark", rows.metric_watermark)

    def _delete_spans(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, of: ProjectRows, known: dict[TraceKey, KnownTrace]
    ) -> None:
        places = [(known[project_id, t], s) for t, s in of.replaces if (project_id, t) in known]
        if not places:
            return
        low, high = min(k.min_seq for k, _ in places), max(k.max_seq for k, _ in places)
        pairs = ",".join(f"({k.tkey},?)" for k, _ in places)
        connection.execute(
            f"DELETE FROM spans WHERE seq BETWEEN {low} AND {high} AND tkey IN ({','.join({str(k.tkey) for k, _ in places})}) "
            f"AND (tkey, span_id) IN (VALUES {pairs})",
            [s for _, s in places],
        )

    def _add_summaries(
        self, traces: dict[str, list[Any]], project_id: str, of: ProjectRows, keys: dict[str, int],
        known: dict[TraceKey, KnownTrace], commit: _Commit,
    ) -> None:  # fmt: skip
        touched = {s.trace_id for s in of.spans}
        rows: list[KnownTrace] = []
        for summary in of.summaries:
            key = (project_id, summary.trace_id)
            before = known.get(key)
            row = self._row(summary, keys[summary.trace_id], before, summary.trace_id in touched, commit)
            rows.append(row)
            commit.stored.append((key, row, before is None))
        columns = summary_columns(of.summaries)
        columns["updated_ns"] = [s.updated_ns or commit.now for s in of.summaries]
        columns["seq"] = [commit.seq] * len(rows)
        columns["project"] = [project_id] * len(rows)
        for name in ("tkey", "min_seq", "max_seq", "input", "output", "refs"):
            columns[name] = [getattr(row, name) for row in rows]
        for name, values in columns.items():
            traces.setdefault(name, []).extend(values)

    def _row(
        self, summary: TraceSummary, tkey: int, before: KnownTrace | None, has_spans: bool, commit: _Commit
    ) -> KnownTrace:
        """The row's own columns; an explicit input or output that is not handed in again stays as it is."""
        low, high = (before.min_seq, before.max_seq) if before is not None else (0, 0)
        if has_spans:
            low, high = low or commit.seq, commit.seq
        row = KnownTrace(tkey, summary, commit.seq, low, high)
        if before is not None:
            row.input, row.output, row.refs = before.input, before.output, before.refs
        if summary.input is not None or summary.output is not None:
            commit.sink.used = list(row.refs or ())
            if summary.input is not None:
                row.input = commit.sink.cell(summary.input)
            if summary.output is not None:
                row.output = commit.sink.cell(summary.output)
            row.refs = sorted(set(commit.sink.used)) or None
            row.summary = msgspec.structs.replace(summary, input=None, output=None)
        return row

    def _others(self, connection: duckdb.DuckDBPyConnection, project_id: str, of: ProjectRows, commit: _Commit) -> None:
        if of.scores:
            self._upsert_scores(connection, project_id, of.scores, commit)
        if of.metrics:
            append(connection, "metrics", metric_columns(project_id, of.metrics, commit.seq))
        if of.otel_metrics:
            append(connection, "otel_metrics", otel_columns(project_id, of, commit.seq))
        if of.usage:
            append(connection, "usage", usage_columns(project_id, of, commit.seq))
        if of.logs_done:
            connection.execute(
                "DELETE FROM waiting_logs WHERE project = ? AND (trace_id, span_id) IN "
                f"(VALUES {','.join('(?, ?)' for _ in of.logs_done)})",
                [project_id, *(v for key in of.logs_done for v in key)],
            )
        if of.logs:
            n = len(of.logs)
            append(connection, "waiting_logs", {
                "seq": [commit.seq] * n, "project": [project_id] * n, "trace_id": [g.trace_id for g in of.logs],
                "span_id": [g.span_id for g in of.logs], "arrived_ns": [commit.now] * n,
                "data": [msgspec.json.encode(g).decode() for g in of.logs],
            })  # fmt: skip

    def _upsert_scores(
        self, connection: duckdb.DuckDBPyConnection, project_id: str, scores: list[Score], commit: _Commit
    ) -> None:
        if not self.scores.ready:
            self.scores.load(connection)
        unique = {s.score_id: s for s in scores}
        keys = {score_id: row_key(project_id, score_id) for score_id in unique}
        maybe = [key for key in keys.values() if key in self.scores]
        born: dict[str, int] = {}  # a score that is said again keeps the moment it was first said
        if maybe:
            born = dict(
                connection.execute(
                    f"DELETE FROM scores WHERE skey IN ({','.join(map(str, maybe))}) AND project = ? "
                    "RETURNING score_id, created_ns",
                    [project_id],
                ).fetchall()
            )
        for key in keys.values():
            self.scores.add(key)
        rows = list(unique.values())
        columns = score_columns(rows)
        columns["seq"] = [commit.seq] * len(rows)
        columns["project"] = [project_id] * len(rows)
        columns["skey"] = list(keys.values())
        columns["tkey"] = [row_key(project_id, s.trace_id) if s.trace_id else None for s in rows]
        columns["created_ns"] = [born.get(s.score_id) or s.created_ns or commit.now for s in rows]
        columns["updated_ns"] = [s.updated_ns or commit.now for s in rows]
        columns["timestamp_ns"] = [s.timestamp_ns or commit.now for s in rows]
        append(connection, "scores", columns)


class _Commit(msgspec.Struct):
    """What the steps of one commit share."""

    seq: int
    now: int
    sink: PayloadSink
    stored: list[tuple[TraceKey, KnownTrace, bool]]


def set_meta(connection: duckdb.DuckDBPyConnection, key: str, value: int) -> None:
    """Change a row of ``meta``."""
    connection.execute("UPDATE meta SET value = ? WHERE key = ?", [value, key]).fetchall()


def metric_columns(project_id: str, points: list[MetricPoint], seq: int) -> dict[str, list[Any]]:
    """Rows of metric points; a point with a model id gets a second row, under the model."""
    owners = [(p.run_id, p) for p in points] + [
        (p.model_id, p) for p in points if p.model_id and p.model_id != p.run_id
    ]
    okeys: dict[tuple[str, str], int] = {}
    for owner, point in owners:
        if (owner, point.key) not in okeys:
            okeys[owner, point.key] = row_key(project_id, owner, point.key)
    n = len(owners)
    return {
        "seq": [seq] * n, "project": [project_id] * n, "okey": [okeys[o, p.key] for o, p in owners],
        "owner": [o for o, _ in owners], "key": [p.key for _, p in owners],
        "timestamp_ms": [p.timestamp_ms for _, p in owners], "step": [p.step for _, p in owners],
        "value": [p.value for _, p in owners], "run_id": [p.run_id for _, p in owners],
        "model_id": [p.model_id for _, p in owners], "dataset_name": [p.dataset_name for _, p in owners],
        "dataset_digest": [p.dataset_digest for _, p in owners],
    }  # fmt: skip


def otel_columns(project_id: str, of: ProjectRows, seq: int) -> dict[str, list[Any]]:
    """Rows of OTLP metric points."""
    points = of.otel_metrics
    n = len(points)
    columns: dict[str, list[Any]] = {"seq": [seq] * n, "project": [project_id] * n}
    for name in (
        "name",
        "unit",
        "kind",
        "time_ns",
        "start_ns",
        "value",
        "count",
        "sum",
        "min",
        "max",
        "buckets",
        "scope",
    ):
        columns[name] = [getattr(p, name) for p in points]
    columns["attributes"] = [msgspec.json.encode(p.attributes).decode() for p in points]
    columns["resource"] = [msgspec.json.encode(p.resource).decode() for p in points]
    return columns


def usage_columns(project_id: str, of: ProjectRows, seq: int) -> dict[str, list[Any]]:
    """Rows of the rollup's deltas."""
    n = len(of.usage)
    columns: dict[str, list[Any]] = {"seq": [seq] * n, "project": [project_id] * n}
    for name in _USAGE_KEY:
        columns[name] = [getattr(key, name) for key in of.usage]
    for name in _USAGE_SUM:
        columns[name] = [getattr(total, name) for total in of.usage.values()]
    return columns
