"""Giving back the space of what nothing refers to any more. Whoever holds the tables only.

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
_MOVES = 3
_USAGE_GROWTH = 100_000
_SHARE = 60  #: automatic passes take at most one part in so many of the time

_USAGE_KEY = "project, hour_ns, environment, kind, name, model, provider, user_id, prompt_name, prompt_version"
_USAGE_SUM = "spans, errors, input_tokens, output_tokens, total_tokens, input_cost, output_cost, total_cost"


class Reclaimer:
    """Mark, sweep, compact."""

    def __init__(self, engine: Engine, committer: Committer) -> None:
        self._engine = engine
        self._committer = committer
        self._next = 0.0
        self._usage_rows = 0  #: of the rollup when it was last added up

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

    def tidy(self) -> None:
        """See ``TelemetryStore.checkpoint``: also adds up the rollup when it has grown much."""
        with self._engine.read() as connection:
            rows = one_row(connection, "SELECT count(*) FROM usage")[0]
        if rows > 2 * self._usage_rows + _USAGE_GROWTH:
            self._add_up_usage()
        self.checkpoint()

    def _add_up_usage(self) -> None:
        """One rollup row per key instead of one per key and commit."""
        sums = ", ".join(f"sum({name})" for name in _USAGE_SUM.split(", "))
        with self._engine.transaction() as connection:
            connection.execute("ALTER TABLE usage RENAME TO usage_old").fetchall()
            connection.execute(create_table("usage", TABLES["usage"])).fetchall()
            self._usage_rows = one_row(
                connection,
                f"INSERT INTO usage (seq, {_USAGE_KEY}, {_USAGE_SUM}) SELECT max(seq), {_USAGE_KEY}, {sums} FROM usage_old "
                f"GROUP BY {_USAGE_KEY} ORDER BY hour_ns",
            )[0]
            connection.execute("DROP TABLE usage_old").fetchall()

    def _compact(self) -> None:
        self.checkpoint()
        holes = [table for table in TABLES if self._has_holes(table)]
        if not holes:
            return
        self._rewrite(holes)
        self.checkpoint()
        for _ in range(_MOVES):  # new copies lie behind the holes: move everything small to the beginning of the file
            with self._engine.read() as connection:
                total, free = one_row(connection, "SELECT total_blocks, free_blocks FROM pragma_database_size()")
            if free <= total * _SPARSE:
                break
            self._rewrite(list(TABLES))
            self.checkpoint()

    def _has_holes(self, table: str) -> bool:
        with self._engine.read() as connection:
            rows, places = one_row(
                connection,
                f"SELECT (SELECT count(*) FROM {table}), (SELECT coalesce(sum(count), 0) FROM pragma_storage_info('{table}') "
                f"WHERE column_id = 0 AND segment_type <> 'VALIDITY')",
            )
        return rows < places

    def _rewrite(self, tables: list[str]) -> None:
        """Write tables anew, in the same order, if they are small."""
        for table in tables:
            with self._engine.transaction() as connection:
                if one_row(connection, f"SELECT count(*) FROM {table}")[0] > _SMALL:
                    continue
                connection.execute(f"ALTER TABLE {table} RENAME TO {table}_old").fetchall()
                connection.execute(create_table(table, TABLES[table])).fetchall()
                connection.execute(f"INSERT INTO {table} SELECT * FROM {table}_old ORDER BY rowid").fetchall()
                connection.execute(f"DROP TABLE {table}_old").fetchall()

    def checkpoint(self) -> None:
        """Fold the log into the file, unless somebody copies it."""
        if self._engine.held:
            return
        # refused while a long read holds an old snapshot: the next one will do
        with self._engine.write() as connection, contextlib.suppress(duckdb.TransactionException):
            connection.execute("CHECKPOINT").fetchall()
