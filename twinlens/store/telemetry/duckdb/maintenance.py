"""Deleting, forgetting payloads, statistics. Whoever holds the tables, except ``stats``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twinlens.store.telemetry.duckdb.ddl import TABLES
from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.duckdb.keys import row_key

if TYPE_CHECKING:
    from twinlens.store.telemetry.duckdb.commit import Committer
    from twinlens.store.telemetry.duckdb.engine import Engine

_CHUNK = 1_000


class Maintenance:
    """Everything that removes rows."""

    def __init__(self, engine: Engine, committer: Committer) -> None:
        self._engine = engine
        self._committer = committer
        self.deleted = False  #: since the last reclaim

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> int:
        """See ``TelemetryStore.delete_traces``."""
        ids = list(dict.fromkeys(trace_ids))
        total = 0
        for at in range(0, len(ids), _CHUNK):
            total += self._delete_some(project_id, ids[at : at + _CHUNK])
        return total

    def _delete_some(self, project_id: str, ids: list[str]) -> int:
        tkeys = ",".join(str(row_key(project_id, t)) for t in ids)
        marks = ",".join("?" * len(ids))
        where = f"tkey IN ({tkeys}) AND project = ? AND trace_id IN ({marks})"
        params = [project_id, *ids]
        with self._engine.transaction() as connection:
            places = connection.execute(f"SELECT min_seq, max_seq FROM traces WHERE {where}", params).fetchall()
            held = [p for p in places if p[1]]
            if held:
                low, high = min(p[0] for p in held), max(p[1] for p in held)
                connection.execute(f"DELETE FROM spans WHERE seq BETWEEN {low} AND {high} AND {where}", params)
            connection.execute(f"DELETE FROM scores WHERE {where}", params)
            connection.execute(f"DELETE FROM waiting_logs WHERE project = ? AND trace_id IN ({marks})", params)
            if places:
                connection.execute(f"DELETE FROM traces WHERE {where}", params)
        self._committer.known.forget(project_id, ids)
        self.deleted = self.deleted or bool(places)
        return len(places)

    def delete_scores(self, project_id: str, score_ids: Sequence[str]) -> int:
        """See ``TelemetryStore.delete_scores``."""
        ids = list(dict.fromkeys(score_ids))
        total = 0
        for at in range(0, len(ids), _CHUNK):
            some = ids[at : at + _CHUNK]
            keys = ",".join(str(row_key(project_id, s)) for s in some)
            with self._engine.transaction() as connection:
                row = one_row(
                    connection,
                    f"DELETE FROM scores WHERE skey IN ({keys}) AND project = ? AND score_id IN ({','.join('?' * len(some))})",
                    [project_id, *some],
                )
            total += int(row[0])
        return total

    def delete_metrics(self, project_id: str, run_ids: Sequence[str]) -> None:
        """See ``TelemetryStore.delete_metrics``."""
        if run_ids:
            marks = ",".join("?" * len(run_ids))
            with self._engine.transaction() as connection:
                connection.execute(
                    f"DELETE FROM metrics WHERE project = ? AND (owner IN ({marks}) OR run_id IN ({marks}))",
                    [project_id, *run_ids, *run_ids],
                )

    def delete_project(self, project_id: str) -> None:
        """See ``TelemetryStore.delete_project``."""
        with self._engine.transaction() as connection:
            for table, columns in TABLES.items():
                if "project" in columns:
                    connection.execute(f"DELETE FROM {table} WHERE project = ?", [project_id])
        self._committer.known.forget(project_id)
        self._committer.cache.clear()
        self.deleted = True

    def drop_payloads(self, project_id: str, before_ns: int) -> int:
        """See ``TelemetryStore.drop_payloads``."""
        where = "project = ? AND end_ns < ? AND (input IS NOT NULL OR output IS NOT NULL OR attributes IS NOT NULL OR refs IS NOT NULL)"
        with self._engine.transaction() as connection:
            row = one_row(
                connection,
                "UPDATE spans SET input = NULL, output = NULL, attributes = NULL, metadata = NULL, detail = NULL, refs = NULL "
                f"WHERE {where}",
                [project_id, before_ns],
            )
            connection.execute(
                "UPDATE traces SET input = NULL, output = NULL, refs = NULL "
                "WHERE project = ? AND end_ns < ? AND (input IS NOT NULL OR output IS NOT NULL)",
                [project_id, before_ns],
            )
        self._committer.known.forget(project_id)
        self.deleted = self.deleted or row[0] > 0
        return int(row[0])

    def stats(self) -> dict[str, Any]:
        """See ``TelemetryStore.stats``."""
        with self._engine.read() as connection:
            rows: dict[str, int] = {}
            for table in TABLES:
                rows[table] = int(one_row(connection, f"SELECT count(*) FROM {table}")[0])
            sizes = one_row(
                connection, "SELECT coalesce(sum(size), 0), coalesce(sum(octet_length(data)), 0) FROM payloads"
            )
        path = self._engine.path
        log = path.with_name(path.name + ".wal")
        return {
            "rows": rows,
            "bytes": path.stat().st_size + (log.stat().st_size if log.exists() else 0),
            "payload_bytes": int(sizes[0]),
            "payload_bytes_stored": int(sizes[1]),
        }
