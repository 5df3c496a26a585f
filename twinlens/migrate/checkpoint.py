"""What a migration has done so far, in one small SQLite file: positions, and checksums of what was carried and found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from twinlens.migrate.errors import MigrationError
from twinlens.migrate.essence import Sum

_MASK = (1 << 62) - 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress (kind TEXT PRIMARY KEY, after TEXT, done INTEGER NOT NULL, records INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS carried (
  kind TEXT, key TEXT, n INTEGER, digest INTEGER, tokens INTEGER, cost REAL, bytes INTEGER, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""
_ADD = (
    "INSERT INTO {table} VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + 1, "
    f"digest = (digest + excluded.digest) & {_MASK}, tokens = tokens + excluded.tokens, cost = cost + excluded.cost, "
    "bytes = bytes + excluded.bytes"
)


class Total(msgspec.Struct, frozen=True):
    """Both sides of one kind, summed over what was carried. ``missing`` and ``different`` count things."""

    kind: str
    carried: int
    found: int
    missing: int
    different: int
    tokens: tuple[int, int]
    cost: tuple[float, float]
    bytes: tuple[int, int]
    examples: list[str] = []


class Checkpoint:
    """Used by one thread. ``job`` names source and target; a file of another job is refused.

    Raises:
        MigrationError: the file belongs to another migration.
    """

    def __init__(self, path: Path | None, job: str) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=60)
        self._db.executescript(_SCHEMA)
        self._db.execute("PRAGMA synchronous = NORMAL")
        row = self._db.execute("SELECT value FROM meta WHERE key = 'job'").fetchone()
        if row is not None and row[0] != job:
            self._db.close()
            raise MigrationError(f"{path} belongs to another migration ({row[0]}); choose another --checkpoint")
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('job', ?)", (job,))
        self._db.execute(
            "CREATE TEMP TABLE found (kind TEXT, key TEXT, n INTEGER, digest INTEGER, tokens INTEGER, cost REAL, bytes INTEGER, "
            "PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        self._db.commit()

    def state(self, kind: str) -> tuple[Any, bool]:
        """Position behind what is done, and whether the kind is complete."""
        row = self._db.execute("SELECT after, done FROM progress WHERE kind = ?", (kind,)).fetchone()
        return (msgspec.json.decode(row[0]), bool(row[1])) if row else (None, False)

    def advance(self, kind: str, after: Any, carried: Iterable[Sum], records: int, *, done: bool = False) -> None:
        """Remember that everything up to a position has been written. ``after`` None keeps the position."""
        self._db.execute("INSERT OR IGNORE INTO progress VALUES (?, 'null', 0, 0)", (kind,))
        if after is not None:
            self._db.execute(
                "UPDATE progress SET after = ? WHERE kind = ?", (msgspec.json.encode(after).decode(), kind)
            )
        self._db.execute("UPDATE progress SET done = ?, records = records + ? WHERE kind = ?", (done, records, kind))
        self._db.executemany(_ADD.format(table="carried"), _rows(carried))
        self._db.commit()

    def restart(self, kind: str) -> None:
        """Forget a kind, which is about to be carried again from its start."""
        self._db.execute("DELETE FROM progress WHERE kind = ?", (kind,))
        self._db.execute("DELETE FROM carried WHERE kind = ?", (kind,))
        self._db.commit()

    def reset(self) -> None:
        """Forget all progress: everything is carried again."""
        self._db.execute("DELETE FROM progress")
        self._db.execute("DELETE FROM carried")
        self._db.commit()

    def saw(self, found: Iterable[Sum]) -> None:
        """Add what the target holds."""
        self._db.executemany(_ADD.format(table="found"), _rows(found))

    def totals(self) -> list[Total]:
        """Both sides, by kind. Things of the target that were not carried do not count."""
        result: list[Total] = []
        for row in self._db.execute(
            "SELECT c.kind, sum(c.n), coalesce(sum(f.n), 0), sum(f.n IS NULL), "
            "sum(f.n IS NOT NULL AND (f.n != c.n OR f.digest != c.digest)), sum(c.tokens), coalesce(sum(f.tokens), 0), "
            "sum(c.cost), coalesce(sum(f.cost), 0), sum(c.bytes), coalesce(sum(f.bytes), 0) "
            "FROM carried c LEFT JOIN found f USING (kind, key) GROUP BY c.kind"
        ).fetchall():
            examples = self._db.execute(
                "SELECT key FROM carried c LEFT JOIN found f USING (kind, key) WHERE kind = ? AND "
                "(f.n IS NULL OR f.n != c.n OR f.digest != c.digest) LIMIT 3",
                (row[0],),
            )
            kind, carried, found, missing, different, *pairs = row
            result.append(
                Total(
                    kind=kind, carried=carried, found=found, missing=missing, different=different,
                    tokens=(pairs[0], pairs[1]), cost=(pairs[2], pairs[3]), bytes=(pairs[4], pairs[5]),
                    examples=[str(each[0]) for each in examples],
                )
            )  # fmt: skip
        return result

    def close(self) -> None:
        """Close the file."""
        self._db.commit()
        self._db.close()


def _rows(found: Iterable[Sum]) -> Iterator[tuple[Any, ...]]:
    for s in found:
        yield s.kind, s.key, s.digest & _MASK, s.tokens, s.cost, s.bytes
