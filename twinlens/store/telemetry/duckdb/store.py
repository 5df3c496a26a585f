"""``TelemetryStore`` on DuckDB: one file, one process. See ``interface.py`` for the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from twinlens.domain.errors import StoreUnavailable
from twinlens.domain.otlp import OtelMetricPoint, RawLog
from twinlens.domain.score import MetricPoint, Score
from twinlens.domain.trace import Span, TraceSummary
from twinlens.domain.usage import UsageSum
from twinlens.store.telemetry.duckdb import score_codec
from twinlens.store.telemetry.duckdb.aggregates import Aggregates
from twinlens.store.telemetry.duckdb.commit import Committer
from twinlens.store.telemetry.duckdb.engine import Engine, one_row
from twinlens.store.telemetry.duckdb.keys import row_key
from twinlens.store.telemetry.duckdb.maintenance import Maintenance
from twinlens.store.telemetry.duckdb.metrics import MetricReader
from twinlens.store.telemetry.duckdb.pages import Pages
from twinlens.store.telemetry.duckdb.reader import Reader
from twinlens.store.telemetry.duckdb.reclaim import Reclaimer
from twinlens.store.telemetry.interface import Capabilities, MetricBucket, ReclaimReport, WriteSet
from twinlens.store.telemetry.query import Aggregate, Page, Query


class DuckDBTelemetry:
    """Open with ``DuckDBTelemetry.open``; the methods are documented in the interface."""

    capabilities = Capabilities(transactional=True, regex=True, exact_percentiles=True, reclaims_space=True)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._committer = Committer(engine)
        self._reader = Reader(engine)
        self._pages = Pages(engine)
        self._aggregates = Aggregates(engine)
        self._metrics = MetricReader(engine)
        self._maintenance = Maintenance(engine, self._committer)
        self._reclaimer = Reclaimer(engine, self._committer)

    @classmethod
    def open(
        cls, path: Path, memory_limit: str = "1GB", threads: int = 2, checkpoint_threshold: str = "128MB"
    ) -> DuckDBTelemetry:
        """Open or create the database file.

        Raises:
            StoreUnavailable: the file cannot be opened (another process holds it, no rights, not a database).
        """
        return cls(Engine(path, memory_limit, threads, checkpoint_threshold))

    # --- writer thread ---------------------------------------------------------------------------------------------
    def lookup_traces(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], TraceSummary]:
        with self._engine.write() as connection:
            return {key: known.summary for key, known in self._committer.known.find(connection, keys).items()}

    def lookup_spans(self, project_id: str, wanted: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Span]:
        with self._engine.write() as connection:
            keys = [(project_id, trace_id) for trace_id in wanted]
            known = [k for k in self._committer.known.find(connection, keys).values() if k.max_seq]
            ids = sorted({s for k in known for s in wanted[k.summary.trace_id]})
            if not ids:
                return {}
            found = self._reader.fetch_spans(
                connection, project_id,
                f"seq BETWEEN {min(k.min_seq for k in known)} AND {max(k.max_seq for k in known)} "
                f"AND tkey IN ({','.join(str(k.tkey) for k in known)}) AND project = ? "
                f"AND span_id IN ({','.join('?' * len(ids))})",
                [project_id, *ids], True, True,
            )  # fmt: skip
        sets = {trace_id: set(span_ids) for trace_id, span_ids in wanted.items()}
        return {(s.trace_id, s.span_id): s for s in found if s.span_id in sets.get(s.trace_id, ())}

    def lookup_scores(self, project_id: str, score_ids: Sequence[str]) -> dict[str, Score]:
        if not score_ids:
            return {}
        keys = ",".join(str(row_key(project_id, s)) for s in score_ids)
        with self._engine.read() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(score_codec.ROW)} FROM scores WHERE skey IN ({keys}) AND project = ?", [project_id]
            ).fetchall()
        scores = [score_codec.decode_score(row) for row in rows]
        return {s.score_id: s for s in scores if s.score_id in set(score_ids)}

    def newest_ns(self) -> int:
        with self._engine.read() as connection:
            row = one_row(connection, "SELECT max(updated_ns) FROM traces")
        return int(row[0] or 0)

    def waiting_logs(self) -> set[tuple[str, str, str]]:
        with self._engine.read() as connection:
            return set(connection.execute("SELECT DISTINCT project, trace_id, span_id FROM waiting_logs").fetchall())

    def lookup_logs(self, project_id: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[RawLog]]:
        if not keys:
            return {}
        with self._engine.read() as connection:
            rows = connection.execute(
                "SELECT trace_id, span_id, data FROM waiting_logs WHERE project = ? AND (trace_id, span_id) IN "
                f"(VALUES {','.join('(?, ?)' for _ in keys)}) ORDER BY seq, rowid",
                [project_id, *(v for key in keys for v in key)],
            ).fetchall()
        found: dict[tuple[str, str], list[RawLog]] = {}
        for trace_id, span_id, data in rows:
            found.setdefault((trace_id, span_id), []).append(msgspec.json.decode(data, type=RawLog))
        return found

    def drop_logs(self, before_ns: int) -> list[tuple[str, str, str]]:
        with self._engine.transaction() as connection:
            return connection.execute(
                "DELETE FROM waiting_logs WHERE arrived_ns < ? RETURNING project, trace_id, span_id", [before_ns]
            ).fetchall()

    def commit(self, rows: WriteSet) -> None:
        try:
            with self._engine.write() as connection:
                self._committer.start(connection)
            self._committer.commit(rows)
        except StoreUnavailable:
            self._committer.reset()
            raise

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> int:
        return self._maintenance.delete_traces(project_id, trace_ids)

    def delete_scores(self, project_id: str, score_ids: Sequence[str]) -> int:
        return self._maintenance.delete_scores(project_id, score_ids)

    def delete_metrics(self, project_id: str, run_ids: Sequence[str]) -> None:
        self._maintenance.delete_metrics(project_id, run_ids)

    def delete_project(self, project_id: str) -> None:
        self._maintenance.delete_project(project_id)

    def drop_payloads(self, project_id: str, before_ns: int) -> int:
        return self._maintenance.drop_payloads(project_id, before_ns)

    def reclaim(self) -> ReclaimReport:
        self._maintenance.deleted = False
        return self._reclaimer.reclaim()

    def reclaim_due(self) -> bool:
        return self._maintenance.deleted and self._reclaimer.due

    # --- any thread ------------------------------------------------------------------------------------------------
    def metric_watermark(self) -> int:
        with self._engine.read() as connection:
            row = one_row(connection, "SELECT max(value) FROM meta WHERE key = 'metric_watermark'")
        return int(row[0] or 0)

    def traces(self, query: Query) -> Page:
        return self._pages.traces(query)

    def trace(self, project_id: str, trace_id: str, *, with_io: bool = True) -> TraceSummary | None:
        return self._reader.trace(project_id, trace_id, with_io)

    def spans(self, query: Query) -> Page:
        return self._pages.spans(query)

    def trace_spans(
        self, project_id: str, trace_ids: Sequence[str], *, with_io: bool = True, with_attributes: bool = True
    ) -> dict[str, list[Span]]:
        return self._reader.trace_spans(project_id, trace_ids, with_io, with_attributes)

    def span(self, project_id: str, trace_id: str | None, span_id: str) -> Span | None:
        return self._reader.span(project_id, trace_id, span_id)

    def scores(self, query: Query) -> Page:
        return self._pages.scores(query)

    def scores_for(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, list[Score]]:
        return self._reader.scores_for(project_id, trace_ids)

    def count(self, view: str, query: Query) -> int:
        return self._pages.count(view, query)

    def aggregate(self, query: Aggregate) -> list[dict[str, Any]]:
        return self._aggregates.aggregate(query)

    def rollup(
        self,
        project_id: str,
        *,
        since_ns: int,
        until_ns: int,
        by: Sequence[str],
        where: Mapping[str, Any] | None = None,
    ) -> list[tuple[dict[str, Any], UsageSum]]:
        return self._aggregates.rollup(project_id, since_ns, until_ns, by, where or {})

    def values(
        self, project_id: str, view: str, field: str, *, key: str | None = None, limit: int = 100
    ) -> list[tuple[Any, int]]:
        return self._aggregates.values(project_id, view, field, key, limit)

    def metric_history(
        self,
        project_id: str,
        run_id: str,
        key: str,
        *,
        after: tuple[int, int, float] | None = None,
        limit: int = 25_000,
    ) -> list[MetricPoint]:
        return self._metrics.history(project_id, run_id, key, after, limit)

    def metric_buckets(
        self, project_id: str, run_ids: Sequence[str], key: str, *, buckets: int,
        x: str = "step", lower: int | None = None, upper: int | None = None,
    ) -> dict[str, list[MetricBucket]]:  # fmt: skip
        return self._metrics.buckets(project_id, run_ids, key, buckets, x, lower, upper)

    def metric_sample(
        self, project_id: str, run_ids: Sequence[str], key: str, *, limit: int,
        start_step: int | None = None, end_step: int | None = None,
    ) -> dict[str, list[MetricPoint]]:  # fmt: skip
        return self._metrics.sample(project_id, run_ids, key, limit, start_step, end_step)

    def otel_metrics(
        self,
        project_id: str,
        name: str | None = None,
        *,
        since_ns: int = 0,
        until_ns: int | None = None,
        limit: int = 10_000,
    ) -> list[OtelMetricPoint]:
        return self._metrics.otel(project_id, name, since_ns, until_ns, limit)

    def stats(self) -> dict[str, Any]:
        return self._maintenance.stats()

    def checkpoint(self) -> None:
        self._reclaimer.tidy()

    def close(self) -> None:
        self._engine.close()
