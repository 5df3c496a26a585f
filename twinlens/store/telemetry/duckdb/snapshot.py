"""The files of the store as they are at one moment, for another process that copies them while writing goes on.

DuckDB changes its main file at checkpoints only: what is committed in between goes to the log, which only grows, and bulk data
to blocks that the last checkpoint left free. So after one checkpoint, and while there is no other, the first bytes of both
files are the store of that moment. Another process has to copy them: closing a second descriptor of the file here would drop
the lock that DuckDB holds on it (POSIX record locks belong to the process).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twinlens.store.telemetry.duckdb.engine import Engine


class Snapshot:
    """Made and released by ``DuckDBTelemetry.snapshot``. See ``interface.TelemetrySnapshot``."""

    def __init__(self, engine: Engine, released: Callable[[], None]) -> None:
        self._engine = engine
        self._released = released
        self._opened = engine.opened
        engine.hold(True)
        log = engine.path.with_name(engine.path.name + ".wal")
        self.files: list[tuple[Path, int]] = [(p, p.stat().st_size) for p in (engine.path, log) if p.exists()]

    @property
    def valid(self) -> bool:
        """Whether the files are still those of the moment."""
        return self._engine.held and self._engine.opened == self._opened

    def release(self) -> None:
        """Let the store fold its log again."""
        self._released()
