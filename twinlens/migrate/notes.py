"""What a target has to remember between the start and the end of a migration, kept on disk so that a killed one goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_SCHEMA = "CREATE TABLE IF NOT EXISTS notes (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID"
_ROWS = 500


class Notes:
    """Bytes by kind and key. What was put is durable on return. Safe to use from several threads.

    Args:
        path: the file of the checkpoint, so that both are kept and removed together; None keeps the notes in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=60)
        self._lock = threading.Lock()
        if path is not None:
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(_SCHEMA)
        self._db.commit()

    def put(self, kind: str, rows: Iterable[tuple[str, bytes]]) -> None:
        """Remember some; a key that is there gets the new value."""
        with self._lock:
            self._db.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", [(kind, *row) for row in rows])
            self._db.commit()

    def get(self, kind: str, key: str) -> bytes | None:
        """The value of a key."""
        with self._lock:
            row = self._db.execute("SELECT value FROM notes WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return row[0] if row else None

    def all(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """All of a kind by key, read in small parts."""
        last: str | None = None
        while True:
            with self._lock:
                rows = self._db.execute(
                    "SELECT key, value FROM notes WHERE kind = ? AND (? IS NULL OR key > ?) ORDER BY key LIMIT ?",
                    (kind, last, last, _ROWS),
                ).fetchall()
            yield from rows
            if len(rows) < _ROWS:
                return
            last = rows[-1][0]

    def kinds(self, prefix: str) -> list[str]:
        """The kinds whose names begin so, in order."""
        with self._lock:
            rows = self._db.execute("SELECT DISTINCT kind FROM notes ORDER BY kind").fetchall()
        return [row[0] for row in rows if row[0].startswith(prefix)]

    def drop(self, kind: str) -> None:
        """Forget all of a kind."""
        with self._lock:
            self._db.execute("DELETE FROM notes WHERE kind = ?", (kind,))
            self._db.commit()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
