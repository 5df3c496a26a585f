"""Giving back the space of what nothing refers to any more. Writer thread only.

Payloads are marked from the rows that name them and swept. Rows that are deleted leave holes in their table; DuckDB closes
them at a checkpoint only when whole row groups can be merged (measured in docs/adr/0002), so small tables are written anew,
which costs less than a second, and large ones are left to the checkpoint. Freed blocks at the end of the file are cut off,
others are used again by later writes. Reads go on meanwhile, on their snapshot.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import duckdb

from twinlens.store.telemetry.duckdb.ddl import TABLES, create_table
from twinlens.store.telemetry.duckdb.engine import one_row
from twinlens.store.telemetry.interface import ReclaimReport

if TYPE_CHECKING:
    from twinlens.store.telemetry.duckdb.commit import Committer
    from twinlens.store.telemetry.duckdb.engine import Engine

_SMALL = 250_000  #: rows up to which a table with holes is written anew
_SPARSE = 0.25  #: part of the file that may be free before small tables are moved to its beginning
_SHARE = 60  #: automatic passes take at most one part in so many of the time

_USAGE_KEY = "project, hour_ns, environment, kind, name, model, provider, user_id, prompt_name, prompt_version"
_USAGE_SUM = "spans, errors, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost"


class Reclaimer:
    """Mark, sweep, compact."""

    def __init__(self, engine: Engine, committer: Committer) -> None:
        self._engine = engine
        self._committer = committer
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether the last pass was long enough ago for another automatic one."""
        return time.monotonic() >= self._next

    def reclaim(self) -> ReclaimReport:
        """See ``TelemetryStore.reclaim``."""
        begun = time.monotonic()
        report = self._sweep()
        self._add_up_usage()
        self._compact()
        self._next = time.monotonic() + _SHARE * (time.monotonic() - begun)
        return report

    def _sweep(self) -> ReclaimReport:
        with self._engine.transaction() as connection:
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE marked AS WITH RECURSIVE m(id) AS ("
                "SELECT unnest(refs) FROM spans WHERE refs IS NOT NULL "
                "UNION SELECT unnest(refs) FROM traces WHERE refs IS NOT NULL "
                "UNION SELECT context FROM spans WHERE context IS NOT NULL "
                "UNION SELECT unnest(p.refs) FROM payloads p JOIN m ON p.id = m.id WHERE p.refs IS NOT NULL) "
                "SELECT id FROM m"
            ).fetchall()
            row = one_row(
                connection,
                "SELECT count(*), count(m.id), coalesce(sum(octet_length(p.data)) FILTER (m.id IS NULL), 0) "
                "FROM payloads p LEFT JOIN marked m ON p.id = m.id",
            )
            total, kept, freed = (int(v) for v in row)
            if kept < total:
                connection.execute("DELETE FROM payloads WHERE id NOT IN (SELECT id FROM marked)").fetchall()
            connection.execute("DROP TABLE marked").fetchall()
        if kept < total:
            self._committer.cache.clear()
        return ReclaimReport(payloads_kept=kept, payloads_dropped=total - kept, bytes_dropped=freed)

    def _add_up_usage(self) -> None:
        """One rollup row per key instead of one per key and commit."""
        with self._engine.transaction() as connection:
            row = one_row(
                connection,
                f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {_USAGE_KEY} FROM usage)) FROM usage",
            )
            if row[0] <= row[1]:
                return
            sums = ", ".join(f"sum({name})" for name in _USAGE_SUM.split(", "))
            connection.execute("ALTER TABLE usage RENAME TO usage_old").fetchall()
            connection.execute(create_table("usage", TABLES["usage"])).fetchall()
            connection.execute(
                f"INSERT INTO usage (seq, {_USAGE_KEY}, {_USAGE_SUM}) SELECT max(seq), {_USAGE_KEY}, {sums} FROM usage_old "
                f"GROUP BY {_USAGE_KEY} ORDER BY hour_ns"
            ).fetchall()
            connection.execute("DROP TABLE usage_old").fetchall()

    def _compact(self) -> None:
        self.checkpoint()
        rewritten = self._rewrite_small(holes_only=True)
        if rewritten:
            self.checkpoint()
            with self._engine.read() as connection:
                total, free = one_row(connection, "SELECT total_blocks, free_blocks FROM pragma_database_size()")
            if free > total * _SPARSE:  # the new copies lie behind the holes: move them to the front
                self._rewrite_small(holes_only=False)
                self.checkpoint()

    def _rewrite_small(self, *, holes_only: bool) -> bool:
        rewritten = False
        for table in ("payloads", "spans", "traces", "scores", "metrics"):
            with self._engine.transaction() as connection:
                rows, places = one_row(
                    connection,
                    f"SELECT (SELECT count(*) FROM {table}), (SELECT coalesce(sum(count), 0) FROM pragma_storage_info('{table}') "
                    f"WHERE column_id = 0 AND segment_type <> 'VALIDITY')",
                )
                if rows > _SMALL or (holes_only and rows == places):
                    continue
                connection.execute(f"ALTER TABLE {table} RENAME TO {table}_old").fetchall()
                connection.execute(create_table(table, TABLES[table])).fetchall()
                connection.execute(f"INSERT INTO {table} SELECT * FROM {table}_old ORDER BY rowid").fetchall()
                connection.execute(f"DROP TABLE {table}_old").fetchall()
                rewritten = True
        return rewritten

    def checkpoint(self) -> None:
        """See ``TelemetryStore.checkpoint``."""
        # refused while a long read holds an old snapshot: the next one will do
        with self._engine.write() as connection, contextlib.suppress(duckdb.TransactionException):
            connection.execute("CHECKPOINT").fetchall()
